//! Keep values by key, where nobody can choose where in the tree an entry goes.

use core::marker::PhantomData;

use crate::buffer::{Buffer, copy};
use crate::codec::{Decode, Encode};
use crate::host;
use crate::storage::{Prefix, load, store};

/// Values by key. The storage key holds the SHA-256 of the SCALE-encoded key: a user who picks keys cannot pile
/// them up in one place of the state tree, and a browser can compute it. So there is no iteration; use
/// [`crate::OrderedMap`] for that.
#[derive(Debug)]
pub struct Map<K, V> {
    prefix: Prefix,
    entry: PhantomData<fn(K) -> V>,
}

impl<K: Encode, V: Encode + Decode> Map<K, V> {
    #[doc(hidden)]
    #[must_use]
    pub const fn at(prefix: Prefix) -> Self {
        Self {
            prefix,
            entry: PhantomData,
        }
    }

    fn storage_key(&self, key: &K) -> [u8; 36] {
        hashed_key(self.prefix, &Buffer::of(key))
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        load(&self.storage_key(key))
    }

    /// The value under `key`, or the type's default.
    #[must_use]
    pub fn get_or_default(&self, key: &K) -> V
    where
        V: Default,
    {
        self.get(key).unwrap_or_default()
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        host::storage_has(&self.storage_key(key))
    }

    /// Stores a value under `key`.
    pub fn set(&mut self, key: &K, value: &V) {
        store(&self.storage_key(key), value);
    }

    /// Removes the value under `key`.
    pub fn remove(&mut self, key: &K) {
        host::storage_remove(&self.storage_key(key));
    }

    /// The place of `key`, for several accesses at the price of one hash.
    #[must_use]
    pub fn entry(&mut self, key: &K) -> Entry<'_, V> {
        Entry {
            key: self.storage_key(key),
            map: PhantomData,
        }
    }
}

#[inline(never)]
fn hashed_key(prefix: Prefix, key: &[u8]) -> [u8; 36] {
    let digest = host::sha2_256(key);
    let mut bytes = [0; 36];
    let (first, rest) = bytes.split_at_mut(4);
    copy(first, &prefix);
    copy(rest, &digest);
    bytes
}

/// One place in a [`Map`].
#[derive(Debug)]
pub struct Entry<'a, V> {
    key: [u8; 36],
    map: PhantomData<&'a mut V>,
}

impl<V: Encode + Decode> Entry<'_, V> {
    /// The value here.
    #[must_use]
    pub fn get(&self) -> Option<V> {
        load(&self.key)
    }

    /// The value here, or the type's default.
    #[must_use]
    pub fn get_or_default(&self) -> V
    where
        V: Default,
    {
        self.get().unwrap_or_default()
    }

    /// Stores a value here.
    pub fn set(&mut self, value: &V) {
        store(&self.key, value);
    }

    /// Removes the value here.
    pub fn remove(&mut self) {
        host::storage_remove(&self.key);
    }
}
