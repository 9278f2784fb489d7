//! Check text with little code: the standard library's checker is fast on long texts and a kilobyte of Wasm.

use alloc::string::String;
use alloc::vec::Vec;

/// The text that `bytes` are, if they are UTF-8.
pub(crate) fn text(bytes: Vec<u8>) -> Option<String> {
    if !is_text(&bytes) {
        return None;
    }
    #[expect(unsafe_code, reason = "see the module's header")]
    // SAFETY: just checked.
    Some(unsafe { String::from_utf8_unchecked(bytes) })
}

/// Whether `bytes` are UTF-8: no code point in a longer form than it needs, no surrogate, none above U+10FFFF.
#[inline(never)]
fn is_text(bytes: &[u8]) -> bool {
    let mut continuations = 0_u32;
    // What the next byte must lie in; narrower than 80..=bf after the lead bytes with a forbidden part.
    let (mut low, mut high) = (0x80_u8, 0xbf_u8);
    for &byte in bytes {
        if continuations > 0 {
            if byte < low || byte > high {
                return false;
            }
            continuations = continuations.wrapping_sub(1);
            (low, high) = (0x80, 0xbf);
            continue;
        }
        continuations = match byte {
            0x00..0x80 => 0,
            0xc2..0xe0 => 1,
            0xe0..0xf0 => 2,
            0xf0..0xf5 => 3,
            _ => return false,
        };
        match byte {
            0xe0 => low = 0xa0,
            0xed => high = 0x9f,
            0xf0 => low = 0x90,
            0xf4 => high = 0x8f,
            _ => {}
        }
    }
    continuations == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn random_bytes_get_the_verdict_of_the_standard_library(bytes: Vec<u8>) {
            prop_assert_eq!(is_text(&bytes), core::str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn damaged_text_gets_the_verdict_of_the_standard_library(text: String, at: usize, byte: u8) {
            let mut bytes = text.into_bytes();
            prop_assert!(is_text(&bytes));
            if let Some(place) = at.checked_rem(bytes.len()).and_then(|at| bytes.get_mut(at)) {
                *place = byte;
            }
            prop_assert_eq!(is_text(&bytes), core::str::from_utf8(&bytes).is_ok());
        }
    }

    #[test]
    fn every_start_of_four_bytes_gets_the_verdict_of_the_standard_library() {
        for start in 0..=0xffff_u16 {
            let [first, second] = start.to_be_bytes();
            for bytes in [
                vec![first],
                vec![first, second],
                vec![first, second, 0x80],
                vec![first, second, 0xbf, 0x80],
            ] {
                assert_eq!(
                    is_text(&bytes),
                    core::str::from_utf8(&bytes).is_ok(),
                    "{bytes:02x?}"
                );
            }
        }
    }
}
