//! Hold ordered keys to the order of the values they encode.

use super::*;

use proptest::prelude::*;

fn encoded(key: &impl OrderedKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode_ordered(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

fn keeps_order<K: OrderedKey + Ord + core::fmt::Debug>(a: &K, b: &K) {
    assert_eq!(encoded(a).cmp(&encoded(b)), a.cmp(b), "{a:?} and {b:?}");
    for key in [a, b] {
        let bytes = encoded(key);
        let mut rest = bytes.as_slice();
        assert_eq!(K::decode_ordered(&mut rest).as_ref(), Some(key));
        assert!(rest.is_empty());
    }
}

proptest! {
    #[test]
    fn order_of_bytes_is_order_of_values(
        a: (i64, Vec<u8>, u16, bool), b: (i64, Vec<u8>, u16, bool), same: bool,
    ) {
        keeps_order(&a, &b);
        // Equal first parts are rare in random input and are where terminators matter.
        let c = if same { (a.0, a.1.clone(), b.2, b.3) } else { (a.0, b.1, b.2, b.3) };
        keeps_order(&a, &c);
    }

    #[test]
    fn texts_with_shared_beginnings_keep_their_order(a in "[\0\u{1}a]{0,6}", b in "[\0\u{1}a]{0,6}", n: i8, m: i8) {
        keeps_order(&(a, n), &(b, m));
    }

    #[test]
    fn arbitrary_bytes_decode_or_are_refused(bytes: Vec<u8>) {
        let mut rest = bytes.as_slice();
        if let Some(key) = <(String, i32)>::decode_ordered(&mut rest) {
            let used = bytes.len() - rest.len();
            let again = encoded(&key);
            prop_assert_eq!(again.as_slice(), &bytes[..used]);
        }
    }
}

#[test]
fn the_encodings_are_the_specified_bytes() {
    assert_eq!(encoded(&1_u32), [0, 0, 0, 1]);
    assert_eq!(encoded(&-1_i16), [0x7f, 0xff]);
    assert_eq!(encoded(&0_i16), [0x80, 0x00]);
    assert_eq!(
        encoded(&(String::from("a\0b"), 7_u8)),
        *b"a\x00\xffb\x00\x00\x07"
    );
}
