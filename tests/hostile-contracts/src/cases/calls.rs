//! Attack with calls between contracts: re-entry on every path, depth, gas of callees, self-upgrade, queries that write.

use kumiki_protocol::ResultCode::{self, OutOfGas, Trap};
use kumiki_protocol::VALIDATORS_CONTRACT;

use crate::Case;
use crate::wat::{call, call_with, imports, wasm};

/// Puts the contract's own address at 512.
const SELF: &str = "(call $self_address (i32.const 512))";

/// Returns the code that `expression` gives, as one byte.
fn returning(expression: &str) -> String {
    format!("(i32.store8 (i32.const 900) {expression}) (call $ret (i32.const 900) (i32.const 1))")
}

/// Calls the address at 512 without input or tokens, with all gas that may be passed on.
fn call_self(flags: u32) -> String {
    format!(
        "(call $call (i32.const 512) (i32.const 0) (i32.const 0) (i32.const 640) (i64.const 0) (i32.const {flags}))"
    )
}

/// Has the accomplice call this contract, and returns the code that the accomplice saw.
fn by_accomplice(outer: u32, inner: u32) -> String {
    format!(
        "(if (i32.eqz (local.get 0)) (then (return)))
         (call $self_address (i32.const 1024)) (i32.store8 (i32.const 1056) (i32.const {inner}))
         (if (call $call (i32.const 0) (i32.const 1024) (i32.const 33) (i32.const 640) (i64.const 0) (i32.const {outer}))
           (then (unreachable)))
         (drop (call $return_data (i32.const 900) (i32.const 1)))
         (call $ret (i32.const 900) (i32.const 1))"
    )
}

