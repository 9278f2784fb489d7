//! Read a committed state, wherever it is stored.

use std::borrow::Cow;
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

/// What is under a key, as far as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No entry.
    Nothing,
    /// This value.
    Value(Vec<u8>),
    /// A value of so many bytes, which are more than were asked for.
    Longer(usize),
}

impl Found {
    /// What a loaded value is to who asks for at most `bytes_max` bytes.
    #[must_use]
    pub fn within(value: Option<Vec<u8>>, bytes_max: usize) -> Self {
        match value {
            None => Self::Nothing,
            Some(value) if value.len() > bytes_max => Self::Longer(value.len()),
            Some(value) => Self::Value(value),
        }
    }
}

/// A value that a scan has come to.
#[derive(Clone, Copy)]
pub enum Scanned<'a> {
    /// At hand.
    Loaded(&'a [u8]),
    /// Elsewhere, and read only where it is wanted.
    Stored {
        /// How long it is.
        bytes: usize,
        /// Reads it.
        load: &'a dyn Fn() -> Result<Vec<u8>, StateError>,
    },
}

impl<'a> Scanned<'a> {
    /// How long it is.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Loaded(value) => value.len(),
            Self::Stored { bytes, .. } => *bytes,
        }
    }

    /// The value itself.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    pub fn load(&self) -> Result<Cow<'a, [u8]>, StateError> {
        match self {
            Self::Loaded(value) => Ok(Cow::Borrowed(value)),
            Self::Stored { load, .. } => load().map(Cow::Owned),
        }
    }
}

impl std::fmt::Debug for Scanned<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanned")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// What a scan shows each entry to, until it breaks or fails.
pub type VisitScanned<'v> =
    dyn FnMut(&[u8], Scanned<'_>) -> Result<ControlFlow<()>, StateError> + 'v;

/// One committed state: it never changes while it is held.
pub trait StateReader: Send + Sync + 'static {
    /// The value under `key` where it has at most `bytes_max` bytes, else how many it has. A store that knows how long
    /// its large values are need not read those.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError>;

    /// Shows `visit` the entries between the bounds in key order, until it breaks. A store that keeps large values
    /// elsewhere reads only those that `visit` wants.
    ///
    /// # Errors
    /// `StateError` when the store fails, or as `visit`.
    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError>;

    /// The value under `key`.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.find(key, usize::MAX)? {
            Found::Value(value) => Ok(Some(value)),
            Found::Nothing | Found::Longer(_) => Ok(None),
        }
    }

    /// As [`Self::scan_lazily`], with every value read.
    ///
    /// # Errors
    /// `StateError` when the store fails.
    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        self.scan_lazily(range, direction, &mut |key, value| {
            Ok(visit(key, &value.load()?))
        })
    }

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
    fn find(&self, _key: &[u8], _bytes_max: usize) -> Result<Found, StateError> {
        Ok(Found::Nothing)
    }

    fn scan_lazily(
        &self,
        _range: (Bound<&[u8]>, Bound<&[u8]>),
        _direction: ScanDirection,
        _visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        Ok(())
    }

    fn code(&self, _hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        Ok(None)
    }
}
