//! Attack what reads modules: features that contracts do not have, bad imports and exports, broken bytes.

use crate::Case;
use crate::wat::{shaped, wasm};

const VALID: &str = r#"(module (memory (export "memory") 1) (func (export "init") (param i32))
  (func (export "call") (param i32)))"#;

/// A module that imports `import` and is a contract otherwise.
fn importing(import: &str) -> Vec<u8> {
    wasm(&format!(
        "(module {import} (memory (export \"memory\") 1) (func (export \"init\") (param i32))
           (func (export \"call\") (param i32)))"
    ))
}

/// A valid contract with bytes changed.
fn broken(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = wasm(VALID);
    change(&mut bytes);
    bytes
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = features();
    cases.extend(imports());
    cases.extend(exports());
    cases.extend(bytes());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
fn features() -> Vec<Case> {
    let refused =
        |name: &str, attacks, text: &str, rule| Case::refused(name, attacks, shaped(text), rule);
    vec![
        refused(
            "start",
            "code that runs before anything was paid for",
            "(func $s) (start $s)",
            "start function",
        ),
        refused(
            "start_endless",
            "a start function that never ends",
            "(func $s (loop (br 0))) (start $s)",
            "start function",
        ),
        refused(
            "float_arithmetic",
            "a sum of floats",
            "(func (drop (f64.add (f64.const 1) (f64.const 2))))",
            "floating-point",
        ),
        refused(
            "float_constant",
            "a float that is only written down",
            "(func (drop (f32.const 0)))",
            "floating-point",
        ),
        refused(
            "float_parameter",
            "a type that names a float",
            "(type (func (param f64)))",
            "floating-point",
        ),
        refused(
            "float_local",
            "a local that nobody uses",
            "(func (local f32))",
            "floating-point",
        ),
        refused(
            "float_global",
            "a global of a NaN",
            "(global f64 (f64.const nan:0x4000000000001))",
            "floating-point",
        ),
        refused(
            "float_memory",
            "a load of a float",
            "(func (drop (f32.load (i32.const 0))))",
            "floating-point",
        ),
        refused(
            "float_conversion",
            "a float for a moment",
            "(func (drop (i32.trunc_sat_f32_s (f32.convert_i32_s (i32.const 1)))))",
            "floating-point",
        ),
        refused(
            "simd",
            "vectors",
            "(func (drop (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4))))",
            "SIMD",
        ),
        refused(
            "simd_relaxed",
            "vectors whose results may differ by machine",
            "(func (param v128) (drop (f32x4.relaxed_min (local.get 0) (local.get 0))))",
            "SIMD",
        ),
        refused(
            "threads_atomic",
            "an atomic addition",
            "(func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))",
            "threads",
        ),
        refused(
            "threads_wait",
            "waits for another thread",
            "(func (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))",
            "threads",
        ),
        refused(
            "exceptions",
            "an exception",
            "(tag $t) (func (throw $t))",
            "exceptions",
        ),
        refused(
            "tail_call",
            "endless recursion without a stack",
            "(func $f (return_call $f))",
            "tail call",
        ),
        refused(
            "garbage_collection",
            "objects that the host would have to collect",
            "(type (struct (field i32)))",
            "gc",
        ),
        refused(
            "reference_extern",
            "references to things of the host",
            "(func (param externref))",
            "gc",
        ),
        refused(
            "reference_typed",
            "references to functions of one type",
            "(type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0)))",
            "function references",
        ),
        refused(
            "constant_extended",
            "sums in constant expressions",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
            "constant expression",
        ),
        refused(
            "wide_arithmetic",
            "arithmetic of 128 bits",
            "(func (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) (drop) (drop))",
            "wide arithmetic",
        ),
        refused(
            "global_of_the_meter",
            "names the global that its own meter would get",
            "(global (mut i64) (i64.const 0)) (func (global.set 1 (i64.const 1000000)))",
            "unknown global",
        ),
    ]
}

fn imports() -> Vec<Case> {
    let refused = |name: &str, attacks, import: &str, rule| {
        Case::refused(name, attacks, importing(import), rule)
    };
    let many = r#"(import "kumiki_v1" "height" (func (result i64)))"#;
    vec![
        refused(
            "import_unknown",
            "a function that there is not",
            r#"(import "kumiki_v1" "exec" (func))"#,
            "unknown",
        ),
        refused(
            "import_of_another_module",
            "the clock of another interface",
            r#"(import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))"#,
            "unknown",
        ),
        refused(
            "import_of_a_later_version",
            "a version that is not there yet",
            r#"(import "kumiki_v2" "height" (func (result i64)))"#,
            "unknown",
        ),
        refused(
            "import_of_another_type",
            "a function of the host with fewer parameters",
            r#"(import "kumiki_v1" "storage_set" (func (param i32)))"#,
            "another type",
        ),
        refused(
            "import_result_of_another_type",
            "a function of the host with another result",
            r#"(import "kumiki_v1" "height" (func (result i32)))"#,
            "another type",
        ),
        refused(
            "import_global",
            "a global by the name of a host function",
            r#"(import "kumiki_v1" "height" (global i64))"#,
            "must be a function",
        ),
        refused(
            "import_of_the_meter",
            "the meter itself",
            r#"(import "kumiki_v1" "kumiki:gas" (global (mut i64)))"#,
            "unknown",
        ),
        refused("import_65", "65 imports", &many.repeat(65), "imports"),
        Case::succeeds(
            "import_twice",
            "the same function 64 times",
            importing(&many.repeat(64)),
        ),
    ]
}

fn exports() -> Vec<Case> {
    let refused =
        |name: &str, attacks, text: &str, rule| Case::refused(name, attacks, wasm(text), rule);
    vec![
        refused(
            "export_of_the_meter",
            "an export by the meter's name",
            r#"(module (memory (export "memory") 1) (func (export "call") (param i32)) (global (export "kumiki:gas") (mut i64) (i64.const 0)))"#,
            "is reserved",
        ),
        refused(
            "export_no_memory",
            "a memory that nobody can see",
            r#"(module (memory 1) (func (export "call") (param i32)))"#,
            "must be exported",
        ),
        refused(
            "export_memory_is_function",
            "a function by the memory's name",
            r#"(module (memory 1) (func (export "memory") (export "call") (param i32)))"#,
            "linear memory",
        ),
        refused(
            "export_no_entry",
            "nothing to call",
            r#"(module (memory (export "memory") 1))"#,
            "neither an export",
        ),
        refused(
            "export_entry_of_another_type",
            "an entry that takes 64 bits",
            r#"(module (memory (export "memory") 1) (func (export "call") (param i64)))"#,
            "must be a function",
        ),
        refused(
            "export_entry_is_global",
            "an entry that is no function",
            r#"(module (memory (export "memory") 1) (func (export "call") (param i32)) (global (export "init") i32 (i32.const 0)))"#,
            "must be a function",
        ),
        refused(
            "export_101",
            "101 exports",
            &format!(
                r#"(module (memory (export "memory") 1) (func $f (export "call") (param i32)) {})"#,
                (0..99)
                    .map(|index| format!("(export \"e{index}\" (func $f))"))
                    .collect::<String>()
            ),
            "exports",
        ),
        Case::new(
            "export_no_init",
            "a contract that cannot be made",
            wasm(r#"(module (memory (export "memory") 1) (func (export "call") (param i32)))"#),
            crate::case::End::DeployFails(kumiki_protocol::ResultCode::InvalidCode),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
fn bytes() -> Vec<Case> {
    let refused = Case::refused;
    let custom = |name: &str, length: usize| {
        let mut bytes = wasm(VALID);
        let mut section = vec![u8::try_from(name.len()).unwrap_or(0)];
        section.extend(name.as_bytes());
        section.extend(vec![0xff; length]);
        bytes.push(0);
        let mut size = section.len();
        while size >= 0x80 {
            bytes.push(u8::try_from(size & 0x7f).unwrap_or(0) | 0x80);
            size >>= 7;
        }
        bytes.push(u8::try_from(size).unwrap_or(0));
        bytes.extend(section);
        bytes
    };
    vec![
        refused("bytes_none", "nothing", Vec::new(), "unexpected end"),
        refused(
            "bytes_only_magic",
            "a module that stops after its magic",
            b"\0asm".to_vec(),
            "unexpected end",
        ),
        refused(
            "bytes_empty_module",
            "a module of nothing",
            wasm("(module)"),
            "must be exported",
        ),
        refused(
            "bytes_other_magic",
            "an ELF file",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(),
            "magic",
        ),
        refused(
            "bytes_other_version",
            "another version of Wasm",
            broken(|bytes| bytes[4] = 2),
            "version",
        ),
        refused(
            "bytes_component",
            "a component",
            b"\0asm\x0d\0\x01\0".to_vec(),
            "component",
        ),
        refused(
            "bytes_truncated",
            "a module without its last byte",
            broken(|bytes| {
                bytes.pop();
            }),
            "unexpected end",
        ),
        refused(
            "bytes_trailing",
            "bytes after the end",
            broken(|bytes| bytes.extend(b"\x0b\x01")),
            "unexpected",
        ),
        refused(
            "bytes_section_twice",
            "two type sections",
            broken(|bytes| {
                let section = bytes[8..15].to_vec();
                bytes.splice(8..8, section);
            }),
            "order",
        ),
        refused(
            "bytes_section_of_4_gib",
            "a section that claims 4 GiB",
            b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f".to_vec(),
            "unexpected end",
        ),
        refused(
            "bytes_count_of_4_billion",
            "a type section that claims 2^32 - 1 types",
            b"\0asm\x01\0\0\0\x01\x05\xff\xff\xff\xff\x0f".to_vec(),
            "types",
        ),
        refused(
            "bytes_names_of_64_kib",
            "64 KiB of names and more",
            custom("name", 65_537),
            "custom sections",
        ),
        Case::succeeds(
            "bytes_names_that_lie",
            "a name section of nonsense",
            custom("name", 60_000),
        ),
        Case::succeeds(
            "bytes_custom_many",
            "a custom section of nonsense",
            custom("producers", 65_000),
        ),
    ]
}
