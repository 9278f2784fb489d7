//! Say something that applications find: events with indexed fields.

use crate::buffer::{Buffer, copy};
use crate::codec::{Decode, Encode};
use crate::host;

/// What `#[event]` implements.
pub trait Event: Encode + Decode {
    /// Topic 0: SHA3-256 of `Name(type,type)`.
    const ID: [u8; 32];

    /// Emits it as part of the running call.
    #[doc(hidden)]
    fn emit(&self);
}

/// The topic of an indexed field: its SCALE encoding padded with zeros, or SHA3-256 of it where it is longer.
#[doc(hidden)]
pub fn topic<T: Encode>(field: &T) -> [u8; 32] {
    topic_of(&Buffer::of(field))
}

#[inline(never)]
fn topic_of(bytes: &[u8]) -> [u8; 32] {
    if bytes.len() > 32 {
        return host::sha3_256(bytes);
    }
    let mut topic = [0; 32];
    copy(&mut topic, bytes);
    topic
}

/// Emits encoded fields under topics.
#[doc(hidden)]
pub fn emit(topics: &[[u8; 32]], fields: &impl Encode) {
    host::emit_event(topics, &Buffer::of(fields));
}
