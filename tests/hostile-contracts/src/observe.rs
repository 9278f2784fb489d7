//! Make a generated contract show what it did: its `call` runs the generated one, then returns memory and globals.

use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, MemArg, Module,
    RawSection,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, ValType};

/// Bytes of memory that are shown; globals lie over the first of them.
const SHOWN_BYTES: i32 = 65_536;

/// What there is to know of a module to add functions to it.
#[derive(Default)]
struct Known {
    imported: u32,
    types: Vec<u32>,
    globals: Vec<ValType>,
    call: Option<u32>,
}

/// The module with an empty `init` and an observed `call`. Import 0 must be `ret`; `None` when a part is missing.
#[must_use]
pub(crate) fn observed(wasm: &[u8]) -> Option<Vec<u8>> {
    let known = know(wasm)?;
    let call = known.call?;
    let entry_type = *known
        .types
        .get(usize::try_from(call - known.imported).ok()?)?;
    let defined = u32::try_from(known.types.len()).ok()?;
    let added = known.imported + defined;
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::FunctionSection(_) => {
                let mut section = FunctionSection::new();
                for index in &known.types {
                    section.function(*index);
                }
                section.function(entry_type).function(entry_type);
                module.section(&section);
            }
            Payload::ExportSection(reader) => {
                let mut section = ExportSection::new();
                for export in reader {
                    let export = export.ok()?;
                    let index = if export.name == "call" {
                        added
                    } else {
                        export.index
                    };
                    section.export(export.name, kind(export.kind), index);
                }
                section.export("init", ExportKind::Func, added + 1);
                module.section(&section);
            }
            Payload::CodeSectionStart { range, .. } => {
                let mut section = CodeSection::new();
                let bodies = wasmparser::CodeSectionReader::new(wasmparser::BinaryReader::new(
                    wasm.get(range)?,
                    0,
                ))
                .ok()?;
                for body in bodies {
                    section.raw(body.ok()?.as_bytes());
                }
                section.function(&observer(call, &known.globals));
                let mut nothing = Function::new([]);
                nothing.instruction(&Instruction::End);
                section.function(&nothing);
                module.section(&section);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    let data = wasm.get(range)?;
                    module.section(&RawSection { id, data });
                }
            }
        }
    }
    Some(module.finish())
}

fn know(wasm: &[u8]) -> Option<Known> {
    let mut known = Known::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    known.imported += u32::from(matches!(import.ok()?.ty, TypeRef::Func(_)));
                }
            }
            Payload::FunctionSection(reader) => {
                for index in reader {
                    known.types.push(index.ok()?);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    known.globals.push(global.ok()?.ty.content_type);
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.ok()?;
                    if export.name == "call" {
                        known.call = Some(export.index);
                    }
                }
            }
            _ => {}
        }
    }
    Some(known)
}

/// Runs `call`, stores the globals, and returns the memory.
fn observer(call: u32, globals: &[ValType]) -> Function {
    let mut function = Function::new([]);
    function
        .instruction(&Instruction::LocalGet(0))
        .instruction(&Instruction::Call(call));
    for (index, kind) in (0..).zip(globals) {
        let place = MemArg {
            offset: 8 * u64::from(index),
            align: 0,
            memory_index: 0,
        };
        let (load, store) = (
            Instruction::GlobalGet(index),
            match kind {
                ValType::I32 => Instruction::I32Store(place),
                ValType::I64 => Instruction::I64Store(place),
                ValType::F32 | ValType::F64 | ValType::V128 | ValType::Ref(_) => continue,
            },
        );
        function
            .instruction(&Instruction::I32Const(0))
            .instruction(&load)
            .instruction(&store);
    }
    function
        .instruction(&Instruction::I32Const(0))
        .instruction(&Instruction::I32Const(SHOWN_BYTES))
        .instruction(&Instruction::Call(0))
        .instruction(&Instruction::End);
    function
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}
