//! Encode keys so that the order of their bytes is the order of their values.
//!
//! Unsigned integers big-endian; signed ones too, with the sign bit flipped. Text and bytes: every 00 as `00 ff`, ended
//! by `00 00`, so that no key is the beginning of another and a shorter one comes first. Tuples: part after part.

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::utf8;
use crate::{Address, Hash};

/// A type that can be the key of an [`crate::OrderedMap`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of an OrderedMap",
    note = "integers, bool, Address, Hash, [u8; N], String, Vec<u8> and tuples of them can"
)]
pub trait OrderedKey: Sized {
    /// Hands the encoding to `write`, piece by piece.
    fn encode_ordered(&self, write: &mut dyn FnMut(&[u8]));

    /// Takes one value off the front of its encoding; `None` when the bytes are no such encoding.
    fn decode_ordered(bytes: &mut &[u8]) -> Option<Self>;
}

/// The first parts of a composite key `K`.
pub trait KeyPrefix<K> {
    /// Hands the encoding of these parts to `write`.
    fn encode_prefix(&self, write: &mut dyn FnMut(&[u8]));
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

macro_rules! integers {
    ($($unsigned:ty, $signed:ty;)*) => { $(
        impl OrderedKey for $unsigned {
            fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
                write(&self.to_be_bytes());
            }

            fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(Self::from_be_bytes)
            }
        }

        impl OrderedKey for $signed {
            fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
                write(&(*self ^ Self::MIN).to_be_bytes());
            }

            fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(|taken| Self::from_be_bytes(taken) ^ Self::MIN)
            }
        }
    )* };
}
integers! {
    u8, i8;
    u16, i16;
    u32, i32;
    u64, i64;
    u128, i128;
}

impl OrderedKey for bool {
    fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
        write(&[u8::from(*self)]);
    }

    fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
        match u8::decode_ordered(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<const N: usize> OrderedKey for [u8; N] {
    fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
        write(self);
    }

    fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes)
    }
}

macro_rules! bytes_32 {
    ($($type:ident),*) => { $(
        impl OrderedKey for $type {
            fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
                write(&self.0);
            }

            fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(Self)
            }
        }
    )* };
}
bytes_32!(Address, Hash);

fn encode_bytes(bytes: &[u8], write: &mut dyn FnMut(&[u8])) {
    let mut parts = bytes.split(|byte| *byte == 0);
    if let Some(first) = parts.next() {
        write(first);
    }
    for part in parts {
        write(&[0x00, 0xff]);
        write(part);
    }
    write(&[0x00, 0x00]);
}

fn decode_bytes(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    loop {
        let [byte] = take(bytes)?;
        if byte != 0 {
            decoded.push(byte);
            continue;
        }
        match take(bytes)? {
            [0xff] => decoded.push(0),
            [0x00] => return Some(decoded),
            _ => return None,
        }
    }
}

impl OrderedKey for Vec<u8> {
    fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
        encode_bytes(self, write);
    }

    fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
        decode_bytes(bytes)
    }
}

impl OrderedKey for String {
    fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
        encode_bytes(self.as_bytes(), write);
    }

    fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
        utf8::text(decode_bytes(bytes)?)
    }
}

macro_rules! tuples {
    ($($($part:ident $index:tt),+;)*) => { $(
        impl<$($part: OrderedKey),+> OrderedKey for ($($part,)+) {
            fn encode_ordered(&self, write: &mut dyn FnMut(&[u8])) {
                $(self.$index.encode_ordered(write);)+
            }

            fn decode_ordered(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($part::decode_ordered(bytes)?,)+))
            }
        }
    )* };
}
tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
}

macro_rules! prefixes {
    ($([$($part:ident $index:tt),+] of [$($whole:ident),+];)*) => { $(
        impl<$($whole: OrderedKey),+> KeyPrefix<($($whole,)+)> for ($($part,)+) {
            fn encode_prefix(&self, write: &mut dyn FnMut(&[u8])) {
                $(self.$index.encode_ordered(write);)+
            }
        }
    )* };
}
prefixes! {
    [A 0] of [A, B];
    [A 0] of [A, B, C];
    [A 0, B 1] of [A, B, C];
    [A 0] of [A, B, C, D];
    [A 0, B 1] of [A, B, C, D];
    [A 0, B 1, C 2] of [A, B, C, D];
}

#[cfg(test)]
mod tests;
