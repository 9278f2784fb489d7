//! Write the accounting into one function.
//!
//! A body becomes a list of segments: straight runs that control enters only at their start. Each is preceded by
//! one charge for all of it. Functions that call others also hold stack slots while they run: their body is
//! wrapped in a block, so that branches to the function's own label land in front of the code that gives the
//! slots back; `return` becomes such a branch.

use wasm_encoder::{BlockType, Encode as _, Instruction, MemArg};
use wasmparser::{BinaryReaderError, FunctionBody, Operator, ValType};

use crate::gas;
use crate::validate::FunctionFrame;

/// Slots that every call holds besides its values: return address, frame pointer, saved registers.
const FRAME_SLOTS: u32 = 12;

/// The memory of positions: the one after the contract's.
pub(super) const POSITIONS_MEMORY: u32 = 1;
/// What stands where a function was called through a table and did not begin: the table has none of its kind there.
pub(crate) const NO_POSITION: u32 = u32::MAX;
/// No offset in any contract.
const NOT_ENTERED: usize = usize::MAX;
/// Bytes of one position.
pub(crate) const POSITION_BYTES: i32 = 4;

/// Indices of the globals, and what accounting needs to know of the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accounting {
    pub(super) gas: u32,
    pub(super) stack: u32,
    /// Where positions are kept: in bytes, where in the memory of positions that of the innermost function is.
    pub(super) position: Option<u32>,
    /// What accesses to the memory cost.
    pub(super) memory: gas::MemorySize,
}

struct Writer<'a> {
    accounting: Accounting,
    /// Scratch local for gas, i64; the one after it is an i32.
    scratch: u32,
    out: &'a mut Vec<u8>,
    segment: Vec<u8>,
    cost: u32,
    /// Where the instructions of the segment are: in the segment, and in the original.
    segment_marks: Vec<Mark>,
    /// Where the instructions before it are: in `out`, and in the original.
    marks: Vec<Mark>,
}

/// A place in written code, and the offset in the original Wasm that it comes from.
pub(super) type Mark = (usize, usize);

/// Appends the instrumented `body`, its size in front, to `out`. Gives where in `out` its instructions are.
pub(super) fn instrument(
    code: &[u8],
    body: &FunctionBody<'_>,
    frame: &FunctionFrame,
    accounting: Accounting,
    out: &mut Vec<u8>,
) -> Result<Vec<Mark>, BinaryReaderError> {
    let mut written = Vec::with_capacity(body.range().len() * 2);
    write_locals(body, frame, &mut written)?;
    let slots = stack_slots(frame, body.range().len());
    let mut writer = Writer {
        accounting,
        scratch: frame.params + frame.locals,
        out: &mut written,
        segment: Vec::new(),
        cost: gas::FUNCTION_ENTRY + frame.locals,
        segment_marks: Vec::new(),
        marks: Vec::new(),
    };
    writer.begin(body.get_operators_reader()?.original_position());
    writer.enter(frame, slots);
    writer.write_body(code, body, frame.calls)?;
    if frame.calls {
        writer.leave(slots);
    }
    let mut marks = writer.marks;
    u32::try_from(written.len()).unwrap_or(u32::MAX).encode(out);
    for (place, _) in &mut marks {
        *place += out.len();
    }
    out.extend_from_slice(&written);
    Ok(marks)
}

/// Values that compilers keep for later, such as common subexpressions, are bounded by the code's length: an
/// eighth of its bytes covers them.
fn stack_slots(frame: &FunctionFrame, body_bytes: usize) -> i32 {
    let values = frame.params + frame.locals + frame.operands_max;
    let kept = u32::try_from(body_bytes / 8).unwrap_or(u32::MAX);
    i32::try_from(values.saturating_add(kept).saturating_add(FRAME_SLOTS)).unwrap_or(i32::MAX)
}

fn write_locals(
    body: &FunctionBody<'_>,
    frame: &FunctionFrame,
    out: &mut Vec<u8>,
) -> Result<(), BinaryReaderError> {
    let reader = body.get_locals_reader()?;
    let added = if frame.has_bulk { 2 } else { 1 };
    (reader.get_count() + added).encode(out);
    for group in reader {
        let (count, kind) = group?;
        count.encode(out);
        value_type(kind).encode(out);
    }
    1_u32.encode(out);
    wasm_encoder::ValType::I64.encode(out);
    if frame.has_bulk {
        1_u32.encode(out);
        wasm_encoder::ValType::I32.encode(out);
    }
    Ok(())
}

