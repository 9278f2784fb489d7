//! Collect the changes of a block over a committed state, undo those of failed calls, record what was touched.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_protocol::Hash;

use crate::merged::{Ended, is_empty_range, scan_merged};
use crate::{Found, ScanDirection, Scanned, StateError, StateReader};

mod branches;

/// What a block changes: new values by key (`None`: removed), and code that is new to the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Entries, in key order.
    pub entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Wasm by its hash.
    pub codes: BTreeMap<Hash, Arc<[u8]>>,
}

/// What one transaction read and wrote: the input of a parallel scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSet {
    /// Keys whose value was read.
    pub reads: BTreeSet<Vec<u8>>,
    /// Keys asked only for existence.
    pub existence_reads: BTreeSet<Vec<u8>>,
    /// Ranges scanned: first key included, last key included.
    pub scans: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// Keys written or removed by what was kept.
    pub writes: BTreeSet<Vec<u8>>,
}

/// A point to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    undo: usize,
    codes: usize,
}

/// What [`Journal::find`] lends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lent<'a> {
    /// No entry.
    Nothing,
    /// This value.
    Value(&'a [u8]),
    /// A value of so many bytes, which are more than were asked for.
    Longer(usize),
}

/// Earlier value of a key in `changed`: not there, or there as a value or a removal.
type Earlier = Option<Option<Vec<u8>>>;

/// The changes of a block in progress over `base`.
///
/// Reads see the latest write. Every write leaves its undo entry, so going back costs what was written since.
pub struct Journal {
    base: Arc<dyn StateReader>,
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    undo: Vec<(Vec<u8>, Earlier)>,
    codes: BTreeMap<Hash, Arc<[u8]>>,
    codes_order: Vec<Hash>,
    base_reads: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    access: AccessSet,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("changed", &self.changed.len())
            .field("undo", &self.undo.len())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// No changes yet over `base`.
    #[must_use]
    pub fn new(base: Arc<dyn StateReader>) -> Self {
        Self {
            base,
            changed: BTreeMap::new(),
            undo: Vec::new(),
            codes: BTreeMap::new(),
            codes_order: Vec::new(),
            base_reads: BTreeMap::new(),
            access: AccessSet::default(),
        }
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, StateError> {
        self.note_read(key);
        self.peek(key)
    }

    /// Whether there is an entry under `key`.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn contains(&mut self, key: &[u8]) -> Result<bool, StateError> {
        if !self.access.existence_reads.contains(key) {
            self.access.existence_reads.insert(key.to_vec());
        }
        self.length(key).map(|length| length.is_some())
    }

