//! Say that this node, not a contract, failed.

use kumiki_protocol::ResultCode;
use kumiki_state::StateError;

/// A failure of this node: never a result of a transaction. The block it happened in must not be committed.
#[derive(Debug, thiserror::Error)]
pub enum VmFailure {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine failed for a reason that is not in the contract: memory, threads, a compiler error.
    #[error("the Wasm engine failed: {reason}")]
    Engine {
        /// What the engine says.
        reason: String,
    },
    /// The folder of compiled modules cannot be used.
    #[error("the cache of compiled contracts at {path} cannot be used: {reason}")]
    Cache {
        /// The folder.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// The state holds what this version never writes.
    #[error("the state is corrupt: {what}")]
    CorruptState {
        /// What was found.
        what: &'static str,
    },
}

/// Why a call did not come to run: a result, or the node's failure.
#[derive(Debug)]
pub(crate) enum Refusal {
    Code(ResultCode),
    Failed(VmFailure),
}

impl From<ResultCode> for Refusal {
    fn from(code: ResultCode) -> Self {
        Self::Code(code)
    }
}

impl From<VmFailure> for Refusal {
    fn from(failure: VmFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::Failed(error.into())
    }
}
