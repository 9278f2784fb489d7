//! No instance finds what another left in memory, tables or globals, also where slots are used again.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::sync::Arc;

use kumiki_hostile_contracts::wat::{module, wasm};
use kumiki_protocol::{Address, ResultCode};
use kumiki_state::{Journal, MemoryState};
use kumiki_vm::{
    BlockContext, CodeSource, Deployment, EngineKind, Entry, Message, Session, Vm, VmConfig,
    run_on_execution_stack,
};

const CALLER: Address = Address([0x44; 32]);
const GAS: u64 = 100_000_000;
/// Calls of the one that leaves a secret, on each of two threads.
const ROUNDS: usize = 400;

/// Fills all memory it can get, its table and its globals with a secret, and ends as its input says: well, with a
/// trap, or without gas.
fn secretive(number: u32, pages: u32) -> Vec<u8> {
    wasm(&module(
        pages,
        &format!(
            r#"(global $a (mut i64) (i64.const 0)) (global i32 (i32.const {number}))
               (table $t 64 funcref) (elem declare func $secret) (func $secret)
               (func (export "call") (param i32)
                 (drop (memory.grow (i32.const 8)))
                 (memory.fill (i32.const 0) (i32.const 0x5e) (i32.mul (memory.size) (i32.const 65536)))
                 (table.fill $t (i32.const 0) (ref.func $secret) (i32.const 64))
                 (global.set $a (i64.const -1))
                 (if (i32.eq (local.get 0) (i32.const 1)) (then (unreachable)))
                 (if (i32.eq (local.get 0) (i32.const 2)) (then (loop $l (br $l)))))"#
        ),
    ))
}

/// Returns whether anything is there that it did not put there: first byte for memory, then table, then globals. What it
/// grows is looked at too.
fn curious(number: u32, pages: u32) -> Vec<u8> {
    wasm(&module(
        pages,
        &format!(
            r#"(global $a (mut i64) (i64.const 0)) (global i32 (i32.const {number})) (table $t 64 funcref)
               (func (export "call") (param i32) (local $at i32) (local $found i64) (local $end i32) (local $set i32)
                 (drop (memory.grow (i32.const 8)))
                 (local.set $end (i32.mul (memory.size) (i32.const 65536)))
                 (loop $l
                   (local.set $found (i64.or (local.get $found) (i64.load (local.get $at))))
                   (local.set $at (i32.add (local.get $at) (i32.const 8)))
                   (br_if $l (i32.lt_u (local.get $at) (local.get $end))))
                 (local.set $at (i32.const 0))
                 (loop $t
                   (if (i32.eqz (ref.is_null (table.get $t (local.get $at)))) (then (local.set $set (i32.const 1))))
                   (local.set $at (i32.add (local.get $at) (i32.const 1)))
                   (br_if $t (i32.lt_u (local.get $at) (i32.const 64))))
                 (i32.store8 (i32.const 0) (i64.ne (local.get $found) (i64.const 0)))
                 (i32.store8 (i32.const 1) (local.get $set))
                 (i32.store8 (i32.const 2) (i64.ne (global.get $a) (i64.const 0)))
                 (call $ret (i32.const 0) (i32.const 3)))"#
        ),
    ))
}

fn deploy(vm: &Vm, session: Session, code: Vec<u8>) -> (Session, Address) {
    let deployment = Deployment {
        deployer: CALLER,
        admin: None,
        code: CodeSource::Bytes(code.into()),
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        gas: GAS,
    };
    let (session, outcome, address) = vm.deploy(session, deployment).unwrap();
    assert_eq!(outcome.code, ResultCode::Ok);
    (session, address)
}

fn call(
    vm: &Vm,
    session: Session,
    contract: Address,
    input: usize,
    gas: u64,
) -> (Session, ResultCode, Vec<u8>) {
    let message = Message {
        caller: CALLER,
        contract,
        entry: Entry::Call,
        input: vec![0; input],
        value: 0,
        gas,
    };
    let (session, outcome) = vm.call(session, message).unwrap();
    (session, outcome.code, outcome.data)
}

/// Leaves secrets in every way a call can end, and looks for them after each, from contracts small and large.
fn look_for_secrets(vm: &Vm) {
    let block = BlockContext {
        height: 1,
        time_ms: 1,
        chain_id: "canary".into(),
    };
    let mut session = Session::new(Journal::new(Arc::new(MemoryState::default())), block);
    let (mut secrets, mut eyes) = (Vec::new(), Vec::new());
    for (number, pages) in [(0, 1), (1, 4), (2, 16)] {
        let (after, address) = deploy(vm, session, secretive(number, pages));
        secrets.push(address);
        let (after, address) = deploy(vm, after, curious(number, pages));
        eyes.push(address);
        session = after;
    }
    let ends = [ResultCode::Ok, ResultCode::Trap, ResultCode::OutOfGas];
    for round in 0..ROUNDS {
        let (secret, eye) = (secrets[round % 3], eyes[round / 3 % 3]);
        let input = round % ends.len();
        let (after, code, _) = call(vm, session, secret, input, 2_000_000);
        assert_eq!(code, ends[input], "round {round}");
        let (after, code, found) = call(vm, after, eye, 0, GAS);
        assert_eq!(
            (code, found),
            (ResultCode::Ok, vec![0, 0, 0]),
            "round {round}"
        );
        session = after;
    }
}

fn look_on_two_threads(config: VmConfig) {
    let vm = Vm::new(config).unwrap();
    std::thread::scope(|scope| {
        let look = || run_on_execution_stack(|| look_for_secrets(&vm)).unwrap();
        let threads = [scope.spawn(look), scope.spawn(look)];
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn no_instance_finds_what_another_left() {
    for engine in [EngineKind::Wasmtime, EngineKind::Wasmi] {
        look_on_two_threads(VmConfig::new(engine));
    }
}

#[test]
fn no_instance_finds_what_another_left_in_the_only_slots_there_are() {
    look_on_two_threads(VmConfig {
        parallel_calls_max: 1,
        ..VmConfig::new(EngineKind::Wasmtime)
    });
}
