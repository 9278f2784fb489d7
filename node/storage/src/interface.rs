//! Name what goes into the store and what comes out.

use kumiki_protocol::{
    Address, Block, Certificate, Event, ExecutedState, Hash, Height, Receipt, TransactionHash,
};
use kumiki_state::RangeProof;
use parity_scale_codec::{Decode, Encode};

use crate::Prepared;

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct StorageOptions {
    /// What to check before anything is served.
    pub check: OpenCheck,
    /// Memory for cached database pages, in bytes.
    pub cache_bytes: usize,
    /// Heights below the tip whose state can be read, 64 at least. Who asks for the oldest of them makes the
    /// node hold all that changed since in memory.
    pub undo_heights: u64,
}

/// What to check when a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenCheck {
    /// The checksum of every page: about a second per gigabyte.
    Full,
    /// The tip and the tree above the buckets; a bucket is checked when it is opened.
    Quick,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            check: OpenCheck::Full,
            cache_bytes: 256 << 20,
            undo_heights: 64,
        }
    }
}

/// The newest block and the state after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Tip {
    /// Height of the block.
    pub height: Height,
    /// Its hash.
    pub block_hash: Hash,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Root of the state after it.
    pub state_root: Hash,
    /// Entries in the state after it.
    pub state_entries: u64,
}

/// Where a chain begins whose state was fetched from peers: nothing below it was executed here.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Base {
    /// The result of the block whose state was fetched.
    pub state: ExecutedState,
    /// How many transactions the block has.
    pub transactions: u32,
    /// The same of the blocks before it whose results headers to come commit to, by rising height.
    pub before: Vec<(ExecutedState, u32)>,
    /// Why its block is final.
    pub certificate: Certificate,
}

impl Base {
    /// The height of the block whose state was fetched.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.state.height
    }

    /// All results, by rising height, each with how many transactions the block has.
    pub fn results(&self) -> impl Iterator<Item = (ExecutedState, u32)> {
        let own = (self.state, self.transactions);
        self.before.iter().copied().chain([own])
    }
}

/// A decided and executed block, to be stored.
#[derive(Debug)]
pub struct BlockCommit<'a> {
    /// The block.
    pub block: &'a Block,
    /// Why it is final; `None` where only a later block has a proof.
    pub certificate: Option<&'a Certificate>,
    /// One per transaction, in order.
    pub receipts: &'a [Receipt],
    /// What it changes, prepared on the tip.
    pub prepared: Prepared,
}

/// Where an event lies in the chain; events are totally ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct EventCursor {
    /// Height of the block.
    pub height: Height,
    /// Position of the transaction in the block.
    pub transaction: u32,
    /// Position of the event in the transaction.
    pub index: u32,
}

/// Which events to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those of this contract.
    pub contract: Option<Address>,
    /// Only those whose topic at each position equals the one here; `None` lets any pass, even none.
    pub topics: Vec<Option<Hash>>,
    /// Only from this height on.
    pub from_height: Height,
    /// Only up to and with this height; to the tip if `None`.
    pub to_height: Option<Height>,
}

/// What one page may come to: whoever asks goes on with the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageBudget {
    /// Events found.
    pub(crate) events: usize,
    /// Bytes of their data.
    pub(crate) event_bytes: usize,
    /// Rows looked at.
    pub(crate) rows: usize,
    /// Bytes read from the store to look at them.
    pub(crate) read_bytes: usize,
}

impl PageBudget {
    /// Some milliseconds of work.
    pub(crate) const STANDARD: Self = Self {
        events: 256,
        event_bytes: 1 << 20,
        rows: 4_096,
        read_bytes: 4 << 20,
    };
}

/// One page of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events, oldest first, each with the transaction it happened in.
    pub items: Vec<(EventCursor, TransactionHash, Event)>,
    /// Go on after this one; `None` when everything up to `examined_to` has been shown. A page may be empty
    /// and still have more after it: the work per page is bounded.
    pub next: Option<EventCursor>,
    /// The last height this query covers: the tip when it was asked, or the filter's `to_height`.
    pub examined_to: Height,
}

/// One page of state entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPage {
    /// Keys and values, by rising key.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// One page of state entries with the proof that none was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangePage {
    /// Keys and values, by rising key.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether there are more after the last one; then the proof holds up to and with the last key.
    pub more: bool,
    /// The proof.
    pub proof: RangeProof,
}
