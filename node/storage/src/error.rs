//! Say why the store refuses, and what to do about it.

use std::path::PathBuf;

use kumiki_protocol::{Hash, Height};
use kumiki_state::StateError;

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process has the folder open.
    #[error(
        "the data folder {dir} is in use by another process; stop that node, or give this one another folder"
    )]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// The operating system refuses a file operation.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The database fails. Stop the node: nothing was acknowledged that is not durable.
    #[error("the database failed to {operation}: {source}")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// What the database says.
        source: Box<redb::Error>,
    },
    /// A block has more than one row can hold.
    #[error("a row of {bytes} bytes is larger than the store allows")]
    RowTooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// What is stored contradicts itself. Nothing of it is served.
    #[error(
        "the stored chain is damaged: {found}; restore the data folder from a backup, or remove it and sync again"
    )]
    Corrupt {
        /// What was found.
        found: String,
    },
    /// The files were written by another version.
    #[error(
        "the data folder has schema {found}, this version knows {expected}; use the version that wrote it"
    )]
    Schema {
        /// The version that was found.
        found: u32,
        /// The version this program writes.
        expected: u32,
    },
    /// There is no genesis yet.
    #[error("the store is empty; initialise it with a genesis first")]
    NotInitialised,
    /// There is a genesis already.
    #[error("the store already holds the chain of genesis {found}")]
    AlreadyInitialised {
        /// Hash of its genesis.
        found: Hash,
    },
    /// The block is not the next one, or not on the tip.
    #[error("block {found} does not follow the tip {tip}")]
    NotNext {
        /// Height of the block.
        found: Height,
        /// Height of the tip.
        tip: Height,
    },
    /// The changes were prepared on another state than the tip's.
    #[error("the changes were prepared on another state than the tip's; prepare them again")]
    StalePrepared,
    /// The header and the executed changes disagree on the result.
    #[error("the header of block {height} commits to another result than executing it gave")]
    WrongResult {
        /// Height of the block.
        height: Height,
    },
    /// An earlier write failed, so what is on disk is unknown until the next start.
    #[error("an earlier write failed; restart the node to find out what was stored")]
    Poisoned,
    /// The height lies ahead of the tip, or too far behind it.
    #[error("the state at height {height} is not kept, only {oldest} to {tip} are")]
    HeightUnavailable {
        /// The height asked for.
        height: Height,
        /// The oldest height kept.
        oldest: Height,
        /// The newest.
        tip: Height,
    },
    /// The event index failed. It is rebuilt at the next start; blocks and state are unharmed.
    #[error("the event index is unavailable; restart the node to rebuild it")]
    IndexUnavailable,
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}
