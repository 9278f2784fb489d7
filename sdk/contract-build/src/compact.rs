//! Write a Wasm file in its shortest form, and find an offset's place in the file it was made from.
//!
//! The linker leaves every number that it filled in five bytes long, as long as there is a line table to keep right. In
//! a contract that is a sixth of the code.

use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasmparser::{BinaryReaderError, Parser, Payload};

use crate::{MalformedWasm, strip};

impl From<BinaryReaderError> for MalformedWasm {
    fn from(error: BinaryReaderError) -> Self {
        Self {
            offset: error.offset(),
        }
    }
}

/// The stripped module (see [`strip`]) with every number in its shortest form. Its code is the same, instruction for
/// instruction; [`original_offset`] finds each in the file it was made from.
///
/// # Errors
/// When the bytes are no Wasm module.
pub fn compact(wasm: &[u8]) -> Result<Vec<u8>, MalformedWasm> {
    let stripped = strip(wasm)?;
    let mut module = wasm_encoder::Module::new();
    RoundtripReencoder
        .parse_core_module(&mut module, Parser::new(0), &stripped)
        .map_err(|error| match error {
            wasm_encoder::reencode::Error::ParseError(error) => error.into(),
            _ => MalformedWasm { offset: 0 },
        })?;
    Ok(module.finish())
}

/// Where in `original` the instruction lies that is at `offset` in `compacted`; `None` when none begins there.
///
/// # Errors
/// When one of them is no Wasm module.
pub fn original_offset(
    original: &[u8],
    compacted: &[u8],
    offset: usize,
) -> Result<Option<usize>, MalformedWasm> {
    let originals = instruction_offsets(original)?;
    let position = instruction_offsets(compacted)?.binary_search(&offset);
    Ok(position
        .ok()
        .and_then(|position| originals.get(position).copied()))
}

/// Where each instruction of the module begins.
pub(crate) fn instruction_offsets(wasm: &[u8]) -> Result<Vec<usize>, MalformedWasm> {
    let mut offsets = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload? {
            let mut operators = body.get_operators_reader()?;
            while !operators.eof() {
                offsets.push(operators.original_position());
                operators.read()?;
            }
        }
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(func (drop (i32.const 1)) unreachable)` exported as nothing, the constant written in five bytes.
    const PADDED: &[u8] = &[
        0, b'a', b's', b'm', 1, 0, 0, 0, // header
        1, 4, 1, 0x60, 0, 0, // type () -> ()
        3, 2, 1, 0, // function of it
        10, 12, 1, 10, 0, 0x41, 0x81, 0x80, 0x80, 0x80, 0x00, 0x1a, 0x00, 0x0b,
    ];

    #[test]
    fn numbers_shrink_and_instructions_stay() {
        let compacted = compact(PADDED).unwrap();
        assert_eq!(compacted.len(), PADDED.len() - 4);
        assert_eq!(&compacted[compacted.len() - 5..], [0x41, 1, 0x1a, 0, 0x0b]);
        assert_eq!(compact(&compacted).as_deref(), Ok(compacted.as_slice()));
    }

    #[test]
    fn an_offset_leads_back_to_its_instruction() {
        let compacted = compact(PADDED).unwrap();
        let unreachable = compacted.len() - 2;
        let found = original_offset(PADDED, &compacted, unreachable);
        assert_eq!(found, Ok(Some(PADDED.len() - 2)));
        // The middle of a constant is no instruction.
        let inside = original_offset(PADDED, &compacted, compacted.len() - 4);
        assert_eq!(inside, Ok(None));
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(compact(b"\0asm\x01\0\0\0\x0a\x05\x01").is_err());
        assert!(compact(&PADDED[..PADDED.len() - 3]).is_err());
    }
}
