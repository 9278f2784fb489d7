//! Attack every host function with pointers and lengths: outside memory, wrapping, maximal, overlapping.
//!
//! The modules are made from the table of host functions, so a function that is added is attacked too.

use kumiki_abi::{HOST_FUNCTIONS, HostFunction, ValueType};
use kumiki_protocol::ResultCode::{self, Limit, OutOfGas, Reverted, Trap};

use crate::Case;
use crate::case::End;
use crate::wat::{call, module, type_name, wasm};

/// Bytes of the memory of most cases.
const MEMORY_BYTES: i64 = 65_536;
/// The most memory that a contract can have.
const MEMORY_BYTES_MAX: i64 = 256 * MEMORY_BYTES;

/// What a parameter stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A pointer to as many bytes as the next parameter says.
    Range,
    /// A pointer to a fixed number of bytes.
    Fixed,
    /// The length of the range before it.
    Length,
    /// The number of topics before it.
    Topics,
    /// Anything else.
    Other,
}

fn role(function: &HostFunction, position: usize) -> Role {
    let name = |at: usize| function.parameters.get(at).map_or("", |(name, _)| name);
    let is_length = |name: &str| name == "len" || name.ends_with("_len");
    let own = name(position);
    if is_length(own) {
        Role::Length
    } else if own == "topics_count" {
        Role::Topics
    } else if own == "ptr" || own.ends_with("_ptr") {
        let next = name(position + 1);
        if is_length(next) || next == "topics_count" {
            Role::Range
        } else {
            Role::Fixed
        }
    } else {
        Role::Other
    }
}

/// Arguments that are all valid: a place of its own for each pointer.
fn valid_arguments(function: &HostFunction) -> Vec<i64> {
    (0..)
        .zip(function.parameters)
        .map(|(position, (name, _))| match role(function, position) {
            Role::Range | Role::Fixed => 1_024 + 256 * i64::try_from(position).unwrap_or_default(),
            Role::Length => 64,
            Role::Topics => 2,
            Role::Other if *name == "limit" => 3,
            Role::Other => 0,
        })
        .collect()
}

/// Calls the function with these arguments and drops what it returns.
fn invoke(function: &HostFunction, arguments: &[i64]) -> String {
    let arguments: String = function
        .parameters
        .iter()
        .zip(arguments)
        .map(|((_, kind), value)| format!("({}.const {value})", type_name(*kind)))
        .collect();
    let invoked = format!("(call ${} {arguments})", function.name);
    match function.result {
        None => invoked,
        Some(ValueType::I32) => format!("(local.set $n {invoked})"),
        Some(ValueType::I64) => format!("(local.set $m {invoked})"),
    }
}

/// Attacks each pointer of each function by itself: past the end, across it, at the end of the address space.
fn outside(function: &HostFunction) -> Vec<Case> {
    let mut cases = Vec::new();
    for (position, (parameter, _)) in function.parameters.iter().enumerate() {
        let attacks: &[(&str, i64, i64)] = match role(function, position) {
            Role::Range => &[
                ("past_the_end", MEMORY_BYTES, 1),
                ("across_the_end", MEMORY_BYTES - 1, 2),
                ("wrapping", -1, -1),
                ("of_2_gib", 0, 0x7fff_ffff),
            ],
            Role::Fixed => &[
                ("past_the_end", MEMORY_BYTES, 0),
                ("across_the_end", MEMORY_BYTES - 1, 0),
                ("wrapping", -1, 0),
            ],
            Role::Length | Role::Topics | Role::Other => continue,
        };
        for (kind, pointer, length) in attacks {
            let mut arguments = valid_arguments(function);
            arguments[position] = *pointer;
            let mut end = Trap;
            match function
                .parameters
                .get(position + 1)
                .map(|_| role(function, position + 1))
            {
                Some(Role::Length) => arguments[position + 1] = *length,
                // More topics than there may be are refused before their place is looked at.
                Some(Role::Topics) if !(0..=4).contains(length) => {
                    arguments[position + 1] = *length;
                    end = Limit;
                }
                Some(_) | None => {}
            }
            cases.push(Case::fails(
                format!("{}_{parameter}_{kind}", function.name),
                "a range that is not in memory",
                call(&invoke(function, &arguments)),
                end,
            ));
        }
    }
    cases
}

