//! Know whether this node keeps up with what its peers decide.

use std::sync::{Arc, Mutex, PoisonError};

use commonware_consensus::types::Round;
use kumiki_protocol::Height;
use tokio::sync::watch;

/// Blocks that a node may have to execute yet and still be said to keep up.
const BEHIND_MAX: Height = 10;

/// What is known of the network and of this node. Only what is verified counts: no peer can make a node seem late.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Known>>);

struct Known {
    /// The newest block that this node has executed and stored.
    stored: Height,
    /// The newest block that this node knows to be decided.
    decided: Height,
    /// A finalization that peers announced, whose height is not known yet.
    announced: Option<Round>,
    keeps_up: bool,
    shown: watch::Sender<bool>,
}

impl Progress {
    pub(crate) fn new(stored: Height, shown: watch::Sender<bool>) -> Self {
        Self(Arc::new(Mutex::new(Known {
            stored,
            decided: stored,
            announced: None,
            keeps_up: false,
            shown,
        })))
    }

    /// A verified finalization is the newest one so far. Whoever was behind has caught up only when one that comes
    /// after that is no news any more: that old blocks were fetched, up to the end of an epoch, does not show it.
    pub(crate) fn announced(&self, round: Round) {
        self.note(|known| {
            if !known.keeps_up {
                known.announced.get_or_insert(round);
            }
        });
    }

    /// The block at `height` is known to be decided, by a finalization of `round`.
    pub(crate) fn decided(&self, round: Round, height: Height) {
        self.note(|known| {
            known.decided = known.decided.max(height);
            if known.announced.is_some_and(|announced| announced <= round) {
                known.announced = None;
                known.keeps_up = true;
            }
        });
    }

    /// This node has executed and stored the block at `height`.
    pub(crate) fn stored(&self, height: Height) {
        self.note(|known| known.stored = known.stored.max(height));
    }

    fn note(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        if known.stored.saturating_add(BEHIND_MAX) < known.decided {
            known.keeps_up = false;
        }
        let (stored, decided, now) = (known.stored, known.decided, known.keeps_up);
        let changed = known
            .shown
            .send_if_modified(|before| std::mem::replace(before, now) != now);
        match (changed, now) {
            (true, true) => tracing::info!(stored, decided, "caught up with the peers"),
            (true, false) => tracing::warn!(stored, decided, "fell behind the peers"),
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use commonware_consensus::types::{Epoch, View};

    use super::*;

    fn round(epoch: u64, view: u64) -> Round {
        Round::new(Epoch::new(epoch), View::new(view))
    }

    fn start(stored: Height) -> (Progress, watch::Receiver<bool>) {
        let (sender, seen) = watch::channel(false);
        (Progress::new(stored, sender), seen)
    }

    #[test]
    fn a_node_that_has_heard_nothing_does_not_keep_up() {
        let (progress, keeps_up) = start(7);
        progress.stored(8);
        progress.decided(round(0, 9), 8);
        assert!(!*keeps_up.borrow(), "an own block from before is no news");
        progress.announced(round(0, 10));
        assert!(!*keeps_up.borrow(), "its height is not known yet");
        progress.decided(round(0, 10), 9);
        assert!(*keeps_up.borrow());
    }

    #[test]
    fn a_node_keeps_up_when_it_has_executed_all_but_a_few_blocks() {
        let (progress, keeps_up) = start(0);
        progress.announced(round(0, 100));
        progress.decided(round(0, 100), 90);
        assert!(!*keeps_up.borrow());
        progress.stored(89);
        progress.announced(round(0, 101));
        progress.decided(round(0, 101), 91);
        assert!(*keeps_up.borrow());
        progress.decided(round(0, 130), 120);
        assert!(!*keeps_up.borrow(), "it fell behind");
    }

    #[test]
    fn the_end_of_an_old_epoch_is_not_the_present() {
        let (progress, keeps_up) = start(0);
        // What peers announce is of an epoch whose validators are unknown here, so nothing is announced yet.
        for epoch in 0..3 {
            let last = 20 * epoch + 19;
            progress.decided(round(epoch, 25), last);
            progress.stored(last);
            assert!(!*keeps_up.borrow());
        }
        progress.announced(round(3, 4));
        progress.decided(round(3, 4), 63);
        assert!(*keeps_up.borrow());
    }
}
