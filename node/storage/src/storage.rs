//! Own the chain on disk: open it, add blocks to it, read from it.

use std::path::Path;
use std::sync::Arc;

use kumiki_protocol::{
    Block, Certificate, Genesis, Hash, Header, Height, Receipt, TransactionHash,
};
use kumiki_state::StateChanges;

use crate::{
    BlockCommit, EventCursor, EventFilter, EventPage, Snapshot, StorageError, StorageOptions, Tip,
};

/// The chain on disk. Share it in an `Arc`; readers never wait for a commit.
#[derive(Debug)]
pub struct Storage {}

/// Changes with the state they lead to, not yet written.
#[derive(Debug)]
pub struct Prepared {
    /// Root of the state tree after the changes.
    pub state_root: Hash,
    /// Entries in the state after the changes.
    pub state_entries: u64,
}

impl Storage {
    /// Opens the store in `dir`, making it where there is none, and locks the folder until it is dropped.
    ///
    /// # Errors
    /// `Locked` when another process has it open; `Corrupt` or `Schema` when it cannot be served; `Io` and
    /// `Database` when the disk fails.
    pub fn open(_dir: &Path, _options: StorageOptions) -> Result<Self, StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// The genesis of the chain; `None` before [`Self::initialise`].
    #[must_use]
    pub fn genesis(&self) -> Option<Arc<Genesis>> {
        None
    }

    /// Starts the chain: stores its genesis, its first state and block 0, durably.
    ///
    /// # Errors
    /// `AlreadyInitialised` when there is a chain; else as [`Self::commit`].
    pub fn initialise(
        &self,
        _genesis: &Genesis,
        _changes: &StateChanges,
        _block: &Block,
    ) -> Result<(), StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// The newest block; `None` before [`Self::initialise`].
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        None
    }

    /// Works out the state that `changes` lead to from the tip. Writes nothing.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prepare(&self, _changes: &StateChanges) -> Result<Prepared, StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// Adds the next block with all it leads to, atomically; on return it is synced to disk.
    ///
    /// # Errors
    /// `NotNext`, `StalePrepared` and `WrongResult` change nothing. After any other error the handle refuses
    /// every further commit.
    pub fn commit(&self, _commit: BlockCommit<'_>) -> Result<(), StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// The state after the newest block.
    ///
    /// # Errors
    /// `NotInitialised` before there is one.
    pub fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// The state after the block at `height`.
    ///
    /// # Errors
    /// `HeightUnavailable` when it is not kept.
    pub fn snapshot_at(&self, _height: Height) -> Result<Snapshot, StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// The header at `height`; `None` above the tip.
    ///
    /// # Errors
    /// When the store fails or is found damaged; so for all below.
    pub fn header(&self, _height: Height) -> Result<Option<Header>, StorageError> {
        Ok(None)
    }

    /// The block at `height`.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn block(&self, _height: Height) -> Result<Option<Block>, StorageError> {
        Ok(None)
    }

    /// The block with this hash.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn block_by_hash(&self, _hash: &Hash) -> Result<Option<Block>, StorageError> {
        Ok(None)
    }

    /// The height of the block with this hash.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn height_of(&self, _hash: &Hash) -> Result<Option<Height>, StorageError> {
        Ok(None)
    }

    /// The certificate of the block at `height`; genesis has none.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn certificate(&self, _height: Height) -> Result<Option<Certificate>, StorageError> {
        Ok(None)
    }

    /// The receipts of the block at `height`.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn receipts(&self, _height: Height) -> Result<Option<Vec<Receipt>>, StorageError> {
        Ok(None)
    }

    /// One receipt, without decoding the others of its block.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn receipt(&self, _height: Height, _index: u32) -> Result<Option<Receipt>, StorageError> {
        Ok(None)
    }

    /// Height and position of a transaction that is in a block.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn transaction_location(
        &self,
        _hash: &TransactionHash,
    ) -> Result<Option<(Height, u32)>, StorageError> {
        Ok(None)
    }

    /// At most `limit` events that pass `filter`, the oldest after `after` first.
    ///
    /// # Errors
    /// `IndexUnavailable` when the index has failed; else when the store fails or is found damaged.
    pub fn events(
        &self,
        _filter: &EventFilter,
        _after: Option<EventCursor>,
        _limit: usize,
    ) -> Result<EventPage, StorageError> {
        Err(StorageError::NotInitialised)
    }
}
