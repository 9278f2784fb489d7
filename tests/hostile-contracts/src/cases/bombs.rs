//! Make code that asks a compiler for a lot of time or memory, and list the heaviest that the rules let through.

use crate::wat::{call, shaped};

/// A module with one more function of `locals` i64 locals and `body`.
pub(super) fn function(locals: usize, body: &str) -> Vec<u8> {
    shaped(&format!(
        "(func (param i32) {} {body})",
        "(local i64)".repeat(locals)
    ))
}

/// `depth` loops in each other over locals that all change in the innermost.
pub(super) fn loops(depth: usize, locals: usize) -> Vec<u8> {
    let sets: String = (2..=locals)
        .map(|local| {
            format!(
                "(local.set {local} (i64.add (local.get {local}) (local.get {})))",
                local - 1
            )
        })
        .collect();
    let body = format!(
        "{} {sets} {}",
        "(loop ".repeat(depth),
        "(br_if 0 (local.get 0)))".repeat(depth)
    );
    function(locals, &body)
}

/// A `br_table` of so many targets over locals that change between its blocks.
pub(super) fn branch_table(targets: usize, locals: usize) -> Vec<u8> {
    let blocks = 16;
    let sets: String = (1..=locals)
        .map(|local| {
            format!("(local.set {local} (i64.add (local.get {local}) (i64.const {local})))")
        })
        .collect();
    let targets: String = (0..targets)
        .map(|index| format!(" {}", index % blocks))
        .collect();
    let body = format!(
        "(loop {} (br_table {targets} (local.get 0)) ) {sets} {})",
        "(block ".repeat(blocks),
        ")".repeat(blocks - 1),
    );
    function(locals, &body)
}

/// A function of `count` times `piece`, as the whole body.
pub(super) fn repeated(count: usize, piece: &str) -> Vec<u8> {
    function(1, &piece.repeat(count))
}

/// So many types that no two functions share.
fn types(count: usize) -> Vec<u8> {
    let types: String = (0..count).map(|index| numbered_type(index, "")).collect();
    shaped(&types)
}

/// The same, each the type of an indirect call and of a function that the table holds.
fn types_called(count: usize) -> Vec<u8> {
    let types: String = (0..count)
        .map(|index| numbered_type(index, &format!("$t{index}")))
        .collect();
    let functions: String = (0..count)
        .map(|index| format!("(func $f{index} (type $t{index}) unreachable)"))
        .collect();
    let elements: String = (0..count).map(|index| format!(" $f{index}")).collect();
    shaped(&format!(
        "{types} {functions} (table {count} funcref) (elem (i32.const 0) func {elements})"
    ))
}

/// A type whose parameters are the number's bits.
fn numbered_type(number: usize, id: &str) -> String {
    let parameters: String = (0..10)
        .map(|bit| {
            if number >> bit & 1 == 1 {
                "i64 "
            } else {
                "i32 "
            }
        })
        .collect();
    format!("(type {id} (func (param {parameters})))")
}

/// A chain of one operator over constants that differ, for compilers that look for simpler forms.
fn chain(operator: &str, count: usize) -> Vec<u8> {
    let body: String = (0..count)
        .map(|index| format!("(i64.const {}) ({operator})", index * 7 + 3))
        .collect();
    function(1, &format!("(local.get 1) {body} (local.set 1)"))
}

/// So many values on the operand stack at once.
pub(super) fn operands(count: usize) -> Vec<u8> {
    let pushed: String = (0..count)
        .map(|index| format!("(i64.load offset={index} (local.get 0))"))
        .collect();
    function(
        1,
        &format!("{pushed} {} (local.set 1)", "(i64.xor)".repeat(count - 1)),
    )
}

/// `functions` of `parameters` parameters each, all of the same code.
pub(super) fn many_functions(functions: usize, parameters: usize) -> Vec<u8> {
    let kinds = "i64 ".repeat(parameters);
    shaped(&format!("(func (param {kinds}))").repeat(functions))
}

