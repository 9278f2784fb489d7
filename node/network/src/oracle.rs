//! Tell consensus who the peers are, and take from it whom to track and whom to block.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use commonware_actor::Feedback;
use commonware_p2p::{
    BlockedSubscription, Blocker, Manager, PeerSetSubscription, Provider, TrackedPeers,
};
use tokio::sync::mpsc;

use crate::channel::roster::Roster;
use crate::driver::Command;
use crate::identity::PeerKey;
use crate::peer_sets::PeerSets;

/// The peer sets of a network: `commonware-p2p`'s `Provider`, `Manager` and `Blocker` in one.
///
/// A published set holds the newest tracked validators as primary peers; as secondary peers, those tracked as such and
/// whoever else is connected. Its index has the tracked id plus one in the upper 32 bits and counts changes of the
/// connected peers in the lower. `peer_set` takes the id of a tracked set, or the newest index.
#[derive(Clone)]
pub struct Oracle {
    sets: Arc<Mutex<PeerSets>>,
    roster: Arc<Roster>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Oracle {
    pub(crate) fn new(
        sets: Arc<Mutex<PeerSets>>,
        roster: Arc<Roster>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self {
            sets,
            roster,
            commands,
        }
    }

    fn sets(&self) -> MutexGuard<'_, PeerSets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, command: Command) -> Feedback {
        match self.commands.send(command) {
            Ok(()) => Feedback::Ok,
            Err(_) => Feedback::Closed,
        }
    }
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oracle").finish_non_exhaustive()
    }
}

impl Provider for Oracle {
    type PublicKey = PeerKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PeerKey>> {
        self.sets().get(id)
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PeerKey> {
        self.sets().subscribe()
    }
}

impl Manager for Oracle {
    /// Connections to primary peers are kept up and are not limited; when this returns, channels of validators are
    /// theirs. An id at or below an earlier one, or above 2^32 - 2, changes nothing.
    fn track<R>(&mut self, id: u64, peers: R) -> Feedback
    where
        R: Into<TrackedPeers<PeerKey>> + Send,
    {
        let mut sets = self.sets();
        if sets.track(id, peers.into()) {
            // Not left to the driver: what a new validator sends before its turn would be taken for an outsider's, and lost.
            self.roster.set_primary(sets.primary());
        }
        drop(sets);
        self.tell(Command::Tracked)
    }
}

impl Blocker for Oracle {
    type PublicKey = PeerKey;

    /// Bans `peer` for the time in the limits.
    fn block(&mut self, peer: PeerKey) -> Feedback {
        self.tell(Command::Block(peer))
    }

    fn blocked(&mut self) -> BlockedSubscription<PeerKey> {
        self.sets().subscribe_blocked()
    }
}
