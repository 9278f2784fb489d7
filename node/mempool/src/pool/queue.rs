//! Keep one sender's waiting transactions in nonce order.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use kumiki_protocol::{Amount, Nonce};

use super::{Candidate, FloorKey, HeadKey};

/// How strongly a transaction holds its place: executable before not, then by the least gas price among those
/// that must be executed up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) executable: bool,
    pub(super) price: u64,
}

/// A waiting transaction.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) candidate: Candidate,
    /// Position in the order of arrival.
    arrival: u64,
    /// The least gas price among the sender's transactions up to this one.
    floor: u64,
}

impl Entry {
    pub(super) fn new(candidate: Candidate, arrival: u64) -> Self {
        let floor = candidate.transaction.body.gas_price;
        Self {
            candidate,
            arrival,
            floor,
        }
    }

    pub(super) fn price(&self) -> u64 {
        self.candidate.transaction.body.gas_price
    }

    pub(super) fn head_key(&self) -> HeadKey {
        (Reverse(self.price()), self.arrival, self.candidate.sender)
    }
}

/// One sender's waiting transactions.
#[derive(Debug)]
pub(super) struct SenderQueue {
    /// The account's next nonce.
    nonce: Nonce,
    entries: BTreeMap<Nonce, Entry>,
    bytes: usize,
    cost: Amount,
}

impl SenderQueue {
    pub(super) fn new(nonce: Nonce) -> Self {
        Self {
            nonce,
            entries: BTreeMap::new(),
            bytes: 0,
            cost: 0,
        }
    }

    pub(super) fn nonce(&self) -> Nonce {
        self.nonce
    }

    pub(super) fn get(&self, nonce: Nonce) -> Option<&Entry> {
        self.entries.get(&nonce)
    }

    pub(super) fn last_nonce(&self) -> Option<Nonce> {
        self.entries.last_key_value().map(|(nonce, _)| *nonce)
    }

    /// Count, bytes and cost of all entries but the one at `nonce`.
    pub(super) fn totals_without(&self, nonce: Nonce) -> (usize, usize, Amount) {
        match self.entries.get(&nonce) {
            Some(entry) => (
                self.entries.len() - 1,
                self.bytes - entry.candidate.size,
                self.cost - entry.candidate.cost,
            ),
            None => (self.entries.len(), self.bytes, self.cost),
        }
    }

    /// The first nonce from the account's on at which nothing waits.
    pub(super) fn next_nonce(&self) -> Nonce {
        if let Some(last) = self.last_nonce()
            && self.is_executable(last)
        {
            return last.saturating_add(1);
        }
        let mut expected = self.nonce;
        for nonce in self.entries.keys() {
            if *nonce != expected {
                break;
            }
            expected = expected.saturating_add(1);
        }
        expected
    }

    /// Where a transaction at `nonce` with `price` ranks.
    pub(super) fn rank_at(&self, nonce: Nonce, price: u64) -> Rank {
        let before = self
            .entries
            .range((Bound::Unbounded, Bound::Excluded(nonce)))
            .next_back();
        let executable = match before {
            None => nonce == self.nonce,
            Some((before, _)) => before + 1 == nonce && self.is_executable(*before),
        };
        Rank {
            executable,
            price: before.map_or(price, |(_, entry)| entry.floor.min(price)),
        }
    }

    pub(super) fn head_key(&self) -> Option<HeadKey> {
        self.entries.get(&self.nonce).map(Entry::head_key)
    }

    pub(super) fn floor_key(&self) -> Option<FloorKey> {
        let (last, entry) = self.entries.last_key_value()?;
        let rank = Rank {
            executable: self.is_executable(*last),
            price: entry.floor,
        };
        Some((rank, Reverse(entry.arrival), entry.candidate.sender))
    }

    /// Puts an entry at its nonce, where nothing waits.
    pub(super) fn put(&mut self, entry: Entry) {
        let nonce = entry.candidate.transaction.body.nonce;
        self.bytes += entry.candidate.size;
        // The sum was checked against a balance when the entry came in, so it fits.
        self.cost = self.cost.saturating_add(entry.candidate.cost);
        self.entries.insert(nonce, entry);
        self.lower_floors(nonce);
    }

    pub(super) fn take(&mut self, nonce: Nonce) -> Option<Entry> {
        let entry = self.entries.remove(&nonce)?;
        self.bytes -= entry.candidate.size;
        self.cost = self.cost.saturating_sub(entry.candidate.cost);
        self.lower_floors(nonce);
        Some(entry)
    }

    /// Moves the account's nonce on and returns the entries that this makes useless.
    pub(super) fn advance(&mut self, nonce: Nonce) -> Vec<Entry> {
        let kept = self.entries.split_off(&nonce);
        let gone: Vec<Entry> = std::mem::replace(&mut self.entries, kept)
            .into_values()
            .collect();
        for entry in &gone {
            self.bytes -= entry.candidate.size;
            self.cost = self.cost.saturating_sub(entry.candidate.cost);
        }
        self.nonce = nonce;
        self.lower_floors(nonce);
        gone
    }

    /// Computes the floors again from `nonce` on.
    fn lower_floors(&mut self, nonce: Nonce) {
        let before = self
            .entries
            .range((Bound::Unbounded, Bound::Excluded(nonce)))
            .next_back();
        let mut floor = before.map_or(u64::MAX, |(_, entry)| entry.floor);
        for (_, entry) in self.entries.range_mut(nonce..) {
            floor = floor.min(entry.price());
            entry.floor = floor;
        }
    }

    /// Whether every nonce from the account's up to `nonce`, at which an entry waits, waits too.
    fn is_executable(&self, nonce: Nonce) -> bool {
        let first = self.entries.first_key_value().map(|(first, _)| *first);
        if first != Some(self.nonce) {
            return false;
        }
        let last = self.last_nonce().unwrap_or(self.nonce);
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        // The common case without counting: no gap anywhere.
        if last - self.nonce + 1 == count {
            return true;
        }
        let upto = self.entries.range(self.nonce..=nonce).count();
        u64::try_from(upto).unwrap_or(u64::MAX) == nonce - self.nonce + 1
    }
}
