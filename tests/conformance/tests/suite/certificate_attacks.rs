//! Show that nothing but a quorum's own signatures on this very block makes a certificate.

use kumiki_protocol::{
    Certificate, CertificateError, Decode, Encode, Hash, Proposal, PublicKey, SecretKey,
    ValidatorSet,
};
use kumiki_testkit::validator;

use crate::samples;

fn genesis_hash() -> Hash {
    samples::genesis().hash()
}

fn verify(certificate: &Certificate) -> Result<(), CertificateError> {
    certificate.verify(&genesis_hash(), &samples::validators().0)
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Certificate), expected: &CertificateError) {
    let mut certificate = samples::certificate();
    change(&mut certificate);
    assert_eq!(verify(&certificate).as_ref(), Err(expected));
}

const POSITIONS: CertificateError = CertificateError::Positions { validators: 4 };

#[test]
fn a_quorum_decides_and_so_do_all() {
    assert_eq!(verify(&samples::certificate()), Ok(()));
    let (set, keys) = samples::validators();
    let all: Vec<&SecretKey> = keys.iter().collect();
    let certificate = Certificate::sign(
        &genesis_hash(),
        Proposal::solo(1, samples::hash(1)),
        &set,
        &all,
    );
    assert_eq!(certificate.signatures.len(), 4);
    assert_eq!(verify(&certificate), Ok(()));
}

#[test]
fn one_signature_short_of_a_quorum_proves_nothing() {
    let no_quorum = |found| CertificateError::NoQuorum { found, quorum: 3 };
    refused(|one| one.signatures.truncate(2), &no_quorum(2));
    refused(|one| one.signatures.clear(), &no_quorum(0));
}

#[test]
fn one_validator_counts_once() {
    refused(|one| one.signatures[1] = one.signatures[0], &POSITIONS);
    refused(|one| one.signatures.push(one.signatures[2]), &POSITIONS);
    // The same signature under another validator's position.
    refused(
        |one| one.signatures[1].signature = one.signatures[0].signature,
        &CertificateError::Signature {
            validator: samples::certificate().signatures[1].validator,
        },
    );
}

#[test]
fn positions_rise_and_lie_in_the_set() {
    refused(|one| one.signatures.swap(0, 1), &POSITIONS);
    refused(|one| one.signatures[2].validator = 4, &POSITIONS);
    refused(|one| one.signatures[2].validator = u16::MAX, &POSITIONS);
}

#[test]
fn a_signature_holds_for_one_chain_epoch_view_parent_and_block() {
    let first = CertificateError::Signature {
        validator: samples::certificate().signatures[0].validator,
    };
    refused(|one| one.proposal.epoch += 1, &first);
    refused(|one| one.proposal.view += 1, &first);
    refused(|one| one.proposal.parent_view += 1, &first);
    refused(|one| one.proposal.block = samples::hash(9), &first);
    let (set, _keys) = samples::validators();
    let other_chain = samples::certificate().verify(&samples::hash(9), &set);
    assert_eq!(other_chain, Err(first));
}

#[test]
fn a_certificate_of_other_validators_proves_nothing() {
    let keys: Vec<SecretKey> = (10..14).map(validator).collect();
    let set = ValidatorSet::new(keys.iter().map(SecretKey::public_key).collect()).unwrap();
    let signers: Vec<&SecretKey> = keys.iter().collect();
    let foreign = Certificate::sign(
        &genesis_hash(),
        Proposal::solo(42, samples::block().hash()),
        &set,
        &signers,
    );
    assert_eq!(foreign.verify(&genesis_hash(), &set), Ok(()));
    assert_eq!(
        verify(&foreign),
        Err(CertificateError::Signature { validator: 0 })
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = samples::certificate().encode();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let accepted = Certificate::decode(&mut bytes.as_slice())
            .is_ok_and(|certificate| verify(&certificate).is_ok());
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn a_transaction_signature_is_no_vote() {
    let (_, keys) = samples::validators();
    let message = samples::transactions()[0].1.body.sign_bytes();
    refused(
        |one| one.signatures[0].signature = keys[0].sign(&message),
        &CertificateError::Signature { validator: 0 },
    );
}

/// An empty set would need no signature, a doubled key would vote twice.
#[test]
fn a_validator_set_from_outside_is_sorted_unique_and_not_empty() {
    let (set, _keys) = samples::validators();
    let keys = set.keys().to_vec();
    let decode = |keys: Vec<PublicKey>| ValidatorSet::decode(&mut keys.encode().as_slice());
    assert_eq!(decode(keys.clone()), Ok(set));
    assert!(decode(Vec::new()).is_err());
    assert!(decode(vec![keys[0], keys[0], keys[1], keys[2]]).is_err());
    assert!(decode(vec![keys[1], keys[0], keys[2], keys[3]]).is_err());
    let many = (0..=1_024_u16)
        .map(|number| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            PublicKey(bytes)
        })
        .collect::<Vec<_>>();
    assert!(decode(many[..1_024].to_vec()).is_ok());
    assert!(decode(many).is_err());
}