/// Validation leaves these three.
fn value_type(kind: ValType) -> wasm_encoder::ValType {
    match kind {
        ValType::I64 => wasm_encoder::ValType::I64,
        ValType::Ref(_) => wasm_encoder::ValType::FUNCREF,
        ValType::I32 | ValType::F32 | ValType::F64 | ValType::V128 => wasm_encoder::ValType::I32,
    }
}

impl Writer<'_> {
    /// What is written until the first instruction is that one's, as far as positions go.
    fn begin(&mut self, original: usize) {
        self.marks.push((self.out.len(), original));
        if let Some(depth) = self.accounting.position {
            keep_position(depth, original, self.out);
        }
    }

    /// Takes the stack slots. A function that calls nobody only looks whether there are enough.
    fn enter(&mut self, frame: &FunctionFrame, slots: i32) {
        let stack = self.accounting.stack;
        let out = &mut *self.out;
        Instruction::GlobalGet(stack).encode(out);
        Instruction::I32Const(slots).encode(out);
        if frame.calls {
            Instruction::I32Sub.encode(out);
            Instruction::GlobalSet(stack).encode(out);
            Instruction::GlobalGet(stack).encode(out);
            Instruction::I32Const(0).encode(out);
        }
        Instruction::I32LtS.encode(out);
        Instruction::If(BlockType::Empty).encode(out);
        if !frame.calls {
            Instruction::I32Const(-1).encode(out);
            Instruction::GlobalSet(stack).encode(out);
        }
        Instruction::Unreachable.encode(out);
        Instruction::End.encode(out);
        if frame.calls {
            let block = match frame.result {
                Some(kind) => BlockType::Result(value_type(kind)),
                None => BlockType::Empty,
            };
            Instruction::Block(block).encode(out);
        }
    }

    /// Gives the stack slots back; the result, if there is one, stays on the operand stack.
    fn leave(&mut self, slots: i32) {
        let stack = self.accounting.stack;
        let out = &mut *self.out;
        Instruction::GlobalGet(stack).encode(out);
        Instruction::I32Const(slots).encode(out);
        Instruction::I32Add.encode(out);
        Instruction::GlobalSet(stack).encode(out);
        Instruction::End.encode(out);
    }

    fn write_body(
        &mut self,
        code: &[u8],
        body: &FunctionBody<'_>,
        is_wrapped: bool,
    ) -> Result<(), BinaryReaderError> {
        let mut operators = body.get_operators_reader()?;
        let mut nesting = 0_u32;
        while !operators.eof() {
            let start = operators.original_position();
            let operator = operators.read()?;
            let bytes = code
                .get(start..operators.original_position())
                .unwrap_or_default();
            self.cost = self
                .cost
                .saturating_add(gas::of_operator(&operator, self.accounting.memory));
            self.segment_marks.push((self.segment.len(), start));
            let depth = self.accounting.position.filter(|_| may_stop(&operator));
            if let Some(depth) = depth {
                keep_position(depth, start, &mut self.segment);
            }
            self.charge_by_size(&operator);
            match operator {
                Operator::Call { .. } | Operator::CallIndirect { .. }
                    if let Some(depth) = depth =>
                {
                    move_position(depth, POSITION_BYTES, &mut self.segment);
                    if matches!(operator, Operator::CallIndirect { .. }) {
                        keep_position(depth, NOT_ENTERED, &mut self.segment);
                    }
                    self.segment.extend_from_slice(bytes);
                    move_position(depth, -POSITION_BYTES, &mut self.segment);
                }
                Operator::Return if is_wrapped => {
                    Instruction::Br(nesting).encode(&mut self.segment);
                }
                _ => self.segment.extend_from_slice(bytes),
            }
            match operator {
                Operator::Block { .. } => nesting += 1,
                Operator::Loop { .. } | Operator::If { .. } => {
                    nesting += 1;
                    self.end_segment();
                }
                Operator::End => {
                    nesting = nesting.saturating_sub(1);
                    self.end_segment();
                }
                Operator::Else
                | Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrTable { .. }
                | Operator::Return
                | Operator::Unreachable => self.end_segment(),
                _ => {}
            }
        }
        self.end_segment();
        Ok(())
    }

    /// Writes the charge for the segment, then the segment.
    fn end_segment(&mut self) {
        if self.cost > 0 {
            let gas = self.accounting.gas;
            if let Some((_, original)) = self.segment_marks.first().copied() {
                self.begin(original);
            }
            Instruction::GlobalGet(gas).encode(self.out);
            Instruction::I64Const(i64::from(self.cost)).encode(self.out);
            take_gas(self.accounting.gas, self.scratch, self.out);
        }
        self.cost = 0;
        let base = self.out.len();
        let placed = self.segment_marks.drain(..);
        self.marks
            .extend(placed.map(|(place, original)| (base + place, original)));
        self.out.append(&mut self.segment);
    }

    /// Writes the charge that depends on the operand on top, which is a size, in front of the operator.
    fn charge_by_size(&mut self, operator: &Operator<'_>) {
        let (shift, amount) = match operator {
            Operator::MemoryGrow { .. } => (Instruction::I64Shl, gas::MEMORY_PAGE_SHIFT),
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => (Instruction::I64ShrU, gas::BULK_BYTES_SHIFT),
            Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. } => (Instruction::I64Shl, gas::TABLE_ENTRY_SHIFT),
            _ => return,
        };
        let (gas, size) = (self.accounting.gas, self.scratch + 1);
        let out = &mut self.segment;
        Instruction::LocalTee(size).encode(out);
        Instruction::GlobalGet(gas).encode(out);
        Instruction::LocalGet(size).encode(out);
        Instruction::I64ExtendI32U.encode(out);
        Instruction::I64Const(i64::from(amount)).encode(out);
        shift.encode(out);
        take_gas(gas, self.scratch, out);
    }
}

