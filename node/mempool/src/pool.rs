//! Order waiting transactions by sender and nonce, bound them, and pick those for the next block.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kumiki_protocol::{
    AccountRecord, Address, Amount, Gas, Height, Nonce, Rejection, Transaction, TransactionHash,
};

use crate::Refusal;
use queue::{Entry, Rank, SenderQueue};

mod queue;
#[cfg(test)]
mod tests;

/// Removals whose reason is remembered for those who ask.
const REMOVALS_KEPT: usize = 16_384;
/// Senders passed over, because their next transaction does not fit what is left of a block, before a block
/// counts as full.
const UNFITTING_MAX: usize = 64;
/// The same where it is only the room for new code that is used up: many may want to deploy at once, and the block goes to
/// others then.
const CODE_UNFITTING_MAX: usize = 4_096;

/// How much the pool holds.
#[derive(Debug, Clone, Copy)]
pub struct MempoolLimits {
    /// Transactions in all.
    pub count_max: usize,
    /// Encoded bytes in all.
    pub bytes_max: usize,
    /// Transactions of one sender.
    pub sender_count_max: usize,
    /// Encoded bytes of one sender.
    pub sender_bytes_max: usize,
    /// Nonces, from the account's next on, that are accepted.
    pub nonce_window: u64,
    /// How much higher a replacement's gas price must be, in percent.
    pub replacement_percent: u32,
}

impl MempoolLimits {
    /// Limits for a node with ordinary memory: 64 Ki transactions of 96 MiB, 2,048 of 8 MiB per sender.
    pub const STANDARD: Self = Self {
        count_max: 65_536,
        bytes_max: 96 << 20,
        sender_count_max: 2_048,
        sender_bytes_max: 8 << 20,
        nonce_window: 2_048,
        replacement_percent: 10,
    };
}

/// A transaction that was checked and may be put in.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Its id.
    pub hash: TransactionHash,
    /// The account that pays.
    pub sender: Address,
    /// Its encoded bytes.
    pub size: usize,
    /// Fee cap and values sent along, in base units.
    pub cost: Amount,
}

/// What putting a transaction in came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It waits now.
    New,
    /// It waits now in the place of another with the same nonce.
    Replaced(TransactionHash),
    /// It waited already.
    Known,
}

/// Why a transaction left the pool without being executed, or that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// A block has it, or another transaction with its nonce.
    NonceUsed,
    /// `valid_until` is past.
    Expired,
    /// Transactions that pay more needed the room.
    Evicted,
    /// Another one with the same nonce took its place.
    Replaced,
    /// The executor found at block building that it cannot be executed.
    Rejected(Rejection),
    /// The chain was taken back to an earlier block, and with it what waited was given up.
    Rewound,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolSize {
    /// Transactions.
    pub count: usize,
    /// Their encoded bytes.
    pub bytes: usize,
    /// Different senders.
    pub senders: usize,
}

/// What a block in the making has room for.
#[derive(Debug, Clone, Copy)]
pub struct BlockRoom<'a> {
    /// Encoded bytes.
    pub bytes_max: usize,
    /// Gas limits together.
    pub gas_max: Gas,
    /// The same of those that bring code.
    pub code_gas_max: Gas,
    /// Height of the block: what is valid no longer is left out.
    pub height: Height,
    /// The nonce after the last one that blocks before this one already have, by sender, where those are not
    /// executed yet.
    pub in_flight: &'a BTreeMap<Address, Nonce>,
}

static NOTHING_IN_FLIGHT: BTreeMap<Address, Nonce> = BTreeMap::new();

impl BlockRoom<'static> {
    /// Room for all that waits on an executed chain.
    pub const UNLIMITED: Self = Self {
        bytes_max: usize::MAX,
        gas_max: Gas::MAX,
        code_gas_max: Gas::MAX,
        height: 0,
        in_flight: &NOTHING_IN_FLIGHT,
    };
}

/// Order in which blocks take the first transactions of senders: higher price, then earlier arrival.
type HeadKey = (Reverse<u64>, u64, Address);
/// Order in which senders lose their last transaction: lowest rank, then latest arrival.
type FloorKey = (Rank, Reverse<u64>, Address);

/// The waiting transactions.
///
/// A transaction is *executable* when every nonce from its account's next up to its own waits too. Others are
/// kept for when the gap closes, but lose their place before any executable one.
#[derive(Debug)]
pub struct Mempool {
    limits: MempoolLimits,
    queues: BTreeMap<Address, SenderQueue>,
    by_hash: BTreeMap<TransactionHash, (Address, Nonce)>,
    heads: BTreeSet<HeadKey>,
    floors: BTreeSet<FloorKey>,
    expiries: BTreeSet<(Height, Address, Nonce)>,
    bytes: usize,
    arrivals: u64,
    removals: BTreeMap<TransactionHash, Removal>,
    removals_order: VecDeque<TransactionHash>,
}

