//! Hold what readers share: the newest commit's tables, its tree, and the trees of the heights before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use kumiki_protocol::Height;
use kumiki_state::Tree;

use crate::snapshot::{Overlay, load_overlay};
use crate::view::View;
use crate::{StorageError, Tip};

/// Heights below the tip whose trees stay in memory.
pub(crate) const RECENT_TREES: usize = 64;
/// Overlays of one head kept for further snapshots.
const OVERLAYS_MAX: usize = 4;

/// One commit as readers see it. It never changes.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) view: View,
    pub(crate) tip: Tip,
    pub(crate) tree: Tree,
    /// The oldest height whose state can be read.
    pub(crate) oldest: Height,
    /// Heights below the tip with their trees, oldest first.
    recent: VecDeque<(Height, Tree)>,
    overlays: Mutex<BTreeMap<Height, Arc<Overlay>>>,
}

impl Head {
    pub(crate) fn new(view: View, tip: Tip, tree: Tree, oldest: Height) -> Self {
        Self {
            view,
            tip,
            tree,
            oldest,
            recent: VecDeque::new(),
            overlays: Mutex::default(),
        }
    }

    /// Remembers the trees that `before` knows, and its own.
    pub(crate) fn following(mut self, before: &Self) -> Self {
        self.recent.clone_from(&before.recent);
        self.recent
            .push_back((before.tip.height, before.tree.clone()));
        while self.recent.len() > RECENT_TREES {
            self.recent.pop_front();
        }
        self
    }

    /// Remembers the trees below its own that `after`, a later commit, knows.
    pub(crate) fn rewound_from(mut self, after: &Self) -> Self {
        let below = |(height, _): &&(Height, Tree)| *height < self.tip.height;
        self.recent = after.recent.iter().filter(below).cloned().collect();
        self
    }

    pub(crate) fn recent_tree(&self, height: Height) -> Option<Tree> {
        let mut known = self.recent.iter();
        known
            .find(|(one, _)| *one == height)
            .map(|(_, tree)| tree.clone())
    }

    pub(crate) fn overlay(&self, height: Height) -> Result<Arc<Overlay>, StorageError> {
        // Held while loading: however many ask for past states at once, one overlay is being made.
        let mut overlays = self.overlays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(overlay) = overlays.get(&height) {
            return Ok(Arc::clone(overlay));
        }
        let overlay = Arc::new(load_overlay(self, height)?);
        if overlays.len() >= OVERLAYS_MAX {
            // The oldest height has the largest overlay and the fewest askers.
            overlays.pop_first();
        }
        overlays.insert(height, Arc::clone(&overlay));
        Ok(overlay)
    }
}
