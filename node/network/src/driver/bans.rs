//! Penalise and ban peers, and leave those that are not heard any more.

use std::time::{Duration, Instant};

use libp2p::PeerId;

use super::Driver;
use crate::identity::peer_key_of;
use crate::score::Offence;

/// Three pings and some more: a peer of which nothing is heard for so many ticks (10 s) cannot be reached.
const UNHEARD_TICKS_MAX: u32 = 50;

impl Driver {
    /// Counts `offence` against `peer`, and bans it when it was one too many.
    pub(super) fn penalise(&mut self, peer: PeerId, offence: Offence) {
        if self.scores.penalise(peer, offence, Instant::now()) {
            tracing::warn!(%peer, ?offence, "banning a peer");
            self.ban(peer, self.config.limits.ban);
        }
    }

    /// Disconnects `peer` and refuses it for `duration`.
    pub(super) fn ban(&mut self, peer: PeerId, duration: Duration) {
        if peer == self.own {
            return;
        }
        let now = Instant::now();
        let until = now.checked_add(duration).unwrap_or(now);
        if self.swarm.behaviour_mut().gate.ban(peer, until) {
            self.metrics.bans.inc();
        }
        self.scores.forget(&peer);
        if !self.tracked.contains(&peer) {
            self.book.forget(&peer);
        }
        self.disconnect(peer);
        self.publish_banned();
    }

    pub(super) fn unban(&mut self, peer: PeerId) {
        self.scores.forget(&peer);
        if self.swarm.behaviour_mut().gate.unban(&peer) {
            self.publish_banned();
        }
    }

    pub(super) fn expire_bans(&mut self, now: Instant) {
        if self.swarm.behaviour_mut().gate.expire(now) {
            self.publish_banned();
        }
    }

    fn publish_banned(&mut self) {
        let banned = self.swarm.behaviour().gate.banned();
        let banned = banned.filter_map(peer_key_of).collect();
        self.sets().set_blocked(banned);
    }

    /// Ends with `peer` at once; its connections close behind it.
    pub(super) fn disconnect(&mut self, peer: PeerId) {
        self.drop_link(peer);
        if self.swarm.disconnect_peer_id(peer).is_err() {
            tracing::trace!(%peer, "not connected");
        }
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            kad.remove_peer(&peer);
        }
    }

    /// Stops exchanging messages with `peer`.
    pub(super) fn drop_link(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.stop();
        if peer.link.take().is_some() {
            self.roster.remove(&peer.key);
            self.peers_changed = true;
        }
    }

    /// Ends with peers that have not said who they are in time.
    pub(super) fn refuse_silent(&mut self, now: Instant) {
        let timeout = self.config.limits.identify_timeout;
        let late = |since: Instant| now.saturating_duration_since(since) > timeout;
        let silent: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.link.is_none() && late(peer.since))
            .map(|(id, _)| *id)
            .collect();
        for peer in silent {
            self.penalise(peer, Offence::NoIdentity);
            self.disconnect(peer);
        }
    }

    /// Gives up connections on which nothing comes any more. TCP alone would notice after minutes, and pings that wait
    /// for each other after half a minute; once the way is free again, TCP waits about as long as it was cut before it
    /// sends the next time. Counted in ticks, since a node that was paused has not listened meanwhile.
    pub(super) fn leave_unheard(&mut self) {
        let unheard: Vec<PeerId> = self
            .peers
            .iter_mut()
            // Only of who answers pings is known that there is always something to hear.
            .filter_map(|(id, peer)| {
                let ticks = peer.listen();
                (peer.rtt.is_some() && ticks > UNHEARD_TICKS_MAX).then_some(*id)
            })
            .collect();
        for peer in unheard {
            tracing::debug!(%peer, "nothing is heard of a peer any more");
            self.disconnect(peer);
        }
    }
}