/// All lengths as large as the largest memory.
fn maximal(function: &HostFunction) -> Option<Case> {
    let mut arguments = valid_arguments(function);
    let mut any = false;
    for position in 0..arguments.len() {
        match role(function, position) {
            Role::Length => {
                arguments[position - 1] = 0;
                arguments[position] = MEMORY_BYTES_MAX;
                any = true;
            }
            Role::Topics => arguments[position] = 0,
            Role::Range | Role::Fixed | Role::Other => {}
        }
    }
    let end = match function.name {
        "ret" | "revert" | "storage_get" | "storage_scan" => End::CallFails(Limit),
        "storage_set" | "storage_remove" | "storage_has" | "emit_event" | "sha3_256"
        | "keccak_256" | "sha2_256" | "blake2b_256" | "ed25519_verify" => End::CallFails(OutOfGas),
        _ => End::CallSucceeds,
    };
    let body = invoke(function, &arguments);
    let code = wasm(&module(
        256,
        &format!("(func (export \"call\") (param i32) (local $n i32) (local $m i64) {body})"),
    ));
    any.then(|| {
        Case::new(
            format!("{}_maximal", function.name),
            "lengths of the whole memory, 16 MiB",
            code,
            end,
        )
    })
}

/// All pointers into the same bytes, `apart` bytes from one to the next.
fn overlapping(function: &HostFunction, kind: &str, apart: i64) -> Option<Case> {
    let mut arguments = valid_arguments(function);
    let mut pointers = 0;
    for (position, argument) in arguments.iter_mut().enumerate() {
        if matches!(role(function, position), Role::Range | Role::Fixed) {
            *argument = pointers * apart;
            pointers += 1;
        }
    }
    let body = format!(
        "{} (i32.store (i32.const 512) (local.get $n)) (i64.store (i32.const 516) (local.get $m))
         (call $ret (i32.const 0) (i32.const 1024))",
        invoke(function, &arguments)
    );
    let end = match function.name {
        "revert" => End::CallFails(Reverted),
        _ => End::CallSucceeds,
    };
    // One pointer alone is in the same place however far apart they are.
    let different = if apart == 0 { 0 } else { 1 };
    (pointers > different).then(|| {
        Case::new(
            format!("{}_{kind}", function.name),
            "buffers that lie over each other",
            call(&body),
            end,
        )
    })
}

/// Values that no pointer is: flags, limits and gas out of range.
fn numbers() -> Vec<Case> {
    let fails = |name: &str, attacks, body: &str, code: ResultCode| {
        Case::fails(name, attacks, call(body), code)
    };
    vec![
        fails(
            "call_flags_unknown",
            "flags that mean nothing yet",
            "(drop (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512) (i64.const 0) (i32.const 4)))",
            Trap,
        ),
        fails(
            "call_flags_all",
            "every flag at once",
            "(drop (call $call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512) (i64.const 0) (i32.const -1)))",
            Trap,
        ),
        fails(
            "storage_scan_flags_unknown",
            "a direction that is none",
            "(drop (call $storage_scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 512) (i32.const 64)))",
            Trap,
        ),
        Case::succeeds(
            "storage_scan_limit_of_4_billion",
            "a page of 2^32 - 1 entries",
            call("(drop (call $storage_scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 512) (i32.const 64)))"),
        ),
        fails(
            "storage_key_empty",
            "a key of no byte",
            "(call $storage_set (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1))",
            Limit,
        ),
        fails(
            "storage_key_of_129",
            "a key of one byte too many",
            "(drop (call $storage_get (i32.const 0) (i32.const 129) (i32.const 0) (i32.const 1)))",
            Limit,
        ),
        fails(
            "storage_value_empty",
            "a value of no byte",
            "(call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))",
            Limit,
        ),
        fails(
            "event_of_5_topics",
            "an event of one topic too many",
            "(call $emit_event (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0))",
            Limit,
        ),
        fails(
            "event_of_16_kib",
            "an event of one byte too many",
            "(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16385))",
            Limit,
        ),
        Case::fails(
            "storage_value_of_64_kib_and_one",
            "a value of one byte too many",
            wasm(&module(
                2,
                "(func (export \"call\") (param i32)
                   (call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 65537)))",
            )),
            Limit,
        ),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = numbers();
    for function in HOST_FUNCTIONS {
        cases.extend(outside(function));
        cases.extend(maximal(function));
        cases.extend(overlapping(function, "overlapping", 0));
        cases.extend(overlapping(function, "staggered", 8));
    }
    cases
}
