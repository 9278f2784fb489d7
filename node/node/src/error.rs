//! Say why a node does not start, or had to stop.

use kumiki_executor::ExecutionFailure;
use kumiki_network::NetworkError;
use kumiki_protocol::{ExecutedState, GenesisError, Hash, Height, PublicKey};
use kumiki_rpc::ServeError;
use kumiki_state::StateError;
use kumiki_storage::StorageError;
use kumiki_vm::VmFailure;

use crate::StateSyncError;

/// Why a node does not start, or ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The genesis starts no chain.
    #[error("the genesis is refused: {0}")]
    Genesis(#[from] GenesisError),
    /// The data folder holds another chain.
    #[error(
        "the data folder holds the chain with genesis {found}, asked for is {expected}; use another data folder"
    )]
    OtherChain {
        /// Genesis hash of the stored chain.
        found: Hash,
        /// The one asked for.
        expected: Hash,
    },
    /// A solo chain is sealed by its one validator.
    #[error("the key {key} is not the only validator of this chain, which the solo driver needs")]
    NotTheValidator {
        /// The configured key.
        key: PublicKey,
    },
    /// The solo driver executes before it seals.
    #[error("this chain has an execution lag of {found}, the solo driver needs 0")]
    ExecutionLag {
        /// The lag in genesis.
        found: u8,
    },
    /// The solo driver knows no epochs.
    #[error(
        "this chain has epochs of {found} blocks, the solo driver needs epochs that never end: epoch_blocks {max} in genesis",
        max = u32::MAX
    )]
    Epochs {
        /// Blocks of an epoch in genesis.
        found: u32,
    },
    /// Among several validators, blocks are decided before they are executed.
    #[error("this chain has an execution lag of 0, a network needs at least 1")]
    NoExecutionLag,
    /// The network cannot be joined.
    #[error("the network: {0}")]
    Network(#[from] NetworkError),
    /// The state cannot be fetched.
    #[error("state sync: {0}")]
    StateSync(#[from] StateSyncError),
    /// The store refuses.
    #[error("the store: {0}")]
    Storage(#[from] StorageError),
    /// The virtual machine cannot be set up.
    #[error("the virtual machine: {0}")]
    Vm(#[from] VmFailure),
    /// The RPC server does not start.
    #[error("the RPC server: {0}")]
    Rpc(#[from] ServeError),
    /// A thread or a folder could not be had.
    #[error("cannot {operation}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The node had to stop.
    #[error("the node stopped: {0}")]
    Fatal(#[from] Fatal),
}

/// A failure after which nothing more may be decided or served. The next start finds out what was stored.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The store failed.
    #[error("at height {height} the store failed: {source}")]
    Storage {
        /// The block in the making, or the tip.
        height: Height,
        /// What the store says.
        source: StorageError,
    },
    /// This node cannot execute.
    #[error("at height {height} execution failed: {source}")]
    Execution {
        /// The block in the making.
        height: Height,
        /// What the executor says.
        source: ExecutionFailure,
    },
    /// The committed state cannot be read.
    #[error("after height {height} the state could not be read: {source}")]
    State {
        /// The tip.
        height: Height,
        /// What the store says.
        source: StateError,
    },
    /// A decided block commits to another result than executing it gives: a fork, or a broken machine.
    #[error("block {height} is decided with {decided:?}, executing it here gives {executed:?}")]
    WrongResult {
        /// The block.
        height: Height,
        /// What its header says.
        decided: Box<ExecutedState>,
        /// What this node found.
        executed: Box<ExecutedState>,
    },
    /// A decided block does not follow the tip.
    #[error("block {found} was decided on a chain whose tip is {tip}")]
    NotNext {
        /// The block.
        found: Height,
        /// The tip.
        tip: Height,
    },
    /// A block is not in the store, which has a later one.
    #[error("block {height} is missing from the store: it is damaged")]
    Missing {
        /// The block.
        height: Height,
    },
    /// The state names no validators: the store is damaged.
    #[error("after height {height} the state names no validators: the store is damaged")]
    NoValidators {
        /// The block.
        height: Height,
    },
    /// A thread of this node panicked, which is a bug, or the ordering engine could not write; its message is in the log.
    #[error("the {thread} thread panicked; the log says why")]
    Panicked {
        /// Which thread.
        thread: &'static str,
    },
}
