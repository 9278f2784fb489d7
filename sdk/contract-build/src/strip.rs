//! Take out of a Wasm file what the chain does not need: names, line tables, producers.

/// The custom sections that stay: metadata, as the macros write it and as `kumiki build` does.
const KEPT: [&[u8]; 2] = [b"kumiki.abi.fragments", b"kumiki.abi"];
const HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// The bytes are no Wasm module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Wasm module: malformed at byte {offset}")]
pub struct MalformedWasm {
    /// Where reading failed.
    pub offset: usize,
}

/// The module without custom sections other than metadata. The code section is untouched, so an offset into it still
/// finds its line in the table of the file this was made from.
///
/// # Errors
/// When the bytes are no Wasm module.
pub fn strip(wasm: &[u8]) -> Result<Vec<u8>, MalformedWasm> {
    let mut rest = wasm
        .strip_prefix(HEADER)
        .ok_or(MalformedWasm { offset: 0 })?;
    let mut stripped = HEADER.to_vec();
    while !rest.is_empty() {
        let malformed = MalformedWasm {
            offset: wasm.len() - rest.len(),
        };
        let (section, after) = split_section(rest).ok_or(malformed)?;
        if section.keep {
            stripped.extend_from_slice(section.bytes);
        }
        rest = after;
    }
    Ok(stripped)
}

struct Section<'a> {
    bytes: &'a [u8],
    keep: bool,
}

/// The first section, header included, and what follows it.
fn split_section(wasm: &[u8]) -> Option<(Section<'_>, &[u8])> {
    let (id, rest) = wasm.split_first()?;
    let (length, payload) = split_u32(rest)?;
    let header = wasm.len() - payload.len();
    let (bytes, after) = wasm.split_at_checked(header.checked_add(length)?)?;
    let keep = *id != 0 || {
        let (length, name) = split_u32(bytes.get(header..)?)?;
        KEPT.contains(&name.get(..length)?)
    };
    Some((Section { bytes, keep }, after))
}

/// An unsigned LEB128 number and what follows it.
fn split_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        let bits = u32::from(byte & 0x7f);
        value |= bits.checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(id: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id, u8::try_from(payload.len()).unwrap()];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn custom(name: &str) -> Vec<u8> {
        let mut payload = vec![u8::try_from(name.len()).unwrap()];
        payload.extend_from_slice(name.as_bytes());
        payload.extend_from_slice(b"body");
        section(0, &payload)
    }

    #[test]
    fn metadata_and_code_stay_and_the_rest_goes() {
        let kept = [
            section(1, b"types"),
            custom("kumiki.abi.fragments"),
            section(10, b"code"),
        ];
        let mut wasm = HEADER.to_vec();
        wasm.extend(custom("name"));
        wasm.extend(kept.concat());
        wasm.extend(custom(".debug_line"));
        assert_eq!(strip(&wasm), Ok([HEADER, &kept.concat()].concat()));
    }

    #[test]
    fn cut_off_modules_are_refused_where_they_break() {
        let mut wasm = HEADER.to_vec();
        wasm.extend(custom("name"));
        for end in HEADER.len() + 1..wasm.len() {
            let offset = HEADER.len();
            assert_eq!(strip(&wasm[..end]), Err(MalformedWasm { offset }));
        }
        assert_eq!(strip(b"\0asm\x02\0\0\0"), Err(MalformedWasm { offset: 0 }));
    }
}
