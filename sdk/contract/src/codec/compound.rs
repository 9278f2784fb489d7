//! Encode tuples, options, results and boxes.

use alloc::boxed::Box;

use crate::buffer::Buffer;
use crate::codec::{Decode, Encode};

macro_rules! tuples {
    ($($($part:ident $index:tt),+;)*) => { $(
        impl<$($part: Encode),+> Encode for ($($part,)+) {
            #[inline]
            fn encode_to(&self, out: &mut Buffer) {
                $(self.$index.encode_to(out);)+
            }
        }

        impl<$($part: Decode),+> Decode for ($($part,)+) {
            #[inline]
            fn decode(input: &mut &[u8]) -> Option<Self> {
                Some(($($part::decode(input)?,)+))
            }
        }
    )* };
}
tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
}

impl<T: Encode> Encode for Option<T> {
    fn encode_to(&self, out: &mut Buffer) {
        match self {
            None => out.push(&[0]),
            Some(value) => {
                out.push(&[1]);
                value.encode_to(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        match u8::decode(input)? {
            0 => Some(None),
            1 => T::decode(input).map(Some),
            _ => None,
        }
    }
}

impl<T: Encode, E: Encode> Encode for Result<T, E> {
    fn encode_to(&self, out: &mut Buffer) {
        match self {
            Ok(value) => {
                out.push(&[0]);
                value.encode_to(out);
            }
            Err(error) => {
                out.push(&[1]);
                error.encode_to(out);
            }
        }
    }
}

impl<T: Decode, E: Decode> Decode for Result<T, E> {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        match u8::decode(input)? {
            0 => T::decode(input).map(Ok),
            1 => E::decode(input).map(Err),
            _ => None,
        }
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode_to(&self, out: &mut Buffer) {
        (**self).encode_to(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(input: &mut &[u8]) -> Option<Self> {
        T::decode(input).map(Self::new)
    }
}

impl<T: Encode> Encode for &T {
    #[inline]
    fn encode_to(&self, out: &mut Buffer) {
        (**self).encode_to(out);
    }
}
