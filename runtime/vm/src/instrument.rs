//! Write gas and stack accounting into a contract's own code (`docs/spec/vm.md` 3).
//!
//! Functions and types keep their indices; the two globals lie above the contract's, so it cannot name them.
//! Gas below zero after a stop means that the gas ran out, a stack counter below zero that the stack did.

mod function;
#[cfg(test)]
#[cfg(feature = "wasmi")]
mod tests;

use wasm_encoder::{Encode as _, ExportKind, Module, RawSection, SectionId};
use wasmparser::{
    BinaryReader, FuncValidatorAllocations, MemorySectionReader, Payload, ValidPayload,
    WasmFeatures,
};

use crate::validate::{CodeInfo, FEATURES, InvalidCode, check_code, memory_pages_max, parser};
use function::{Accounting, POSITIONS_MEMORY};
#[cfg(feature = "wasmi")]
pub(crate) use function::{NO_POSITION, POSITION_BYTES};

/// The source of what instruments and prices a contract. Compiled modules on disk are kept by it, since they hold the
/// prices: a number that someone has to raise would be forgotten once, and a warm node would then use other gas than a cold one.
#[cfg(feature = "wasmtime")]
pub(crate) const PREPARED_BY: [&[u8]; 4] = [
    include_bytes!("gas.rs"),
    include_bytes!("instrument.rs"),
    include_bytes!("instrument/function.rs"),
    include_bytes!("validate/sections.rs"),
];
/// Export of the mutable i64 global with the gas left.
pub(crate) const EXPORT_GAS: &str = "kumiki:gas";
/// Export of the mutable i32 global with the stack slots left.
pub(crate) const EXPORT_STACK: &str = "kumiki:stack";
/// Export of the mutable i32 global that is [`POSITION_BYTES`] times the calls below the innermost function, where
/// positions are kept.
pub(crate) const EXPORT_POSITION: &str = "kumiki:position";
/// Export of the memory with the offset in the original at which each of these functions is, outermost first.
pub(crate) const EXPORT_POSITIONS: &str = "kumiki:positions";
/// Slots of 8 bytes that the functions of one call may hold together: half of its native stack, by a count
/// that is above what compilers use.
pub(crate) const STACK_SLOTS: i32 = 64 * 1024;

/// Pages of the memory of positions: the stack counter ends a call long before there are 16,384 functions in it.
const POSITIONS_PAGES: u64 = 1;

/// A contract ready for an engine.
#[derive(Debug)]
pub(crate) struct Instrumented {
    pub(crate) wasm: Vec<u8>,
    pub(crate) info: CodeInfo,
    #[cfg(feature = "wasmtime")]
    pub(crate) offsets: OffsetMap,
}

/// Where instructions of the instrumented Wasm lie in the original, by rising place.
#[derive(Debug)]
pub(crate) struct OffsetMap(Vec<(usize, usize)>);

impl OffsetMap {
    /// The offset in the original of the instruction at or before `place`.
    #[cfg(feature = "wasmtime")]
    pub(crate) fn original(&self, place: usize) -> Option<u32> {
        let after = self.0.partition_point(|(start, _)| *start <= place);
        let (_, original) = self.0.get(after.checked_sub(1)?)?;
        u32::try_from(*original).ok()
    }
}

/// Validates `code` and writes the accounting into it.
///
/// # Errors
/// `InvalidCode` when `code` is no contract.
pub(crate) fn instrument(code: &[u8]) -> Result<Instrumented, InvalidCode> {
    instrument_for(code, Positions::OfEngine)
}

/// The same for an engine that cannot tell where Wasm has stopped: the code keeps that in a memory of its own. It has
/// the same results and takes the same gas.
///
/// # Errors
/// `InvalidCode` when `code` is no contract.
#[cfg(feature = "wasmi")]
pub(crate) fn instrument_with_positions(code: &[u8]) -> Result<Instrumented, InvalidCode> {
    instrument_for(code, Positions::Kept)
}

/// The Wasm that an engine gets for a contract: as the compiler gets it, and as the interpreter does. For tools that
/// look at instrumentation itself.
///
/// # Errors
/// `InvalidCode` when `code` is no contract.
#[cfg(all(feature = "wasmtime", feature = "wasmi"))]
pub fn instrumented_code(code: &[u8]) -> Result<[Vec<u8>; 2], InvalidCode> {
    Ok([
        instrument(code)?.wasm,
        instrument_with_positions(code)?.wasm,
    ])
}

/// Who knows where Wasm has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Positions {
    OfEngine,
    #[cfg(feature = "wasmi")]
    Kept,
}

impl Positions {
    const fn are_kept(self) -> bool {
        !matches!(self, Self::OfEngine)
    }
}

fn instrument_for(code: &[u8], positions: Positions) -> Result<Instrumented, InvalidCode> {
    let info = check_code(code)?;
    let refuse = |error: wasmparser::BinaryReaderError| InvalidCode::new(error.message());
    let (wasm, offsets) = rewrite(code, &info, positions).map_err(refuse)?;
    let features = match positions.are_kept() {
        true => FEATURES.union(WasmFeatures::MULTI_MEMORY),
        false => FEATURES,
    };
    check_instrumented(&wasm, features).map_err(refuse)?;
    #[cfg(not(feature = "wasmtime"))]
    drop(offsets);
    Ok(Instrumented {
        wasm,
        info,
        #[cfg(feature = "wasmtime")]
        offsets,
    })
}

