//! Keep values by key in key order, with ranges and pages.

use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::{Bound, RangeBounds};

use kumiki_abi::{SCAN_DESCENDING, SdkError};

use crate::codec::{Decode, Encode};
use crate::storage::key::Key;
use crate::storage::{Prefix, decode, load, store};
use crate::{KeyPrefix, OrderedKey, entry, host};

/// Entries that one host call brings: a page costs at most this many entries more than are looked at.
const PAGE_ENTRIES: u32 = 16;
/// Room for one page to begin with; an entry that needs more gets it.
const PAGE_BYTES: usize = 1024;

/// Values by key, in key order. Keys stand in storage as they are, in an encoding that keeps their order: users who
/// may pick keys freely belong in a [`crate::Map`]. A number of up to 64 bits is the cheapest key: a longer one pays for
/// each branch of the tree among the keys that have its first 8 bytes (`kumiki_vm::gas::STORAGE_BRANCH`).
#[derive(Debug)]
pub struct OrderedMap<K, V> {
    prefix: Prefix,
    entry: PhantomData<fn(K) -> (K, V)>,
}

impl<K: OrderedKey, V: Encode + Decode> OrderedMap<K, V> {
    #[doc(hidden)]
    #[must_use]
    pub const fn at(prefix: Prefix) -> Self {
        Self {
            prefix,
            entry: PhantomData,
        }
    }

    fn storage_key(&self, key: &K) -> Key {
        let mut storage_key = Key::new(self.prefix);
        key.encode_ordered(&mut |bytes| storage_key.push(bytes));
        storage_key
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        load(self.storage_key(key).as_bytes())
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        host::storage_has(self.storage_key(key).as_bytes())
    }

    /// Stores a value under `key`.
    pub fn set(&mut self, key: &K, value: &V) {
        store(self.storage_key(key).as_bytes(), value);
    }

    /// Removes the value under `key`.
    pub fn remove(&mut self, key: &K) {
        host::storage_remove(self.storage_key(key).as_bytes());
    }

    /// The entry with the lowest key.
    #[must_use]
    pub fn first(&self) -> Option<(K, V)> {
        self.iter().page_of(1).next()
    }

    /// The entry with the highest key.
    #[must_use]
    pub fn last(&self) -> Option<(K, V)> {
        self.iter().descending().page_of(1).next()
    }

    /// All entries, upwards.
    #[must_use]
    pub fn iter(&self) -> Range<K, V> {
        Range::new(Key::new(self.prefix))
    }

    /// The entries with keys in `keys`, upwards.
    #[must_use]
    pub fn range(&self, keys: impl RangeBounds<K>) -> Range<K, V> {
        let mut range = self.iter();
        range.low = self.bound(keys.start_bound());
        range.high = self.bound(keys.end_bound());
        range
    }

    /// The entries whose composite key begins with `part`, upwards: `(a,)` of `(a, b)`, `(a, b)` of `(a, b, c)`.
    #[must_use]
    pub fn prefix<P: KeyPrefix<K>>(&self, part: &P) -> Range<K, V> {
        let mut prefix = Key::new(self.prefix);
        part.encode_prefix(&mut |bytes| prefix.push(bytes));
        Range::new(prefix)
    }

    fn bound(&self, key: Bound<&K>) -> Bound<Key> {
        match key {
            Bound::Included(key) => Bound::Included(self.storage_key(key)),
            Bound::Excluded(key) => Bound::Excluded(self.storage_key(key)),
            Bound::Unbounded => Bound::Unbounded,
        }
    }
}

