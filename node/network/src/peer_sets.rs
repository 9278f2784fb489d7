//! Number the sets of peers that consensus works with: validators it tracks, and whoever is connected.

use std::collections::{BTreeMap, BTreeSet};

use commonware_p2p::{BlockedSubscription, PeerSetSubscription, PeerSetUpdate, TrackedPeers};
use commonware_utils::channel::{mpsc, ring};
use commonware_utils::ordered::Set;
use std::num::NonZeroUsize;

use crate::identity::PeerKey;

/// Tracked sets that count: the newest and those before it whose epochs may still be going on.
const TRACKED_MAX: usize = 4;
/// Bits of an index below the number of the tracked set.
const CHANGE_BITS: u32 = 32;

/// Who is tracked, connected and blocked, and who wants to know.
///
/// A set is published with an index of two halves: above, one more than the id of the newest tracked set (0 before the
/// first); below, a count of changes of the connected peers since. So indices only rise, as their readers ask, however
/// often peers come and go between two epochs.
#[derive(Debug, Default)]
pub(crate) struct PeerSets {
    tracked: BTreeMap<u64, TrackedPeers<PeerKey>>,
    connected: BTreeSet<PeerKey>,
    blocked: BTreeSet<PeerKey>,
    changes: u32,
    closed: bool,
    subscribers: Vec<mpsc::UnboundedSender<PeerSetUpdate<PeerKey>>>,
    blocked_subscribers: Vec<ring::Sender<Set<PeerKey>>>,
}

impl PeerSets {
    /// Adds the tracked set `id`; false when it is not newer than all before.
    pub(crate) fn track(&mut self, id: u64, peers: TrackedPeers<PeerKey>) -> bool {
        let newest = self.tracked.last_key_value().map(|(id, _)| *id);
        let indexable = id < u64::from(u32::MAX);
        if newest.is_some_and(|newest| id <= newest) || !indexable {
            tracing::warn!(id, newest, "a tracked peer set must have a higher id");
            return false;
        }
        let secondary = without(peers.secondary, &peers.primary);
        let peers = TrackedPeers::new(peers.primary, secondary);
        self.tracked.insert(id, peers);
        while self.tracked.len() > TRACKED_MAX {
            self.tracked.pop_first();
        }
        self.changes = 0;
        self.publish();
        true
    }

    /// Sets who is connected.
    pub(crate) fn set_connected(&mut self, connected: BTreeSet<PeerKey>) {
        if self.connected != connected {
            self.connected = connected;
            self.changes = self.changes.saturating_add(1);
            self.publish();
        }
    }

    /// Sets who is blocked.
    pub(crate) fn set_blocked(&mut self, blocked: BTreeSet<PeerKey>) {
        if self.blocked == blocked {
            return;
        }
        self.blocked = blocked;
        let blocked = self.blocked_set();
        self.blocked_subscribers
            .retain(|one| one.send_lossy(blocked.clone()));
    }

    /// The set with this id: a tracked one as it was given, or the newest published one by its index.
    pub(crate) fn get(&self, id: u64) -> Option<TrackedPeers<PeerKey>> {
        let tracked = self.tracked.get(&id).cloned();
        tracked.or_else(|| (id == self.index()).then(|| self.latest()))
    }

    /// Whoever is primary in a tracked set that still counts.
    pub(crate) fn primary(&self) -> BTreeSet<PeerKey> {
        self.tracked
            .values()
            .flat_map(|peers| peers.primary.iter().cloned())
            .collect()
    }

    /// Whoever is secondary in one.
    pub(crate) fn secondary(&self) -> BTreeSet<PeerKey> {
        self.tracked
            .values()
            .flat_map(|peers| peers.secondary.iter().cloned())
            .collect()
    }

