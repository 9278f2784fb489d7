//! Rows of the index of events: a property that events share, and where one of them is.

use std::collections::BTreeSet;

use kumiki_protocol::{Address, Event, Hash, Height, Receipt};

use crate::schema::damaged;
use crate::{EventCursor, EventFilter, StorageError};

const CURSOR_BYTES: usize = 16;

/// Rows to be looked at, by one property that all of them share.
#[derive(Clone, Copy, Debug)]
enum Prefix<'a> {
    Everything,
    Contract(&'a Address),
    Topic(u8, &'a Hash),
}

impl EventFilter {
    /// Whether the event is one to find, height not considered.
    #[must_use]
    pub fn passes(&self, event: &Event) -> bool {
        let topic = |(position, wanted): (usize, &Option<Hash>)| {
            wanted.is_none() || event.topics.get(position) == wanted.as_ref()
        };
        self.contract
            .is_none_or(|contract| contract == event.contract)
            && self.topics.iter().enumerate().all(topic)
    }

    /// The property that fewest events are likely to share: an indexed field, then the contract, then the kind.
    fn narrowest(&self) -> Prefix<'_> {
        let topics = (0_u8..).zip(&self.topics);
        let given = topics.filter_map(|(at, topic)| topic.as_ref().map(|topic| (at, topic)));
        match (given.last(), &self.contract) {
            (Some((at, topic)), _) if at > 0 => Prefix::Topic(at, topic),
            (_, Some(contract)) => Prefix::Contract(contract),
            (Some((at, topic)), None) => Prefix::Topic(at, topic),
            (None, None) => Prefix::Everything,
        }
    }
}

impl Prefix<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Everything => vec![0],
            Self::Contract(address) => [&[1], &address.0[..]].concat(),
            Self::Topic(position, topic) => [&[2, position], &topic.0[..]].concat(),
        }
    }
}

/// The first and the last row that may hold an event of `filter` after `after`, up to `to_height`; `None` where none can.
pub(super) fn bounds(
    filter: &EventFilter,
    after: Option<EventCursor>,
    to_height: Height,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let from = EventCursor {
        height: filter.from_height,
        transaction: 0,
        index: 0,
    };
    let from = match after.filter(|after| *after >= from) {
        Some(after) => after.following()?,
        None => from,
    };
    let to = EventCursor {
        height: to_height,
        transaction: u32::MAX,
        index: u32::MAX,
    };
    let row = |cursor: EventCursor| [filter.narrowest().bytes(), cursor_bytes(cursor).to_vec()];
    (from <= to).then(|| (row(from).concat(), row(to).concat()))
}

impl EventCursor {
    fn following(self) -> Option<Self> {
        let place = u128::from_be_bytes(cursor_bytes(self)).checked_add(1)?;
        read_cursor(&place.to_be_bytes()).ok()
    }
}

fn cursor_bytes(cursor: EventCursor) -> [u8; CURSOR_BYTES] {
    let mut bytes = [0; CURSOR_BYTES];
    bytes[..8].copy_from_slice(&cursor.height.to_be_bytes());
    bytes[8..12].copy_from_slice(&cursor.transaction.to_be_bytes());
    bytes[12..].copy_from_slice(&cursor.index.to_be_bytes());
    bytes
}

/// Where the event of a row is.
pub(super) fn read_cursor(row: &[u8]) -> Result<EventCursor, StorageError> {
    let (_, bytes) = row
        .split_last_chunk::<CURSOR_BYTES>()
        .ok_or_else(|| damaged("an index row is too short"))?;
    let place = u128::from_be_bytes(*bytes);
    let part = |shift: u32| u32::try_from(place >> shift & u128::from(u32::MAX)).unwrap_or(0);
    Ok(EventCursor {
        height: u64::from(part(96)) << 32 | u64::from(part(64)),
        transaction: part(32),
        index: part(0),
    })
}

/// Adds every row of the block's events to `rows`.
pub(super) fn collect_rows(height: Height, receipts: &[Receipt], rows: &mut BTreeSet<Vec<u8>>) {
    for (transaction, receipt) in (0..).zip(receipts) {
        for (index, event) in (0..).zip(&receipt.events) {
            let cursor = cursor_bytes(EventCursor {
                height,
                transaction,
                index,
            });
            let mut row = |prefix: Prefix<'_>| rows.insert([&prefix.bytes()[..], &cursor].concat());
            row(Prefix::Everything);
            row(Prefix::Contract(&event.contract));
            for (position, topic) in (0..).zip(&event.topics) {
                row(Prefix::Topic(position, topic));
            }
        }
    }
}
