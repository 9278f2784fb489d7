//! Stop contracts at every gas limit.

use kumiki_protocol::ResultCode;

use super::harness::{PLENTY, World, contract};

/// Runs `input` at limits from 0 to what it needs; engines must agree at each of them (the harness asserts it).
fn exhaust(body: &str, input: &[u8], steps: u64) {
    let mut world = World::new();
    let address = world.deploy(&contract(body));
    let full = world.try_call(&address, input, PLENTY);
    assert_eq!(full.outcome.code, ResultCode::Ok, "{:?}", full.diagnostics);
    let needed = full.outcome.gas_used;
    let step = (needed / steps).max(1);
    let dense = needed.saturating_sub(64)..needed;
    for gas in (0..needed)
        .step_by(usize::try_from(step).unwrap())
        .chain(dense)
    {
        let run = world.try_call(&address, input, gas);
        assert_eq!(
            run.outcome.code,
            ResultCode::OutOfGas,
            "gas {gas} of {needed}"
        );
        assert_eq!(run.outcome.gas_used, gas);
        assert!(run.changes.entries.is_empty() && run.events.is_empty());
        assert!(run.outcome.data.is_empty());
    }
    let exact = world.try_call(&address, input, needed);
    assert_eq!(exact.outcome, full.outcome);
    assert_eq!(exact.changes, full.changes);
}

#[test]
fn gas_runs_out_at_every_limit_of_a_loop() {
    exhaust(
        r#"(func (export "call") (param i32) (local i32)
             (local.set 1 (i32.const 50))
             (loop $again
               (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
               (br_if $again (local.get 1))))"#,
        &[],
        2_000,
    );
}

#[test]
fn gas_runs_out_at_every_limit_of_host_functions() {
    exhaust(
        r#"(data (i32.const 0) "key")
           (data (i32.const 16) "value")
           (func (export "call") (param i32)
             (call $storage_set (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 5))
             (drop (call $storage_get (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 32)))
             (call $emit_event (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 5))
             (call $sha3_256 (i32.const 0) (i32.const 100) (i32.const 128))
             (drop (call $storage_scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 10) (i32.const 0) (i32.const 256) (i32.const 256)))
             (call $storage_remove (i32.const 0) (i32.const 3))
             (call $ret (i32.const 64) (i32.const 5)))"#,
        &[],
        400,
    );
}

#[test]
fn gas_runs_out_at_every_limit_of_calls_and_branches() {
    exhaust(
        r#"(table 2 funcref) (elem (i32.const 0) $fib $fib)
           (type $unary (func (param i32) (result i32)))
           (func $fib (param i32) (result i32)
             (if (i32.lt_s (local.get 0) (i32.const 2)) (then (return (local.get 0))))
             (i32.add
               (call $fib (i32.sub (local.get 0) (i32.const 1)))
               (call_indirect (type $unary) (i32.sub (local.get 0) (i32.const 2)) (i32.const 1))))
           (func (export "call") (param i32)
             (i32.store (i32.const 0) (call $fib (i32.const 7)))
             (call $ret (i32.const 0) (i32.const 4)))"#,
        &[],
        1_000,
    );
}

#[test]
fn gas_runs_out_at_every_limit_of_bulk_memory() {
    exhaust(
        r#"(data $passive "abcdefgh")
           (func (export "call") (param i32)
             (memory.fill (i32.const 0) (i32.const 7) (i32.const 4096))
             (memory.copy (i32.const 8192) (i32.const 0) (i32.const 4096))
             (memory.init $passive (i32.const 3) (i32.const 0) (i32.const 8))
             (drop (memory.grow (i32.const 2))))"#,
        &[],
        1_000,
    );
}

#[test]
fn an_endless_loop_ends() {
    let mut world = World::new();
    let body = r#"(func (export "call") (param i32) (loop $again (br $again)))"#;
    let address = world.deploy(&contract(body));
    let run = world.try_call(&address, &[], 1_000_000);
    assert_eq!(run.outcome.code, ResultCode::OutOfGas);
    assert_eq!(run.outcome.gas_used, 1_000_000);
}

#[test]
fn endless_recursion_ends_as_stack_overflow_with_gas_left() {
    let mut world = World::new();
    let body = r#"(func $again (export "call") (param i32) (call $again (local.get 0)))"#;
    let address = world.deploy(&contract(body));
    let run = world.try_call(&address, &[], PLENTY);
    assert_eq!(run.outcome.code, ResultCode::StackOverflow);
    assert!(run.outcome.gas_used < PLENTY / 100);
}

#[test]
fn gas_of_the_caller_survives_a_callee_that_uses_all_of_its_share() {
    let mut world = World::new();
    let burner = world.deploy(&contract(
        r#"(func (export "call") (param i32) (loop $again (br $again)))"#,
    ));
    let caller = world.deploy(&contract(
        r#"(func (export "call") (param i32)
             (drop (call $input (i32.const 0) (i32.const 32)))
             (i32.store (i32.const 64)
               (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100) (i64.const 0) (i32.const 0)))
             (call $ret (i32.const 64) (i32.const 4)))"#,
    ));
    let run = world.try_call(&caller, &burner.0, 10_000_000);
    assert_eq!(run.outcome.code, ResultCode::Ok, "{:?}", run.diagnostics);
    assert_eq!(run.outcome.data, [ResultCode::OutOfGas as u8, 0, 0, 0]);
    let used = run.outcome.gas_used;
    assert!((9_800_000..10_000_000).contains(&used), "{used}");
}
