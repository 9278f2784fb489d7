//! Hold the pass to what it must not change: results.

use wasmi::{Engine, Linker, Module, Store, Val};

use super::{EXPORT_GAS, EXPORT_STACK, STACK_SLOTS, instrument};
use crate::InvalidCode;

/// What a run of `test` with one argument came to: result or that it trapped, then gas used and stack left.
struct Run {
    result: Option<i64>,
    gas_used: i64,
    stack_left: i32,
}

/// Runs `f` of the module with one argument.
fn run(wasm: &[u8], argument: i64) -> Run {
    let engine = Engine::default();
    #[expect(unsafe_code, reason = "wasmi is built without its validator")]
    // SAFETY: `instrument` validated what it wrote.
    let module = unsafe { Module::new_unchecked(&engine, wasm) }.unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .unwrap();
    let globals = (
        instance.get_global(&store, EXPORT_GAS),
        instance.get_global(&store, EXPORT_STACK),
    );
    let given = 1 << 40;
    if let (Some(gas), _) = globals {
        gas.set(&mut store, Val::I64(given)).unwrap();
    }
    let function = instance.get_typed_func::<i64, i64>(&store, "f").unwrap();
    let result = function.call(&mut store, argument).ok();
    Run {
        result,
        gas_used: globals
            .0
            .map_or(0, |gas| given - gas.get(&store).i64().unwrap()),
        stack_left: globals
            .1
            .map_or(STACK_SLOTS, |stack| stack.get(&store).i32().unwrap()),
    }
}

fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 1) (func (export "call") (param i32)) {body})"#
    ))
    .unwrap()
}

/// Each exports `f`.
const FUNCTIONS: &[&str] = &[
    // Values under a branch to the function's own label, through `br`, `br_if`, `br_table` and `return`.
    r#"(func $id (param i64) (result i64) (local.get 0))
       (func (export "f") (param i64) (result i64)
         (i64.const 1)
         (drop (br_if 0 (i64.const 10) (i64.eq (local.get 0) (i64.const 0))))
         (block (block (block (br_table 0 1 2 (call $id (local.get 0)) (i32.wrap_i64 (local.get 0)))) ))
         (return (i64.add (call $id (local.get 0)) (i64.const 5))))"#,
    r#"(func $helper (param i64) (result i64) (if (result i64) (i64.gt_s (local.get 0) (i64.const 3))
           (then (return (i64.const 99))) (else (local.get 0))))
       (func (export "f") (param i64) (result i64) (local i64)
         (loop $l (result i64)
           (local.set 1 (i64.add (local.get 1) (call $helper (local.get 0))))
           (br_if $l (i64.ge_s (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0)))
           (local.get 1)))"#,
    r#"(func $fact (param i64) (result i64)
         (if (i64.le_s (local.get 0) (i64.const 1)) (then (return (i64.const 1))))
         (i64.mul (local.get 0) (call $fact (i64.sub (local.get 0) (i64.const 1)))))
       (export "f" (func $fact))"#,
    // Multi-value blocks, nested returns, code after them.
    r#"(type $two (func (param i64) (result i64 i64)))
       (func $id (param i64) (result i64) (local.get 0))
       (func (export "f") (param i64) (result i64)
         (local.get 0)
         (block (type $two) (call $id) (i64.const 7))
         (i64.add)
         (if (param i64) (result i64) (i64.eqz (local.get 0))
           (then (block (loop (return (i64.const 4)) (unreachable) (br 0))) )
           (else (i64.const 3) (i64.mul))))"#,
    // Traps, in the middle of a call.
    r#"(func $div (param i64) (result i64) (i64.div_s (i64.const 100) (local.get 0)))
       (func (export "f") (param i64) (result i64) (i64.add (call $div (local.get 0)) (i64.const 1)))"#,
    // No result, tables, globals, bulk memory and references.
    r#"(table 3 3 funcref) (elem (i32.const 0) $a $b) (global $g (mut i64) (i64.const 0)) (data $d "12345678")
       (type $none (func))
       (func $a (global.set $g (i64.const 11)) (return)) (func $b (call $a) (global.set $g (i64.const 22)))
       (func (export "f") (param i64) (result i64)
         (table.copy (i32.const 2) (i32.const 1) (i32.const 1))
         (memory.init $d (i32.const 8) (i32.const 0) (i32.const 8)) (data.drop $d)
         (memory.copy (i32.const 16) (i32.const 8) (i32.const 8))
         (memory.fill (i32.const 16) (i32.const 49) (i32.const 2))
         (call_indirect (type $none) (i32.wrap_i64 (local.get 0)))
         (i64.add (global.get $g) (i64.load (i32.const 16))))"#,
    // Dead code and an endless-looking loop left by a table.
    r#"(func (export "f") (param i64) (result i64) (local i32)
         (block $out (loop $in
           (local.set 1 (i32.add (local.get 1) (i32.const 1)))
           (br_table $in $in $in $out (local.get 1)) (drop (i32.const 1)) (unreachable)))
         (i64.extend_i32_u (local.get 1)))"#,
];

