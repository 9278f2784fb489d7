//! Hold the rules of calls between contracts: depth, re-entry, reading only, value, undoing.

use kumiki_abi::{CALL_ALLOW_REENTRY, CALL_READ_ONLY};
use kumiki_protocol::{Address, ResultCode};

use super::harness::{ALICE, PLENTY, Run, World, contract};
use crate::Entry;

/// A contract that does what its input says, one step after the other, and returns the last code.
///
/// A step is a byte and its arguments: `c` (flags, value, 32-byte address, u16 length, input) calls; `s` (key)
/// sets; `e` emits; `t` (32-byte address, amount) transfers; `f` faults; `r` (byte) reverts with it.
const STEPPER: &str = r#"
  (global $at (mut i32) (i32.const 0)) (global $end (mut i32) (i32.const 0))
  (func $byte (result i32)
    (global.set $at (i32.add (global.get $at) (i32.const 1)))
    (i32.load8_u (i32.sub (global.get $at) (i32.const 1))))
  (func $note (param i32)
    (i32.store8 (i32.const 0) (local.get 0)) (call $ret (i32.const 0) (i32.const 1)))
  (func $step_call (local $flags i32) (local $len i32) (local $address i32)
    (local.set $flags (call $byte))
    (i64.store (i32.const 64) (i64.extend_i32_u (call $byte))) (i64.store (i32.const 72) (i64.const 0))
    (local.set $address (global.get $at))
    (global.set $at (i32.add (global.get $at) (i32.const 32)))
    (local.set $len (i32.load16_u (global.get $at)))
    (global.set $at (i32.add (global.get $at) (i32.const 2)))
    (call $note (call $call (local.get $address) (global.get $at) (local.get $len)
      (i32.const 64) (i64.const 0) (local.get $flags)))
    (global.set $at (i32.add (global.get $at) (local.get $len))))
  (func $run (param i32) (local $op i32)
    (global.set $at (i32.const 1024))
    (global.set $end (i32.add (i32.const 1024) (local.get 0)))
    (drop (call $input (i32.const 1024) (local.get 0)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (global.get $at) (global.get $end)))
      (local.set $op (call $byte))
      (if (i32.eq (local.get $op) (i32.const 0x63)) (then (call $step_call)))
      (if (i32.eq (local.get $op) (i32.const 0x73)) (then
        (i32.store8 (i32.const 1) (call $byte))
        (call $storage_set (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1))))
      (if (i32.eq (local.get $op) (i32.const 0x65)) (then
        (call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
      (if (i32.eq (local.get $op) (i32.const 0x74)) (then
        (i64.store (i32.const 64) (i64.extend_i32_u (i32.load8_u (i32.add (global.get $at) (i32.const 32)))))
        (i64.store (i32.const 72) (i64.const 0))
        (call $note (call $transfer (global.get $at) (i32.const 64)))
        (global.set $at (i32.add (global.get $at) (i32.const 33)))))
      (if (i32.eq (local.get $op) (i32.const 0x66)) (then (unreachable)))
      (if (i32.eq (local.get $op) (i32.const 0x72)) (then (call $revert (global.get $at) (i32.const 1))))
      (br $next))))
  (func (export "call") (param i32) (call $run (local.get 0)))
  (func (export "query") (param i32) (call $run (local.get 0)))
  (func (export "migrate") (param i32) (call $run (local.get 0)))"#;

/// A world with `count` steppers; each has other code, so another address.
fn steppers(count: usize) -> (World, Vec<Address>) {
    let mut world = World::new();
    let addresses = (0..count)
        .map(|index| {
            world.deploy(&contract(&format!(
                "{STEPPER} (global i32 (i32.const {index}))"
            )))
        })
        .collect();
    (world, addresses)
}

fn call_step(flags: i32, value: u8, to: &Address, input: &[u8]) -> Vec<u8> {
    let flags = u8::try_from(flags).unwrap();
    let length = u16::try_from(input.len()).unwrap().to_le_bytes();
    [&[b'c', flags, value], to.0.as_slice(), &length, input].concat()
}

fn code_of(run: &Run) -> ResultCode {
    assert_eq!(run.outcome.code, ResultCode::Ok, "{:?}", run.diagnostics);
    ResultCode::from_i32(i32::from(run.outcome.data[0])).unwrap()
}

#[test]
fn a_failed_callee_is_undone_and_its_caller_goes_on() {
    let (mut world, contracts) = steppers(2);
    for (last, code) in [
        (b"f".as_slice(), ResultCode::Trap),
        (b"rx", ResultCode::Reverted),
    ] {
        let inner = [b"s1e", last].concat();
        let steps = [
            b"s2e".as_slice(),
            &call_step(0, 3, &contracts[1], &inner),
            b"s3e",
        ]
        .concat();
        world.give(&contracts[0], 10);
        let run = world.try_call(&contracts[0], &steps, PLENTY);
        assert_eq!(code_of(&run), code);
        assert_eq!(run.events.len(), 2);
        assert_eq!(
            run.changes.entries.len(),
            2,
            "two keys of the caller, no balances"
        );
    }
}

#[test]
fn a_successful_callee_is_kept_and_undone_with_its_caller() {
    let (mut world, contracts) = steppers(2);
    world.give(&contracts[0], 10);
    let steps = call_step(0, 3, &contracts[1], b"s1e");
    let kept = world.call(&contracts[0], &steps);
    assert_eq!(code_of(&kept), ResultCode::Ok);
    assert_eq!(world.storage(&contracts[1], b"1").unwrap(), b"1");
    assert_eq!(
        (world.balance(&contracts[0]), world.balance(&contracts[1])),
        (7, 3)
    );
    let undone = world.try_call(&contracts[0], &[steps, b"f".to_vec()].concat(), PLENTY);
    assert_eq!(undone.outcome.code, ResultCode::Trap);
    assert!(undone.changes.entries.is_empty() && undone.events.is_empty());
}

#[test]
fn a_contract_on_the_stack_is_entered_only_where_all_above_it_allow() {
    let (world, contracts) = steppers(3);
    let [a, b, c] = [&contracts[0], &contracts[1], &contracts[2]];
    let allow = CALL_ALLOW_REENTRY;
    let back = |flags| call_step(flags, 0, a, b"s9");
    let cases = [
        (call_step(0, 0, b, &back(0)), false),
        (call_step(0, 0, b, &back(allow)), false),
        (
            call_step(0, 0, b, &call_step(CALL_READ_ONLY, 0, a, b"")),
            false,
        ),
        (call_step(allow, 0, b, &back(0)), true),
        (call_step(allow, 0, b, &call_step(0, 0, c, &back(0))), false),
        (call_step(0, 0, b, &call_step(allow, 0, c, &back(0))), false),
        (
            call_step(allow, 0, b, &call_step(allow, 0, c, &back(0))),
            true,
        ),
        (back(0), false),
        (back(allow), true),
    ];
    for (index, (steps, enters)) in cases.iter().enumerate() {
        let run = world.try_call(a, steps, PLENTY);
        assert_eq!(run.outcome.code, ResultCode::Ok);
        assert_eq!(!run.changes.entries.is_empty(), *enters, "case {index}");
    }
    let refused = world.try_call(a, &back(0), PLENTY);
    assert_eq!(code_of(&refused), ResultCode::Reentrancy);
}

/// Goes one call deeper in the way that the first byte of its input names, with the same input, and returns how
/// many calls there were from here on and the code that the deepest one was refused with.
const DEEPER: &str = r#"
  (func $deeper (result i32)
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 2)) (then (return
      (call $deploy (i32.const 1025) (i32.const 64) (i32.const 1024) (i32.const 33) (i32.const 64) (i32.const 256)))))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 4)) (then (return
      (call $upgrade (i32.const 1025) (i32.const 1024) (i32.const 33)))))
    (call $call (i32.const 0) (i32.const 1024) (i32.const 33) (i32.const 64) (i64.const 0)
      (i32.load8_u (i32.const 1024))))
  (func $run (param i32) (local $code i32)
    (if (i32.eqz (call $input (i32.const 1024) (i32.const 33))) (then (return)))
    (call $self_address (i32.const 0))
    (if (local.tee $code (call $deeper))
      (then (i32.store8 (i32.const 128) (i32.const 1)) (i32.store8 (i32.const 129) (local.get $code)))
      (else
        (drop (call $return_data (i32.const 128) (i32.const 2)))
        (i32.store8 (i32.const 128) (i32.add (i32.load8_u (i32.const 128)) (i32.const 1)))))
    (call $ret (i32.const 128) (i32.const 2)))
  (export "init" (func $run)) (export "call" (func $run)) (export "query" (func $run))
  (export "migrate" (func $run))"#;