/// Calls of a function of 32 parameters, each with values that are alive before and after.
fn wide_calls(count: usize) -> Vec<u8> {
    let kinds = "i64 ".repeat(32);
    let arguments = "(local.get 1)".repeat(32);
    shaped(&format!(
        "(func $wide (param {kinds})) (func (param i32) (local i64) {})",
        format!("(call $wide {arguments})").repeat(count)
    ))
}

/// Indirect calls, each of which an engine checks for index, presence and type.
pub(super) fn indirect_calls(count: usize) -> Vec<u8> {
    shaped(&format!(
        "(type $t (func)) (table 4096 funcref) (func (param i32) {})",
        "(call_indirect (type $t) (local.get 0))".repeat(count)
    ))
}

/// Reads of table entries, each of which may be the first one.
fn table_reads(count: usize) -> Vec<u8> {
    shaped(&format!(
        "(table $t 4096 funcref) (func (param i32) {})",
        "(drop (table.get $t (local.get 0)))".repeat(count)
    ))
}

/// A block that is left in so many places.
pub(super) fn branches(count: usize) -> Vec<u8> {
    function(
        1,
        &format!("(block {})", "(br_if 0 (local.get 0))".repeat(count)),
    )
}

/// So many functions of this body.
fn many(functions: usize, body: &str) -> Vec<u8> {
    shaped(&format!("(func (param i32) {body})").repeat(functions))
}

/// So many functions of as many indirect calls as there may be.
fn many_indirect(functions: usize) -> Vec<u8> {
    shaped(&format!(
        "(type $t (func)) (table 4096 funcref) {}",
        format!(
            "(func (param i32) {})",
            "(call_indirect (type $t) (local.get 0))".repeat(500)
        )
        .repeat(functions)
    ))
}

/// What the rules let through and a compiler likes least, with names, for measurements.
#[must_use]
pub fn heaviest() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("the smallest", shaped("")),
        ("every import", call("")),
        ("1,000 types", types(998)),
        ("1,000 types, called", types_called(998)),
        ("20 loops in each other, 800 locals", loops(20, 800)),
        ("60 loops in each other, 100 locals", loops(60, 100)),
        ("br_table of 4,000, 40 locals", branch_table(4_000, 40)),
        ("br_table of 150, 900 locals", branch_table(150, 900)),
        ("2,000 br_if", branches(2_000 - 1)),
        ("2,000 if", repeated(2_000, "(if (local.get 0) (then))")),
        ("500 call_indirect", indirect_calls(500)),
        (
            "666 memory.fill",
            repeated(
                666,
                "(memory.fill (local.get 0) (local.get 0) (local.get 0))",
            ),
        ),
        (
            "666 memory.grow",
            repeated(666, "(drop (memory.grow (local.get 0)))"),
        ),
        ("1,000 table.get", table_reads(1_000)),
        ("9,000 operands", operands(9_000)),
        ("chain of 10,000 i64.add", chain("i64.add", 10_000)),
        ("chain of 10,000 i64.xor", chain("i64.xor", 10_000)),
        ("chain of 10,000 i64.mul", chain("i64.mul", 10_000)),
        ("chain of 10,000 i64.shl", chain("i64.shl", 10_000)),
        ("900 calls of 32 parameters", wide_calls(900)),
        ("10,000 calls", repeated(10_000, "(call 0 (local.get 0))")),
        (
            "8,000 div",
            repeated(
                8_000,
                "(local.set 1 (i64.div_s (local.get 1) (local.get 1)))",
            ),
        ),
        (
            "10,000 loads",
            repeated(10_000, "(drop (i64.load (local.get 0)))"),
        ),
        (
            "4,998 functions of 32 parameters",
            many_functions(4_998, 32),
        ),
        ("4,998 functions of none", many_functions(4_998, 0)),
        (
            "9 functions of 2,000 br_if",
            many(
                9,
                &format!("(block {})", "(br_if 0 (local.get 0))".repeat(1_999)),
            ),
        ),
        ("9 functions of 500 call_indirect", many_indirect(9)),
    ]
}