/// Validates what instrumentation wrote, so that no engine ever sees bytes that we would refuse.
fn check_instrumented(
    wasm: &[u8],
    features: WasmFeatures,
) -> Result<(), wasmparser::BinaryReaderError> {
    let mut validator = wasmparser::Validator::new_with_features(features);
    let mut parser = parser();
    parser.set_features(features);
    for payload in parser.parse_all(wasm) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            let allocations = FuncValidatorAllocations::default();
            function.into_validator(allocations).validate(&body)?;
        }
    }
    Ok(())
}

fn rewrite(
    code: &[u8],
    info: &CodeInfo,
    positions: Positions,
) -> Result<(Vec<u8>, OffsetMap), wasmparser::BinaryReaderError> {
    let mut offsets = Vec::new();
    let mut module = Module::new();
    let mut globals: Option<(u32, &[u8])> = None;
    let mut accounting = Accounting {
        gas: 0,
        stack: 0,
        position: None,
        memory: info.memory,
    };
    let mut bodies = Vec::new();
    let mut body_count = 0;
    for payload in parser().parse_all(code) {
        let payload = payload?;
        match &payload {
            Payload::CustomSection(_) | Payload::Version { .. } | Payload::End(_) => {}
            Payload::MemorySection(reader) => write_memory(&mut module, reader, positions)?,
            Payload::GlobalSection(reader) => {
                globals = Some(count_and_rest(code, reader.range())?);
            }
            Payload::ExportSection(reader) => {
                let (count, rest) = globals.unwrap_or((0, &[]));
                accounting = Accounting {
                    gas: count,
                    stack: count + 1,
                    position: positions.are_kept().then_some(count + 2),
                    memory: info.memory,
                };
                write_globals(&mut module, count, rest, positions);
                let (count, rest) = count_and_rest(code, reader.range())?;
                write_exports(&mut module, count, rest, &accounting);
            }
            Payload::CodeSectionStart { count, .. } => {
                body_count = *count;
                body_count.encode(&mut bodies);
            }
            Payload::CodeSectionEntry(body) => {
                let index = info.frames.len() - body_count as usize;
                body_count -= 1;
                let frame = info
                    .frames
                    .get(index)
                    .expect("one frame per validated body");
                let marks = function::instrument(code, body, frame, accounting, &mut bodies)?;
                offsets.extend(marks);
                if body_count == 0 {
                    write_raw(&mut module, SectionId::Code as u8, &bodies);
                    let start = module.len() - bodies.len();
                    for (place, _) in &mut offsets {
                        *place += start;
                    }
                }
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    write_raw(&mut module, id, code.get(range).unwrap_or_default());
                }
            }
        }
    }
    Ok((module.finish(), OffsetMap(offsets)))
}

fn write_raw(module: &mut Module, id: u8, data: &[u8]) {
    module.section(&RawSection { id, data });
}

/// A section's count, and the bytes of its items.
fn count_and_rest(
    code: &[u8],
    range: std::ops::Range<usize>,
) -> Result<(u32, &[u8]), wasmparser::BinaryReaderError> {
    let section = code.get(range).unwrap_or_default();
    let mut reader = BinaryReader::new(section, 0);
    let count = reader.read_var_u32()?;
    let rest = section
        .get(reader.original_position()..)
        .unwrap_or_default();
    Ok((count, rest))
}

/// Every engine refuses to grow past the declared maximum by itself.
fn write_memory(
    module: &mut Module,
    reader: &MemorySectionReader<'_>,
    positions: Positions,
) -> Result<(), wasmparser::BinaryReaderError> {
    let mut section = wasm_encoder::MemorySection::new();
    for memory in reader.clone() {
        let memory = memory?;
        section.memory(wasm_encoder::MemoryType {
            minimum: memory.initial,
            maximum: Some(memory_pages_max(&memory)),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    if positions.are_kept() {
        section.memory(wasm_encoder::MemoryType {
            minimum: POSITIONS_PAGES,
            maximum: Some(POSITIONS_PAGES),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    module.section(&section);
    Ok(())
}

fn write_globals(module: &mut Module, count: u32, rest: &[u8], positions: Positions) {
    const I64: u8 = 0x7e;
    const I32: u8 = 0x7f;
    const MUTABLE: u8 = 0x01;
    const I64_CONST: u8 = 0x42;
    const I32_CONST: u8 = 0x41;
    const END: u8 = 0x0b;
    let mut data = Vec::new();
    (count + if positions.are_kept() { 3 } else { 2 }).encode(&mut data);
    data.extend_from_slice(rest);
    data.extend_from_slice(&[I64, MUTABLE, I64_CONST, 0, END, I32, MUTABLE, I32_CONST]);
    STACK_SLOTS.encode(&mut data);
    data.push(END);
    if positions.are_kept() {
        data.extend_from_slice(&[I32, MUTABLE, I32_CONST, 0, END]);
    }
    write_raw(module, SectionId::Global as u8, &data);
}

fn write_exports(module: &mut Module, count: u32, rest: &[u8], accounting: &Accounting) {
    let mut data = Vec::new();
    let added = if accounting.position.is_some() { 4 } else { 2 };
    (count + added).encode(&mut data);
    data.extend_from_slice(rest);
    let mut add = |name: &str, kind: ExportKind, index: u32| {
        name.encode(&mut data);
        kind.encode(&mut data);
        index.encode(&mut data);
    };
    add(EXPORT_GAS, ExportKind::Global, accounting.gas);
    add(EXPORT_STACK, ExportKind::Global, accounting.stack);
    if let Some(position) = accounting.position {
        add(EXPORT_POSITION, ExportKind::Global, position);
        add(EXPORT_POSITIONS, ExportKind::Memory, POSITIONS_MEMORY);
    }
    write_raw(module, SectionId::Export as u8, &data);
}
