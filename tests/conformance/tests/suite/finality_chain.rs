//! Make a chain of headers whose validators change with the epochs, and sound proofs of what is final in it.

use std::sync::LazyLock;

use kumiki_protocol::{
    Block, Certificate, ChainKind, Encode, EpochEnd, ExecutedState, FinalityProof, Genesis, Hash,
    Header, PROTOCOL_VERSION, Parameters, Proposal, SecretKey, ValidatorSet,
};
use kumiki_testkit::validator;

/// The least that genesis may set: cases stay small.
const EPOCH_BLOCKS: u32 = 8;
const HEIGHTS: u64 = 48;

/// A header that is trusted.
pub(crate) struct Start {
    pub(crate) name: &'static str,
    pub(crate) header: Header,
    pub(crate) hash: Hash,
    pub(crate) validators: ValidatorSet,
}

/// The validators of an epoch: seats come and go, all change at once, one decides alone, and nothing changes.
fn keys(epoch: u64) -> Vec<SecretKey> {
    let numbers = match epoch {
        0 => 0..4,
        1 => 1..6,
        2 => 10..14,
        3 => 14..15,
        _ => 3..10,
    };
    numbers.map(validator).collect()
}

pub(crate) fn set(epoch: u64) -> ValidatorSet {
    ValidatorSet::new(keys(epoch).iter().map(SecretKey::public_key).collect()).unwrap()
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        chain_id: "finality".to_owned(),
        kind: ChainKind::Live,
        time_ms: 1,
        certificate_scheme: "ed25519".to_owned(),
        validators: set(0).keys().to_vec(),
        accounts: Vec::new(),
        parameters: Parameters {
            execution_lag: 2,
            epoch_blocks: EPOCH_BLOCKS,
            validator_stake: 1,
            gas_price_min: 1,
            block_gas_max: 10_000_000,
            block_bytes_max: 1 << 20,
        },
    }
}

fn epoch_of(height: u64) -> u64 {
    genesis().parameters.epoch_of(height)
}

fn headers(genesis_hash: Hash) -> Vec<Header> {
    let mut parent = Hash::ZERO;
    let header = |height: u64| {
        let header = Header {
            version: PROTOCOL_VERSION,
            genesis_hash,
            height,
            parent,
            time_ms: 1 + height * 100,
            proposer: validator(0).public_key(),
            transactions_root: Block::transactions_root(&[]),
            transactions_count: 0,
            executed: ExecutedState {
                height: height.saturating_sub(2),
                state_root: Hash([1; 32]),
                state_entries: 1,
                receipts_root: Hash::ZERO,
                next_validators_hash: set(epoch_of(height + 1)).hash(),
            },
        };
        parent = header.hash();
        header
    };
    (0..HEIGHTS).map(header).collect()
}

pub(crate) fn header(height: u64) -> Header {
    static HEADERS: LazyLock<Vec<Header>> = LazyLock::new(|| headers(genesis().hash()));
    HEADERS[usize::try_from(height).unwrap()].clone()
}

/// A certificate for `header` by the least that decide among the validators of `signers`, in the name of `epoch`.
pub(crate) fn certificate(header: &Header, epoch: u64, signers: u64) -> Certificate {
    let proposal = Proposal {
        epoch,
        view: header.height % u64::from(EPOCH_BLOCKS) + 3,
        parent_view: 1,
        block: header.hash(),
    };
    let (keys, set) = (keys(signers), set(signers));
    let signing: Vec<&SecretKey> = keys.iter().rev().take(set.quorum()).collect();
    Certificate::sign(&genesis().hash(), proposal, &set, &signing)
}

/// The headers `from` to `to`, and a certificate for the last.
pub(crate) fn proof(from: u64, to: u64) -> FinalityProof {
    let epoch = epoch_of(to);
    FinalityProof {
        headers: (from..=to).map(header).collect(),
        certificate: certificate(&header(to), epoch, epoch),
    }
}

pub(crate) fn end(epoch: u64) -> EpochEnd {
    let last = header(genesis().parameters.last_height(epoch));
    EpochEnd {
        certificate: certificate(&last, epoch, epoch),
        header: last,
        next_validators: set(epoch + 1),
    }
}

pub(crate) fn ends(epochs: std::ops::Range<u64>) -> Vec<(String, Vec<u8>)> {
    epochs
        .map(|epoch| (epoch.to_string(), end(epoch).encode()))
        .collect()
}

pub(crate) fn starts() -> Vec<Start> {
    let start = |name, height, epoch| Start {
        name,
        header: header(height),
        hash: header(height).hash(),
        validators: set(epoch),
    };
    let foreign = headers(Hash([5; 32])).remove(12);
    vec![
        start("within_an_epoch", 12, 1),
        start("at_the_end_of_an_epoch", 15, 2),
        Start {
            hash: Hash([7; 32]),
            ..start("of_another_hash", 12, 1)
        },
        start("with_other_validators", 12, 2),
        Start {
            hash: foreign.hash(),
            header: foreign,
            ..start("of_another_chain", 12, 1)
        },
    ]
}
