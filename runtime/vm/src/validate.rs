//! Decide which Wasm is a contract, with our own rules and limits (`docs/spec/vm.md` 2).

mod complexity;
mod limits;
mod sections;
#[cfg(test)]
mod tests;

use kumiki_protocol::limits::CODE_BYTES_MAX;
use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload,
    ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use complexity::Complexity;

use crate::gas;
#[cfg(feature = "wasmtime")]
pub(crate) use limits::{MEMORY_PAGES_MAX, TABLE_ENTRIES_MAX};
use sections::Sections;
#[cfg(any(feature = "wasmtime", feature = "wasmi"))]
pub(crate) use sections::memory_pages_max;

/// What a valid contract is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// Bytes of Wasm.
    pub size: usize,
    /// Functions it defines.
    pub functions: u32,
    /// Gas that storing and compiling it costs at deployment where it is new.
    pub deploy_gas: u64,
    /// Gas that each instance of it costs.
    pub instance_gas: u64,
    /// How much it asks of a compiler beyond its size: values times the places where control flow meets.
    pub complexity: u64,
    /// What accesses to its memory cost.
    pub(crate) memory: gas::MemorySize,
    /// Which of `init`, `call`, `query`, `migrate` it exports.
    pub(crate) entries: [bool; 4],
    /// By defined function.
    pub(crate) frames: Vec<FunctionFrame>,
}

/// What instrumentation needs to know of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FunctionFrame {
    pub(crate) params: u32,
    pub(crate) locals: u32,
    pub(crate) operands_max: u32,
    /// Its one result type, if it has one.
    pub(crate) result: Option<wasmparser::ValType>,
    /// It calls others, so that what it holds of the stack matters to them.
    pub(crate) calls: bool,
    /// It needs a scratch local for linear charges.
    pub(crate) has_bulk: bool,
}

/// Why Wasm is no contract, for its developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct InvalidCode {
    /// What is wrong and how to fix it.
    pub message: String,
    /// Byte offset in the Wasm, where there is one.
    pub offset: Option<usize>,
    /// Index of the function, and its name if the Wasm tells.
    pub function: Option<(u32, Option<String>)>,
}

impl InvalidCode {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            offset: None,
            function: None,
        }
    }

    fn text(&self) -> String {
        let mut text = match &self.function {
            Some((index, Some(name))) => format!("function {index} ({name}): {}", self.message),
            Some((index, None)) => format!("function {index}: {}", self.message),
            None => self.message.clone(),
        };
        if let Some(offset) = self.offset {
            text.push_str(&format!(" (at byte {offset:#x})"));
        }
        text
    }
}

/// The Wasm features of contracts: what rustc emits for `wasm32v1-none`, and what newer targets add that is
/// deterministic and cheap to price. No floats.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES);

/// Reads Wasm as the features of contracts encode it. Without them it would also take encodings of other features,
/// which engines refuse.
pub(crate) fn parser() -> Parser {
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    parser
}

/// Checks `code` against the rules of the chain, without an engine.
///
/// # Errors
/// The first rule that is broken.
pub fn check_code(code: &[u8]) -> Result<CodeInfo, InvalidCode> {
    if code.len() > CODE_BYTES_MAX {
        return Err(InvalidCode::new(format!(
            "{} bytes of Wasm, at most {CODE_BYTES_MAX} are allowed: build with opt-level \"z\", strip debug sections",
            code.len()
        )));
    }
    check_bounded(code).map_err(|mut error| {
        if let Some((index, name)) = &mut error.function {
            *name = function_name(code, *index);
        }
        error
    })
}

fn check_bounded(code: &[u8]) -> Result<CodeInfo, InvalidCode> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut sections = Sections::default();
    let mut allocations = FuncValidatorAllocations::default();
    let mut frames = Vec::new();
    let (mut blocks, mut complexity) = (0_u64, 0_u64);
    for payload in parser().parse_all(code) {
        let payload = payload.map_err(|error| explain(&error))?;
        if let Payload::CodeSectionStart { count, .. } = payload {
            limits::check("functions", u64::from(count), limits::FUNCTIONS_MAX)?;
        }
        let valid = validator
            .payload(&payload)
            .map_err(|error| explain(&error))?;
        match valid {
            ValidPayload::Func(function, body) => {
                let index = function.index;
                let in_function = |mut error: InvalidCode| {
                    error.function = Some((index, None));
                    error
                };
                let kept = std::mem::take(&mut allocations);
                let (frame, shape, kept) =
                    check_function(&sections, function, &body, kept).map_err(in_function)?;
                allocations = kept;
                blocks += shape.blocks();
                complexity += shape.of(&frame);
                frames.push(frame);
            }
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {
                sections.read(&payload)?;
            }
        }
    }
    sections.check_whole()?;
    let locals: u64 = frames
        .iter()
        .map(|frame| u64::from(frame.params) + u64::from(frame.locals))
        .sum();
    let functions = u32::try_from(frames.len()).unwrap_or(u32::MAX);
    let size = u64::try_from(code.len()).unwrap_or(u64::MAX);
    Ok(CodeInfo {
        size: code.len(),
        functions,
        deploy_gas: gas::DEPLOY_NEW
            + sections.types_gas()
            + size * gas::DEPLOY_PER_NEW_BYTE
            + u64::from(functions) * gas::DEPLOY_PER_FUNCTION
            + locals * gas::DEPLOY_PER_LOCAL
            + blocks * gas::DEPLOY_PER_BLOCK
            + complexity * gas::DEPLOY_PER_COMPLEXITY,
        complexity,
        instance_gas: sections.instance_gas(),
        memory: sections.memory_size(),
        entries: sections.entries(),
        frames,
    })
}

