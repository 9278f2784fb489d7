//! Take Wasm as contracts: validate and instrument it, and run it on the compiler and on the interpreter.

use std::sync::{Mutex, PoisonError};

use kumiki_hostile_contracts::smith::{self, Pair, generate_from};
use kumiki_protocol::limits::CODE_BYTES_MAX;
use kumiki_testkit::peak_bytes;
use kumiki_vm::{check_code, instrumented_code, run_on_execution_stack};
use wasmparser::{Parser, Payload, Validator};

use crate::Verdict;
use crate::choices::Choices;

/// What validation may hold for each byte of code: a byte can declare a local, a type, a block.
const CHECK_HEAP_PER_BYTE: usize = 512;
const CHECK_HEAP_SLACK: usize = 4 << 20;
/// Instrumented bytes for each byte of code: an instruction of a byte can need a charge and a look at the stack.
const GROWTH_PER_BYTE: usize = 64;
const GROWTH_SLACK: usize = 64 << 10;
/// Modules after which fresh engines are taken, so that what they keep stays small.
const MODULES_PER_PAIR: u32 = 500;

/// The module that the bytes ask for: their own, a generated one, or that with changes.
fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut choices = Choices::new(bytes);
    match choices.byte() % 4 {
        0 => Some(choices.rest().to_vec()),
        1 | 2 => {
            let seed = u64::from_le_bytes(choices.array());
            generate_from(seed, choices.rest())
        }
        _ => {
            let seed = u64::from_le_bytes(choices.array());
            let entropy = choices.bytes(1_500);
            let code = generate_from(seed, entropy)?;
            Some(choices.mutated(&code))
        }
    }
}

/// Validates and instruments Wasm.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let Some(code) = module(bytes) else {
        return Verdict::Refused;
    };
    let (checked, peak) = peak_bytes(|| check_code(&code));
    assert!(
        peak <= CHECK_HEAP_PER_BYTE * code.len() + CHECK_HEAP_SLACK,
        "{} bytes of code made validation hold {peak}",
        code.len()
    );
    let Ok(info) = checked else {
        assert!(instrumented_code(&code).is_err());
        return Verdict::Refused;
    };
    assert!(code.len() <= CODE_BYTES_MAX && info.size == code.len() && info.deploy_gas > 0);
    let valid = |wasm: &[u8]| Validator::new().validate_all(wasm).is_ok();
    assert!(valid(&code), "our rules take what is not Wasm");
    let written = instrumented_code(&code).expect("what is valid can be instrumented");
    let again = instrumented_code(&code).expect("what is valid can be instrumented");
    assert_eq!(written, again, "instrumentation is a function of the code");
    for wasm in &written {
        assert!(valid(wasm), "instrumentation writes what is not Wasm");
        assert!(wasm.len() <= GROWTH_PER_BYTE * code.len() + GROWTH_SLACK);
        assert_eq!(exports(&code), {
            let mut kept = exports(wasm);
            kept.retain(|(name, _, _)| !name.starts_with("kumiki:"));
            kept
        });
        assert_eq!(function_count(&code), function_count(wasm));
    }
    Verdict::Accepted
}

/// What a module exports: name, kind, index.
fn exports(wasm: &[u8]) -> Vec<(String, String, u32)> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Ok(Payload::ExportSection(reader)) = payload {
            for export in reader.into_iter().flatten() {
                let kind = format!("{:?}", export.kind);
                found.push((export.name.to_owned(), kind, export.index));
            }
        }
    }
    found
}

fn function_count(wasm: &[u8]) -> usize {
    let payloads = Parser::new(0).parse_all(wasm);
    payloads
        .filter(|payload| matches!(payload, Ok(Payload::CodeSectionEntry(_))))
        .count()
}

/// The engines, and how many modules they may still take.
static PAIR: Mutex<Option<(Pair, u32)>> = Mutex::new(None);

/// Runs Wasm on both engines.
///
/// # Panics
/// Where a promise is broken.
pub fn differential_body(bytes: &[u8]) -> Verdict {
    let Some(code) = module(bytes) else {
        return Verdict::Refused;
    };
    let mut pair = PAIR.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = pair.take().filter(|(_, left)| *left > 0);
    let (engines, left) = kept.unwrap_or_else(|| (Pair::new(), MODULES_PER_PAIR));
    let held = run_on_execution_stack(|| engines.hold_code(&code));
    *pair = Some((engines, left - 1));
    drop(pair);
    let held = held.expect("a thread to execute on");
    let difference = held.as_ref().err();
    assert_eq!(
        difference,
        None,
        "{}",
        difference.map_or("", String::as_str)
    );
    Verdict::of(matches!(held, Ok(smith::Verdict::Ran(_))))
}