impl Mempool {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: MempoolLimits) -> Self {
        Self {
            limits,
            queues: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            heads: BTreeSet::new(),
            floors: BTreeSet::new(),
            expiries: BTreeSet::new(),
            bytes: 0,
            arrivals: 0,
            removals: BTreeMap::new(),
            removals_order: VecDeque::new(),
        }
    }

    /// Checks `candidate` against its `account` without putting it in: nonce, replacement, sender's limits, funds.
    ///
    /// # Errors
    /// The reason why it would be refused.
    pub fn check(&self, candidate: &Candidate, account: &AccountRecord) -> Result<(), Refusal> {
        let body = &candidate.transaction.body;
        let queue = self.queues.get(&candidate.sender);
        let expected = queue.map_or(account.nonce, |queue| queue.nonce().max(account.nonce));
        if body.nonce < expected {
            return Err(Refusal::NonceTooLow {
                expected,
                found: body.nonce,
            });
        }
        if body.nonce - expected >= self.limits.nonce_window {
            return Err(Refusal::NonceTooFar {
                expected,
                found: body.nonce,
                window: self.limits.nonce_window,
            });
        }
        let replaced = queue.and_then(|queue| queue.get(body.nonce));
        if let Some(replaced) = replaced {
            let minimum = self.replacement_price(replaced.price());
            if body.gas_price < minimum {
                return Err(Refusal::ReplacementUnderpriced {
                    found: body.gas_price,
                    minimum,
                });
            }
        }
        let (count, bytes, pending) =
            queue.map_or((0, 0, 0), |queue| queue.totals_without(body.nonce));
        if count >= self.limits.sender_count_max
            || bytes.saturating_add(candidate.size) > self.limits.sender_bytes_max
        {
            return Err(Refusal::SenderFull {
                count,
                bytes,
                count_max: self.limits.sender_count_max,
                bytes_max: self.limits.sender_bytes_max,
            });
        }
        if candidate.cost.saturating_add(pending) > account.balance {
            return Err(Refusal::InsufficientFunds {
                balance: account.balance,
                needed: candidate.cost,
                pending,
            });
        }
        Ok(())
    }

    /// Puts `candidate` in, whose `account` is as the latest block left it.
    ///
    /// # Errors
    /// The reason why it is refused; the pool is then as before.
    pub fn insert(
        &mut self,
        candidate: Candidate,
        account: &AccountRecord,
    ) -> Result<Inserted, Refusal> {
        if self.by_hash.contains_key(&candidate.hash) {
            return Ok(Inserted::Known);
        }
        self.check(&candidate, account)?;
        let sender = candidate.sender;
        let nonce = candidate.transaction.body.nonce;
        self.advance(&sender, account.nonce);
        let known = self.queues.get(&sender).map_or(0, SenderQueue::nonce);
        let account_nonce = account.nonce.max(known);
        let rank = self.rank_of(&candidate, account_nonce);
        let replaced = self.take(&sender, nonce);
        if let Err(refusal) = self.make_room(candidate.size, rank) {
            if let Some(entry) = replaced {
                self.put(sender, account_nonce, entry);
            }
            return Err(refusal);
        }
        self.arrivals += 1;
        let entry = Entry::new(candidate, self.arrivals);
        self.put(sender, account_nonce, entry);
        Ok(match replaced {
            Some(entry) => {
                self.remember(entry.candidate.hash, Removal::Replaced);
                Inserted::Replaced(entry.candidate.hash)
            }
            None => Inserted::New,
        })
    }

    /// Forgets what `sender`, who is at `nonce` now, can no longer use.
    pub fn advance(&mut self, sender: &Address, nonce: Nonce) {
        let Some(queue) = self.queues.get(sender) else {
            return;
        };
        if queue.nonce() >= nonce {
            return;
        }
        self.edit(sender, |queue| queue.advance(nonce))
            .into_iter()
            .for_each(|entry| self.forget(&entry, Removal::NonceUsed));
    }

    /// Forgets what cannot be executed at `next_height` or later, and returns how many that were.
    pub fn expire(&mut self, next_height: Height) -> usize {
        let mut count = 0;
        while let Some((valid_until, sender, nonce)) = self.expiries.first().copied() {
            if valid_until >= next_height {
                break;
            }
            let Some(entry) = self.take(&sender, nonce) else {
                break;
            };
            self.remember(entry.candidate.hash, Removal::Expired);
            count += 1;
        }
        count
    }

    /// Forgets a transaction that the executor passed over while building a block.
    ///
    /// One that merely came after another that was passed over (`NonceGap`) stays: it waits for that nonce.
    pub fn reject(&mut self, hash: &TransactionHash, rejection: Rejection) {
        let Some((sender, nonce)) = self.by_hash.get(hash).copied() else {
            return;
        };
        let is_first = self.queues.get(&sender).map(SenderQueue::nonce) == Some(nonce);
        if rejection == Rejection::NonceGap && !is_first {
            return;
        }
        if let Some(entry) = self.take(&sender, nonce) {
            self.remember(entry.candidate.hash, Removal::Rejected(rejection));
        }
    }

    /// Gives up everything that waits, because the chain it waited for was taken back.
    pub fn rewind(&mut self) {
        let waiting = std::mem::replace(self, Self::new(self.limits)).by_hash;
        for hash in waiting.into_keys() {
            self.remember(hash, Removal::Rewound);
        }
    }

    /// The next transactions for a block: by gas price across senders, by nonce within each, as far as there is
    /// room. They stay in the pool.
    #[must_use]
    pub fn candidates(&self, room: &BlockRoom<'_>) -> Vec<Candidate> {
        let mut chosen = Vec::new();
        let (mut bytes_left, mut gas_left) = (room.bytes_max, room.gas_max);
        let mut code_gas_left = room.code_gas_max;
        let (mut unfitting, mut code_unfitting) = (0, 0);
        let mut heads = self.heads.iter().peekable();
        let mut successors: BTreeMap<HeadKey, Nonce> = BTreeMap::new();
        loop {
            let from_heads = match (heads.peek(), successors.first_key_value()) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(head), Some((successor, _))) => **head < *successor,
            };
            let next = if from_heads {
                heads.next().map(|key| (*key, None))
            } else {
                successors
                    .pop_first()
                    .map(|(key, nonce)| (key, Some(nonce)))
            };
            let Some(((_, _, sender), nonce)) = next else {
                break;
            };
            let Some(queue) = self.queues.get(&sender) else {
                continue;
            };
            let in_flight = room.in_flight.get(&sender).copied();
            if nonce.is_none()
                && let Some(after) = in_flight.filter(|after| *after > queue.nonce())
            {
                if let Some(successor) = queue.get(after) {
                    successors.insert(successor.head_key(), after);
                }
                continue;
            }
            let nonce = nonce.unwrap_or(queue.nonce());
            let Some(entry) = queue.get(nonce) else {
                continue;
            };
            // It waits for its removal at the next head; so does what comes after it.
            if entry.candidate.transaction.body.valid_until < room.height {
                continue;
            }
            let body = &entry.candidate.transaction.body;
            let (gas, code_gas) = (body.gas_limit, body.code_gas());
            if code_gas > code_gas_left {
                code_unfitting += 1;
                if code_unfitting == CODE_UNFITTING_MAX {
                    break;
                }
                continue;
            }
            if entry.candidate.size > bytes_left || gas > gas_left {
                unfitting += 1;
                if unfitting == UNFITTING_MAX {
                    break;
                }
                continue;
            }
            bytes_left -= entry.candidate.size;
            gas_left -= gas;
            code_gas_left -= code_gas;
            chosen.push(entry.candidate.clone());
            if let Some(after) = nonce.checked_add(1)
                && let Some(successor) = queue.get(after)
            {
                successors.insert(successor.head_key(), after);
            }
        }
        chosen
    }

    /// Whether a block could be built now.
    #[must_use]
    pub fn has_candidates(&self) -> bool {
        !self.heads.is_empty()
    }

    /// The nonce after the executable transactions of `sender`, if any of its transactions wait.
    #[must_use]
    pub fn next_nonce(&self, sender: &Address) -> Option<Nonce> {
        self.queues.get(sender).map(SenderQueue::next_nonce)
    }

    /// The waiting transaction with this id.
    #[must_use]
    pub fn get(&self, hash: &TransactionHash) -> Option<&Arc<Transaction>> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        let entry = self.queues.get(sender)?.get(*nonce)?;
        Some(&entry.candidate.transaction)
    }

    /// Whether the transaction with this id waits.
    #[must_use]
    pub fn contains(&self, hash: &TransactionHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// Why the transaction with this id left, if that was not long ago.
    #[must_use]
    pub fn removal(&self, hash: &TransactionHash) -> Option<Removal> {
        self.removals.get(hash).copied()
    }

    /// How much waits.
    #[must_use]
    pub fn size(&self) -> PoolSize {
        PoolSize {
            count: self.by_hash.len(),
            bytes: self.bytes,
            senders: self.queues.len(),
        }
    }

    /// The least gas price that replaces `price`.
    fn replacement_price(&self, price: u64) -> u64 {
        let step = u128::from(price) * u128::from(self.limits.replacement_percent);
        let step = u64::try_from(step.div_ceil(100)).unwrap_or(u64::MAX);
        price.saturating_add(step.max(1))
    }

    /// How a newcomer competes for room: as the last of those transactions it needs before itself.
    fn rank_of(&self, candidate: &Candidate, nonce: Nonce) -> Rank {
        let body = &candidate.transaction.body;
        match self.queues.get(&candidate.sender) {
            Some(queue) => queue.rank_at(body.nonce, body.gas_price),
            None => Rank {
                executable: body.nonce == nonce,
                price: body.gas_price,
            },
        }
    }

    /// Takes the lowest ranked out until `size` bytes and one transaction fit; all or nothing.
    fn make_room(&mut self, size: usize, rank: Rank) -> Result<(), Refusal> {
        let mut evicted: Vec<(Nonce, Entry)> = Vec::new();
        while self.by_hash.len() >= self.limits.count_max
            || self.bytes.saturating_add(size) > self.limits.bytes_max
        {
            let victim = self.floors.first().copied();
            let entry =
                victim
                    .filter(|(lowest, _, _)| *lowest < rank)
                    .and_then(|(_, _, sender)| {
                        let queue = self.queues.get(&sender)?;
                        let (account_nonce, last) = (queue.nonce(), queue.last_nonce()?);
                        Some((account_nonce, self.take(&sender, last)?))
                    });
            let Some(entry) = entry else {
                for (account_nonce, entry) in evicted {
                    self.put(entry.candidate.sender, account_nonce, entry);
                }
                let price_min = victim.map_or(0, |(lowest, _, _)| match lowest.executable {
                    true => lowest.price.saturating_add(1),
                    false => 0,
                });
                return Err(Refusal::PoolFull { price_min });
            };
            evicted.push(entry);
        }
        for (_, entry) in evicted {
            self.remember(entry.candidate.hash, Removal::Evicted);
        }
        Ok(())
    }

    /// Puts an entry in place and in every index.
    fn put(&mut self, sender: Address, account_nonce: Nonce, entry: Entry) {
        let nonce = entry.candidate.transaction.body.nonce;
        let valid_until = entry.candidate.transaction.body.valid_until;
        self.bytes += entry.candidate.size;
        self.by_hash.insert(entry.candidate.hash, (sender, nonce));
        self.expiries.insert((valid_until, sender, nonce));
        self.queues
            .entry(sender)
            .or_insert_with(|| SenderQueue::new(account_nonce));
        self.edit(&sender, |queue| queue.put(entry));
    }

    /// Takes an entry out of its place and every index.
    fn take(&mut self, sender: &Address, nonce: Nonce) -> Option<Entry> {
        let entry = self.edit(sender, |queue| queue.take(nonce))?;
        self.unindex(&entry);
        Some(entry)
    }

    /// Changes one queue and keeps the indexes over queues in step.
    fn edit<R: Default>(
        &mut self,
        sender: &Address,
        change: impl FnOnce(&mut SenderQueue) -> R,
    ) -> R {
        let Some(queue) = self.queues.get_mut(sender) else {
            return R::default();
        };
        if let Some(key) = queue.head_key() {
            self.heads.remove(&key);
        }
        if let Some(key) = queue.floor_key() {
            self.floors.remove(&key);
        }
        let result = change(queue);
        if let Some(key) = queue.head_key() {
            self.heads.insert(key);
        }
        match queue.floor_key() {
            Some(key) => {
                self.floors.insert(key);
            }
            None => {
                self.queues.remove(sender);
            }
        }
        result
    }

    fn forget(&mut self, entry: &Entry, removal: Removal) {
        self.unindex(entry);
        self.remember(entry.candidate.hash, removal);
    }

    fn unindex(&mut self, entry: &Entry) {
        let body = &entry.candidate.transaction.body;
        let sender = entry.candidate.sender;
        self.bytes -= entry.candidate.size;
        self.by_hash.remove(&entry.candidate.hash);
        self.expiries
            .remove(&(body.valid_until, sender, body.nonce));
    }

    fn remember(&mut self, hash: TransactionHash, removal: Removal) {
        if self.removals.insert(hash, removal).is_none() {
            self.removals_order.push_back(hash);
        }
        if self.removals_order.len() > REMOVALS_KEPT
            && let Some(oldest) = self.removals_order.pop_front()
        {
            self.removals.remove(&oldest);
        }
    }
}