#[test]
fn instrumented_code_gives_the_same_results() {
    for body in FUNCTIONS {
        let original = module(body);
        let instrumented = instrument(&original).unwrap().wasm;
        for argument in [-5, -1, 0, 1, 2, 3, 4, 20] {
            let plain = run(&original, argument);
            let metered = run(&instrumented, argument);
            assert_eq!(plain.result, metered.result, "{argument}: {body}");
            assert!(metered.gas_used > 0);
            if metered.result.is_some() {
                assert_eq!(metered.stack_left, STACK_SLOTS, "{argument}: {body}");
            }
        }
    }
}

#[test]
fn gas_is_the_sum_of_the_blocks_run() {
    let body = r#"(func (export "f") (param i64) (result i64) (local i64)
        (loop $l
          (local.set 1 (i64.add (local.get 1) (i64.const 3)))
          (br_if $l (i64.gt_s (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
        (local.get 1))"#;
    let wasm = instrument(&module(body)).unwrap().wasm;
    // Entry 8 and one local; a round is 4 + 7 instructions of 1 and a branch of 4, the rest 1.
    let rounds = [1, 2, 10].map(|rounds| run(&wasm, rounds).gas_used);
    assert_eq!(rounds[1] - rounds[0], 14);
    assert_eq!(rounds[2] - rounds[1], 8 * 14);
    assert_eq!(rounds[0], 9 + 14 + 1);
}

#[test]
fn bulk_operations_cost_by_size() {
    let body = r#"(func (export "f") (param i64) (result i64)
        (memory.fill (i32.const 0) (i32.const 1) (i32.wrap_i64 (local.get 0))) (i64.const 0))"#;
    let wasm = instrument(&module(body)).unwrap().wasm;
    let [none, some] = [0, 65_536].map(|size| run(&wasm, size).gas_used);
    assert_eq!(some - none, 65_536 / 2);
    let huge = run(&wasm, 0xffff_ffff);
    assert!(huge.result.is_none() && huge.gas_used >= 0xffff_ffff / 2);
}

#[test]
fn the_counters_cannot_be_named_by_a_contract() {
    for body in [
        r#"(func (export "f") (global.set 0 (i64.const 1)))"#,
        r#"(global (mut i64) (i64.const 0)) (func (export "f") (global.set 1 (i64.const 1)))"#,
        r#"(global (export "kumiki:gas") (mut i64) (i64.const 0))"#,
    ] {
        let wasm = wat::parse_str(format!(
            r#"(module (memory (export "memory") 1) (func (export "call") (param i32)) {body})"#
        ))
        .unwrap();
        let refused: Result<_, InvalidCode> = instrument(&wasm);
        assert!(refused.is_err(), "{body}");
    }
}

#[test]
fn memory_gets_a_maximum() {
    let wasm = instrument(&module(
        r#"(func (export "f") (param i64) (result i64)
             (i64.extend_i32_s (memory.grow (i32.wrap_i64 (local.get 0)))))"#,
    ))
    .unwrap()
    .wasm;
    assert_eq!(run(&wasm, 8).result, Some(-1));
    assert_eq!(run(&wasm, 7).result, Some(1));
}
