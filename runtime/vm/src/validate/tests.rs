//! Hold the rules of deployment: each broken one is refused, with a message that helps.

use super::check_code;

fn module(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {body} (memory (export "memory") 1) (func (export "call") (param i32)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn repeated(part: &str, times: usize) -> String {
    part.repeat(times)
}

#[track_caller]
fn refused(code: &[u8], expected: &str) {
    let message = check_code(code).unwrap_err().to_string();
    assert!(
        message.contains(expected),
        "expected '{expected}' in '{message}'"
    );
}

#[test]
fn a_minimal_contract_is_valid() {
    let info = check_code(&module("")).unwrap();
    assert_eq!((info.functions, info.instance_gas), (1, 0));
    assert_eq!(info.entries, [false, true, false, false]);
}

#[test]
fn features_outside_the_list_are_refused() {
    let cases = [
        ("(func (param f32))", "floating-point"),
        ("(func (local f64))", "floating-point"),
        ("(func (drop (f64.const 1)))", "floating-point"),
        (
            "(func (param i32) (drop (i32.trunc_sat_f32_s (f32.const 1))))",
            "floating-point",
        ),
        ("(func (drop (i32x4.splat (i32.const 1))))", "SIMD"),
        ("(func (param externref))", "gc"),
        ("(func $f (return_call $f))", "tail call"),
        ("(tag (param i32))", "exceptions"),
        (
            "(func (drop (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1))) (drop))",
            "wide",
        ),
        (
            "(global i32 (i32.add (i32.const 1) (i32.const 1)))",
            "constant expression",
        ),
        ("(type (struct))", "gc"),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(body, word)| {
            let error =
                check_code(&module(body)).map_or_else(|error| error.to_string(), |_| String::new());
            (!error.contains(word)).then(|| format!("{body}: {error}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for memory in [
        "(memory (export \"memory\") 1 2 shared)",
        "(memory (export \"memory\") i64 1)",
    ] {
        let text = format!(r#"(module {memory} (func (export "call") (param i32)))"#);
        assert!(
            check_code(&wat::parse_str(text).unwrap()).is_err(),
            "{memory}"
        );
    }
}

#[test]
fn a_message_names_the_function_and_the_fix() {
    let code = module("(func $compute_rate (drop (f32.const 1)))");
    let error = check_code(&code).unwrap_err();
    assert_eq!(error.function, Some((0, Some("compute_rate".to_owned()))));
    let text = error.to_string();
    for part in [
        "function 0 (compute_rate)",
        "floating-point",
        "fixed-point",
        "at byte 0x",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn imports_are_the_host_functions_with_their_types() {
    refused(
        &module(r#"(import "env" "abort" (func))"#),
        "env.abort is unknown",
    );
    refused(
        &module(r#"(import "kumiki_v1" "clock" (func))"#),
        "kumiki_v1.clock is unknown",
    );
    refused(
        &module(r#"(import "kumiki_v1" "height" (func (result i32)))"#),
        "another type",
    );
    refused(
        &module(r#"(import "kumiki_v1" "caller" (func))"#),
        "another type",
    );
    refused(
        &module(r#"(import "kumiki_v1" "height" (global i32))"#),
        "must be a function",
    );
    check_code(&module(
        r#"(import "kumiki_v1" "height" (func (result i64)))"#,
    ))
    .unwrap();
}

#[test]
fn exports_are_checked() {
    let parse = |text: &str| wat::parse_str(text).unwrap();
    refused(
        &parse(r#"(module (memory (export "memory") 1))"#),
        "neither an export",
    );
    refused(
        &parse(r#"(module (memory 1) (func (export "call") (param i32)))"#),
        "exported as `memory`",
    );
    refused(
        &module(r#"(func (export "query"))"#),
        "export query must be",
    );
    refused(
        &module(r#"(func (export "init") (param i32) (result i32) (i32.const 1))"#),
        "export init",
    );
    refused(
        &module(r#"(global (export "migrate") i32 (i32.const 1))"#),
        "export migrate",
    );
    refused(&module(r#"(func (export "kumiki:stack"))"#), "reserved");
    refused(
        &parse(
            r#"(module (memory 1) (func (export "memory")) (func (export "call") (param i32)))"#,
        ),
        "linear memory",
    );
}

#[test]
fn a_start_function_is_refused() {
    refused(&module("(func $go) (start $go)"), "start function");
}

#[test]
fn limits_are_exact() {
    let cases: [(&str, usize, fn(usize) -> String); 14] = [
        ("functions", 4_999, |n| repeated("(func)", n)),
        ("locals in a function", 1_000, |n| {
            format!("(func (local {}))", repeated("i32 ", n))
        }),
        ("parameters in a type", 32, |n| {
            format!("(func (param {}))", repeated("i32 ", n))
        }),
        ("results of a function", 1, |n| {
            format!("(func (result {}) unreachable)", repeated("i32 ", n))
        }),
        ("globals", 256, |n| {
            repeated("(global i32 (i32.const 0))", n)
        }),
        ("table entries", 4_096, |n| format!("(table {n} funcref)")),
        ("data segments", 256, |n| repeated("(data \"x\")", n)),
        ("element segments", 64, |n| {
            format!("(func $f) {}", repeated("(elem func $f)", n))
        }),
        ("targets of br_table", 4_096, |n| {
            format!("(func (br_table {} 0 (i32.const 0)))", repeated("0 ", n))
        }),
        ("nested blocks", 256, |n| {
            format!("(func {}{})", repeated("(block ", n), repeated(")", n))
        }),
        ("branches in a function", 2_000, |n| {
            format!("(func {})", repeated("(block)", n))
        }),
        ("branches in a function", 500, |n| {
            let calls = repeated("(call_indirect (type $t) (i32.const 0))", n);
            format!("(type $t (func)) (table 1 funcref) (func {calls})")
        }),
        ("branches in a function", 666, |n| {
            format!(
                "(func {})",
                repeated("(drop (memory.grow (i32.const 0)))", n)
            )
        }),
        ("exports", 98, |n| {
            (0..n)
                .map(|i| format!("(func (export \"e{i}\"))"))
                .collect()
        }),
    ];
    for (what, max, make) in cases {
        if let Err(error) = check_code(&module(&make(max))) {
            panic!("{what}: {error}");
        }
        refused(&module(&make(max + 1)), what);
    }
}

#[test]
fn sizes_are_limited() {
    let parse = |text: &str| wat::parse_str(text).unwrap();
    refused(
        &parse(r#"(module (memory (export "memory") 257) (func (export "call") (param i32)))"#),
        "memory pages",
    );
    refused(&vec![0; 512 * 1024 + 1], "bytes of Wasm");
    let long = format!("(func {})", repeated("(drop (i32.const 1))", 22_000));
    refused(&module(&long), "bytes of code in a function");
    let custom = format!("(@custom \"x\" \"{}\")", repeated("x", 65 * 1024));
    refused(&module(&custom), "custom sections");
    let types: String = (0..1_001)
        .map(|index| {
            format!(
                "(type (func {}))",
                if index % 2 == 0 { "" } else { "(param i32)" }
            )
        })
        .collect();
    refused(&module(&types), "types");
}

#[test]
fn segments_outside_memory_or_table_are_refused() {
    refused(
        &module("(data (i32.const 65535) \"ab\")"),
        "data segment of 2",
    );
    refused(&module("(data (i32.const -1) \"a\")"), "data segment of 1");
    refused(
        &module("(table 1 funcref) (func $f) (elem (i32.const 1) $f)"),
        "element segment of 1",
    );
    check_code(&module("(data (i32.const 65534) \"ab\")")).unwrap();
}

#[test]
fn growing_tables_is_refused() {
    let body = "(table 1 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1))))";
    refused(&module(body), "table.grow");
}

#[test]
fn cut_and_mutated_modules_are_refused_or_valid_but_never_panic() {
    let code = module(
        "(table 2 funcref) (func $f (param i32) (result i32) (local i64) (if (local.get 0) (then (return (i32.const 1))))
          (br_table 0 0 (i32.const 1) (local.get 0))) (elem (i32.const 0) $f) (data (i32.const 9) \"text\")
          (global (mut i64) (i64.const 5))",
    );
    for length in 0..code.len() {
        drop(check_code(&code[..length]));
    }
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut mutated = code.clone();
        let position = usize::try_from(seed >> 33).unwrap() % mutated.len();
        mutated[position] = seed.to_le_bytes()[3];
        let checked = check_code(&mutated);
        #[cfg(any(feature = "wasmtime", feature = "wasmi"))]
        if checked.is_ok() {
            crate::instrument::instrument(&mutated).unwrap();
        }
        #[cfg(not(any(feature = "wasmtime", feature = "wasmi")))]
        drop(checked);
    }
}

#[test]
fn functions_that_take_a_compiler_long_are_refused() {
    let body = |loops: usize, locals: usize| {
        let (open, close) = (
            "(loop ".repeat(loops),
            "(br_if 0 (local.get 0)))".repeat(loops),
        );
        let locals = "(local i32)".repeat(locals);
        module(&format!("(func (param i32) {locals} {open} {close})"))
    };
    assert!(check_code(&body(20, 500)).is_ok());
    // 4 KB each; they took 14 s and 58 s.
    refused(&body(100, 500), "complexity of a function");
    refused(&body(200, 500), "complexity of a function");
    let targets = " 0".repeat(4_096);
    let locals = "(local i32)".repeat(900);
    let table = format!("(func (param i32) {locals} (loop (br_table {targets} (local.get 0))))");
    refused(&module(&table), "complexity of a function");
}
