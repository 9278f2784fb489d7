//! Read a committed state, wherever it is stored.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_protocol::{Hash, sha2_256};

/// The state cannot be read: a failure of this node, never a result of a transaction. Stop the node.
#[derive(Debug, Clone, thiserror::Error)]
#[error("state cannot be read: {reason}")]
pub struct StateError {
    /// What the store says.
    pub reason: String,
}

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanDirection {
    /// From the lowest key up.
    Ascending,
    /// From the highest key down.
    Descending,
}

/// One committed state: it never changes while it is held.
pub trait StateReader: Send + Sync + 'static {
    /// The value under `key`.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Shows `visit` the entries between the bounds in key order, until it breaks.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StateError>;

    /// The Wasm with this hash.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError>;

    /// Shows `visit` every key between the bounds, by rising key, with the SHA-256 of its value. A store
    /// that keeps the hashes of large values need not read those.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    fn scan_value_hashes(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: &mut dyn FnMut(&[u8], &Hash),
    ) -> Result<(), StateError> {
        self.scan(range, ScanDirection::Ascending, &mut |key, value| {
            visit(key, &sha2_256(&[value]));
            ControlFlow::Continue(())
        })
    }
}

/// The state before genesis: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyState;

impl StateReader for EmptyState {
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
