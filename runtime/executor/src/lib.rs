//! Apply transactions and blocks to a state: fees, nonces, atomic actions, receipts.
//!
//! `docs/spec/transaction.md` is the prose. An [`Executor`] is a pure function of its inputs: the base state, the
//! block's height, time and proposer, and the transactions. A failure of this node ([`ExecutionFailure`]) is never a
//! result; it must stop the node.

mod block;
mod code;
mod genesis;
mod simulation;
mod traced;
mod transaction;
mod validators;

pub use block::{BlockInput, ExecutedBlock, Executor, Selection, Signatures};
pub use genesis::genesis_changes;
pub use simulation::{Simulation, View, Viewed};
pub use traced::Traced;
pub use validators::{VALIDATORS_ABI, ValidatorsError, validators_at};

use kumiki_state::StateError;
use kumiki_vm::VmFailure;

/// This node cannot execute: its store, its engine or its own code failed. Stop the node and report it.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionFailure {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine failed locally.
    #[error(transparent)]
    Vm(#[from] VmFailure),
    /// A record that only the protocol writes does not decode: the store is corrupt.
    #[error("the {record} record under {key} does not decode: the store is corrupt")]
    CorruptRecord {
        /// Which record.
        record: &'static str,
        /// Its key in hex.
        key: String,
    },
    /// A balance or counter left its range, which conservation of supply rules out.
    #[error("{quantity} left its range: the store is corrupt")]
    OutOfRange {
        /// Which quantity.
        quantity: &'static str,
    },
}
