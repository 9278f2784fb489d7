//! Read one committed state, and prove what is in it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_protocol::{Hash, Height};
use kumiki_state::{
    Found, Proof, ScanDirection, Scanned, StateChanges, StateError, StateReader, Tree,
    VisitScanned, scan_merged,
};

use crate::head::Head;
use crate::schema::{UNDO_PRESENT, damaged, failed};
use crate::{EntryPage, RangePage, StorageError};

/// Values that differ from the tip's, `None`: not there.
pub(crate) type Overlay = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The state after one block. It never changes while it is held; do not hold one for minutes, it keeps
/// replaced pages on disk.
#[derive(Clone, Debug)]
pub struct Snapshot {
    head: Arc<Head>,
    height: Height,
    state_root: Hash,
    state_entries: u64,
    /// What turns the tip's state into this one; empty at the tip.
    overlay: Arc<Overlay>,
    /// `None`: not in memory any more, worked out when a proof is asked for.
    tree: Option<Tree>,
}

impl Snapshot {
    pub(crate) fn at_tip(head: Arc<Head>) -> Self {
        Self {
            height: head.tip.height,
            state_root: head.tip.state_root,
            state_entries: head.tip.state_entries,
            overlay: Arc::default(),
            tree: Some(head.tree.clone()),
            head,
        }
    }

    pub(crate) fn before_tip(head: Arc<Head>, height: Height) -> Result<Self, StorageError> {
        let (state_root, state_entries) = head
            .view
            .root(height)?
            .ok_or_else(|| damaged(&format!("block {height} has no state root")))?;
        Ok(Self {
            height,
            state_root,
            state_entries,
            overlay: head.overlay(height)?,
            tree: head.recent_tree(height),
            head,
        })
    }

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

    /// How many entries there are.
    #[must_use]
    pub const fn state_entries(&self) -> u64 {
        self.state_entries
    }

    /// Proves that `key` is there with its value, or that it is not there.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prove(&self, key: &[u8]) -> Result<Proof, StorageError> {
        Ok(self.tree()?.prove(key, self)?)
    }

    /// The same as the ICS23 message `CommitmentProof`; `None` where ICS23 cannot express it.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prove_ics23(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.tree()?.prove_ics23(key, self)?)
    }

    /// The first `limit` entries between the bounds, proved to be all there are up to the last one.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn prove_range(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        limit: usize,
    ) -> Result<RangePage, StorageError> {
        let proven = self.tree()?.prove_range(range, limit, self)?;
        Ok(RangePage {
            entries: proven.entries,
            more: proven.more,
            proof: proven.proof,
        })
    }

    /// Keys that divide the entries into `parts` parts of about the same size.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn split_keys(&self, parts: usize) -> Result<Vec<Vec<u8>>, StorageError> {
        Ok(self.tree()?.split_keys(parts))
    }

    /// The first `limit` entries whose key begins with `prefix` and is above `after`.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn entries_from(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<EntryPage, StorageError> {
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let mut page = EntryPage::default();
        self.scan(
            (start, Bound::Unbounded),
            ScanDirection::Ascending,
            &mut |key, value| {
                if !key.starts_with(prefix) {
                    return ControlFlow::Break(());
                }
                if page.entries.len() == limit {
                    page.more = true;
                    return ControlFlow::Break(());
                }
                page.entries.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            },
        )?;
        Ok(page)
    }

    fn tree(&self) -> Result<Tree, StorageError> {
        if let Some(tree) = &self.tree {
            return Ok(tree.clone());
        }
        let changes = StateChanges {
            entries: (*self.overlay).clone(),
            codes: BTreeMap::new(),
        };
        let tree = self.head.tree.update(&changes, &self.head.view)?;
        if tree.root() != self.state_root {
            return Err(damaged(&format!(
                "undoing down to block {} does not lead to its state root",
                self.height
            )));
        }
        Ok(tree)
    }
}

/// What turns the tip's state into that at `height`: of all blocks above it, the earliest undo row of a key.
pub(crate) fn load_overlay(head: &Head, height: Height) -> Result<Overlay, StorageError> {
    let mut overlay = Overlay::new();
    let from = (height + 1, &[][..]);
    let rows = head.view.undo.range(from..).map_err(failed("read undo"))?;
    for row in rows {
        let (key, value) = row.map_err(failed("read undo"))?;
        let (_, key) = key.value();
        if !overlay.contains_key(key) {
            let before = match value.value().split_first() {
                Some((&UNDO_PRESENT, value)) => Some(value.to_vec()),
                _ => None,
            };
            overlay.insert(key.to_vec(), before);
        }
    }
    Ok(overlay)
}

impl StateReader for Snapshot {
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        match self.overlay.get(key) {
            Some(value) => Ok(Found::within(value.clone(), bytes_max)),
            None => self.head.view.find(key, bytes_max),
        }
    }

    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        if self.overlay.is_empty() {
            return self.head.view.scan_lazily(range, direction, visit);
        }
        let mut present = |key: &[u8], value: Option<Scanned<'_>>| match value {
            Some(value) => visit(key, value),
            None => Ok(ControlFlow::Continue(())),
        };
        scan_merged(
            &self.head.view,
            &self.overlay,
            range,
            direction,
            &mut present,
        )?;
        Ok(())
    }

    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        self.head.view.code(hash)
    }

    fn scan_value_hashes(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        visit: &mut dyn FnMut(&[u8], &Hash),
    ) -> Result<(), StateError> {
        if self.overlay.is_empty() {
            return self.head.view.scan_value_hashes(range, visit);
        }
        self.scan(range, ScanDirection::Ascending, &mut |key, value| {
            visit(key, &kumiki_protocol::sha2_256(&[value]));
            ControlFlow::Continue(())
        })
    }
}
