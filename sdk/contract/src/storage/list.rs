//! Keep values by position.

use core::marker::PhantomData;

use crate::buffer::copy;
use crate::codec::{Decode, Encode};
use crate::host;
use crate::storage::{Prefix, load, store};

/// Values by position, 0 upwards without gaps. The length is under the field's prefix, element `i` under the prefix
/// and `i` as 4 bytes big-endian.
#[derive(Debug)]
pub struct List<T> {
    prefix: Prefix,
    value: PhantomData<fn() -> T>,
}

impl<T: Encode + Decode> List<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn at(prefix: Prefix) -> Self {
        Self {
            prefix,
            value: PhantomData,
        }
    }

    fn storage_key(&self, index: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        let (prefix, rest) = bytes.split_at_mut(4);
        copy(prefix, &self.prefix);
        copy(rest, &index.to_be_bytes());
        bytes
    }

    fn set_len(&mut self, len: u32) {
        store(&self.prefix, &len);
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        load(&self.prefix).unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<T> {
        // Positions past the end hold nothing: `pop` and `swap_remove` clear them.
        load(&self.storage_key(index))
    }

    /// Replaces the value at `index`; returns whether there is such a position.
    pub fn set(&mut self, index: u32, value: &T) -> bool {
        let exists = index < self.len();
        if exists {
            store(&self.storage_key(index), value);
        }
        exists
    }

    /// Adds a value at the end; returns its position. A list of 2^32 - 1 values ends the call.
    pub fn push(&mut self, value: &T) -> u32 {
        let index = self.len();
        store(&self.storage_key(index), value);
        self.set_len(index + 1);
        index
    }

    /// Takes the last value off.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        let key = self.storage_key(last);
        let value = load(&key);
        host::storage_remove(&key);
        self.set_len(last);
        value
    }

    /// Takes the value at `index` out and puts the last one in its place.
    pub fn swap_remove(&mut self, index: u32) -> Option<T> {
        let value = self.get(index)?;
        let last = self.pop()?;
        if index == self.len() {
            return Some(last);
        }
        store(&self.storage_key(index), &last);
        Some(value)
    }

    /// The values from position `start` on, read one by one as they are asked for.
    pub fn iter_from(&self, start: u32) -> impl Iterator<Item = T> + '_ {
        (start..self.len()).filter_map(|index| self.get(index))
    }

    /// All values, read one by one as they are asked for.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.iter_from(0)
    }
}
