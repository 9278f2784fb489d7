//! Time whole calls on fresh instances: nothing, and a token transfer, under both engines.

use std::hint::black_box;
use std::sync::Arc;

use criterion::Criterion;
use kumiki_protocol::{Address, ResultCode};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Entry, Message, Session, Vm, VmConfig,
    spawn_execution_thread,
};

/// A token's `transfer`: two balances of 16 bytes read and written, one event with three topics. The first call
/// of an empty input gives the caller a balance.
const TOKEN: &str = r#"(module
  (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
  (import "kumiki_v1" "caller" (func $caller (param i32)))
  (import "kumiki_v1" "ret" (func $ret (param i32 i32)))
  (import "kumiki_v1" "storage_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "kumiki_v1" "storage_set" (func $set (param i32 i32 i32 i32)))
  (import "kumiki_v1" "emit_event" (func $emit (param i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\01") (data (i32.const 64) "\01")
  (func (export "init") (param i32))
  (func (export "query") (param i32))
  ;; 0: key of the caller's balance, 64: of the receiver's, 128: amount, 144 and 160: balances, 176: topics
  (func (export "call") (param $len i32)
    (call $caller (i32.const 1))
    (if (i32.eqz (local.get $len)) (then
      (i64.store (i32.const 144) (i64.const 1000000000000))
      (call $set (i32.const 0) (i32.const 33) (i32.const 144) (i32.const 16))
      (return)))
    (drop (call $input (i32.const 65) (i32.const 48)))
    (i64.store (i32.const 128) (i64.load (i32.const 97)))
    (drop (call $get (i32.const 0) (i32.const 33) (i32.const 144) (i32.const 16)))
    (drop (call $get (i32.const 64) (i32.const 33) (i32.const 160) (i32.const 16)))
    (if (i64.lt_u (i64.load (i32.const 144)) (i64.load (i32.const 128))) (then (unreachable)))
    (i64.store (i32.const 144) (i64.sub (i64.load (i32.const 144)) (i64.load (i32.const 128))))
    (i64.store (i32.const 160) (i64.add (i64.load (i32.const 160)) (i64.load (i32.const 128))))
    (call $set (i32.const 0) (i32.const 33) (i32.const 144) (i32.const 16))
    (call $set (i32.const 64) (i32.const 33) (i32.const 160) (i32.const 16))
    (memory.copy (i32.const 208) (i32.const 1) (i32.const 32))
    (memory.copy (i32.const 240) (i32.const 65) (i32.const 32))
    (call $emit (i32.const 176) (i32.const 3) (i32.const 65) (i32.const 48))
    (call $ret (i32.const 0) (i32.const 1))))"#;

const ALICE: Address = Address([1; 32]);

fn message(contract: Address, entry: Entry, input: &[u8]) -> Message {
    Message {
        caller: ALICE,
        contract,
        entry,
        input: input.to_vec(),
        value: 0,
        gas: 1_000_000_000,
    }
}

/// The session, with a token deployed in it.
fn deployed(vm: &Vm) -> (Session, Address) {
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "bench".into(),
    };
    let session = Session::new(Journal::new(Arc::new(MemoryState::default())), block);
    let deployment = Deployment {
        deployer: ALICE,
        admin: None,
        code: CodeSource::Bytes(wat::parse_str(TOKEN).expect("valid WAT").into()),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        gas: 1_000_000_000,
    };
    let (session, outcome, address) = vm.deploy(session, deployment).expect("a working node");
    assert_eq!(outcome.code, ResultCode::Ok);
    let mint = message(address, Entry::Call, &[]);
    let (session, outcome) = vm.call(session, mint).expect("a working node");
    assert_eq!(outcome.code, ResultCode::Ok);
    (session, address)
}

fn bench_calls(criterion: &mut Criterion, vm: &Vm, engine: &str) {
    let transfer = [[7; 32].as_slice(), &1_u128.to_le_bytes()].concat();
    for (name, entry, input) in [
        ("transfer", Entry::Call, transfer.as_slice()),
        ("nothing", Entry::Query, &[]),
    ] {
        let (session, address) = deployed(vm);
        let mut kept = Some(session);
        criterion.bench_function(&format!("call/{name}/{engine}"), |bencher| {
            bencher.iter(|| {
                let session = kept.take().expect("put back below");
                let (mut session, outcome) = vm
                    .call(session, message(address, entry, black_box(input)))
                    .expect("a working node");
                assert_eq!(outcome.code, ResultCode::Ok);
                session.events.clear();
                black_box(session.journal.end_transaction());
                kept = Some(session);
            });
        });
    }
}

fn all(criterion: &mut Criterion) {
    for (engine, name) in [
        (EngineKind::Wasmtime, "wasmtime"),
        (EngineKind::Wasmi, "wasmi"),
    ] {
        let vm = Vm::new(VmConfig::new(engine)).expect("a working node");
        bench_calls(criterion, &vm, name);
    }
}

fn main() {
    let bench = spawn_execution_thread("bench", || {
        let mut criterion = Criterion::default().configure_from_args();
        all(&mut criterion);
        criterion.final_summary();
    });
    bench.expect("a thread").join().expect("no bench panics");
}
