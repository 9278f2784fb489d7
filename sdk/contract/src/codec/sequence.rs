//! Encode lists, texts and arrays: a compact length where it varies, then the elements.

use alloc::string::String;
use alloc::vec::Vec;

use crate::buffer::{Buffer, vec_with_capacity};
use crate::codec::{Decode, Encode, take, utf8};

/// Adds a length: its two low bits say whether it takes 1, 2 or 4 bytes.
#[inline(never)]
fn encode_length(length: usize, out: &mut Buffer) {
    // No list of a contract has 2^30 elements: its memory does not hold them.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the branches bound the length"
    )]
    match length {
        0..0x40 => out.push(&[(length as u8) << 2]),
        0x40..0x4000 => out.push(&(((length as u16) << 2) | 1).to_le_bytes()),
        _ => out.push(&(((length as u32) << 2) | 2).to_le_bytes()),
    }
}

/// Takes a length off the front; only its shortest form counts.
#[inline(never)]
fn decode_length(input: &mut &[u8]) -> Option<usize> {
    let first = *input.first()?;
    let length = match first & 3 {
        0 => usize::from(u8::decode(input)? >> 2),
        1 => usize::from(u16::decode(input)? >> 2),
        2 => usize::try_from(u32::decode(input)? >> 2).ok()?,
        _ => return None,
    };
    let shortest = match first & 3 {
        0 => true,
        1 => length >= 0x40,
        _ => length >= 0x4000,
    };
    shortest.then_some(length)
}

/// Takes `count` values off the front, one by one.
pub(super) fn decode_each<T: Decode>(input: &mut &[u8], count: usize) -> Option<Vec<T>> {
    // A value takes at least a byte, so a length that lies reserves no more than the input is long.
    if count > input.len() {
        return None;
    }
    let mut values = vec_with_capacity(count);
    for _ in 0..count {
        let value = T::decode(input)?;
        if values.len() == values.capacity() {
            return None;
        }
        values.push(value);
    }
    Some(values)
}

/// Takes `count` bytes off the front.
#[inline(never)]
pub(super) fn decode_bytes(input: &mut &[u8], count: usize) -> Option<Vec<u8>> {
    let (taken, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(Buffer::copied(taken).into_vec())
}

impl<T: Encode> Encode for Vec<T> {
    fn encode_to(&self, out: &mut Buffer) {
        encode_length(self.len(), out);
        T::encode_all(self, out);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let count = decode_length(input)?;
        T::decode_all(input, count)
    }
}

impl Encode for String {
    fn encode_to(&self, out: &mut Buffer) {
        encode_length(self.len(), out);
        out.push(self.as_bytes());
    }
}

impl Decode for String {
    #[inline(never)]
    fn decode(input: &mut &[u8]) -> Option<Self> {
        utf8::text(Vec::decode(input)?)
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode_to(&self, out: &mut Buffer) {
        T::encode_all(self, out);
    }
}

impl<T: Decode, const N: usize> Decode for [T; N] {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        T::decode_all(input, N)?.try_into().ok()
    }
}

macro_rules! bytes_32 {
    ($($type:ident),*) => { $(
        impl Encode for crate::$type {
            #[inline]
            fn encode_to(&self, out: &mut Buffer) {
                out.push(&self.0);
            }
        }

        impl Decode for crate::$type {
            #[inline]
            fn decode(input: &mut &[u8]) -> Option<Self> {
                take(input).map(Self)
            }
        }
    )* };
}
bytes_32!(Address, Hash);
