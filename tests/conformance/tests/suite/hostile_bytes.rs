//! Show that bytes from outside never panic, never cost much memory, and never have a second spelling.

use std::fmt::Debug;

use kumiki_protocol::{
    Address, Block, Certificate, Decode, DecodeError, Encode, Evidence, Genesis, Hash, Header,
    Receipt, Transaction, ValidatorRecord, ValidatorSet, decode_bounded, limits, merkle::ListProof,
};
use kumiki_testkit::peak_bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{samples, strategies};

/// Room for any sample.
const BYTES_MAX: usize = limits::TRANSACTION_BYTES_MAX;
/// What a decoder may hold regardless of its input: first pieces of lists and the error text.
const SLACK_BYTES: usize = 64 * 1024;

fn comes_back<T: Encode + Decode + PartialEq + Debug>(value: &T) {
    let bytes = value.encode();
    assert_eq!(decode_bounded::<T>(&bytes, bytes.len()).as_ref(), Ok(value));
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(
        decode_bounded::<T>(&longer, longer.len()),
        Err(DecodeError::Malformed { .. })
    ));
    let shorter = &bytes[..bytes.len() - 1];
    assert!(decode_bounded::<T>(shorter, shorter.len()).is_err());
    assert_eq!(
        decode_bounded::<T>(&bytes, bytes.len() - 1),
        Err(DecodeError::TooLong {
            found: bytes.len(),
            max: bytes.len() - 1
        })
    );
}

/// Decodes hostile bytes: within the memory bound, and if they are a value, they are its one encoding.
fn judge<T: Encode + Decode>(bytes: &[u8]) {
    let (decoded, peak) = peak_bytes(|| decode_bounded::<T>(bytes, BYTES_MAX));
    assert!(
        peak <= 8 * bytes.len() + SLACK_BYTES,
        "{} bytes made {} hold {peak}",
        bytes.len(),
        std::any::type_name::<T>()
    );
    if let Ok(value) = decoded {
        assert_eq!(value.encode(), bytes, "two encodings of one value");
    }
}

fn judge_as_everything(bytes: &[u8]) {
    judge::<Transaction>(bytes);
    judge::<Header>(bytes);
    judge::<Block>(bytes);
    judge::<Certificate>(bytes);
    judge::<ValidatorSet>(bytes);
    judge::<Genesis>(bytes);
    judge::<Receipt>(bytes);
    judge::<ListProof>(bytes);
    judge::<Evidence>(bytes);
    judge::<ValidatorRecord>(bytes);
    let _judged = Transaction::decode_checked(bytes);
    let _judged = Block::decode_checked(bytes, BYTES_MAX);
}

fn encoded_samples() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = samples::transactions()
        .iter()
        .map(|(_, transaction)| transaction.encode())
        .collect();
    all.push(samples::block().header.encode());
    all.push(samples::block().encode());
    all.push(samples::certificate().encode());
    all.push(samples::validators().0.encode());
    all.push(samples::genesis().encode());
    all.push(samples::evidence().encode());
    for (_, status) in samples::statuses() {
        all.push(samples::receipt(status).encode());
    }
    all
}

/// One wound to a good encoding.
#[derive(Clone, Debug)]
enum Wound {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
}

impl Wound {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, with) => {
                let at = at.index(bytes.len());
                bytes[at] ^= with;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + count);
                bytes.drain(at..end);
            }
        }
    }
}

fn wound() -> impl Strategy<Value = Wound> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, with)| Wound::Flip(at, with)),
        any::<Index>().prop_map(Wound::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, new)| Wound::Insert(at, new)),
        (any::<Index>(), 1_usize..9).prop_map(|(at, count)| Wound::Remove(at, count)),
    ]
}

