//! Stop faulty contracts, and start each call afresh.

use kumiki_protocol::ResultCode;

use super::harness::{ALICE, PLENTY, World, contract, wasm};
use crate::{DiagnosticKind, EngineKind, Entry, Message, Vm, VmConfig};

#[test]
fn faults_are_traps_that_cost_what_was_used() {
    let cases = [
        "(unreachable)",
        "(drop (i32.load (i32.const 65533)))",
        "(i32.store8 (i32.const -1) (i32.const 1))",
        "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
        "(drop (i64.rem_u (i64.const 1) (i64.const 0)))",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        "(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))",
        "(call_indirect (type $none) (i32.const 0))",
        "(call_indirect (type $none) (i32.const 9))",
        "(call_indirect (type $other) (i32.const 1) (i32.const 1))",
    ];
    for body in cases {
        let mut world = World::new();
        let address = world.deploy(&contract(&format!(
            r#"(type $none (func)) (type $other (func (param i32)))
               (table 2 funcref) (elem (i32.const 1) $empty) (func $empty)
               (func (export "call") (param i32)
                 (call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))
                 {body})"#
        )));
        let run = world.try_call(&address, &[], PLENTY);
        assert_eq!(run.outcome.code, ResultCode::Trap, "{body}");
        assert!((64_000..400_000).contains(&run.outcome.gas_used), "{body}");
        assert!(run.changes.entries.is_empty());
        assert_eq!(run.diagnostics.messages.len(), 1);
    }
}

#[test]
fn memory_grows_to_its_maximum_and_no_further() {
    let mut world = World::new();
    let grows = contract(
        r#"(func (export "call") (param i32)
             (i32.store (i32.const 0) (memory.grow (i32.const 255)))
             (i32.store (i32.const 4) (memory.grow (i32.const 1)))
             (i32.store (i32.const 8) (memory.size))
             (i32.store8 (i32.const 16777215) (i32.const 7))
             (call $ret (i32.const 0) (i32.const 12)))"#,
    );
    let grows = grows.replace("\"memory\") 1)", "\"memory\") 1 256)");
    let address = world.deploy(&grows);
    let run = world.try_call(&address, &[], PLENTY);
    assert_eq!(run.outcome.code, ResultCode::Ok, "{:?}", run.diagnostics);
    assert_eq!(
        run.outcome.data,
        [1, 0, 0, 0, 255, 255, 255, 255, 0, 1, 0, 0]
    );
    assert!(run.outcome.gas_used > 255 * 4_000);
}

#[test]
fn a_memory_without_a_maximum_stays_small_and_a_large_one_is_dear() {
    let body = r#"(func (export "call") (param i32)
      (i32.store (i32.const 0) (memory.grow (i32.const 7)))
      (i32.store (i32.const 4) (memory.grow (i32.const 1)))
      (i64.store (i32.const 8) (i64.load (i32.const 0)))
      (call $ret (i32.const 0) (i32.const 8)))"#;
    let small = contract(body);
    let large = small.replace("\"memory\") 1)", "\"memory\") 1 9)");
    let gas = [(small, 255), (large, 8)].map(|(text, second)| {
        let mut world = World::new();
        let address = world.deploy(&text);
        let run = world.try_call(&address, &[], PLENTY);
        assert_eq!(run.outcome.data[..5], [1, 0, 0, 0, second]);
        run.outcome.gas_used
    });
    // One more byte of Wasm, which is the maximum, and one load.
    let dearer = u64::from(crate::gas::LOAD_LARGE - crate::gas::LOAD_SMALL);
    assert_eq!(gas[1] - gas[0], dearer + crate::gas::CODE_LOAD_PER_BYTE);
}

#[test]
fn growing_without_end_runs_out_of_gas() {
    let mut world = World::new();
    let address = world.deploy(&contract(
        r#"(func (export "call") (param i32) (drop (memory.grow (i32.const -1))))"#,
    ));
    let run = world.try_call(&address, &[], PLENTY);
    assert_eq!(run.outcome.code, ResultCode::OutOfGas);
    assert_eq!(run.outcome.gas_used, PLENTY);
}

