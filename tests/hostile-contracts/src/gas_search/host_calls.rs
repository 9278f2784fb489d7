//! Kernels of the host functions that move tokens and enter other contracts.

use kumiki_protocol::limits::CALL_DATA_BYTES_MAX;

use super::host_functions::{SPREAD, sizes};
use super::kernel::{Kernel, Keys, place};
use crate::wat::wasm;

/// Contracts that are called one after the other and lie in no node's memory.
const COLD: u32 = 64;

/// The kernels of a host function; none where the search does not know it.
#[must_use]
pub(super) fn kernels(function: &str) -> Vec<Kernel> {
    match function {
        "revert" => reverts(),
        "balance" => balances(),
        "transfer" => transfers(),
        "call" => calls(),
        "deploy" => deployments(),
        "upgrade" => upgrades(),
        _ => Vec::new(),
    }
}

/// Calls this contract's own query with so much input.
fn query(bytes: usize) -> String {
    format!(
        "(drop (call $call (i32.const {}) (i32.const 65536) (i32.const {bytes}) (i32.const {}) (i64.const 0) (i32.const 3)))",
        place::OWN,
        place::NOTHING
    )
}

fn with_query(subject: &str, name: String, query: &str, body: String) -> Kernel {
    Kernel {
        query: query.to_owned(),
        ..Kernel::executes(subject, name, body)
    }
}

fn reverts() -> Vec<Kernel> {
    sizes(CALL_DATA_BYTES_MAX)
        .map(|bytes| {
            let reverting = format!("(call $revert (i32.const 65536) (i32.const {bytes}))");
            with_query(
                "revert",
                format!("a query with {bytes} bytes"),
                &reverting,
                query(0),
            )
        })
        .collect()
}

fn balances() -> Vec<Kernel> {
    let call = format!(
        "(call $balance (i32.const {}) (i32.const {}))",
        place::KEY,
        place::OUT
    );
    let transfer = transfer(place::KEY, place::ONE);
    vec![
        Kernel::executes("balance", "of the same account", &call),
        Kernel::executes(
            "balance",
            "of accounts that hold nothing",
            format!("{SPREAD}{call}"),
        )
        .on(Keys::New, ""),
        Kernel::executes(
            "balance",
            "of accounts new to the block",
            format!("{SPREAD}{call}"),
        )
        .on(Keys::Existing, format!("{SPREAD}{transfer}")),
    ]
}

fn transfer(to: u32, amount: u32) -> String {
    format!("(drop (call $transfer (i32.const {to}) (i32.const {amount})))\n")
}

fn transfers() -> Vec<Kernel> {
    let moving = format!("{SPREAD}{}", transfer(place::KEY, place::ONE));
    let nothing = format!("{SPREAD}{}", transfer(place::KEY, place::NOTHING));
    vec![
        Kernel::writes(
            "transfer",
            "to the same account",
            transfer(place::KEY, place::ONE),
        ),
        Kernel::writes("transfer", "to new accounts", &moving).on(Keys::New, ""),
        Kernel::writes("transfer", "to accounts that hold some", &moving)
            .on(Keys::Existing, &moving),
        Kernel::writes("transfer", "of nothing", nothing).on(Keys::New, ""),
        Kernel::writes("transfer", "to itself", transfer(place::OWN, place::ONE)),
    ]
}

fn calls() -> Vec<Kernel> {
    let f = "call";
    let no_query = |name: &str, body: String| with_query(f, name.to_owned(), "", body);
    let flags = |contract: u32, bytes: usize, value: u32, gas: u32, flags: u32| {
        format!(
            "(drop (call $call (i32.const {contract}) (i32.const 65536) (i32.const {bytes}) (i32.const {value}) (i64.const {gas}) (i32.const {flags})))"
        )
    };
    let back = "(drop (call $input (i32.const 65536) (local.get 0))) (call $ret (i32.const 65536) (local.get 0))";
    let mut kernels = vec![
        no_query(
            "of itself with one gas",
            flags(place::OWN, 0, place::NOTHING, 1, 3),
        ),
        no_query(
            "of no contract",
            format!("{SPREAD}{}", flags(place::KEY, 0, place::NOTHING, 0, 0)),
        )
        .clone()
        .on(Keys::New, ""),
        no_query(
            "refused as re-entry",
            flags(place::OWN, 0, place::NOTHING, 0, 0),
        ),
        with_query(
            f,
            "16 deep".to_owned(),
            &flags(place::OWN, 0, place::NOTHING, 0, 3),
            query(0),
        ),
        with_query(
            f,
            "that runs out of gas".to_owned(),
            "(loop (br 0))",
            flags(place::OWN, 0, place::NOTHING, 6_000, 3),
        ),
    ];
    for bytes in sizes(CALL_DATA_BYTES_MAX) {
        kernels.push(no_query(&format!("with {bytes} bytes"), query(bytes)));
        kernels.push(with_query(
            f,
            format!("that returns its {bytes} bytes"),
            back,
            query(bytes),
        ));
    }
    kernels.extend(calls_of_others());
    kernels
}