#[test]
fn sixteen_calls_fit_on_top_of_each_other_on_every_path() {
    let mut world = World::new();
    let text = contract(DEEPER).replace("(func (export \"init\") (param i32))\n", "");
    let address = world.deploy(&text);
    let hash = kumiki_protocol::sha3_256(&[&super::harness::wasm(&text)]);
    let paths = [
        (CALL_ALLOW_REENTRY, Entry::Call),
        (CALL_ALLOW_REENTRY | CALL_READ_ONLY, Entry::Query),
        (2, Entry::Call),
        (4, Entry::Call),
    ];
    for (path, entry) in paths {
        let input = [[u8::try_from(path).unwrap()].as_slice(), &hash.0].concat();
        let run = world.try_message(entry, &address, &input, 0, PLENTY);
        assert_eq!(
            run.outcome.data,
            [16, ResultCode::CallDepth as u8],
            "path {path}"
        );
    }
}

#[test]
fn a_query_changes_nothing_however_deep() {
    let (mut world, contracts) = steppers(2);
    world.give(&contracts[0], 10);
    world.give(&contracts[1], 10);
    let transfer = [b"t".as_slice(), &ALICE.0, &[1]].concat();
    for steps in [b"s1".as_slice(), b"e"] {
        let run = world.try_message(Entry::Query, &contracts[0], steps, 0, PLENTY);
        assert_eq!(run.outcome.code, ResultCode::ReadOnly);
        let nested = call_step(CALL_READ_ONLY, 0, &contracts[1], steps);
        let run = world.try_call(&contracts[0], &nested, PLENTY);
        assert_eq!(code_of(&run), ResultCode::ReadOnly);
    }
    for steps in [
        transfer,
        call_step(0, 0, &contracts[1], b""),
        call_step(CALL_READ_ONLY, 1, &contracts[1], b""),
    ] {
        let run = world.try_message(Entry::Query, &contracts[0], &steps, 0, PLENTY);
        assert_eq!(code_of(&run), ResultCode::ReadOnly);
        assert!(run.changes.entries.is_empty());
    }
    let paid = world.try_message(Entry::Query, &contracts[0], b"", 1, PLENTY);
    assert_eq!(paid.outcome.code, ResultCode::ReadOnly);
}

