//! Hold a decoder of SCALE bytes to one encoding per value and to memory in proportion to its input.

use std::fmt::Debug;

use kumiki_protocol::{Decode, DecodeError, Encode, decode_bounded};
use kumiki_testkit::peak_bytes;

/// What a decoder may hold for each byte of its input.
const HEAP_PER_BYTE: usize = 8;
/// What it may hold besides: first pieces of lists and the error text.
const HEAP_SLACK: usize = 64 * 1024;

/// What `decode` makes of `bytes`, if it takes them.
///
/// # Panics
/// When it holds too much memory for them, or they are a second encoding of the value.
pub(crate) fn decoded_by<T: Encode>(
    bytes: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Option<T> {
    let (decoded, peak) = peak_bytes(|| decode(bytes));
    let name = std::any::type_name::<T>();
    assert!(
        peak <= HEAP_PER_BYTE * bytes.len() + HEAP_SLACK,
        "{} bytes made {name} hold {peak}",
        bytes.len()
    );
    let value = decoded.ok()?;
    assert_eq!(value.encode(), bytes, "two encodings of one {name}");
    Some(value)
}

/// The same for what has no further rules.
pub(crate) fn decoded<T: Encode + Decode + Debug>(bytes: &[u8], bytes_max: usize) -> Option<T> {
    decoded_by(bytes, |bytes| decode_bounded(bytes, bytes_max))
}
