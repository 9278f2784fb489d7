//! Attack the compiler: a little Wasm that asks for a lot of time or memory.

use kumiki_protocol::ResultCode::OutOfGas;

use super::bombs::{
    branch_table, branches, function, indirect_calls, loops, many_functions, operands, repeated,
};
use crate::Case;
use crate::case::End;
use crate::wat::{shaped, wasm};

/// A body whose local declarations are these raw groups of (count, type).
fn raw_locals(groups: &[(u64, u8)]) -> Vec<u8> {
    let mut body = vec![u8::try_from(groups.len()).unwrap_or(0)];
    for (count, kind) in groups {
        let mut rest = *count;
        while rest >= 0x80 {
            body.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
            rest >>= 7;
        }
        body.push(u8::try_from(rest).unwrap_or(0));
        body.push(*kind);
    }
    body.push(0x0b);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(b"\x01\x05\x01\x60\x01\x7f\0\x03\x02\x01\0\x05\x03\x01\0\x01");
    module.extend(b"\x07\x11\x02\x06memory\x02\0\x04call\0\0");
    let size = u8::try_from(body.len()).unwrap_or(0);
    module.extend([0x0a, size + 2, 1, size]);
    module.extend(body);
    module
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
pub(super) fn cases() -> Vec<Case> {
    let refused = Case::refused;
    vec![
        refused(
            "code_of_100_loops",
            "4 KB that took a compiler 14 s",
            loops(100, 500),
            "complexity",
        ),
        refused(
            "code_of_branch_table",
            "a br_table over 1,000 locals: 11 KB that took 1.1 GB",
            branch_table(1_000, 900),
            "complexity",
        ),
        refused(
            "code_of_8000_if",
            "8,000 ifs with work in them, 136 KB in one function",
            repeated(
                8_000,
                "(if (local.get 0) (then (local.set 1 (i64.add (local.get 1) (i64.load (local.get 0))))))",
            ),
            "bytes of code",
        ),
        refused(
            "code_of_10000_branches",
            "10,000 conditional branches, with which a compiler's time grows squared",
            branches(10_000),
            "branches in a function",
        ),
        refused(
            "code_of_2001_if",
            "one branch too many",
            repeated(2_001, "(if (local.get 0) (then))"),
            "branches in a function",
        ),
        refused(
            "code_of_indirect_calls",
            "10,000 indirect calls: 50 KB that took 250 MB",
            indirect_calls(10_000),
            "branches in a function",
        ),
        refused(
            "code_of_memory_grow",
            "10,000 memory.grow",
            repeated(10_000, "(drop (memory.grow (local.get 0)))"),
            "branches in a function",
        ),
        refused(
            "code_of_memory_fill",
            "6,000 memory.fill",
            repeated(
                6_000,
                "(memory.fill (local.get 0) (local.get 0) (local.get 0))",
            ),
            "branches in a function",
        ),
        refused(
            "code_too_long",
            "a function of more than 64 KiB",
            repeated(33_000, "(nop) (nop)"),
            "bytes of code",
        ),
        refused(
            "locals_1001",
            "one local too many",
            function(1_001, ""),
            "locals",
        ),
        refused(
            "locals_4_billion",
            "2^32 - 1 locals in four bytes",
            raw_locals(&[(0xffff_ffff, 0x7e)]),
            "locals",
        ),
        refused(
            "locals_wrap",
            "groups of locals whose sum wraps",
            raw_locals(&[(0xffff_ffff, 0x7e), (2, 0x7f)]),
            "locals",
        ),
        refused(
            "nesting_300",
            "300 blocks in each other",
            function(1, &format!("{}{}", "(block ".repeat(300), ")".repeat(300))),
            "nested blocks",
        ),
        refused(
            "nesting_10000",
            "10,000 blocks in each other",
            function(
                1,
                &format!("{} {}", "block ".repeat(10_000), "end ".repeat(10_000)),
            ),
            "nested blocks",
        ),
        refused(
            "branch_table_5000",
            "a br_table of 5,000 targets",
            function(
                1,
                &format!("(block (br_table {} (local.get 0)))", "0 ".repeat(5_000)),
            ),
            "targets of br_table",
        ),
        refused(
            "functions_5001",
            "one function too many",
            shaped(&"(func)".repeat(5_000)),
            "functions",
        ),
        refused(
            "parameters_50",
            "5,000 functions of 50 parameters, 40 times as large when compiled",
            many_functions(4_990, 50),
            "parameters",
        ),
        refused(
            "results_2",
            "a function of two results",
            shaped("(func (result i32 i32) (i32.const 0) (i32.const 0))"),
            "results of a function",
        ),
        refused(
            "types_1001",
            "1,001 types",
            shaped(
                &(0..999)
                    .map(|index| {
                        format!(
                            "(type (func (param {})))",
                            "i32 ".repeat(index % 30) + if index % 2 == 0 { "i64" } else { "i32" }
                        )
                    })
                    .collect::<String>()
                    .repeat(2),
            ),
            "types",
        ),
        refused(
            "globals_257",
            "one global too many",
            shaped(&"(global i32 (i32.const 0))".repeat(257)),
            "globals",
        ),
        refused(
            "code_of_512_kib",
            "more code than a transaction may bring",
            shaped(&format!("(func {})", "(nop)".repeat(66_000)).repeat(8)),
            "bytes of Wasm",
        ),
        Case::succeeds(
            "functions_of_32_parameters",
            "the most functions with the most parameters, paid for",
            many_functions(4_990, 32),
        ),
        Case {
            deploy_gas_limit: 50_000_000,
            ..Case::new(
                "functions_not_paid_for",
                "nearly the same with the gas of a usual deployment",
                many_functions(4_989, 32),
                End::DeployFails(OutOfGas),
            )
        },
        Case::succeeds(
            "code_of_loops",
            "loops over locals, as many as the rules let through",
            loops(20, 800),
        ),
        Case::succeeds(
            "code_of_operands",
            "9,000 values on the operand stack",
            operands(9_000),
        ),
        Case::succeeds(
            "exports_of_long_names",
            "98 exports with names of 5,000 bytes",
            wasm(&format!(
                "(module (memory (export \"memory\") 1) (func $f (export \"init\") (export \"call\") (param i32)) {})",
                (0..97)
                    .map(|index| format!("(export \"{index}{}\" (func $f))", "n".repeat(4_990)))
                    .collect::<String>()
            )),
        ),
    ]
}
