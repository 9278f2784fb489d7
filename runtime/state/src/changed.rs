//! Read a state with the changes of a block laid over it, before they are stored.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_protocol::Hash;

use crate::{
    Found, ScanDirection, StateChanges, StateError, StateReader, VisitScanned, scan_merged,
};

/// A state and what one more block changed in it.
#[derive(Clone)]
pub struct ChangedState {
    base: Arc<dyn StateReader>,
    changes: Arc<StateChanges>,
}

impl std::fmt::Debug for ChangedState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangedState")
            .field("changed", &self.changes.entries.len())
            .finish_non_exhaustive()
    }
}

impl ChangedState {
    /// `base` after `changes`.
    #[must_use]
    pub const fn new(base: Arc<dyn StateReader>, changes: Arc<StateChanges>) -> Self {
        Self { base, changes }
    }
}

impl StateReader for ChangedState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.changes.entries.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.base.get(key),
        }
    }

    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        match self.changes.entries.get(key) {
            Some(changed) => Ok(Found::within(changed.clone(), bytes_max)),
            None => self.base.find(key, bytes_max),
        }
    }

    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        let base = self.base.as_ref();
        let entries = &self.changes.entries;
        scan_merged(base, entries, range, direction, &mut |key, value| {
            value.map_or(Ok(ControlFlow::Continue(())), |value| visit(key, value))
        })?;
        Ok(())
    }

    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        match self.changes.codes.get(hash) {
            Some(code) => Ok(Some(Arc::clone(code))),
            None => self.base.code(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryState;

    fn changes(entries: &[(&[u8], Option<&[u8]>)]) -> StateChanges {
        StateChanges {
            entries: entries
                .iter()
                .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
            ..StateChanges::default()
        }
    }

    #[test]
    fn a_changed_state_reads_like_the_state_after_the_changes() {
        let first = changes(&[(b"a", Some(b"1")), (b"b", Some(b"2")), (b"c", Some(b"3"))]);
        let second = changes(&[(b"b", None), (b"c", Some(b"4")), (b"d", Some(b"5"))]);
        let mut stored = MemoryState::default();
        stored.apply(&first);
        let changed = ChangedState::new(Arc::new(stored.clone()), Arc::new(second.clone()));
        stored.apply(&second);
        for key in [b"a", b"b", b"c", b"d", b"e"] {
            assert_eq!(changed.get(key).unwrap(), stored.get(key).unwrap());
            for bytes_max in [0, 1] {
                let found = changed.find(key, bytes_max).unwrap();
                assert_eq!(found, stored.find(key, bytes_max).unwrap());
            }
        }
        let all = |state: &dyn StateReader, direction| {
            let mut found = Vec::new();
            let range = (Bound::Unbounded, Bound::Unbounded);
            state
                .scan(range, direction, &mut |key, value| {
                    found.push((key.to_vec(), value.to_vec()));
                    ControlFlow::Continue(())
                })
                .unwrap();
            found
        };
        for direction in [ScanDirection::Ascending, ScanDirection::Descending] {
            assert_eq!(all(&changed, direction), all(&stored, direction));
        }
    }
}
