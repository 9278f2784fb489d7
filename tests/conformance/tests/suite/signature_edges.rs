//! Show that edge cases of ed25519 have one verdict, ZIP-215's, on every path that verifies.

use kumiki_protocol::{BatchVerifier, PublicKey, Signature, SignatureItem, Transaction};
use kumiki_testkit::account;

use crate::samples;

/// Every encoding of the eight points of small order, non-canonical ones included.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
];

/// The order of the prime subgroup, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn point(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn signature(r: [u8; 32], s: [u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r);
    bytes[32..].copy_from_slice(&s);
    Signature(bytes)
}

/// The verdict of every path, which must be one: alone, in a transaction-like batch among good signatures at
/// each position, and in a batch of itself.
fn verdict(key: &PublicKey, message: &[u8], candidate: &Signature) -> bool {
    let alone = key.verify(message, candidate).is_ok();
    let good = account(0);
    let good_key = good.public_key();
    let good_signature = good.key.sign(message);
    let good = SignatureItem {
        key: &good_key,
        message,
        signature: &good_signature,
    };
    let tested = SignatureItem {
        key,
        message,
        signature: candidate,
    };
    let expected = |indices: Vec<usize>| if alone { Vec::new() } else { indices };
    for position in 0..5 {
        let mut items = vec![good; 5];
        items[position] = tested;
        assert_eq!(
            BatchVerifier::find_invalid(&items),
            expected(vec![position])
        );
    }
    assert_eq!(
        BatchVerifier::find_invalid(&[tested; 4]),
        expected(vec![0, 1, 2, 3])
    );
    assert_eq!(BatchVerifier::find_invalid(&[tested]), expected(vec![0]));
    alone
}

#[test]
fn small_order_points_verify_everywhere_as_zip215_says() {
    for key in SMALL_ORDER {
        for r in SMALL_ORDER {
            let key = PublicKey(point(key));
            assert!(
                verdict(&key, b"Zcash", &signature(point(r), [0; 32])),
                "{key} {r}"
            );
        }
    }
}

#[test]
fn a_small_order_signature_with_another_s_verifies_nowhere() {
    let mut one = [0; 32];
    one[0] = 1;
    for key in SMALL_ORDER {
        let key = PublicKey(point(key));
        assert!(!verdict(
            &key,
            b"Zcash",
            &signature(point(SMALL_ORDER[0]), one)
        ));
    }
}

/// s and s + L satisfy the same equation: without this check every signature has a twin.
#[test]
fn s_at_or_above_the_group_order_verifies_nowhere() {
    let signer = account(1);
    let good = signer.key.sign(b"message");
    assert!(verdict(&signer.public_key(), b"message", &good));
    let order = point(ORDER);
    let mut twin = good;
    let mut carry = 0_u16;
    for (byte, add) in twin.0[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    assert_ne!(twin, good);
    assert!(!verdict(&signer.public_key(), b"message", &twin));
    let small = PublicKey(point(SMALL_ORDER[0]));
    assert!(!verdict(
        &small,
        b"message",
        &signature(point(SMALL_ORDER[0]), order)
    ));
    assert!(!verdict(
        &small,
        b"message",
        &signature(point(SMALL_ORDER[0]), [0xff; 32])
    ));
}

#[test]
fn bytes_that_are_no_point_verify_nowhere() {
    let good = account(1);
    let mut found = 0;
    for byte in 2..40_u8 {
        let mut bytes = [0; 32];
        bytes[0] = byte;
        // As key with any signature, and as R under a good key: never valid, point or not.
        let key = PublicKey(bytes);
        assert!(!verdict(&key, b"message", &good.key.sign(b"message")));
        let mut with_r = good.key.sign(b"message");
        with_r.0[..32].copy_from_slice(&bytes);
        assert!(!verdict(&good.public_key(), b"message", &with_r));
        found += 1;
    }
    assert_eq!(found, 38);
}

#[test]
fn a_transaction_has_the_same_verdict_as_its_signature() {
    let mut body = samples::transactions()[0].1.body.clone();
    body.sender = PublicKey(point(SMALL_ORDER[10]));
    let candidate = signature(point(SMALL_ORDER[3]), [0; 32]);
    let transaction = Transaction {
        body,
        signature: candidate,
    };
    let expected = verdict(
        &transaction.body.sender,
        &transaction.body.sign_bytes(),
        &candidate,
    );
    assert!(expected);
    assert!(transaction.verify_signature().is_ok());
}

#[test]
fn every_flipped_bit_of_a_signed_transaction_is_noticed() {
    let (_, good) = samples::transactions().swap_remove(0);
    for bit in 0..512 {
        let mut wounded = good.clone();
        wounded.signature.0[bit / 8] ^= 1 << (bit % 8);
        assert!(wounded.verify_signature().is_err(), "signature bit {bit}");
    }
    let bytes = kumiki_protocol::Encode::encode(&good);
    for bit in 0..bytes.len() * 8 {
        let mut wounded = bytes.clone();
        wounded[bit / 8] ^= 1 << (bit % 8);
        if let Ok(transaction) = Transaction::decode_checked(&wounded) {
            assert!(transaction.verify_signature().is_err(), "bit {bit}");
        }
    }
}

/// A second valid signature is no second transaction.
#[test]
fn the_id_does_not_depend_on_the_signature() {
    let (_, good) = samples::transactions().swap_remove(0);
    let mut other = good.clone();
    other.signature = Signature([1; 64]);
    assert_eq!(good.hash(), other.hash());
    let mut changed = good.clone();
    changed.body.nonce += 1;
    assert_ne!(good.hash(), changed.hash());
}
