//! Keep values in the contract's storage through typed handles.
//!
//! Every handle writes through at once: what `set` was given is stored when it returns, and nothing is written when
//! a handle goes away. A handle holds no values, only where they are.
//!
//! Keys: 4 bytes of SHA-256 of the field's name, then what the handle adds. Values: SCALE; a value whose encoding is
//! empty is stored as one zero byte.

mod item;
mod key;
mod list;
mod map;
mod ordered_map;

pub use item::Item;
pub use list::List;
pub use map::{Entry, Map};
pub use ordered_map::{OrderedMap, Range};

use kumiki_abi::SdkError;

use crate::buffer::Buffer;
use crate::codec::{Decode, Encode};
use crate::{entry, host};

/// What the keys of a field begin with.
pub(crate) type Prefix = [u8; 4];

/// Values up to this length are read without a heap and with one host call.
const INLINE_BYTES: usize = 128;

#[inline(never)]
fn load<T: Decode>(key: &[u8]) -> Option<T> {
    load_bytes(key).map(|bytes| decode(&bytes))
}

#[inline(never)]
fn load_bytes(key: &[u8]) -> Option<Buffer> {
    let mut inline = [0; INLINE_BYTES];
    let length = host::storage_get(key, &mut inline)?;
    Some(match inline.get(..length) {
        Some(bytes) => Buffer::copied(bytes),
        None => Buffer::filled(length, |room| {
            host::storage_get(key, room);
        }),
    })
}

fn decode<T: Decode>(bytes: &[u8]) -> T {
    let mut rest = bytes;
    match T::decode(&mut rest) {
        Some(value) if rest.is_empty() || (bytes == [0] && rest.len() == 1) => value,
        Some(_) | None => entry::revert_sdk(SdkError::CorruptStorage),
    }
}

#[inline(never)]
fn store<T: Encode>(key: &[u8], value: &T) {
    let bytes = Buffer::of(value);
    host::storage_set(key, if bytes.is_empty() { &[0] } else { &bytes });
}
