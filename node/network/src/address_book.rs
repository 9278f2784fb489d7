//! Remember where peers can be reached, and when to try them again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

/// Peers that are remembered.
pub(crate) const PEERS_MAX: usize = 1_000;
/// Addresses of one peer that are remembered.
pub(crate) const ADDRESSES_MAX: usize = 8;
/// Longest wait before a validator is tried again: as long as some cannot hear each other, nothing is decided, and once
/// they can, it shall take seconds.
const VALIDATOR_DELAY_MAX: Duration = Duration::from_secs(2);
/// A peer that was never reached is forgotten after so many attempts.
const ATTEMPTS_MAX: u32 = 8;

#[derive(Debug)]
struct Entry {
    /// Best first.
    addresses: Vec<Multiaddr>,
    failures: u32,
    next_dial: Instant,
    /// When a connection was last up; none if there never was one.
    met: Option<Instant>,
}

/// Peers and their addresses.
#[derive(Debug)]
pub(crate) struct AddressBook {
    own: PeerId,
    entries: HashMap<PeerId, Entry>,
    delay_min: Duration,
    delay_max: Duration,
}

impl AddressBook {
    /// An empty book of the node `own`, which waits `delay_min` to `delay_max` between attempts.
    pub(crate) fn new(own: PeerId, delay_min: Duration, delay_max: Duration) -> Self {
        Self {
            own,
            entries: HashMap::new(),
            delay_min,
            delay_max,
        }
    }

    /// Adds addresses of `peer`; the newest come first, since a peer that moved says so.
    pub(crate) fn learn(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        if peer == self.own || addresses.is_empty() {
            return;
        }
        if !self.entries.contains_key(&peer) && self.entries.len() >= PEERS_MAX {
            self.make_room();
        }
        let entry = self.entries.entry(peer).or_insert(Entry {
            addresses: Vec::new(),
            failures: 0,
            next_dial: now,
            met: None,
        });
        let delay_min = self.delay_min;
        let mut news = false;
        for address in addresses.into_iter().rev() {
            let known = entry.addresses.iter().position(|one| *one == address);
            if let Some(place) = known {
                entry.addresses.remove(place);
            }
            news |= known.is_none();
            entry.addresses.insert(0, address);
        }
        entry.addresses.truncate(ADDRESSES_MAX);
        if news {
            entry.next_dial = entry.next_dial.min(now + delay_min);
        }
    }

