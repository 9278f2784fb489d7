//! Build storage keys without a heap.

use kumiki_abi::SdkError;

use crate::buffer::copy;
use crate::entry;
use crate::storage::Prefix;

/// The chain's limit on a contract's storage key.
const KEY_BYTES_MAX: usize = 128;

/// A storage key in the making.
#[derive(Clone)]
pub(crate) struct Key {
    bytes: [u8; KEY_BYTES_MAX],
    length: usize,
}

impl Key {
    /// The key that is only a field's prefix.
    pub(crate) fn new(prefix: Prefix) -> Self {
        let mut key = Self {
            bytes: [0; KEY_BYTES_MAX],
            length: 0,
        };
        key.push(&prefix);
        key
    }

    /// Adds bytes; a key over the limit ends the call, as the chain would.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        let Some(room) = self.bytes.get_mut(self.length..end) else {
            entry::revert_sdk(SdkError::BadInput)
        };
        copy(room, bytes);
        self.length = end;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
