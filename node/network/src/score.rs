//! Keep account of what peers did wrong, and forget it with time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// At this score a peer is banned. Everyone starts at 0 and only falls.
pub(crate) const BAN_SCORE: f64 = -100.0;
/// In this time half of a score is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// Scores above this are as good as 0.
const FORGOTTEN: f64 = -1.0;
/// Peers with a score; beyond that the least bad is forgotten.
const ENTRIES_MAX: usize = 10_000;

/// What a peer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offence {
    /// A frame beyond its channel's limit, or data on a stream that is ours to write.
    MalformedFrame,
    /// A gossip message that the application rejected.
    InvalidGossip,
    /// Nothing came on a connection that should have said who it is.
    NoIdentity,
}

impl Offence {
    fn penalty(self) -> f64 {
        match self {
            // No honest node of this chain can send one.
            Self::MalformedFrame => 100.0,
            Self::InvalidGossip => 20.0,
            Self::NoIdentity => 40.0,
        }
    }
}

#[derive(Debug)]
struct Entry {
    score: f64,
    since: Instant,
}

impl Entry {
    fn at(&self, now: Instant) -> f64 {
        let halves =
            now.saturating_duration_since(self.since).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.score * 0.5_f64.powf(halves)
    }
}

/// The scores of all peers that have one.
#[derive(Debug, Default)]
pub(crate) struct Scores(HashMap<PeerId, Entry>);

impl Scores {
    /// The score of `peer` now.
    pub(crate) fn get(&self, peer: &PeerId, now: Instant) -> f64 {
        self.0.get(peer).map_or(0.0, |entry| entry.at(now))
    }

    /// Takes `offence` off the score of `peer`; true when that is enough to ban it.
    pub(crate) fn penalise(&mut self, peer: PeerId, offence: Offence, now: Instant) -> bool {
        if self.0.len() >= ENTRIES_MAX && !self.0.contains_key(&peer) {
            self.make_room(now);
        }
        let entry = self.0.entry(peer).or_insert(Entry {
            score: 0.0,
            since: now,
        });
        entry.score = entry.at(now) - offence.penalty();
        entry.since = now;
        entry.score <= BAN_SCORE
    }

    /// Forgets `peer`: its ban is its penalty.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, entry| entry.at(now) < FORGOTTEN);
        if self.0.len() < ENTRIES_MAX {
            return;
        }
        let mildest = self
            .0
            .iter()
            .max_by(|(_, a), (_, b)| a.at(now).total_cmp(&b.at(now)))
            .map(|(peer, _)| *peer);
        if let Some(peer) = mildest {
            self.0.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offences_add_up_and_are_forgotten_with_time() {
        let mut scores = Scores::default();
        let peer = PeerId::random();
        let start = Instant::now();
        for _ in 0..4 {
            assert!(!scores.penalise(peer, Offence::InvalidGossip, start));
        }
        let later = start + HALF_LIFE;
        assert!((scores.get(&peer, later) + 40.0).abs() < 0.1);
        assert!(!scores.penalise(peer, Offence::InvalidGossip, later));
        assert!(scores.penalise(peer, Offence::NoIdentity, later));
    }

    #[test]
    fn one_malformed_frame_is_enough() {
        let mut scores = Scores::default();
        assert!(scores.penalise(PeerId::random(), Offence::MalformedFrame, Instant::now()));
    }
}