fn check_function(
    sections: &Sections,
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    allocations: FuncValidatorAllocations,
) -> Result<(FunctionFrame, Complexity, FuncValidatorAllocations), InvalidCode> {
    let (params, result) = sections.signature(function.ty)?;
    let size = body.range().len();
    limits::check(
        "bytes of code in a function",
        size as u64,
        limits::FUNCTION_BYTES_MAX,
    )?;
    let mut locals = 0_u64;
    let reader = body.get_locals_reader().map_err(|error| explain(&error))?;
    for group in reader {
        let (count, _type) = group.map_err(|error| explain(&error))?;
        locals += u64::from(count);
        limits::check("locals in a function", locals, limits::LOCALS_MAX)?;
    }
    let mut validator = function.into_validator(allocations);
    let mut reader = body.get_binary_reader();
    validator
        .read_locals(&mut reader)
        .map_err(|error| explain(&error))?;
    let mut frame = FunctionFrame {
        params,
        locals: u32::try_from(locals).unwrap_or(u32::MAX),
        operands_max: 0,
        result,
        calls: false,
        has_bulk: false,
    };
    let mut shape = Complexity::default();
    let mut operators = wasmparser::OperatorsReader::new(reader);
    while !operators.eof() {
        let (operator, offset) = operators
            .read_with_offset()
            .map_err(|error| explain(&error))?;
        validator
            .op(offset, &operator)
            .map_err(|error| explain(&error))?;
        frame.operands_max = frame.operands_max.max(validator.operand_stack_height());
        let nesting = validator.control_stack_height();
        limits::check("nested blocks", u64::from(nesting), limits::NESTING_MAX)?;
        note_operator(&operator, &mut frame)?;
        shape.note(&operator);
    }
    operators.finish().map_err(|error| explain(&error))?;
    shape.check(&frame)?;
    Ok((frame, shape, validator.into_allocations()))
}

/// What the operator says of its function; refuses those that the chain does not have.
fn note_operator(operator: &Operator<'_>, frame: &mut FunctionFrame) -> Result<(), InvalidCode> {
    match operator {
        Operator::BrTable { targets } => limits::check(
            "targets of br_table",
            u64::from(targets.len()),
            limits::BR_TABLE_MAX,
        )?,
        Operator::Call { .. } | Operator::CallIndirect { .. } => frame.calls = true,
        Operator::MemoryGrow { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryCopy { .. }
        | Operator::MemoryInit { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. } => frame.has_bulk = true,
        Operator::TableGrow { .. } => {
            return Err(InvalidCode::new(
                "table.grow is not allowed: tables of contracts have a fixed size",
            ));
        }
        _ => {}
    }
    Ok(())
}

/// What wasmparser says, with what to do about it.
fn explain(error: &wasmparser::BinaryReaderError) -> InvalidCode {
    let said = error.message();
    const FIXES: [(&str, &str); 9] = [
        (
            "floating-point",
            "contracts may not use f32 or f64, whose results may differ between machines: use integers or fixed-point numbers",
        ),
        ("SIMD", "remove `-C target-feature=+simd128`"),
        ("threads", "remove `-C target-feature=+atomics`"),
        ("atomic", "remove `-C target-feature=+atomics`"),
        ("shared", "remove `-C target-feature=+atomics`"),
        ("exceptions", "build with `panic = \"abort\"`"),
        ("tail call", "remove `-C target-feature=+tail-call`"),
        ("memory64", "build for wasm32v1-none"),
        ("gc", "build for wasm32v1-none"),
    ];
    let fix = FIXES.iter().find(|(word, _)| said.contains(word)).map_or(
        "build with `kumiki build`, for wasm32v1-none",
        |(_, fix)| fix,
    );
    InvalidCode {
        message: format!("{said}: {fix}"),
        offset: Some(error.offset()),
        function: None,
    }
}

/// The name that the name section gives the function.
fn function_name(code: &[u8], wanted: u32) -> Option<String> {
    for payload in parser().parse_all(code) {
        let Payload::CustomSection(section) = payload.ok()? else {
            continue;
        };
        let wasmparser::KnownCustom::Name(names) = section.as_known() else {
            continue;
        };
        for subsection in names {
            let wasmparser::Name::Function(functions) = subsection.ok()? else {
                continue;
            };
            for naming in functions {
                let naming = naming.ok()?;
                if naming.index == wanted {
                    return Some(naming.name.chars().take(200).collect());
                }
            }
        }
    }
    None
}
