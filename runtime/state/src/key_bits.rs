//! See a key as bits: nine per byte, a 1 and then the byte's eight bits, high first; past its end all are 0.
//!
//! So no key is a prefix of another, and the order of bits is the order of bytes.

/// The bit of `key` at `position`.
pub(crate) fn bit(key: &[u8], position: u16) -> bool {
    match (key.get(usize::from(position / 9)), position % 9) {
        (None, _) => false,
        (Some(_), 0) => true,
        (Some(byte), within) => (byte >> (8 - within)) & 1 == 1,
    }
}

/// The first bit in which two keys of at most [`crate::KEY_BYTES_MAX`] bytes differ; `None` if they are equal.
pub(crate) fn first_difference(one: &[u8], other: &[u8]) -> Option<u16> {
    let shared = shared_bytes(one, other);
    let within = match (one.get(shared), other.get(shared)) {
        (None, None) => return None,
        (Some(left), Some(right)) => 1 + (left ^ right).leading_zeros(),
        (Some(_), None) | (None, Some(_)) => 0,
    };
    let within = u16::try_from(within).unwrap_or(u16::MAX);
    let before = u16::try_from(shared).unwrap_or(u16::MAX).saturating_mul(9);
    Some(before.saturating_add(within))
}

/// How many bytes two keys begin with alike. Eight at a time: deep paths of the tree ask it at every step.
fn shared_bytes(one: &[u8], other: &[u8]) -> usize {
    let (chunks, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    let whole = 8 * chunks
        .iter()
        .zip(others)
        .take_while(|(left, right)| left == right)
        .count();
    let rest = one[whole..].iter().zip(&other[whole..]);
    whole + rest.take_while(|(left, right)| left == right).count()
}

/// Whether two keys are alike in all bits before `position`.
pub(crate) fn alike_before(one: &[u8], other: &[u8], position: u16) -> bool {
    first_difference(one, other).is_none_or(|bit| bit >= position)
}

/// The lowest key that is alike with `key` in all bits before `position`. `key` has a 1 there.
pub(crate) fn first_alike(key: &[u8], position: u16) -> Vec<u8> {
    let (whole, within) = (usize::from(position / 9), position % 9);
    let mut first = key[..whole].to_vec();
    if within > 0 {
        first.push(key[whole] & high_bits(within - 1));
    }
    first
}

/// The lowest key above all that are alike with `key` in all bits before `position`; `None` where there is none.
pub(crate) fn after_alike(key: &[u8], position: u16) -> Option<Vec<u8>> {
    let (whole, within) = (usize::from(position / 9), position % 9);
    let mut last = key[..whole].to_vec();
    if within > 0 {
        last.push(key[whole] | !high_bits(within - 1));
    }
    successor(&last)
}

/// A byte of so many ones, at most 7, then zeros.
const fn high_bits(ones: u16) -> u8 {
    !(u8::MAX >> ones)
}

/// The first key after all that begin with `prefix`; `None` where there is none.
#[must_use]
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut key = prefix.get(..=last)?.to_vec();
    if let Some(byte) = key.last_mut() {
        *byte += 1;
    }
    Some(key)
}

/// The lowest key that shares the bits of `key` before `position` and has a 1 there. `key` has a 1 there.
pub(crate) fn split_key(key: &[u8], position: u16) -> Box<[u8]> {
    let byte = usize::from(position / 9);
    let mut split = key[..=byte].to_vec();
    // Bit 0 of nine only says that there is a byte; the lowest such byte is 0.
    split[byte] = match position % 9 {
        0 => 0,
        within => split[byte] & (0xff << (8 - within)),
    };
    split.into_boxed_slice()
}

/// The `position` from which [`split_key`] made `split`; `None` where nothing can have made it.
pub(crate) fn split_position(split: &[u8]) -> Option<u16> {
    let last = split.last()?;
    let before = u16::try_from(split.len() - 1).ok()?.checked_mul(9)?;
    let within = match last {
        0 => 0,
        byte => 8 - u16::try_from(byte.trailing_zeros()).ok()?,
    };
    before.checked_add(within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0), Just(1), Just(0x80), any::<u8>()], 0..5)
    }

    proptest! {
        #[test]
        fn bits_order_keys_as_bytes_do_and_name_where_they_part(one in keys(), other in keys()) {
            match first_difference(&one, &other) {
                None => prop_assert_eq!(one, other),
                Some(position) => {
                    prop_assert_eq!(bit(&one, position), one > other);
                    prop_assert_ne!(bit(&one, position), bit(&other, position));
                    for before in 0..position {
                        prop_assert_eq!(bit(&one, before), bit(&other, before));
                    }
                    let upper = (&one).max(&other);
                    let split = split_key(upper, position);
                    prop_assert_eq!(split_position(&split), Some(position));
                    prop_assert!(&*split <= upper.as_slice());
                    prop_assert!(&*split > (&one).min(&other).as_slice());
                }
            }
        }
    }
}