    /// Notes that `peer` is what we look for, and connected.
    pub(crate) fn met(&mut self, peer: PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.met = Some(now);
            entry.failures = 0;
            entry.next_dial = now;
        }
    }

    /// Notes that dialling `peer` failed at `addresses`, and sets the next attempt. A `validator` is tried again soon; any
    /// other peer that was never reached is forgotten in time.
    pub(crate) fn failed(
        &mut self,
        peer: PeerId,
        addresses: &[Multiaddr],
        validator: bool,
        now: Instant,
    ) {
        let wait_min = self.delay_min;
        let wait_max = if validator {
            self.delay_max.min(VALIDATOR_DELAY_MAX)
        } else {
            self.delay_max
        };
        let Some(entry) = self.entries.get_mut(&peer) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        let doubled = wait_min.saturating_mul(1 << entry.failures.min(16).saturating_sub(1));
        entry.next_dial = now + doubled.min(wait_max);
        if entry.addresses.len() > addresses.len() {
            entry.addresses.retain(|one| !addresses.contains(one));
        }
        if entry.met.is_none() && entry.failures >= ATTEMPTS_MAX && !validator {
            self.entries.remove(&peer);
        }
    }

    /// Forgets `peer`.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.entries.remove(peer);
    }

    /// Where `peer` can be reached, best first.
    pub(crate) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.entries
            .get(peer)
            .map(|entry| entry.addresses.clone())
            .unwrap_or_default()
    }

    /// Attempts that failed in a row.
    pub(crate) fn failures(&self, peer: &PeerId) -> u32 {
        self.entries.get(peer).map_or(0, |entry| entry.failures)
    }

    /// Whether `peer` is known and may be tried now.
    pub(crate) fn is_due(&self, peer: &PeerId, now: Instant) -> bool {
        self.entries
            .get(peer)
            .is_some_and(|entry| entry.next_dial <= now)
    }

    /// At most `most` peers to try now, the likeliest first.
    pub(crate) fn due(
        &self,
        most: usize,
        now: Instant,
        skip: impl Fn(&PeerId) -> bool,
    ) -> Vec<PeerId> {
        let mut due: Vec<(u32, bool, PeerId)> = self
            .entries
            .iter()
            .filter(|(peer, entry)| entry.next_dial <= now && !skip(peer))
            .map(|(peer, entry)| (entry.failures, entry.met.is_none(), *peer))
            .collect();
        due.sort_unstable();
        due.into_iter()
            .take(most)
            .map(|(_, _, peer)| peer)
            .collect()
    }

    /// Peers that were reached, latest first, for the next run.
    pub(crate) fn to_store(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut met: Vec<_> = self
            .entries
            .iter()
            .filter_map(|(peer, entry)| Some((entry.met?, *peer, &entry.addresses)))
            .collect();
        met.sort_unstable_by_key(|(met, peer, _)| (std::cmp::Reverse(*met), *peer));
        met.into_iter()
            .map(|(_, peer, addresses)| (peer, addresses.clone()))
            .collect()
    }

    /// Drops the peer that is least worth keeping: never reached before long not reached, most failures first.
    fn make_room(&mut self) {
        let worst = self
            .entries
            .iter()
            .min_by_key(|(peer, entry)| (entry.met, std::cmp::Reverse(entry.failures), **peer))
            .map(|(peer, _)| *peer);
        if let Some(peer) = worst {
            self.entries.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn book() -> AddressBook {
        AddressBook::new(PeerId::random(), SECOND, SECOND * 60)
    }

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/8.8.8.8/tcp/{port}")
            .parse()
            .expect("an address")
    }

    #[test]
    fn strangers_do_not_push_out_peers_that_were_reached() {
        let mut book = book();
        let now = Instant::now();
        let friend = PeerId::random();
        book.learn(friend, vec![address(1)], now);
        book.met(friend, now);
        for _ in 0..PEERS_MAX * 2 {
            book.learn(PeerId::random(), vec![address(2)], now);
        }
        assert_eq!(book.addresses(&friend), [address(1)]);
        assert_eq!(book.entries.len(), PEERS_MAX);
        assert_eq!(book.to_store(), [(friend, vec![address(1)])]);
    }

    #[test]
    fn attempts_back_off_and_news_shorten_the_wait() {
        let mut book = book();
        let now = Instant::now();
        let peer = PeerId::random();
        book.learn(peer, vec![address(1)], now);
        book.met(peer, now);
        for _ in 0..40 {
            book.failed(peer, &[address(1)], false, now);
        }
        assert!(!book.is_due(&peer, now + SECOND * 59));
        assert!(book.is_due(&peer, now + SECOND * 60));
        book.learn(peer, vec![address(2)], now);
        assert!(book.is_due(&peer, now + SECOND));
        assert_eq!(book.addresses(&peer), [address(2), address(1)]);
        book.failed(peer, &[address(1)], false, now);
        assert_eq!(book.addresses(&peer), [address(2)]);
    }

    #[test]
    fn a_validator_is_tried_again_within_seconds() {
        let mut book = book();
        let now = Instant::now();
        let validator = PeerId::random();
        book.learn(validator, vec![address(1)], now);
        for _ in 0..40 {
            book.failed(validator, &[address(1)], true, now);
        }
        assert!(!book.is_due(&validator, now + SECOND));
        assert!(book.is_due(&validator, now + VALIDATOR_DELAY_MAX));
    }

    #[test]
    fn a_peer_never_reached_is_forgotten_unless_kept() {
        let mut book = book();
        let now = Instant::now();
        let (stranger, validator) = (PeerId::random(), PeerId::random());
        book.learn(stranger, vec![address(1)], now);
        book.learn(validator, vec![address(2)], now);
        for _ in 0..ATTEMPTS_MAX {
            book.failed(stranger, &[address(1)], false, now);
            book.failed(validator, &[address(2)], true, now);
        }
        assert!(book.addresses(&stranger).is_empty());
        assert_eq!(book.addresses(&validator), [address(2)]);
    }
}