#[test]
fn every_call_has_fresh_memory_globals_and_tables() {
    let mut world = World::new();
    let address = world.deploy(&contract(
        r#"(global $g (mut i32) (i32.const 5)) (data (i32.const 100) "data")
           (table 1 funcref) (elem declare func $empty) (func $empty)
           (func (export "call") (param i32)
             (i32.store (i32.const 0) (global.get $g))
             (i32.store (i32.const 4) (i32.load (i32.const 40000)))
             (i32.store (i32.const 8) (i32.load (i32.const 100)))
             (i32.store (i32.const 12) (memory.size))
             (i32.store (i32.const 16) (ref.is_null (table.get 0 (i32.const 0))))
             (call $ret (i32.const 0) (i32.const 20))
             (global.set $g (i32.const 9))
             (table.set 0 (i32.const 0) (ref.func $empty))
             (memory.fill (i32.const 0) (i32.const 0xee) (i32.const 65536))
             (drop (memory.grow (i32.const 3)))
             (memory.fill (i32.const 65536) (i32.const 0xee) (i32.const 65536)))"#,
    ));
    for _ in 0..3 {
        let run = world.try_call(&address, &[], PLENTY);
        assert_eq!(run.outcome.code, ResultCode::Ok, "{:?}", run.diagnostics);
        assert_eq!(
            run.outcome.data,
            *b"\x05\0\0\0\0\0\0\0data\x01\0\0\0\x01\0\0\0"
        );
    }
}

#[test]
fn the_stack_counter_ends_recursion_before_the_native_stack_does() {
    // Many values kept across the call, so that native frames are as large as the code allows.
    let mut locals = String::new();
    let mut sum = String::from("(i64.const 0)");
    for index in 0..60 {
        locals.push_str(&format!(
            "(local.set {0} (i64.xor (i64.mul (local.get 0) (i64.const {0}7)) (i64.const {0}3)))",
            index + 1
        ));
        sum = format!("(i64.add {sum} (local.get {}))", index + 1);
    }
    let kinds = "i64 ".repeat(60);
    let mut world = World::new();
    let address = world.deploy(&contract(&format!(
        r#"(func $deep (param i64) (result i64) (local {kinds})
             {locals}
             (i64.add (call $deep (i64.add (local.get 0) (i64.const 1))) {sum}))
           (func (export "call") (param i32) (drop (call $deep (i64.const 1))))"#
    )));
    let run = world.try_call(&address, &[], PLENTY);
    assert_eq!(run.outcome.code, ResultCode::StackOverflow);
}

#[test]
fn traps_carry_offsets_into_the_original_wasm_where_asked_for() {
    let text = contract(
        r#"(func $inner (param i32) (result i32)
             (i32.add (local.get 0) (i32.const 1)) (return) (unreachable))
           (func $fault (param i32)
             (if (i32.eqz (call $inner (i32.const -1))) (then (drop (i32.load8_s (local.get 0))))))
           (func (export "call") (param i32) (call $fault (i32.const -1)))"#,
    );
    let mut world = World::new();
    let address = world.deploy(&text);
    let config = VmConfig {
        trap_offsets: true,
        ..VmConfig::new(EngineKind::Wasmtime)
    };
    let message = Message {
        caller: ALICE,
        contract: address,
        entry: Entry::Call,
        input: Vec::new(),
        value: 0,
        gas: PLENTY,
    };
    let vm = Vm::new(config).unwrap();
    let (session, outcome) = vm.call(world.session(), message).unwrap();
    assert_eq!(outcome.code, ResultCode::Trap);
    let said = &session.diagnostics.messages[0];
    assert!(matches!(said.kind, DiagnosticKind::Trap { .. }), "{said:?}");
    let code = wasm(&text);
    let at: Vec<u8> = said
        .wasm_offsets
        .iter()
        .map(|offset| code[usize::try_from(*offset).unwrap()])
        .collect();
    // `i32.load8_s`, then `call`.
    assert_eq!(at, [0x2c, 0x10]);
}