/// Entries of an [`OrderedMap`], read in pages as they are asked for. Use `take` to bound how many.
pub struct Range<K, V> {
    prefix: Key,
    low: Bound<Key>,
    high: Bound<Key>,
    descending: bool,
    page_entries: u32,
    /// The next page begins after this key; `None` before the first.
    after: Option<Vec<u8>>,
    /// Entries read and not yet handed out.
    page: alloc::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    ended: bool,
    entry: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Range<K, V> {
    fn new(prefix: Key) -> Self {
        Self {
            prefix,
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            descending: false,
            page_entries: PAGE_ENTRIES,
            after: None,
            page: Vec::new().into_iter(),
            ended: false,
            entry: PhantomData,
        }
    }

    /// The same entries, downwards.
    #[must_use]
    pub const fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Reads this many entries with one host call, 1 to 256: less wasted when few are looked at, fewer calls when many.
    #[must_use]
    pub fn page_of(mut self, entries: u32) -> Self {
        self.page_entries = entries.clamp(1, 256);
        self
    }

    /// The bound at which the walk begins, and the one at which it ends.
    const fn bounds(&self) -> (&Bound<Key>, &Bound<Key>) {
        if self.descending {
            (&self.high, &self.low)
        } else {
            (&self.low, &self.high)
        }
    }

    /// Reads the next page. A scan begins after a key, so an included first key is looked up by itself.
    fn read_page(&mut self) {
        let mut entries = Vec::new();
        let start = match (self.after.take(), self.bounds().0) {
            (Some(after), _) => after,
            (None, Bound::Unbounded) => Vec::new(),
            (None, Bound::Excluded(key)) => key.as_bytes().to_vec(),
            (None, Bound::Included(key)) => {
                let key = key.as_bytes().to_vec();
                if let Some(value) = load_raw(&key) {
                    entries.push((key.clone(), value));
                }
                key
            }
        };
        let limit = self.page_entries;
        let flags = if self.descending { SCAN_DESCENDING } else { 0 };
        if entries.is_empty() || limit > 1 {
            scan(self.prefix.as_bytes(), &start, limit, flags, &mut entries);
        }
        self.after = Some(entries.last().map_or(start, |(key, _)| key.clone()));
        self.ended = entries.is_empty();
        self.page = entries.into_iter();
    }

    fn is_past_end(&self, key: &[u8]) -> bool {
        match (self.bounds().1, self.descending) {
            (Bound::Unbounded, _) => false,
            (Bound::Included(end), false) => key > end.as_bytes(),
            (Bound::Excluded(end), false) => key >= end.as_bytes(),
            (Bound::Included(end), true) => key < end.as_bytes(),
            (Bound::Excluded(end), true) => key <= end.as_bytes(),
        }
    }
}

impl<K: OrderedKey, V: Decode> Iterator for Range<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            if self.ended {
                return None;
            }
            let Some((key, value)) = self.page.next() else {
                self.read_page();
                continue;
            };
            if self.is_past_end(&key) {
                self.ended = true;
                return None;
            }
            let mut rest = key.get(4..).unwrap_or_default();
            return match K::decode_ordered(&mut rest) {
                Some(key) if rest.is_empty() => Some((key, decode(&value))),
                Some(_) | None => entry::revert_sdk(SdkError::CorruptStorage),
            };
        }
    }
}

fn load_raw(key: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64];
    let length = host::storage_get(key, &mut bytes)?;
    if length > bytes.len() {
        bytes.resize(length, 0);
        host::storage_get(key, &mut bytes);
    }
    bytes.truncate(length);
    Some(bytes)
}

/// Adds the next entries to `entries`.
fn scan(
    prefix: &[u8],
    start: &[u8],
    limit: u32,
    flags: i32,
    entries: &mut Vec<(Vec<u8>, Vec<u8>)>,
) {
    let mut page = vec![0; PAGE_BYTES];
    let mut written = host::storage_scan(prefix, start, limit, flags, &mut page);
    if written < 0 {
        page.resize(
            usize::try_from(written.unsigned_abs()).unwrap_or_default(),
            0,
        );
        written = host::storage_scan(prefix, start, limit, flags, &mut page);
    }
    let written = usize::try_from(written).unwrap_or_default();
    let mut rest = page.get(..written).unwrap_or_default();
    while !rest.is_empty() {
        match (take_bytes(&mut rest), take_bytes(&mut rest)) {
            (Some(key), Some(value)) => entries.push((key, value)),
            (_, _) => entry::revert_sdk(SdkError::CorruptStorage),
        }
    }
}

/// Takes a length (u32, little-endian) and as many bytes off the front.
fn take_bytes(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (bytes, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(bytes.to_vec())
}
