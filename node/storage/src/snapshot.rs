//! Read one committed state, and prove what is in it.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_protocol::{Hash, Height};
use kumiki_state::{Proof, ScanDirection, StateError, StateReader};

use crate::{EntryPage, RangePage, StorageError};

/// The state after one block. It never changes while it is held; do not hold one for minutes, it keeps
/// replaced pages on disk.
#[derive(Clone, Debug)]
pub struct Snapshot {
    height: Height,
    state_root: Hash,
}

impl Snapshot {
    /// The block after which this is the state.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.height
    }

    /// Root of the state tree.
    #[must_use]
    pub const fn state_root(&self) -> Hash {
        self.state_root
    }

    /// Proves that `key` is there with its value, or that it is not there.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prove(&self, _key: &[u8]) -> Result<Proof, StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// The first `limit` entries between the bounds, proved to be all there are up to the last one.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prove_range(
        &self,
        _range: (Bound<&[u8]>, Bound<&[u8]>),
        _limit: usize,
    ) -> Result<RangePage, StorageError> {
        Err(StorageError::NotInitialised)
    }

    /// The first `limit` entries whose key begins with `prefix` and is above `after`.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn entries_from(
        &self,
        _prefix: &[u8],
        _after: Option<&[u8]>,
        _limit: usize,
    ) -> Result<EntryPage, StorageError> {
        Err(StorageError::NotInitialised)
    }
}

impl StateReader for Snapshot {
    fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn scan(
        &self,
        _range: (Bound<&[u8]>, Bound<&[u8]>),
        _direction: ScanDirection,
        _visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        Ok(())
    }

    fn code(&self, _hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        Ok(None)
    }
}
