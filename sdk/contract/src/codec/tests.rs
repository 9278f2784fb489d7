//! Hold the codec to SCALE bytes and to refusal of everything else.

use super::*;

use alloc::string::String;
use core::fmt::Debug;

use proptest::prelude::*;

/// Both codecs write the same bytes, ours reads them back, and reads nothing shorter.
fn agrees<T>(value: &T)
where
    T: Encode + Decode + parity_scale_codec::Encode + PartialEq + Debug,
{
    let bytes = Encode::encode(value);
    assert_eq!(bytes, parity_scale_codec::Encode::encode(value));
    assert_eq!(decode_exact::<T>(&bytes).as_ref(), Some(value));
    if let Some((_, shorter)) = bytes.split_last() {
        assert_eq!(decode_exact::<T>(shorter), None);
    }
}

/// What one codec reads from arbitrary bytes, the other reads too.
fn reads_the_same<T>(bytes: &[u8])
where
    T: Decode + parity_scale_codec::Decode + PartialEq + Debug,
{
    let (mut ours, mut theirs) = (bytes, bytes);
    let value = <T as Decode>::decode(&mut ours);
    assert_eq!(
        value,
        <T as parity_scale_codec::Decode>::decode(&mut theirs).ok()
    );
    if value.is_some() {
        assert_eq!(ours, theirs);
    }
}

proptest! {
    #[test]
    fn encodings_are_those_of_parity_scale_codec(
        integers: (u8, u16, u32, u64, u128),
        signed: (i8, i16, i32, i64, i128),
        lists: (Vec<u8>, Vec<u32>, String),
        nested: (Option<bool>, Result<u16, String>, [u8; 5], [u16; 3]),
    ) {
        agrees(&integers);
        agrees(&signed);
        agrees(&lists);
        agrees(&nested);
        agrees(&(integers.0, signed, lists, nested));
    }

    #[test]
    fn arbitrary_bytes_mean_the_same_to_both(bytes: Vec<u8>) {
        reads_the_same::<(Vec<u8>, u16)>(&bytes);
        reads_the_same::<(String, Option<u8>)>(&bytes);
        reads_the_same::<Vec<(bool, u8)>>(&bytes);
        reads_the_same::<Result<[u8; 3], Vec<u16>>>(&bytes);
    }
}

#[test]
fn lengths_have_one_form() {
    for length in [0, 0x3f, 0x40, 0x3fff, 0x4000, 0x1_0001] {
        agrees(&alloc::vec![7_u8; length]);
    }
    // 1 written in two bytes, and in four.
    assert_eq!(decode_exact::<Vec<u8>>(&[0b101, 0, 7]), None);
    assert_eq!(decode_exact::<Vec<u8>>(&[0b110, 0, 0, 0, 7]), None);
}

#[test]
fn a_length_that_lies_is_refused_before_memory_is_reserved() {
    // 2^30 - 1 elements announced, none there.
    assert_eq!(decode_exact::<Vec<u128>>(&[0xfe, 0xff, 0xff, 0xff]), None);
}