#[test]
fn transfers_move_what_there_is() {
    let (mut world, contracts) = steppers(1);
    world.give(&contracts[0], 10);
    let to = Address([3; 32]);
    let step = |amount| [b"t".as_slice(), &to.0, &[amount]].concat();
    let short = world.try_call(&contracts[0], &step(11), PLENTY);
    assert_eq!(code_of(&short), ResultCode::InsufficientBalance);
    assert_eq!(
        code_of(&world.call(&contracts[0], &step(4))),
        ResultCode::Ok
    );
    assert_eq!((world.balance(&contracts[0]), world.balance(&to)), (6, 4));
}

#[test]
fn refusals_name_their_reason() {
    let (world, contracts) = steppers(1);
    let nobody = Address([8; 32]);
    let unknown = world.try_call(&nobody, &[], PLENTY);
    assert_eq!(unknown.outcome.code, ResultCode::UnknownContract);
    let poor = world.try_call(&contracts[0], &call_step(0, 1, &nobody, b""), PLENTY);
    assert_eq!(code_of(&poor), ResultCode::UnknownContract);
    let rich = world.try_message(Entry::Call, &contracts[0], &[], 1_000_001, PLENTY);
    assert_eq!(rich.outcome.code, ResultCode::InsufficientBalance);
    let wrong = world.try_message(Entry::Init, &contracts[0], &[], 0, PLENTY);
    assert_eq!(wrong.outcome.code, ResultCode::NotAllowed);
    let long = world.try_call(&contracts[0], &vec![0; 65_537], PLENTY);
    assert_eq!(long.outcome.code, ResultCode::Limit);
    let unknown_flag = world.try_call(&contracts[0], &call_step(4, 0, &nobody, b""), PLENTY);
    assert_eq!(unknown_flag.outcome.code, ResultCode::Trap);
}
