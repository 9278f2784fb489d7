//! Keep one value.

use core::marker::PhantomData;

use crate::codec::{Decode, Encode};
use crate::host;
use crate::storage::{Prefix, load, store};

/// One value, or none yet.
#[derive(Debug)]
pub struct Item<T> {
    prefix: Prefix,
    value: PhantomData<fn() -> T>,
}

impl<T: Encode + Decode> Item<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn at(prefix: Prefix) -> Self {
        Self {
            prefix,
            value: PhantomData,
        }
    }

    /// The value, if one was set.
    #[must_use]
    pub fn get(&self) -> Option<T> {
        load(&self.prefix)
    }

    /// The value, or the type's default.
    #[must_use]
    pub fn get_or_default(&self) -> T
    where
        T: Default,
    {
        self.get().unwrap_or_default()
    }

    /// Whether a value was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        host::storage_has(&self.prefix)
    }

    /// Stores a value.
    pub fn set(&mut self, value: &T) {
        store(&self.prefix, value);
    }

    /// Removes the value.
    pub fn clear(&mut self) {
        host::storage_remove(&self.prefix);
    }
}
