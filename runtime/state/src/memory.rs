//! Keep a whole state in memory: for contract tests and for tests of what stands on a state.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use kumiki_protocol::Hash;

use crate::merged::is_empty_range;
use crate::{Found, ScanDirection, Scanned, StateChanges, StateError, StateReader, VisitScanned};

/// A state that is nowhere else. Cheap enough to clone in a test, not for a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// Entries in key order.
    pub entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Wasm by its hash.
    pub codes: BTreeMap<Hash, Arc<[u8]>>,
}

impl MemoryState {
    /// Makes the changes of a block.
    pub fn apply(&mut self, changes: &StateChanges) {
        for (key, value) in &changes.entries {
            match value {
                Some(value) => self.entries.insert(key.clone(), value.clone()),
                None => self.entries.remove(key),
            };
        }
        for (hash, code) in &changes.codes {
            self.codes.insert(*hash, Arc::clone(code));
        }
    }
}

impl StateReader for MemoryState {
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        Ok(match self.entries.get(key) {
            None => Found::Nothing,
            Some(value) if value.len() > bytes_max => Found::Longer(value.len()),
            Some(value) => Found::Value(value.clone()),
        })
    }

    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        if is_empty_range(range) {
            return Ok(());
        }
        let mut entries = self.entries.range::<[u8], _>(range);
        loop {
            let next = match direction {
                ScanDirection::Ascending => entries.next(),
                ScanDirection::Descending => entries.next_back(),
            };
            match next {
                Some((key, value)) if visit(key, Scanned::Loaded(value))?.is_continue() => {}
                Some(_) | None => return Ok(()),
            }
        }
    }

    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        Ok(self.codes.get(hash).cloned())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn state() -> MemoryState {
        let mut state = MemoryState::default();
        let mut changes = StateChanges::default();
        for key in [b"a", b"b", b"c"] {
            changes.entries.insert(key.to_vec(), Some(vec![1]));
        }
        state.apply(&changes);
        state
    }

    fn keys(range: (Bound<&[u8]>, Bound<&[u8]>), direction: ScanDirection) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        state()
            .scan(range, direction, &mut |key, _value| {
                keys.push(key.to_vec());
                if keys.len() == 2 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .unwrap();
        keys
    }

    #[test]
    fn scans_go_both_ways_and_end_when_told() {
        let all = (Bound::Unbounded, Bound::Unbounded);
        assert_eq!(keys(all, ScanDirection::Ascending), [b"a", b"b"]);
        assert_eq!(keys(all, ScanDirection::Descending), [b"c", b"b"]);
        let upside_down = (Bound::Included(&b"c"[..]), Bound::Excluded(&b"a"[..]));
        assert!(keys(upside_down, ScanDirection::Ascending).is_empty());
    }

    #[test]
    fn changes_set_and_remove() {
        let mut changes = StateChanges::default();
        changes.entries.insert(b"a".to_vec(), None);
        changes.entries.insert(b"d".to_vec(), Some(vec![4]));
        let mut state = state();
        state.apply(&changes);
        assert_eq!(state.get(b"a").unwrap(), None);
        assert_eq!(state.get(b"d").unwrap(), Some(vec![4]));
        assert_eq!(state.entries.len(), 3);
    }
}
