//! Say why the validators' contract refuses a call.

use kumiki_abi::SdkError;
use kumiki_protocol::{Decode, Encode, EvidenceError, ResultCode};
use kumiki_state::StateError;

use crate::ExecutionFailure;

/// Why the contract refused; what it reverts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ValidatorsError {
    /// The value sent along is not exactly the chain's validator stake.
    #[codec(index = 0)]
    WrongStake,
    /// The key is a validator's already, or its stake is not withdrawn yet.
    #[codec(index = 1)]
    AlreadyValidator,
    /// The key is no ed25519 key, or one that anybody can sign for.
    #[codec(index = 2)]
    InvalidKey,
    /// The proof is not the key's signature for this owner on this chain.
    #[codec(index = 3)]
    BadProof,
    /// Too many validators wait for a seat.
    #[codec(index = 4)]
    QueueFull,
    /// No validator has this key.
    #[codec(index = 5)]
    UnknownValidator,
    /// Only the validator's owner may do this.
    #[codec(index = 6)]
    NotOwner,
    /// The validator is on its way out already.
    #[codec(index = 7)]
    AlreadyLeaving,
    /// The stake is not free yet.
    #[codec(index = 8)]
    NotWithdrawable,
    /// The validator was removed for breaking the rules of voting.
    #[codec(index = 9)]
    Punished,
    /// A sound validator may sign both votes.
    #[codec(index = 10)]
    NoConflict,
    /// A vote is not the validator's, or not of this chain.
    #[codec(index = 11)]
    BadSignature,
    /// The validator had no seat in the epoch of the votes.
    #[codec(index = 12)]
    NoSeat,
}

/// Why a call ends other than well.
pub(super) enum Refusal {
    /// The contract's own reason.
    Contract(ValidatorsError),
    /// A reason that every contract has.
    Sdk(SdkError),
    /// A reason of the protocol.
    Code(ResultCode),
    /// This node cannot go on.
    Failed(ExecutionFailure),
}

impl From<ValidatorsError> for Refusal {
    fn from(error: ValidatorsError) -> Self {
        Self::Contract(error)
    }
}

impl From<SdkError> for Refusal {
    fn from(error: SdkError) -> Self {
        Self::Sdk(error)
    }
}

impl From<ExecutionFailure> for Refusal {
    fn from(failure: ExecutionFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<EvidenceError> for Refusal {
    fn from(error: EvidenceError) -> Self {
        Self::Contract(match error {
            EvidenceError::NoConflict => ValidatorsError::NoConflict,
            EvidenceError::Signature { .. } => ValidatorsError::BadSignature,
        })
    }
}