/// What ends a function in the middle, or calls another.
const fn may_stop(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Unreachable
            | O::Call { .. }
            | O::CallIndirect { .. }
            | O::I32Load { .. }
            | O::I64Load { .. }
            | O::I32Load8S { .. }
            | O::I32Load8U { .. }
            | O::I32Load16S { .. }
            | O::I32Load16U { .. }
            | O::I64Load8S { .. }
            | O::I64Load8U { .. }
            | O::I64Load16S { .. }
            | O::I64Load16U { .. }
            | O::I64Load32S { .. }
            | O::I64Load32U { .. }
            | O::I32Store { .. }
            | O::I64Store { .. }
            | O::I32Store8 { .. }
            | O::I32Store16 { .. }
            | O::I64Store8 { .. }
            | O::I64Store16 { .. }
            | O::I64Store32 { .. }
            | O::I32DivS
            | O::I32DivU
            | O::I32RemS
            | O::I32RemU
            | O::I64DivS
            | O::I64DivU
            | O::I64RemS
            | O::I64RemU
            | O::MemoryGrow { .. }
            | O::MemoryFill { .. }
            | O::MemoryCopy { .. }
            | O::MemoryInit { .. }
            | O::TableGet { .. }
            | O::TableSet { .. }
            | O::TableFill { .. }
            | O::TableCopy { .. }
            | O::TableInit { .. }
    )
}

/// Writes that the function which runs is at `original`.
fn keep_position(depth: u32, original: usize, out: &mut Vec<u8>) {
    let original = u32::try_from(original).unwrap_or(NO_POSITION);
    Instruction::GlobalGet(depth).encode(out);
    Instruction::I32Const(original.cast_signed()).encode(out);
    Instruction::I32Store(MemArg {
        offset: 0,
        align: 2,
        memory_index: POSITIONS_MEMORY,
    })
    .encode(out);
}

/// Writes the step to the position of the function that is called, or back.
fn move_position(depth: u32, by: i32, out: &mut Vec<u8>) {
    Instruction::GlobalGet(depth).encode(out);
    Instruction::I32Const(by).encode(out);
    Instruction::I32Add.encode(out);
    Instruction::GlobalSet(depth).encode(out);
}

/// With the gas and the price on the stack: takes the price, and stops if the gas is below zero then.
fn take_gas(gas: u32, scratch: u32, out: &mut Vec<u8>) {
    Instruction::I64Sub.encode(out);
    Instruction::LocalTee(scratch).encode(out);
    Instruction::GlobalSet(gas).encode(out);
    Instruction::LocalGet(scratch).encode(out);
    Instruction::I64Const(0).encode(out);
    Instruction::I64LtS.encode(out);
    Instruction::If(BlockType::Empty).encode(out);
    Instruction::Unreachable.encode(out);
    Instruction::End.encode(out);
}