    /// A subscription that begins with what is known now.
    pub(crate) fn subscribe(&mut self) -> PeerSetSubscription<PeerKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        if !self.closed && sender.send(self.update()).is_ok() {
            self.subscribers.push(sender);
        }
        receiver
    }

    /// A subscription to who is blocked, likewise.
    pub(crate) fn subscribe_blocked(&mut self) -> BlockedSubscription<PeerKey> {
        let (sender, receiver) = ring::channel(NonZeroUsize::MIN);
        if !self.closed && sender.send_lossy(self.blocked_set()) {
            self.blocked_subscribers.push(sender);
        }
        receiver
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.subscribers.clear();
        self.blocked_subscribers.clear();
    }

    fn index(&self) -> u64 {
        let newest = self.tracked.last_key_value().map(|(id, _)| *id);
        let above = newest.map_or(0, |id| id + 1);
        (above << CHANGE_BITS) | u64::from(self.changes)
    }

    fn latest(&self) -> TrackedPeers<PeerKey> {
        let newest = self.tracked.last_key_value().map(|(_, peers)| peers);
        let TrackedPeers { primary, secondary } = newest.cloned().unwrap_or_default();
        self.with_connected(primary, secondary)
    }

    fn all(&self) -> TrackedPeers<PeerKey> {
        self.with_connected(
            Set::from_iter_dedup(self.primary()),
            Set::from_iter_dedup(self.secondary()),
        )
    }

    fn with_connected(
        &self,
        primary: Set<PeerKey>,
        secondary: Set<PeerKey>,
    ) -> TrackedPeers<PeerKey> {
        let secondary = secondary.into_iter().chain(self.connected.iter().cloned());
        let secondary = without(Set::from_iter_dedup(secondary), &primary);
        TrackedPeers::new(primary, secondary)
    }

    fn blocked_set(&self) -> Set<PeerKey> {
        Set::from_iter_dedup(self.blocked.iter().cloned())
    }

    fn update(&self) -> PeerSetUpdate<PeerKey> {
        PeerSetUpdate {
            index: self.index(),
            latest: self.latest(),
            all: self.all(),
        }
    }

    fn publish(&mut self) {
        let update = self.update();
        self.subscribers
            .retain(|one| one.send(update.clone()).is_ok());
    }
}

fn without(peers: Set<PeerKey>, others: &Set<PeerKey>) -> Set<PeerKey> {
    let rest = peers.into_iter();
    Set::from_iter_dedup(rest.filter(|peer| others.position(peer).is_none()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use kumiki_protocol::SecretKey;

    use super::*;

    fn key(seed: u8) -> PeerKey {
        let keypair = crate::identity::keypair(&SecretKey::from_seed([seed; 32])).unwrap();
        crate::peer_key_of(&keypair.public().to_peer_id()).unwrap()
    }

    fn set(seeds: &[u8]) -> Set<PeerKey> {
        Set::from_iter_dedup(seeds.iter().map(|seed| key(*seed)))
    }

    fn connect(sets: &mut PeerSets, seeds: &[u8]) {
        sets.set_connected(seeds.iter().map(|seed| key(*seed)).collect());
    }

    #[test]
    fn indices_rise_over_connections_and_epochs() {
        let mut sets = PeerSets::default();
        let mut updates = sets.subscribe();
        connect(&mut sets, &[1]);
        connect(&mut sets, &[1, 2]);
        assert!(sets.track(0, set(&[1]).into()));
        connect(&mut sets, &[2]);
        assert!(!sets.track(0, set(&[2]).into()));
        assert!(sets.track(7, set(&[2]).into()));
        let mut seen = Vec::new();
        while let Ok(update) = updates.try_recv() {
            assert_eq!(
                update.index,
                *seen.iter().max().unwrap_or(&0).max(&update.index)
            );
            seen.push(update.index);
        }
        seen.dedup();
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn connected_peers_are_secondary_beside_what_is_tracked() {
        let mut sets = PeerSets::default();
        connect(&mut sets, &[1, 2]);
        sets.track(3, TrackedPeers::new(set(&[1, 4]), set(&[1, 5])));
        let mut updates = sets.subscribe();
        let update = updates.try_recv().unwrap();
        assert_eq!(update.latest, TrackedPeers::new(set(&[1, 4]), set(&[2, 5])));
        assert_eq!(sets.get(update.index), Some(update.latest));
        assert_eq!(
            sets.get(3),
            Some(TrackedPeers::new(set(&[1, 4]), set(&[5])))
        );
    }

    #[test]
    fn a_late_reader_sees_the_newest_blocked_set() {
        let mut sets = PeerSets::default();
        let mut blocked = sets.subscribe_blocked();
        sets.set_blocked([key(1)].into());
        sets.set_blocked([key(1), key(2)].into());
        assert_eq!(blocked.try_recv().unwrap(), set(&[1, 2]));
        sets.set_blocked(BTreeSet::new());
        assert_eq!(blocked.try_recv().unwrap(), set(&[]));
    }
}
