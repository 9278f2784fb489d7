//! Attack with loops and recursion that never end by themselves.

use kumiki_protocol::ResultCode::{OutOfGas, StackOverflow};

use crate::Case;
use crate::case::End;
use crate::wat::{call, call_with, imports, wasm};

/// A function that calls itself with many values kept across the call.
fn recursion_with_values(count: usize) -> Vec<u8> {
    let mut before = String::new();
    let mut sum = String::from("(i64.const 0)");
    for index in 1..=count {
        before.push_str(&format!(
            "(local.set {index} (i64.xor (i64.mul (local.get 0) (i64.const {index}7)) (i64.const {index}3)))"
        ));
        sum = format!("(i64.add {sum} (local.get {index}))");
    }
    let locals = "i64 ".repeat(count);
    call_with(
        &format!(
            "(func $deep (param i64) (result i64) (local {locals}) {before}
               (i64.add (call $deep (i64.add (local.get 0) (i64.const 1))) {sum}))"
        ),
        "(drop (call $deep (i64.const 1)))",
    )
}

/// Functions of which each calls the next twice: 2^30 calls from a few hundred bytes.
fn doubling() -> Vec<u8> {
    let functions: String = (0..30)
        .map(|level| format!("(func $f{level} (call $f{0}) (call $f{0}))", level + 1))
        .collect();
    call_with(&format!("{functions} (func $f30)"), "(call $f0)")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = endless();
    cases.extend(recursive());
    cases
}

fn endless() -> Vec<Case> {
    let fails = |name: &str, attacks, code| Case::fails(name, attacks, code, OutOfGas);
    vec![
        fails(
            "loop",
            "the shortest endless loop",
            call("(loop $l (br $l))"),
        ),
        fails(
            "loop_branch_if",
            "an endless loop whose branch is conditional",
            call("(loop $l (br_if $l (i32.const 1)))"),
        ),
        fails(
            "loop_table",
            "an endless loop by br_table with a wild index",
            call("(loop $l (br_table $l $l $l (i32.const -1)))"),
        ),
        fails(
            "loop_nested",
            "loops in each other, each endless",
            call("(loop $a (loop $b (loop $c (br_if $b (i32.const 1)) (br $c))) (br $a))"),
        ),
        fails(
            "loop_divisions",
            "the slowest simple instruction in a loop",
            call(
                "(loop $l (local.set $m (i64.div_u (i64.const -1) (i64.or (local.get $m) (i64.const 3)))) (br $l))",
            ),
        ),
        fails(
            "loop_gas_left",
            "asks for the gas left for ever",
            call("(loop $l (drop (call $gas_left)) (br $l))"),
        ),
        Case::returns(
            "loop_until_gas_is_short",
            "burns gas up to the last moment, then ends well",
            call(
                "(loop $l (br_if $l (i64.gt_u (call $gas_left) (i64.const 2000))))
                 (i32.store8 (i32.const 0) (i32.const 1)) (call $ret (i32.const 0) (i32.const 1))",
            ),
            &[1],
        ),
        fails("calls_doubling", "2^30 calls in 300 bytes", doubling()),
        Case::new(
            "loop_in_init",
            "an endless loop at deployment",
            wasm(&format!(
                "(module {} (memory (export \"memory\") 1) (func (export \"call\") (param i32))
                   (func (export \"init\") (param i32) (loop $l (br $l))))",
                imports()
            )),
            End::DeployFails(OutOfGas),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
fn recursive() -> Vec<Case> {
    let fails = |name: &str, attacks, code| Case::fails(name, attacks, code, StackOverflow);
    let parameters = "i64 ".repeat(32);
    let passed: String = (0..32)
        .map(|index| format!("(local.get {index})"))
        .collect();
    let first = "(i64.const 1)".repeat(32);
    let locals = "i64 ".repeat(999);
    vec![
        fails(
            "recursion",
            "calls itself",
            call_with("(func $f (call $f))", "(call $f)"),
        ),
        fails(
            "recursion_mutual",
            "two functions call each other",
            call_with("(func $f (call $g)) (func $g (call $f))", "(call $f)"),
        ),
        fails(
            "recursion_by_table",
            "calls itself through a table",
            call_with(
                "(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f)
                 (func $f (call_indirect (type $t) (i32.const 0)))",
                "(call $f)",
            ),
        ),
        fails(
            "recursion_parameters",
            "calls itself with 32 parameters",
            call_with(
                &format!("(func $f (param {parameters}) (call $f {passed}))"),
                &format!("(call $f {first})"),
            ),
        ),
        fails(
            "recursion_locals",
            "calls itself with 999 locals",
            call_with(
                &format!("(func $f (local {locals}) (call $f))"),
                "(call $f)",
            ),
        ),
        fails(
            "recursion_values",
            "calls itself with 200 values alive across the call",
            recursion_with_values(200),
        ),
        fails(
            "recursion_of_entry",
            "the entry calls itself",
            call("(call $run (local.get 0))"),
        ),
        Case::fails(
            "recursion_up_and_down",
            "goes down a thousand calls and comes back, again and again",
            call_with(
                "(func $f (param i32) (if (local.get 0)
                   (then (call $f (i32.sub (local.get 0) (i32.const 1))))))",
                "(loop $l (call $f (i32.const 1000)) (br $l))",
            ),
            OutOfGas,
        ),
        Case::fails(
            "recursion_leaves_early",
            "leaves functions by return out of nested blocks, so that slots would be lost if they were not given back",
            call_with(
                "(func $g)
                 (func $f (param i32) (block (loop (block (call $g) (br_if 2 (local.get 0)) (return)))) (call $g))",
                "(loop $l (call $f (i32.const 0)) (call $f (i32.const 1)) (br $l))",
            ),
            OutOfGas,
        ),
    ]
}
