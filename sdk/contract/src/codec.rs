//! Encode and decode SCALE, the subset that contracts use, into and out of plain bytes.
//!
//! Byte for byte what `parity-scale-codec` writes (the tests compare), in a form that compiles to a tenth of the Wasm
//! and costs users no further crates: the output is one type, errors carry nothing.

mod compound;
mod sequence;
pub(crate) mod utf8;

use alloc::vec::Vec;

use crate::buffer::{Buffer, copy};

/// A value that has a SCALE encoding.
pub trait Encode {
    /// Adds the encoding to `out`.
    fn encode_to(&self, out: &mut Buffer);

    /// The encoding.
    #[must_use]
    fn encode(&self) -> Vec<u8>
    where
        Self: Sized,
    {
        Buffer::of(self).into_vec()
    }

    /// Adds the encodings of several values to `out`.
    #[doc(hidden)]
    fn encode_all(values: &[Self], out: &mut Buffer)
    where
        Self: Sized,
    {
        for value in values {
            value.encode_to(out);
        }
    }
}

/// A value that can be read from its SCALE encoding.
pub trait Decode: Sized {
    /// Takes one value off the front of `input`; `None` when the bytes are no such encoding.
    fn decode(input: &mut &[u8]) -> Option<Self>;

    /// Takes `count` values off the front of `input`.
    #[doc(hidden)]
    fn decode_all(input: &mut &[u8], count: usize) -> Option<Vec<Self>> {
        sequence::decode_each(input, count)
    }
}

/// Decodes one `T` from all of `bytes`.
pub(crate) fn decode_exact<T: Decode>(mut bytes: &[u8]) -> Option<T> {
    let value = T::decode(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

/// Takes `N` bytes off the front.
#[inline]
pub(crate) fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_at_checked(N)?;
    *input = rest;
    let mut bytes = [0; N];
    copy(&mut bytes, taken);
    Some(bytes)
}

macro_rules! integers {
    ($($type:ty),*) => { $(
        impl Encode for $type {
            #[inline]
            fn encode_to(&self, out: &mut Buffer) {
                out.push(&self.to_le_bytes());
            }
        }

        impl Decode for $type {
            #[inline]
            fn decode(input: &mut &[u8]) -> Option<Self> {
                take(input).map(Self::from_le_bytes)
            }
        }
    )* };
}
integers!(u16, u32, u64, u128, i8, i16, i32, i64, i128);

impl Encode for u8 {
    #[inline]
    fn encode_to(&self, out: &mut Buffer) {
        out.push(&[*self]);
    }

    fn encode_all(values: &[Self], out: &mut Buffer) {
        out.push(values);
    }
}

impl Decode for u8 {
    #[inline]
    fn decode(input: &mut &[u8]) -> Option<Self> {
        let (first, rest) = input.split_first()?;
        *input = rest;
        Some(*first)
    }

    fn decode_all(input: &mut &[u8], count: usize) -> Option<Vec<Self>> {
        sequence::decode_bytes(input, count)
    }
}

impl Encode for bool {
    #[inline]
    fn encode_to(&self, out: &mut Buffer) {
        out.push(&[u8::from(*self)]);
    }
}

impl Decode for bool {
    #[inline]
    fn decode(input: &mut &[u8]) -> Option<Self> {
        match u8::decode(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Encode for () {
    #[inline]
    fn encode_to(&self, _out: &mut Buffer) {}
}

impl Decode for () {
    #[inline]
    fn decode(_input: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

#[cfg(test)]
mod tests;
