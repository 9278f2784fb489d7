//! Show that nothing but two contradicting votes of one key, on this very chain, is evidence.

use kumiki_protocol::{
    Decode, Encode, Evidence, EvidenceError, Fault, FaultKind, Hash, Proposal, SignedVote, Vote,
    limits,
};
use kumiki_testkit::validator;

use crate::samples;

const FIRST: EvidenceError = EvidenceError::Signature { which: "first" };
const SECOND: EvidenceError = EvidenceError::Signature { which: "second" };

fn proposal(view: u64, block: u8) -> Proposal {
    Proposal {
        epoch: 3,
        view,
        parent_view: 16,
        block: samples::hash(block),
    }
}

const fn nullify(view: u64) -> Vote {
    Vote::Nullify { epoch: 3, view }
}

/// Signs both votes as validator 1 on the chain of `genesis_hash`.
fn signed_on(genesis_hash: &Hash, first: Vote, second: Vote) -> Evidence {
    let [first, second] = [first, second].map(|vote| SignedVote {
        vote,
        signature: validator(1).sign(&vote.sign_bytes(genesis_hash)),
    });
    Evidence {
        validator: validator(1).public_key(),
        first,
        second,
    }
}

fn judged(first: Vote, second: Vote) -> Result<Fault, EvidenceError> {
    let genesis_hash = samples::genesis().hash();
    let verdict = signed_on(&genesis_hash, first, second).verify(&genesis_hash);
    // The order of the two never matters.
    let turned = signed_on(&genesis_hash, second, first).verify(&genesis_hash);
    assert_eq!(verdict, turned);
    verdict
}

#[test]
fn two_different_votes_of_one_kind_and_giving_up_what_is_finalized_are_faults() {
    let fault = |kind| {
        Ok(Fault {
            kind,
            epoch: 3,
            view: 17,
        })
    };
    let (one, other) = (proposal(17, 1), proposal(17, 2));
    assert_eq!(
        judged(Vote::Notarize(one), Vote::Notarize(other)),
        fault(FaultKind::DoubleNotarize)
    );
    assert_eq!(
        judged(Vote::Finalize(one), Vote::Finalize(other)),
        fault(FaultKind::DoubleFinalize)
    );
    assert_eq!(
        judged(nullify(17), Vote::Finalize(one)),
        fault(FaultKind::NullifyAndFinalize)
    );
    // The same block on another parent is another proposal.
    let other_parent = Proposal {
        parent_view: 15,
        ..one
    };
    assert_eq!(
        judged(Vote::Notarize(one), Vote::Notarize(other_parent)),
        fault(FaultKind::DoubleNotarize)
    );
}

#[test]
fn votes_that_a_sound_validator_may_sign_are_none() {
    let one = proposal(17, 1);
    let other_epoch = Proposal {
        epoch: 4,
        ..proposal(17, 2)
    };
    for (first, second) in [
        (Vote::Notarize(one), Vote::Notarize(one)),
        (Vote::Finalize(one), Vote::Finalize(one)),
        (nullify(17), nullify(17)),
        (Vote::Notarize(one), Vote::Finalize(one)),
        (Vote::Notarize(one), Vote::Finalize(proposal(17, 2))),
        (Vote::Notarize(one), nullify(17)),
        (Vote::Notarize(one), Vote::Notarize(proposal(18, 2))),
        (Vote::Finalize(one), Vote::Finalize(proposal(18, 2))),
        (Vote::Finalize(one), Vote::Finalize(other_epoch)),
        (Vote::Finalize(one), nullify(18)),
    ] {
        let verdict = judged(first, second);
        assert_eq!(
            verdict,
            Err(EvidenceError::NoConflict),
            "{first:?} {second:?}"
        );
    }
}

#[test]
fn votes_of_another_chain_another_key_or_another_kind_are_none() {
    let genesis_hash = samples::genesis().hash();
    let good = samples::evidence();
    assert!(good.verify(&genesis_hash).is_ok());
    assert_eq!(good.verify(&samples::hash(1)), Err(FIRST));
    let mut other_key = good;
    other_key.validator = validator(2).public_key();
    assert_eq!(other_key.verify(&genesis_hash), Err(FIRST));
    let mut mixed = good;
    let message = mixed.second.vote.sign_bytes(&genesis_hash);
    mixed.second.signature = validator(2).sign(&message);
    assert_eq!(mixed.verify(&genesis_hash), Err(SECOND));
    // A signature for one kind of vote is none for another.
    let Vote::Finalize(proposal) = good.second.vote else {
        panic!("the sample has two finalizations");
    };
    let mut other_kind = good;
    let message = Vote::Notarize(proposal).sign_bytes(&genesis_hash);
    other_kind.second.signature = validator(1).sign(&message);
    assert_eq!(other_kind.verify(&genesis_hash), Err(SECOND));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let genesis_hash = samples::genesis().hash();
    let good = samples::evidence().encode();
    assert_eq!(good.len(), limits::EVIDENCE_BYTES_MAX);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let accepted = Evidence::decode(&mut bytes.as_slice())
            .is_ok_and(|evidence| evidence.verify(&genesis_hash).is_ok());
        assert!(!accepted, "bit {bit}");
    }
}
