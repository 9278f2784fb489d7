//! Holds traces to what was executed: the same receipts, gas that adds up, and steps in their order.

use std::sync::Arc;

use kumiki_executor::{BlockInput, Executor, Traced};
use kumiki_protocol::{Action, Address, Receipt, ResultCode, Status, Transaction};
use kumiki_state::MemoryState;
use kumiki_vm::{DiagnosticKind, Entry, Step, TracedCall};

use crate::chain::{Chain, address, key};

/// Traces each transaction of a block under each engine, and holds the traces to the block's receipts and each other.
pub(crate) fn check(
    executors: [&Executor; 2],
    base: &Arc<MemoryState>,
    input: &BlockInput,
    transactions: &[Transaction],
    receipts: &[Receipt],
) {
    for (index, receipt) in receipts.iter().enumerate() {
        let [first, second] = executors.map(|executor| {
            let base = Arc::clone(base);
            let traced = executor.trace_in_block(base, input, &transactions[..=index]);
            traced.unwrap().unwrap()
        });
        assert_eq!(first.receipt, *receipt);
        assert_eq!(second.receipt, *receipt);
        assert_eq!(first.trace, second.trace);
        assert_gas_adds_up(&first);
    }
}

fn assert_gas_adds_up(traced: &Traced) {
    let trace = &traced.trace;
    let of_actions: u64 = trace.actions.iter().map(|action| action.gas_used).sum();
    assert_eq!(traced.intrinsic_gas + of_actions, traced.receipt.gas_used);
    for action in &trace.actions {
        if let Some(call) = action.call {
            assert_eq!(
                trace.calls[call].gas_used + action.output_gas,
                action.gas_used
            );
        }
    }
    if trace.left_out == 0 {
        for call in &trace.calls {
            let inner = call.steps.iter().map(|step| match step {
                Step::Call(index) => trace.calls[*index].gas_used,
                _ => 0,
            });
            assert_eq!(inner.sum::<u64>(), call.inner_gas_used);
            assert!(call.inner_gas_used <= call.gas_used);
        }
    }
}

