//! Decode bytes from outside, bounded in size and depth before anything is built from them.

use parity_scale_codec::{Compact, Decode, DecodeLimit, Input};

/// Nesting that no type of this crate reaches.
const DEPTH_MAX: u32 = 16;

/// Why bytes from outside were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the value may have.
    #[error("{found} bytes, at most {max} are allowed")]
    TooLong {
        /// How many bytes came.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// Not the SCALE encoding of the expected type, or bytes left over.
    #[error("malformed: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
}

/// Decodes exactly one `T` from all of `bytes`.
///
/// # Errors
/// `TooLong` before anything is decoded when there are more than `bytes_max` bytes; `Malformed` when the
/// bytes are not one whole `T` with nothing after it.
pub fn decode_bounded<T: Decode>(bytes: &[u8], bytes_max: usize) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong {
            found: bytes.len(),
            max: bytes_max,
        });
    }
    let mut input = bytes;
    T::decode_all_with_depth_limit(DEPTH_MAX, &mut input).map_err(|error| DecodeError::Malformed {
        reason: error.to_string(),
    })
}

/// Decodes a list of at most `count_max` elements, for lists whose elements may take less room encoded than
/// in memory: without the limit, few bytes from outside could ask for many times their size.
pub(crate) fn decode_list<T: Decode, I: Input>(
    input: &mut I,
    count_max: usize,
) -> Result<Vec<T>, parity_scale_codec::Error> {
    let Compact(count) = Compact::<u32>::decode(input)?;
    if usize::try_from(count).is_ok_and(|count| count <= count_max) {
        (0..count).map(|_| T::decode(input)).collect()
    } else {
        Err("a list has more elements than the protocol allows".into())
    }
}
