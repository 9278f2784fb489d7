//! Attack with amounts: storage, events, returned data, messages, hashes, transfers.

use kumiki_protocol::ResultCode::{Limit, OutOfGas, Reverted};

use crate::Case;
use crate::wat::{call, module, wasm};

/// Two pages of memory, so that a value of 64 KiB and its key both fit.
fn two_pages(body: &str) -> Vec<u8> {
    wasm(&module(
        2,
        &format!("(func (export \"call\") (param i32) (local $n i32) (local $m i64) {body})"),
    ))
}

/// Runs `body` for ever, with another number in `$n` and at address 0 each time.
fn for_ever(body: &str) -> Vec<u8> {
    two_pages(&format!(
        "(loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (i32.store (i32.const 0) (local.get $n)) {body} (br $l))"
    ))
}

/// Runs `body` so often.
fn times(count: u32, body: &str) -> Vec<u8> {
    two_pages(&format!(
        "(loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (i32.store (i32.const 0) (local.get $n)) {body}
           (br_if $l (i32.lt_u (local.get $n) (i32.const {count}))))"
    ))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = storage();
    cases.extend(receipts());
    cases.extend(work());
    cases
}

fn storage() -> Vec<Case> {
    let set = |key: u32, value: u32| {
        format!(
            "(call $storage_set (i32.const 0) (i32.const {key}) (i32.const 4) (i32.const {value}))"
        )
    };
    let fails = |name: &str, attacks, code| Case::fails(name, attacks, code, OutOfGas);
    vec![
        fails("storage_small_keys", "a new small entry for ever", for_ever(&set(4, 1))),
        fails("storage_long_keys", "new keys of 128 bytes for ever", for_ever(&set(128, 1))),
        fails("storage_large_values", "new values of 64 KiB for ever", for_ever(&set(4, 65_536))),
        fails("storage_overwritten", "one value of 64 KiB, written again for ever: each write keeps what it overwrote", for_ever(&set(1, 65_536).replace("(i32.const 0) (i32.const 1)", "(i32.const 100) (i32.const 1)"))),
        fails("storage_removed", "entries removed that never were, for ever", for_ever("(call $storage_remove (i32.const 0) (i32.const 4))")),
        fails("storage_set_and_removed", "entries written and removed at once, for ever", for_ever(&format!("{} (call $storage_remove (i32.const 0) (i32.const 4))", set(4, 1)))),
        fails("storage_read", "entries that are not there, for ever", for_ever("(drop (call $storage_get (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 8)))")),
        fails("storage_read_large", "one value of 64 KiB read for ever into no room", for_ever(&format!("(if (i32.eq (local.get $n) (i32.const 1)) (then {})) (drop (call $storage_get (i32.const 100) (i32.const 1) (i32.const 8) (i32.const 0)))", set(1, 65_536).replace("(i32.const 0) (i32.const 1)", "(i32.const 100) (i32.const 1)")))),
        fails("storage_has_large", "asks for ever whether a value of 64 KiB is there", for_ever(&format!("(if (i32.eq (local.get $n) (i32.const 1)) (then {})) (drop (call $storage_has (i32.const 100) (i32.const 1)))", set(1, 65_536).replace("(i32.const 0) (i32.const 1)", "(i32.const 100) (i32.const 1)")))),
        fails("storage_scanned", "scans nothing for ever", for_ever("(drop (call $storage_scan (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 0) (i32.const 1024) (i32.const 60000)))")),
        fails("storage_scanned_over_removed", "scans over entries that it removed, for ever", two_pages(&format!(
            "(loop $w (local.set $n (i32.add (local.get $n) (i32.const 1))) (i32.store (i32.const 0) (local.get $n))
               {} (call $storage_remove (i32.const 0) (i32.const 4)) (br_if $w (i32.lt_u (local.get $n) (i32.const 300))))
             (loop $l (drop (call $storage_scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256)
               (i32.const 0) (i32.const 1024) (i32.const 60000))) (br $l))", set(4, 32)))),
        Case::fails("storage_then_revert", "writes 100 entries and takes them back", times(100, &format!("{} (if (i32.eq (local.get $n) (i32.const 100)) (then (call $revert (i32.const 0) (i32.const 4))))", set(4, 64))), Reverted),
        Case::succeeds("storage_paid", "as many entries as it can pay for", times(300, &set(4, 1_000))).with_gas(60_000_000),
    ]
}

fn receipts() -> Vec<Case> {
    vec![
        Case::fails("events_65", "one event too many", times(65, "(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 4))"), Limit),
        Case::succeeds("events_large", "64 events of 16 KiB", times(64, "(call $emit_event (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 16384))")).with_gas(120_000_000),
        Case::succeeds("events_64", "64 events with all their topics", times(64, "(call $emit_event (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 64))")),
        Case::fails("events_of_failed_calls", "has the accomplice call it again and again, with events that are undone each time", call(
            "(if (i32.eqz (local.get 0)) (then
               (loop $e (call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
                 (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $e (i32.lt_u (local.get $n) (i32.const 60))))
               (call $revert (i32.const 0) (i32.const 1024))))
             (call $self_address (i32.const 512))
             (loop $l (drop (call $call (i32.const 512) (i32.const 0) (i32.const 0) (i32.const 640) (i64.const 0) (i32.const 1))) (br $l))",
        ), OutOfGas),
        Case::fails("return_65537", "one byte too many returned", two_pages("(call $ret (i32.const 0) (i32.const 65537))"), Limit),
        Case::succeeds("return_65536", "as many bytes returned as may be", two_pages("(call $ret (i32.const 0) (i32.const 65536))")),
        Case::fails("return_without_end", "returns 64 KiB for ever, of which the last count", for_ever("(call $ret (i32.const 0) (i32.const 65536))"), OutOfGas),
        Case::fails("revert_65536", "reverts with 64 KiB, which the receipt keeps", two_pages("(call $revert (i32.const 0) (i32.const 65536))"), Reverted),
        Case::fails("revert_not_paid", "reverts with 64 KiB that it cannot pay for", two_pages("(call $revert (i32.const 0) (i32.const 65536))"), OutOfGas).with_gas(500_000),
        Case::fails("messages", "panic messages of 64 KiB for ever, which somebody must keep", for_ever("(call $panic_message (i32.const 0) (i32.const 65536))"), OutOfGas),
    ]
}