/// Calls of contracts that take much to make an instance of, or to load.
fn calls_of_others() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for (name, pages) in [("a page", 1_u32), ("16 pages", 16), ("256 pages", 256)] {
        // One word in each page that the processor knows.
        let touching = format!(
            "(local $at i32) (loop $next (i32.store (local.get $at) (i32.const 1))
               (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (i32.const {}))))",
            u64::from(pages) << 16
        );
        kernels.push(with_cold(
            &format!("of one with {name}, all touched"),
            1,
            |_| callee(pages, "", &touching),
        ));
    }
    kernels.push(with_cold(
        "of one with 4,096 entries in its table",
        1,
        |_| {
            callee(
                1,
                &format!(
                    "(table 4096 funcref) (elem (i32.const 0) func {}) (func $e)",
                    "$e ".repeat(4_096)
                ),
                "",
            )
        },
    ));
    kernels.push(with_cold("of one with 256 globals", 1, |_| {
        callee(1, &"(global (mut i64) (i64.const 7))".repeat(250), "")
    }));
    kernels.push(with_cold("of one with 64 KiB of data", 1, |_| {
        callee(
            2,
            &format!("(data (i32.const 0) \"{}\")", "\\2a".repeat(65_536)),
            "",
        )
    }));
    for (name, functions, constants) in [("100 bytes", 1, 1), ("8 KB", 20, 100), ("60 KB", 60, 250)]
    {
        let name = format!("of contracts of {name} that are not in memory");
        kernels.push(with_cold(&name, COLD, |number| {
            callee(1, &bulky(number, functions, constants), "")
        }));
    }
    let data = format!("(data $d \"{}\")", "\\2a".repeat(200_000));
    kernels.push(with_cold(
        "of contracts of 200 KB of data that are not in memory",
        COLD,
        |number| callee(1, &format!("{data} (global i32 (i32.const {number}))"), ""),
    ));
    kernels
}

/// A contract whose `call` does `body`.
fn callee(pages: u32, items: &str, body: &str) -> Vec<u8> {
    wasm(&format!(
        "(module (memory (export \"memory\") {pages}) {items} (func (export \"init\") (param i32))
           (func (export \"call\") (param i32) {body}))"
    ))
}

/// Functions of arithmetic that no compiler shortens.
fn bulky(number: u32, functions: u32, constants: u32) -> String {
    let function = |function: u32| {
        let body = (0..constants).fold("(local.get 0)".to_owned(), |inner, step| {
            let odd = (number * 977 + function * 31 + step).wrapping_mul(0x9e37_79b9) >> 1;
            format!("(i64.rotl (i64.add {inner} (i64.const {odd})) (i64.const 9))")
        });
        format!("(func (param i64) (result i64) {body})")
    };
    (0..functions).map(function).collect()
}

/// Calls other contracts, one after the other.
fn with_cold(name: &str, count: u32, code: impl Fn(u32) -> Vec<u8>) -> Kernel {
    let address = format!(
        "(i32.add (i32.const {}) (i32.shl (i32.rem_u (local.get $n) (i32.const {count})) (i32.const 5)))",
        place::OTHERS
    );
    let body = format!(
        "(drop (call $call {address} (i32.const 0) (i32.const 0) (i32.const {}) (i64.const 0) (i32.const 0)))",
        place::NOTHING
    );
    // Each contract once in each transaction: those that it has called stay in a node's memory.
    let (rounds_max, calls) = if count > 1 { (count, 8) } else { (u32::MAX, 1) };
    Kernel {
        cold: (0..count).map(code).collect(),
        rounds_max,
        calls,
        ..Kernel::executes("call", name, body)
    }
}

fn deployments() -> Vec<Kernel> {
    let deploy = |hash: u32, bytes: usize| {
        format!(
            "{SPREAD}(drop (call $deploy (i32.const {hash}) (i32.const {}) (i32.const 65536) (i32.const {bytes}) (i32.const {}) (i32.const {})))",
            place::KEY,
            place::NOTHING,
            place::OUT
        )
    };
    let mut kernels = vec![
        Kernel::writes("deploy", "of code that there is not", deploy(place::KEY, 0))
            .on(Keys::New, ""),
        Kernel::writes(
            "deploy",
            "at an address that is taken",
            deploy(place::CODE_HASH, 0),
        )
        .on(Keys::Existing, deploy(place::CODE_HASH, 0)),
    ];
    for bytes in sizes(CALL_DATA_BYTES_MAX) {
        let name = format!("with {bytes} bytes");
        kernels.push(
            Kernel::writes("deploy", name, deploy(place::CODE_HASH, bytes)).on(Keys::New, ""),
        );
    }
    kernels
}

fn upgrades() -> Vec<Kernel> {
    let upgrade = |hash: u32, bytes: usize| {
        format!("(drop (call $upgrade (i32.const {hash}) (i32.const 65536) (i32.const {bytes})))")
    };
    let mut kernels = vec![Kernel::executes(
        "upgrade",
        "to code that there is not",
        upgrade(place::KEY, 0),
    )];
    for bytes in sizes(CALL_DATA_BYTES_MAX) {
        kernels.push(Kernel::executes(
            "upgrade",
            format!("to itself with {bytes} bytes"),
            upgrade(place::CODE_HASH, bytes),
        ));
    }
    kernels
}