/// Stores its input under "k" twice, reads it, and emits an event; with more than 32 bytes of input it calls the
/// contract that they begin with instead, with the rest, and reverts when that fails; with none it divides by zero.
const BUSY: &str = r#"(module
  (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
  (import "kumiki_v1" "revert" (func $revert (param i32 i32)))
  (import "kumiki_v1" "storage_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "kumiki_v1" "storage_set" (func $set (param i32 i32 i32 i32)))
  (import "kumiki_v1" "storage_remove" (func $remove (param i32 i32)))
  (import "kumiki_v1" "storage_has" (func $has (param i32 i32) (result i32)))
  (import "kumiki_v1" "emit_event" (func $emit (param i32 i32 i32 i32)))
  (import "kumiki_v1" "call" (func $call (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "k")
  (func (export "init") (param i32))
  (func $store (param $len i32)
    (call $set (i32.const 0) (i32.const 1) (i32.const 64) (local.get $len))
    (drop (call $get (i32.const 0) (i32.const 1) (i32.const 1024) (i32.const 64)))
    (call $remove (i32.const 0) (i32.const 1))
    (drop (call $has (i32.const 0) (i32.const 1)))
    (call $set (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 1))
    (call $emit (i32.const 64) (i32.const 0) (i32.const 64) (local.get $len)))
  (func (export "call") (param $len i32)
    (drop (call $input (i32.const 64) (i32.const 512)))
    (if (i32.gt_u (local.get $len) (i32.const 32))
      (then
        (if (call $call (i32.const 64) (i32.const 96) (i32.sub (local.get $len) (i32.const 33))
              (i32.const 2048) (i64.const 0) (i32.const 0))
          (then (call $revert (i32.const 0) (i32.const 1)))))
      (else (if (i32.eqz (local.get $len))
        (then (drop (i32.div_u (i32.const 1) (local.get $len))))
        (else (call $store (local.get $len))))))))"#;

fn deploy(chain: &mut Chain, nonce: u64) -> Address {
    let action = Action::Deploy {
        code: wat::parse_str(BUSY).unwrap(),
        salt: [u8::try_from(nonce).unwrap(); 32],
        input: Vec::new(),
        value: 0,
        admin: None,
    };
    let receipt = chain.run_one(chain.body(1, nonce, vec![action]).sign(&key(1)));
    assert_eq!(receipt.status, Status::Ok);
    Address(receipt.outputs[0].clone().try_into().unwrap())
}

fn call(contract: Address, input: &[u8]) -> Action {
    Action::Call {
        contract,
        input: input.to_vec(),
        value: 0,
    }
}

/// Input that has the contract call `callee` with `input`.
fn through(callee: Address, input: &[u8]) -> Vec<u8> {
    [&callee.0[..], input, &[0]].concat()
}

fn steps(call: &TracedCall) -> Vec<&'static str> {
    let names = call.steps.iter().map(|step| match step {
        Step::Call(_) => "call",
        Step::Read { .. } => "read",
        Step::Has { .. } => "has",
        Step::Write { after: None, .. } => "remove",
        Step::Write { .. } => "write",
        Step::Scan { .. } => "scan",
        Step::Event { .. } => "event",
        Step::Transfer { .. } => "transfer",
    });
    names.collect()
}

#[test]
fn a_trace_tells_calls_and_steps_in_their_order() {
    let mut chain = Chain::new();
    let (first, second) = (deploy(&mut chain, 0), deploy(&mut chain, 1));
    let transfer = Action::Transfer {
        to: address(2),
        amount: 5,
    };
    let actions = vec![transfer, call(first, &through(second, b"value"))];
    let transaction = chain.body(1, 2, actions).sign(&key(1));
    let traced = chain.trace(&transaction);
    let trace = &traced.trace;
    assert_eq!(traced.receipt.status, Status::Ok);
    let [of_transfer, of_call] = trace.actions.as_slice() else {
        panic!("{trace:?}");
    };
    assert_eq!((of_transfer.call, of_call.call), (None, Some(0)));
    let [outer, inner] = trace.calls.as_slice() else {
        panic!("{trace:?}");
    };
    assert_eq!((outer.contract, inner.contract), (first, second));
    assert_eq!((inner.caller, inner.entry), (first, Entry::Call));
    assert_eq!(
        (steps(outer), outer.steps.first()),
        (vec!["call"], Some(&Step::Call(1)))
    );
    assert_eq!(
        steps(inner),
        ["write", "read", "remove", "has", "write", "event"]
    );
    assert_eq!(inner.input.bytes, b"value");
    let Step::Write { key, before, after } = &inner.steps[0] else {
        panic!("{inner:?}");
    };
    assert_eq!(
        (
            key.bytes.as_slice(),
            before,
            after.as_ref().map(|one| one.len)
        ),
        (&b"k"[..], &None, Some(5))
    );
    let Step::Write { before, .. } = &inner.steps[2] else {
        panic!("{inner:?}");
    };
    assert_eq!(
        before.as_ref().map(|one| one.bytes.as_slice()),
        Some(&b"value"[..])
    );
}

#[test]
fn a_failure_is_told_with_the_calls_that_led_to_it() {
    let mut chain = Chain::new();
    let (first, second) = (deploy(&mut chain, 0), deploy(&mut chain, 1));
    let actions = vec![call(first, &through(second, b""))];
    let transaction = chain.body(1, 2, actions).sign(&key(1));
    let traced = chain.trace(&transaction);
    let codes: Vec<ResultCode> = traced.trace.calls.iter().map(|one| one.code).collect();
    assert_eq!(codes, [ResultCode::Reverted, ResultCode::Trap]);
    let said = &traced.diagnostics.messages;
    let kinds: Vec<(Address, usize)> = said
        .iter()
        .map(|one| (one.contract, one.call_depth))
        .collect();
    assert_eq!(kinds, [(second, 1), (first, 0), (first, 0)]);
    assert!(matches!(said[0].kind, DiagnosticKind::Trap { .. }));
    let failed = DiagnosticKind::CallFailed {
        callee: second,
        code: ResultCode::Trap,
    };
    assert_eq!(said[1].kind, failed);
    let ended = DiagnosticKind::Ended {
        code: ResultCode::Reverted,
    };
    assert_eq!(said[2].kind, ended);
    // The same block, executed for good.
    chain.run_one(transaction);
}

#[test]
fn a_trace_of_much_is_cut_and_says_so() {
    let mut chain = Chain::new();
    let contract = deploy(&mut chain, 0);
    let input = [7; 32];
    let actions = (0..8).map(|_| call(contract, &input)).collect();
    let body = kumiki_protocol::TransactionBody {
        gas_limit: 1_000_000_000,
        ..chain.body(1, 1, actions)
    };
    let few = chain.trace(&body.sign(&key(1)));
    assert_eq!(
        (few.receipt.status.clone(), few.trace.left_out),
        (Status::Ok, 0)
    );
    // A page of values, read again and again, is too much to show.
    let mut chain = Chain::new();
    let reader = deploy_reader(&mut chain);
    let body = kumiki_protocol::TransactionBody {
        gas_limit: 9_000_000_000,
        ..chain.body(1, 1, vec![call(reader, b"")])
    };
    let transaction = body.sign(&key(1));
    let traced = chain.trace(&transaction);
    assert_eq!(traced.receipt.status, Status::Ok);
    let kept: usize = traced.trace.calls.iter().map(|one| one.steps.len()).sum();
    assert!(kept <= 8_192, "{kept}");
    assert_eq!(traced.trace.left_out, 10_000 - u64::try_from(kept).unwrap());
    assert!(traced.trace.left_out > 0);
    assert_gas_adds_up(&traced);
}

/// A contract that asks 10,000 times for an entry that is not there.
fn deploy_reader(chain: &mut Chain) -> Address {
    let code = r#"(module
      (import "kumiki_v1" "storage_has" (func $has (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "init") (param i32))
      (func (export "call") (param i32) (local $left i32)
        (local.set $left (i32.const 10000))
        (loop $again
          (drop (call $has (i32.const 0) (i32.const 1)))
          (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;
    let action = Action::Deploy {
        code: wat::parse_str(code).unwrap(),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        admin: None,
    };
    let receipt = chain.run_one(chain.body(1, 0, vec![action]).sign(&key(1)));
    Address(receipt.outputs[0].clone().try_into().unwrap())
}