fn work() -> Vec<Case> {
    let fails =
        |name: &str, attacks, body: &str| Case::fails(name, attacks, for_ever(body), OutOfGas);
    vec![
        fails(
            "hash_nothing",
            "hashes nothing for ever",
            "(call $sha3_256 (i32.const 0) (i32.const 0) (i32.const 64))",
        ),
        fails(
            "hash_64_kib",
            "hashes 64 KiB for ever",
            "(call $keccak_256 (i32.const 0) (i32.const 65536) (i32.const 64))",
        ),
        fails(
            "signatures",
            "checks a bad signature for ever",
            "(drop (call $ed25519_verify (i32.const 0) (i32.const 32) (i32.const 0) (i32.const 65536)))",
        ),
        fails(
            "recoveries",
            "recovers a key from nonsense for ever",
            "(drop (call $secp256k1_recover (i32.const 0) (i32.const 32) (i32.const 256)))",
        ),
        fails(
            "transfers_of_nothing",
            "sends nothing to a new address for ever",
            "(drop (call $transfer (i32.const 0) (i32.const 64)))",
        ),
        fails(
            "transfers_not_covered",
            "sends tokens that it does not have, for ever",
            "(drop (call $transfer (i32.const 0) (i32.const 0)))",
        ),
        fails(
            "balances",
            "asks for the balance of a new address for ever",
            "(call $balance (i32.const 0) (i32.const 64))",
        ),
        fails(
            "input_again",
            "copies its input for ever",
            "(drop (call $input (i32.const 64) (i32.const 65536)))",
        ),
        fails(
            "calls_of_nobody",
            "calls an address where nothing is, with 64 KiB, for ever",
            "(drop (call $call (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 65540) (i64.const 0) (i32.const 0)))",
        ),
        fails(
            "deploys_of_nothing",
            "deploys code that there is not, for ever",
            "(drop (call $deploy (i32.const 0) (i32.const 32) (i32.const 0) (i32.const 65536) (i32.const 65540) (i32.const 64)))",
        ),
    ]
}