proptest! {
    #[test]
    fn transactions_come_back(value in strategies::transaction()) {
        comes_back(&value);
        prop_assert_eq!(Transaction::decode_checked(&value.encode()), Ok(value));
    }

    #[test]
    fn blocks_come_back(value in strategies::block()) {
        comes_back(&value);
        prop_assert_eq!(Block::decode_checked(&value.encode(), BYTES_MAX), Ok(value));
    }

    #[test]
    fn certificates_come_back(value in strategies::certificate()) {
        comes_back(&value);
    }

    #[test]
    fn receipts_come_back(value in strategies::receipt()) {
        comes_back(&value);
    }

    #[test]
    fn noise_is_judged_within_bounds(bytes in vec(any::<u8>(), 0..2_000)) {
        judge_as_everything(&bytes);
    }

    #[test]
    fn wounded_encodings_are_judged_within_bounds(
        which in any::<Index>(),
        wounds in vec(wound(), 1..4),
    ) {
        let samples = encoded_samples();
        let mut bytes = samples[which.index(samples.len())].clone();
        for wound in wounds {
            wound.apply(&mut bytes);
        }
        judge_as_everything(&bytes);
    }

    #[test]
    fn addresses_have_one_spelling(bytes in any::<[u8; 32]>(), at in any::<Index>(), with in "[ -~é]") {
        let address = Address(bytes);
        let text = address.to_string();
        prop_assert_eq!(text.parse(), Ok(address));
        let upper = text.to_uppercase();
        prop_assert!(upper.parse::<Address>().is_err());
        let at = at.index(text.len());
        let wounded = format!("{}{with}{}", &text[..at], &text[at + 1..]);
        prop_assert!(wounded == text || wounded.parse::<Address>().is_err());
    }

    #[test]
    fn hashes_and_keys_parse_what_they_print(bytes in any::<[u8; 32]>(), noise in ".{0,80}") {
        let hash = Hash(bytes);
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        if let Ok(parsed) = noise.parse::<Hash>() {
            prop_assert_eq!(parsed.to_string(), noise.to_lowercase());
        }
        prop_assert!(noise.parse::<Address>().is_err());
    }
}

/// SCALE writes a length in 1, 2, 4 or more bytes; only the shortest may be read.
#[test]
fn lengths_have_one_encoding() {
    for long_zero in [
        vec![0x01, 0x00],
        vec![0x02, 0, 0, 0],
        vec![0x03, 0, 0, 0, 0],
    ] {
        assert!(
            decode_bounded::<Vec<u8>>(&long_zero, 100).is_err(),
            "{long_zero:?}"
        );
    }
    assert_eq!(decode_bounded::<Vec<u8>>(&[0], 100), Ok(Vec::new()));
}

#[test]
fn options_and_enums_have_no_unused_bytes() {
    for first in 2..=u8::MAX {
        let mut bytes = vec![first];
        bytes.extend([0; 32]);
        assert!(decode_bounded::<Option<Address>>(&bytes, 100).is_err());
    }
}

/// A length says 2^30 and nothing follows: memory must not follow either.
#[test]
fn claimed_lengths_cost_nothing() {
    let claims: [&[u8]; 3] = [
        &[0xfe, 0xff, 0xff, 0xff],
        &[0x03, 0xff, 0xff, 0xff, 0xff],
        &[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for sample in encoded_samples() {
        for at in 0..sample.len().min(400) {
            for claim in claims {
                let mut bytes = sample[..at].to_vec();
                bytes.extend_from_slice(claim);
                judge_as_everything(&bytes);
            }
        }
    }
}

/// The densest lists: as many elements as bytes can name.
#[test]
fn dense_lists_stay_within_the_memory_bound() {
    let body = samples::body(Vec::new());
    let mut empty = body.encode();
    empty.pop();
    let small = kumiki_protocol::Action::Transfer {
        to: Address([0; 32]),
        amount: 0,
    };
    let mut bytes = empty;
    vec![small; 10_000].encode_to(&mut bytes);
    bytes.extend([0; 64]);
    judge::<Transaction>(&bytes);

    let mut receipt = samples::receipt(kumiki_protocol::Status::Ok);
    for outputs in [limits::ACTIONS_MAX, 100_000] {
        receipt.outputs = vec![Vec::new(); outputs];
        judge::<Receipt>(&receipt.encode());
    }
    receipt.outputs.clear();
    let mut event = samples::event();
    event.topics.clear();
    event.data.clear();
    for events in [limits::EVENTS_MAX, 10_000] {
        receipt.events = vec![event.clone(); events];
        judge::<Receipt>(&receipt.encode());
    }
}

#[test]
fn receipts_hold_no_more_than_the_limits_allow() {
    let mut receipt = samples::receipt(kumiki_protocol::Status::Ok);
    receipt.outputs = vec![Vec::new(); limits::ACTIONS_MAX];
    receipt.events[0].topics = vec![samples::hash(1); limits::EVENT_TOPICS_MAX];
    receipt.events = vec![receipt.events[0].clone(); limits::EVENTS_MAX];
    comes_back(&receipt);
    let refused = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = receipt.clone();
        change(&mut receipt);
        assert!(decode_bounded::<Receipt>(&receipt.encode(), BYTES_MAX).is_err());
    };
    refused(&|one| one.outputs.push(Vec::new()));
    refused(&|one| one.events.push(samples::event()));
    refused(&|one| one.events[0].topics.push(samples::hash(2)));
}
