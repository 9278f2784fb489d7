//! The search for what takes longest for its gas knows every instruction and host function, and its kernels run.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use kumiki_hostile_contracts::gas_search::{
    Kernel, accepted_operators, failures, kernels_of, operator_name, subjects,
};
use kumiki_vm::run_on_execution_stack;
use wasmparser::{Parser, Payload, TypeRef};

/// Instructions and host functions that the module's own code uses.
fn used(code: &[u8]) -> Vec<String> {
    let mut used = Vec::new();
    let mut imported = Vec::new();
    for payload in Parser::new(0).parse_all(code) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.unwrap();
                    assert!(matches!(import.ty, TypeRef::Func(_)));
                    imported.push(import.name.to_owned());
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader().unwrap() {
                    let operator = operator.unwrap();
                    if let wasmparser::Operator::Call { function_index } = &operator {
                        let index = usize::try_from(*function_index).unwrap();
                        used.extend(imported.get(index).cloned());
                    }
                    used.push(operator_name(&operator).to_owned());
                }
            }
            _ => {}
        }
    }
    used
}

#[test]
fn every_instruction_and_host_function_has_kernels_that_use_it() {
    for subject in subjects() {
        let kernels = kernels_of(subject);
        assert!(!kernels.is_empty(), "{subject} is in no kernel");
        for kernel in &kernels {
            assert!(
                used(&kernel.code()).iter().any(|used| used == subject),
                "{subject}, {}: does not use it",
                kernel.name
            );
        }
    }
}

#[test]
fn what_contracts_may_use_is_what_the_schedule_prices() {
    let accepted = accepted_operators();
    for operator in [
        "I64Popcnt",
        "TableCopy",
        "I32Extend8S",
        "MemoryInit",
        "RefFunc",
    ] {
        assert!(accepted.contains(&operator), "{operator}");
    }
    for operator in [
        "F64Add",
        "TableGrow",
        "I32TruncF32S",
        "V128Load",
        "ReturnCall",
    ] {
        assert!(!accepted.contains(&operator), "{operator}");
    }
    assert_eq!(accepted.len(), ACCEPTED);
}

/// Of the instructions of Wasm 2.0 without floats, vectors and `table.grow`.
const ACCEPTED: usize = 124;

#[test]
fn every_kernel_runs_on_the_chain_that_it_is_measured_on() {
    let kernels: Vec<Kernel> = subjects().into_iter().flat_map(kernels_of).collect();
    let failed = run_on_execution_stack(|| failures(&kernels)).unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