/// A contract whose entries are all `$run`, which is called with the input's length and its input at 0.
fn one_for_all(body: &str) -> Vec<u8> {
    wasm(&format!(
        "(module {} (memory (export \"memory\") 1)
           (func $run (param i32) (local $n i32)
             (if (i32.eqz (local.get 0)) (then (return)))
             (drop (call $input (i32.const 0) (i32.const 1024))) {body})
           (export \"init\" (func $run)) (export \"call\" (func $run)) (export \"query\" (func $run))
           (export \"migrate\" (func $run)))",
        imports()
    ))
}

/// Goes one call deeper by `next`, and returns the code that the deepest call was refused with.
fn deepest(next: &str) -> Vec<u8> {
    one_for_all(&format!(
        "{SELF} (i32.store8 (i32.const 900) {next})
         (if (i32.eqz (i32.load8_u (i32.const 900)))
           (then (drop (call $return_data (i32.const 900) (i32.const 1)))))
         (call $ret (i32.const 900) (i32.const 1))"
    ))
}

/// The codes as a contract returns them.
fn code(code: ResultCode) -> [u8; 1] {
    [code as u8]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = reentry();
    cases.extend(depth());
    cases.extend(gas());
    cases.extend(changes());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
fn reentry() -> Vec<Case> {
    let reentrancy = code(ResultCode::Reentrancy);
    let refused =
        |name: &str, attacks, body: &str| Case::returns(name, attacks, call(body), &reentrancy);
    vec![
        refused(
            "reentry_direct",
            "calls itself",
            &format!("{SELF} {}", returning(&call_self(0))),
        ),
        refused(
            "reentry_direct_query",
            "reads itself in the middle of a call",
            &format!("{SELF} {}", returning(&call_self(2))),
        ),
        refused(
            "reentry_by_another",
            "has another contract call it back",
            &by_accomplice(0, 0),
        ),
        refused(
            "reentry_allowed_by_the_wrong_one",
            "has another contract call it back, and only that one allows it",
            &by_accomplice(0, 1),
        ),
        refused(
            "reentry_by_query_of_another",
            "has another contract read it in the middle of a call",
            &by_accomplice(0, 2),
        ),
        refused(
            "reentry_in_query",
            "the same from a query",
            &by_accomplice(2, 2),
        ),
        Case::returns(
            "reentry_allowed",
            "is called back where it allows it",
            call(&by_accomplice(1, 0)),
            &code(ResultCode::Ok),
        ),
        Case::returns(
            "reentry_by_init",
            "deploys a copy of itself whose init calls back",
            one_for_all(&format!(
                "(if (i32.eq (local.get 0) (i32.const 1)) (then
                   (call $caller (i32.const 512)) {} (return)))
                 (drop (call $deploy (i32.const 32) (i32.const 256) (i32.const 0) (i32.const 1) (i32.const 640) (i32.const 700)))
                 (drop (call $return_data (i32.const 900) (i32.const 1))) (call $ret (i32.const 900) (i32.const 1))",
                returning(&call_self(0))
            )),
            &reentrancy,
        ),
        Case::returns(
            "reentry_by_migrate",
            "upgrades itself to code whose migrate calls back",
            one_for_all(&format!(
                "(if (i32.eq (local.get 0) (i32.const 1)) (then {SELF} {} (return)))
                 (drop (call $upgrade (i32.const 32) (i32.const 0) (i32.const 1)))
                 (drop (call $return_data (i32.const 900) (i32.const 1))) (call $ret (i32.const 900) (i32.const 1))",
                returning(&call_self(0))
            )),
            &reentrancy,
        ),
        Case::returns(
            "validators_by_contract",
            "calls the validators' contract, which only transactions reach",
            call_with(
                &format!(
                    "(data (i32.const 512) \"{}\")",
                    VALIDATORS_CONTRACT
                        .0
                        .iter()
                        .map(|byte| format!("\\{byte:02x}"))
                        .collect::<String>()
                ),
                &returning(&call_self(0)),
            ),
            &code(ResultCode::UnknownContract),
        ),
    ]
}

fn depth() -> Vec<Case> {
    let call_depth = code(ResultCode::CallDepth);
    let pass_on = |flags: u32| {
        format!(
            "(call $call (i32.const 512) (i32.const 0) (i32.const 64) (i32.const 640) (i64.const 0) (i32.const {flags}))"
        )
    };
    let deep = |name: &str, attacks, next: &str| {
        Case::returns(name, attacks, deepest(next), &call_depth).with_gas(100_000_000)
    };
    vec![
        deep("depth_by_call", "calls itself as deep as it gets", &pass_on(1)),
        deep("depth_by_query", "queries itself as deep as it gets", &pass_on(3)),
        deep(
            "depth_by_init",
            "deploys itself, which deploys itself",
            "(call $deploy (i32.const 32) (i32.const 256) (i32.const 0) (i32.const 64) (i32.const 640) (i32.const 700))",
        ),
        deep(
            "depth_by_migrate",
            "upgrades itself, which upgrades itself",
            "(call $upgrade (i32.const 32) (i32.const 0) (i32.const 64))",
        ),
        Case::succeeds(
            "depth_by_two",
            "it and the accomplice call each other as deep as it gets",
            call(
                "(call $self_address (i32.const 1024))
                 (i32.store8 (i32.const 1056) (i32.const 1))
                 (memory.copy (i32.const 1057) (i32.const 0) (i32.const 64))
                 (drop (call $call (i32.const 0) (i32.const 1024) (i32.const 97) (i32.const 640) (i64.const 0) (i32.const 1)))",
            ),
        ),
        Case::fails(
            "call_tree",
            "every call makes calls for ever, sixteen deep",
            call(&format!("{SELF} (loop $l (drop {}) (br $l))", call_self(1))),
            OutOfGas,
        ),
    ]
}

fn gas() -> Vec<Case> {
    let out_of_gas = code(ResultCode::OutOfGas);
    let child_loops = |gas: &str| {
        format!(
            "(if (i32.eqz (local.get 0)) (then (loop $l (br $l)))) {SELF} {}",
            returning(&call_self(1).replace("(i64.const 0)", gas))
        )
    };
    vec![
        Case::returns(
            "gas_all_to_a_callee",
            "gives a callee all it can, which burns it; a 64th is left to go on with",
            call(&child_loops("(i64.const 0)")),
            &out_of_gas,
        ),
        Case::returns(
            "gas_more_than_there_is",
            "gives a callee more than there is",
            call(&child_loops("(i64.const -1)")),
            &out_of_gas,
        ),
        Case::returns(
            "gas_of_one",
            "gives a callee one gas",
            call(&child_loops("(i64.const 1)")),
            &out_of_gas,
        ),
        Case::fails(
            "gas_of_one_for_ever",
            "calls itself with one gas, for ever",
            call(&format!(
                "{SELF} (loop $l (drop {}) (br $l))",
                call_self(1).replace("(i64.const 0)", "(i64.const 1)")
            )),
            OutOfGas,
        ),
        Case::returns(
            "value_not_owned",
            "sends along all the tokens there can be",
            call(&format!(
                "{SELF} (i64.store (i32.const 640) (i64.const -1)) (i64.store (i32.const 648) (i64.const -1)) {}",
                returning(&call_self(1))
            )),
            &code(ResultCode::InsufficientBalance),
        ),
    ]
}

fn changes() -> Vec<Case> {
    let read_only = code(ResultCode::ReadOnly);
    let in_query = |body: &str| {
        call_with(
            &format!("(func (export \"query\") (param i32) {body})"),
            &format!("{SELF} {}", returning(&call_self(3))),
        )
    };
    // The query's own return value, where the host function answers with a code instead of ending the call.
    let answered = |expression: &str| {
        call_with(
            &format!("(func (export \"query\") (param i32) {})", returning(expression)),
            &format!(
                "{SELF} (if {} (then (unreachable)))
                 (drop (call $return_data (i32.const 900) (i32.const 1))) (call $ret (i32.const 900) (i32.const 1))",
                call_self(3)
            ),
        )
    };
    vec![
        Case::returns("query_writes", "writes storage in a query", in_query("(call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))"), &read_only),
        Case::returns("query_removes", "removes storage in a query", in_query("(call $storage_remove (i32.const 0) (i32.const 1))"), &read_only),
        Case::returns("query_emits", "emits an event in a query", in_query("(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"), &read_only),
        Case::returns("query_transfers", "sends tokens in a query", answered("(call $transfer (i32.const 0) (i32.const 640))"), &read_only),
        Case::returns("query_deploys", "deploys in a query", answered("(call $deploy (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 640) (i32.const 700))"), &read_only),
        Case::returns("query_upgrades", "upgrades itself in a query", answered("(call $upgrade (i32.const 0) (i32.const 0) (i32.const 0))"), &read_only),
        Case::returns("upgrade_to_nothing", "upgrades itself to code that there is not", call(&returning("(call $upgrade (i32.const 0) (i32.const 0) (i32.const 0))")), &code(ResultCode::UnknownCode)),
        Case::returns("upgrade_without_migrate", "upgrades itself to code that cannot take over", call(&returning("(call $upgrade (i32.const 32) (i32.const 0) (i32.const 0))")), &code(ResultCode::InvalidCode)),
        Case::fails("upgrade_then_trap", "upgrades itself, and faults after", one_for_all("(if (i32.eq (local.get 0) (i32.const 1)) (then (return))) (if (call $upgrade (i32.const 32) (i32.const 0) (i32.const 1)) (then (return))) (unreachable)"), Trap),
        Case::fails("upgrade_without_end", "upgrades itself for ever", one_for_all("(if (i32.eq (local.get 0) (i32.const 1)) (then (return))) (loop $l (drop (call $upgrade (i32.const 32) (i32.const 0) (i32.const 1))) (br $l))"), OutOfGas),
        Case::returns("deploy_twice", "deploys itself to the same address again", one_for_all(&format!(
            "(if (i32.eq (local.get 0) (i32.const 1)) (then (return)))
             (drop (call $deploy (i32.const 32) (i32.const 256) (i32.const 0) (i32.const 1) (i32.const 640) (i32.const 700))) {}",
            returning("(call $deploy (i32.const 32) (i32.const 256) (i32.const 0) (i32.const 1) (i32.const 640) (i32.const 700))")
        )), &code(ResultCode::AddressTaken)),
        Case::fails("deploy_without_end", "deploys itself for ever", one_for_all(
            "(if (i32.eq (local.get 0) (i32.const 1)) (then (return)))
             (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1))) (i32.store (i32.const 256) (local.get $n))
               (drop (call $deploy (i32.const 32) (i32.const 256) (i32.const 0) (i32.const 1) (i32.const 640) (i32.const 700))) (br $l))",
        ), OutOfGas),
        Case::returns("account_called", "calls an account as if it were a contract", call_with("", &format!("(call $caller (i32.const 512)) {}", returning(&call_self(0)))), &code(ResultCode::UnknownContract)),
    ]
}