    /// The value under `key` where it has at most `bytes_max` bytes; a longer one is not loaded.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn find(&mut self, key: &[u8], bytes_max: usize) -> Result<Lent<'_>, StateError> {
        self.note_read(key);
        if !self.changed.contains_key(key) && !self.base_reads.contains_key(key) {
            let value = match self.base.find(key, bytes_max)? {
                Found::Longer(bytes) => return Ok(Lent::Longer(bytes)),
                Found::Value(value) => Some(value),
                Found::Nothing => None,
            };
            self.base_reads.insert(key.to_vec(), value);
        }
        Ok(match self.peek(key)? {
            None => Lent::Nothing,
            Some(value) if value.len() > bytes_max => Lent::Longer(value.len()),
            Some(value) => Lent::Value(value),
        })
    }

    /// How many bytes the value under `key` has, where there is one. It is not loaded for that.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn value_bytes(&mut self, key: &[u8]) -> Result<Option<usize>, StateError> {
        self.note_read(key);
        self.length(key)
    }

    fn note_read(&mut self, key: &[u8]) {
        if !self.access.reads.contains(key) {
            self.access.reads.insert(key.to_vec());
        }
    }

    fn length(&mut self, key: &[u8]) -> Result<Option<usize>, StateError> {
        if let Some(value) = self.changed.get(key).or_else(|| self.base_reads.get(key)) {
            return Ok(value.as_ref().map(Vec::len));
        }
        Ok(match self.base.find(key, 0)? {
            Found::Longer(bytes) => Some(bytes),
            Found::Value(value) => Some(value.len()),
            Found::Nothing => {
                self.base_reads.insert(key.to_vec(), None);
                None
            }
        })
    }

    /// The value under `key`, without recording the read.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn peek(&mut self, key: &[u8]) -> Result<Option<&[u8]>, StateError> {
        if let Some(value) = self.changed.get(key) {
            return Ok(value.as_deref());
        }
        if !self.base_reads.contains_key(key) {
            let value = self.base.get(key)?;
            self.base_reads.insert(key.to_vec(), value);
        }
        Ok(self.base_reads.get(key).and_then(Option::as_deref))
    }

    /// Puts `value` under `key`.
    pub fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.write(key, Some(value));
    }

    /// Removes the entry under `key`, if there is one.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.write(key, None);
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let earlier = match self.changed.get_mut(&key) {
            Some(current) => Some(std::mem::replace(current, value)),
            None => self.changed.insert(key.clone(), value),
        };
        self.undo.push((key, earlier));
    }

    /// Shows `visit` the entries between the bounds in key order, latest writes included, until it breaks.
    /// Removed entries are shown as `None`: they cost time, so they are to be charged for.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read, or as `visit`.
    pub fn scan(
        &mut self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut dyn FnMut(&[u8], Option<Scanned<'_>>) -> Result<ControlFlow<()>, StateError>,
    ) -> Result<(), StateError> {
        if is_empty_range(range) {
            return Ok(());
        }
        let mut first: Option<Vec<u8>> = None;
        let mut last: Option<Vec<u8>> = None;
        let mut recorded = |key: &[u8], value: Option<Scanned<'_>>| {
            first.get_or_insert_with(|| key.to_vec());
            last = Some(key.to_vec());
            visit(key, value)
        };
        let ended = scan_merged(&*self.base, &self.changed, range, direction, &mut recorded)?;
        self.record_scan(range, direction, ended, first, last);
        Ok(())
    }

    fn record_scan(
        &mut self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        ended: Ended,
        first: Option<Vec<u8>>,
        last: Option<Vec<u8>>,
    ) {
        let lower = bound_key(range.0).unwrap_or_default();
        let upper = bound_key(range.1).unwrap_or_else(|| vec![0xff; 193]);
        // A scan that broke off has seen nothing past the entry it broke at.
        let seen = match (ended, direction) {
            (Ended::AtBound, _) => (lower, upper),
            (Ended::ByVisitor, ScanDirection::Ascending) => (lower, last.unwrap_or(upper)),
            (Ended::ByVisitor, ScanDirection::Descending) => {
                (last.or(first).unwrap_or(lower), upper)
            }
        };
        self.access.scans.insert(seen);
    }

    /// The Wasm with this hash, stored or deployed in this block.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        match self.codes.get(hash) {
            Some(code) => Ok(Some(Arc::clone(code))),
            None => self.base.code(hash),
        }
    }

    /// Adds Wasm that is new to the chain.
    pub fn add_code(&mut self, hash: Hash, code: Arc<[u8]>) {
        if self.codes.insert(hash, code).is_none() {
            self.codes_order.push(hash);
        }
    }

    /// Marks where [`Self::revert_to`] can come back to.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            undo: self.undo.len(),
            codes: self.codes_order.len(),
        }
    }

    /// Undoes every change since `checkpoint`.
    pub fn revert_to(&mut self, checkpoint: Checkpoint) {
        while self.undo.len() > checkpoint.undo {
            let Some((key, earlier)) = self.undo.pop() else {
                break;
            };
            match earlier {
                Some(value) => self.changed.insert(key, value),
                None => self.changed.remove(&key),
            };
        }
        while self.codes_order.len() > checkpoint.codes {
            let Some(hash) = self.codes_order.pop() else {
                break;
            };
            self.codes.remove(&hash);
        }
    }

    /// Ends a transaction: its changes can no longer be undone, its accesses are handed out.
    pub fn end_transaction(&mut self) -> AccessSet {
        for (key, _earlier) in self.undo.drain(..) {
            self.access.writes.insert(key);
        }
        self.codes_order.clear();
        std::mem::take(&mut self.access)
    }

    /// All changes over the base. Writes that put back the base's value are left out.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn into_changes(mut self) -> Result<StateChanges, StateError> {
        let changed = std::mem::take(&mut self.changed);
        let mut entries = BTreeMap::new();
        for (key, value) in changed {
            if self.peek(&key)? != value.as_deref() {
                entries.insert(key, value);
            }
        }
        Ok(StateChanges {
            entries,
            codes: self.codes,
        })
    }
}

fn bound_key(bound: Bound<&[u8]>) -> Option<Vec<u8>> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key.to_vec()),
        Bound::Unbounded => None,
    }
}

#[cfg(test)]
mod tests;
