//! Prove that a validator broke the rules of voting: two votes of one view that no sound validator signs both.

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};

use crate::{Hash, PublicKey, Signature, Vote, limits};

/// A vote and the signature over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct SignedVote {
    /// What was said.
    pub vote: Vote,
    /// The validator's signature over [`Vote::sign_bytes`].
    pub signature: Signature,
}

/// Two votes of one validator that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
pub struct Evidence {
    /// Who signed both.
    pub validator: PublicKey,
    /// One vote.
    pub first: SignedVote,
    /// The other. Which of the two comes first does not matter.
    pub second: SignedVote,
}

/// How two votes contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Two different proposals were notarized.
    DoubleNotarize,
    /// Two different proposals were finalized.
    DoubleFinalize,
    /// The view was given up and finalized.
    NullifyAndFinalize,
}

/// What evidence shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How the votes contradict each other.
    pub kind: FaultKind,
    /// The epoch of both.
    pub epoch: u64,
    /// The view of both.
    pub view: u64,
}

/// Why evidence shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// A sound validator may sign both votes.
    #[error("the two votes do not contradict each other")]
    NoConflict,
    /// A vote is not the validator's, or not of this chain.
    #[error("the signature of the {which} vote is not the validator's on this chain")]
    Signature {
        /// `first` or `second`.
        which: &'static str,
    },
}

const _: () = {
    let whole = 32 + 2 * (1 + 3 * 8 + 32 + 64);
    assert!(
        limits::EVIDENCE_BYTES_MAX == whole,
        "a key and two signed proposals"
    );
};

impl Vote {
    /// The epoch and the view that the vote is about.
    #[must_use]
    pub const fn round(&self) -> (u64, u64) {
        match self {
            Self::Notarize(proposal) | Self::Finalize(proposal) => (proposal.epoch, proposal.view),
            Self::Nullify { epoch, view } => (*epoch, *view),
        }
    }
}

impl Evidence {
    /// Verifies that `validator` signed both votes on the chain of `genesis_hash` and that they contradict each
    /// other. Whether it had a seat in that epoch is for the state to say.
    ///
    /// # Errors
    /// The reason why it shows nothing; signatures are looked at last.
    pub fn verify(&self, genesis_hash: &Hash) -> Result<Fault, EvidenceError> {
        let (epoch, view) = self.first.vote.round();
        if self.second.vote.round() != (epoch, view) {
            return Err(EvidenceError::NoConflict);
        }
        let kind =
            conflict(&self.first.vote, &self.second.vote).ok_or(EvidenceError::NoConflict)?;
        for (which, signed) in [("first", &self.first), ("second", &self.second)] {
            let message = signed.vote.sign_bytes(genesis_hash);
            self.validator
                .verify(&message, &signed.signature)
                .map_err(|_mismatch| EvidenceError::Signature { which })?;
        }
        Ok(Fault { kind, epoch, view })
    }
}

/// How two votes of one view contradict each other. Notarizing one proposal and finalizing another does not: a
/// validator may be outvoted in the first and accept it in the second.
fn conflict(first: &Vote, second: &Vote) -> Option<FaultKind> {
    match (first, second) {
        (Vote::Notarize(one), Vote::Notarize(other)) if one != other => {
            Some(FaultKind::DoubleNotarize)
        }
        (Vote::Finalize(one), Vote::Finalize(other)) if one != other => {
            Some(FaultKind::DoubleFinalize)
        }
        (Vote::Nullify { .. }, Vote::Finalize(_)) | (Vote::Finalize(_), Vote::Nullify { .. }) => {
            Some(FaultKind::NullifyAndFinalize)
        }
        _ => None,
    }
}
