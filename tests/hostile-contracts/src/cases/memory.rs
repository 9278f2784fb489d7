//! Attack with memory and tables.

use kumiki_protocol::ResultCode::{OutOfGas, Trap};

use crate::Case;
use crate::wat::{call, call_with, module, shaped, wasm};

/// A module whose memory is declared by `declaration`.
fn with_memory(declaration: &str) -> Vec<u8> {
    wasm(&format!(
        "(module {declaration} (func (export \"init\") (param i32)) (func (export \"call\") (param i32)))"
    ))
}

/// A module of 16 MiB whose call runs `body`.
fn whole_memory(body: &str) -> Vec<u8> {
    wasm(&module(
        256,
        &format!("(func (export \"call\") (param i32) (local $n i32) {body})"),
    ))
}

/// A module of one page that may become 16 MiB, whose call runs `body`.
fn growing(body: &str) -> Vec<u8> {
    let text = module(1, &format!("(func (export \"call\") (param i32) {body})"));
    wasm(&text.replacen("\"memory\") 1)", "\"memory\") 1 256)", 1))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = declared();
    cases.extend(grown());
    cases.extend(tables());
    cases.extend(segments());
    cases
}

fn declared() -> Vec<Case> {
    let refused = Case::refused;
    vec![
        refused(
            "memory_257_pages",
            "one page more than allowed",
            with_memory(r#"(memory (export "memory") 257)"#),
            "memory pages",
        ),
        refused(
            "memory_4_gib",
            "the most that Wasm can say",
            with_memory(r#"(memory (export "memory") 65536)"#),
            "memory pages",
        ),
        refused(
            "memory_64_bit",
            "addresses of 64 bits",
            with_memory(r#"(memory (export "memory") i64 1)"#),
            "memory64",
        ),
        refused(
            "memory_shared",
            "a memory shared between threads",
            with_memory(r#"(memory (export "memory") 1 1 shared)"#),
            "threads",
        ),
        refused(
            "memory_two",
            "two memories",
            with_memory(r#"(memory (export "memory") 1) (memory 1)"#),
            "memories",
        ),
        refused(
            "memory_imported",
            "a memory from outside, shared with who knows whom",
            with_memory(r#"(import "kumiki_v1" "memory" (memory 1)) (export "memory" (memory 0))"#),
            "unknown",
        ),
        refused(
            "memory_of_odd_pages",
            "pages of one byte",
            with_memory(r#"(memory (export "memory") 1 (pagesize 1))"#),
            "custom page sizes",
        ),
        Case::succeeds(
            "memory_16_mib_instance",
            "every call makes an instance of 16 MiB",
            whole_memory(""),
        ),
        Case::succeeds(
            "memory_16_mib_touched",
            "writes to each page of 16 MiB, which somebody must clear",
            whole_memory(
                "(loop $l (i32.store (local.get $n) (i32.const -1))
                   (local.set $n (i32.add (local.get $n) (i32.const 4096)))
                   (br_if $l (i32.lt_u (local.get $n) (i32.const 16777216))))",
            ),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
fn grown() -> Vec<Case> {
    let out_of_gas = |name: &str, attacks, code| Case::fails(name, attacks, code, OutOfGas);
    vec![
        out_of_gas(
            "grow_by_minus_one",
            "asks for 2^32 - 1 pages",
            call("(drop (memory.grow (i32.const -1)))"),
        ),
        out_of_gas(
            "grow_without_end",
            "asks for a page for ever",
            call("(loop $l (drop (memory.grow (i32.const 1))) (br $l))"),
        ),
        out_of_gas(
            "grow_by_nothing",
            "asks for no page for ever",
            call("(loop $l (drop (memory.grow (i32.const 0))) (br $l))"),
        ),
        Case::succeeds(
            "grow_to_the_end",
            "grows page by page to the maximum and writes to the last byte",
            growing(
                "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                 (i32.store8 (i32.const 16777215) (i32.const 1))",
            ),
        ),
        out_of_gas(
            "fill_16_mib",
            "fills 16 MiB for ever",
            whole_memory(
                "(loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 16777216)) (br $l))",
            ),
        ),
        out_of_gas(
            "copy_16_mib_over_itself",
            "copies 16 MiB one byte further for ever",
            whole_memory(
                "(loop $l (memory.copy (i32.const 1) (i32.const 0) (i32.const 16777215)) (br $l))",
            ),
        ),
        out_of_gas(
            "bulk_of_nothing",
            "fills and copies nothing for ever",
            call(
                "(loop $l (memory.fill (i32.const 65536) (i32.const 0) (i32.const 0))
                   (memory.copy (i32.const 0) (i32.const 65536) (i32.const 0)) (br $l))",
            ),
        ),
        Case::fails(
            "fill_past_the_end",
            "fills one byte too many",
            call("(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))"),
            Trap,
        ),
        Case::fails(
            "fill_wraps",
            "fills so much that address and length wrap",
            call("(memory.fill (i32.const -1) (i32.const 0) (i32.const 2))"),
            Trap,
        ),
        Case::fails(
            "copy_from_outside",
            "reads past the end by memory.copy",
            call("(memory.copy (i32.const 0) (i32.const 65530) (i32.const 7))"),
            Trap,
        ),
        Case::fails(
            "load_offset_wraps",
            "an address and an offset whose sum wraps",
            call("(drop (i64.load offset=0xfffffffe (i32.const -1)))"),
            Trap,
        ),
        Case::fails(
            "store_across_the_end",
            "stores eight bytes of which one is outside",
            call("(i64.store (i32.const 65529) (i64.const -1))"),
            Trap,
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
fn tables() -> Vec<Case> {
    let refused = Case::refused;
    let table = "(table $t 4096 funcref) (elem declare func $run)";
    vec![
        refused(
            "table_4097",
            "one table entry too many",
            shaped("(table 4097 funcref)"),
            "table entries",
        ),
        refused(
            "table_4_billion",
            "a table of 32 GiB",
            shaped("(table 4294967295 funcref)"),
            "table entries",
        ),
        refused(
            "table_two",
            "two tables",
            shaped("(table 1 funcref) (table 1 funcref)"),
            "tables",
        ),
        refused(
            "table_grow",
            "a table that grows",
            shaped(
                "(table $t 1 funcref) (func (drop (table.grow $t (ref.null func) (i32.const 1))))",
            ),
            "table.grow is not allowed",
        ),
        refused(
            "table_imported",
            "a table from outside",
            shaped_import("(import \"kumiki_v1\" \"table\" (table 1 funcref))"),
            "unknown",
        ),
        Case::fails(
            "table_fill_without_end",
            "fills a whole table for ever",
            call_with(
                table,
                "(loop $l (table.fill $t (i32.const 0) (ref.func $run) (i32.const 4096)) (br $l))",
            ),
            OutOfGas,
        ),
        Case::fails(
            "table_copy_past_the_end",
            "copies table entries past the end",
            call_with(
                table,
                "(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 4096))",
            ),
            Trap,
        ),
        Case::fails(
            "table_null_call",
            "calls an empty table entry",
            call_with(
                "(type $f (func)) (table $t 1 funcref)",
                "(call_indirect (type $f) (i32.const 0))",
            ),
            Trap,
        ),
        Case::fails(
            "table_other_type",
            "calls a function as if it had another type",
            call_with(
                "(type $f (func (param i64) (result i64))) (table $t 1 funcref) (elem (i32.const 0) $run)",
                "(drop (call_indirect (type $f) (i64.const 1) (i32.const 0)))",
            ),
            Trap,
        ),
    ]
}

/// A module with an import in front of all else.
fn shaped_import(import: &str) -> Vec<u8> {
    with_memory(&format!("{import} (memory (export \"memory\") 1)"))
}

#[expect(clippy::too_many_lines, reason = "a table: one case after the other")]
fn segments() -> Vec<Case> {
    let refused = Case::refused;
    vec![
        refused(
            "data_outside",
            "data past the end of the memory",
            shaped(r#"(data (i32.const 65535) "ab")"#),
            "lies outside",
        ),
        refused(
            "data_offset_wraps",
            "data at 2^32 - 1",
            shaped(r#"(data (i32.const -1) "ab")"#),
            "lies outside",
        ),
        refused(
            "data_257",
            "257 data segments",
            shaped(&r#"(data (i32.const 0) "a")"#.repeat(257)),
            "data segments",
        ),
        refused(
            "data_offset_computed",
            "an offset that is computed",
            shaped(r#"(data (i32.add (i32.const 1) (i32.const 2)) "a")"#),
            "constant expression",
        ),
        refused(
            "elements_65",
            "65 element segments",
            shaped(&format!(
                "(table 1 funcref) (func $f) {}",
                "(elem func $f)".repeat(65)
            )),
            "element segments",
        ),
        refused(
            "elements_outside",
            "elements past the end of the table",
            shaped("(table 1 funcref) (func $f) (elem (i32.const 1) $f)"),
            "lies outside",
        ),
        Case::fails(
            "data_dropped",
            "copies from data that was dropped",
            call_with(
                r#"(data $d "abcd")"#,
                "(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 4))",
            ),
            Trap,
        ),
        Case::fails(
            "elements_past_the_end",
            "copies more elements than there are",
            call_with(
                "(table $t 4 funcref) (elem $e func $run)",
                "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2))",
            ),
            Trap,
        ),
        Case::succeeds(
            "data_in_every_instance",
            "400 KB of data in 256 segments, copied or mapped at every call",
            wasm(&module(
                16,
                &format!(
                    "{} (func (export \"call\") (param i32))",
                    (0..256)
                        .map(|index| format!(
                            "(data (i32.const {}) \"{}\")",
                            index * 4_000,
                            "z".repeat(1_600)
                        ))
                        .collect::<String>()
                ),
            )),
        ),
    ]
}
