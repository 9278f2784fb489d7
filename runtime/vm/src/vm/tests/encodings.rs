//! Hold that what is valid is so for every engine: no bytes pass the rules and then fail to compile, which would
//! stop every node.

use kumiki_protocol::ResultCode;

use super::harness::{PLENTY, World, contract, wasm};
use crate::{Entry, check_code};

/// A contract whose only function has `body`, with `from` in its code replaced by `to`.
fn patched(body: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut code = wat::parse_str(format!(
        r#"(module (memory (export "memory") 1) (func (export "init") (param i32))
            (func (export "call") (param i32) {body}))"#
    ))
    .unwrap();
    // Version, then sections of one byte of id and one of size each; the code comes last.
    let mut section = 8;
    while code[section] != 10 {
        section += 2 + usize::from(code[section + 1]);
    }
    let place = code.windows(from.len()).rposition(|bytes| bytes == from);
    let place = place.expect("the body contains the bytes");
    code.splice(place..place + from.len(), to.iter().copied());
    let grown = u8::try_from(to.len() - from.len()).unwrap();
    code[section + 1] += grown;
    // Count, the empty `init` (size, no locals, end), then the size of `call`.
    code[section + 6] += grown;
    code
}

#[test]
fn encodings_of_other_features_are_refused_and_stop_no_node() {
    let load = "(drop (i32.load (local.get 0)))";
    let size = "(drop (memory.size))";
    let cases = [
        // A memory index in the alignment (multi-memory).
        patched(load, &[0x28, 2, 0], &[0x28, 0x42, 0, 0]),
        // An offset of 64 bits (memory64).
        patched(
            load,
            &[0x28, 2, 0],
            &[0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
        ),
        // An index where a zero byte is reserved (multi-memory).
        patched(size, &[0x3f, 0], &[0x3f, 0x80, 0]),
    ];
    assert!(check_code(&patched(load, &[0x28, 2, 0], &[0x28, 2, 0])).is_ok());
    for code in cases {
        assert!(check_code(&code).is_err(), "{code:02x?}");
        let (run, _) = World::new().try_deploy(&code, &[], PLENTY);
        assert_eq!(run.outcome.code, ResultCode::InvalidCode);
    }
}

#[test]
fn whatever_passes_the_rules_compiles_under_both_engines() {
    let code = wasm(&contract(
        r#"(table 2 funcref) (elem (i32.const 0) $f $f) (global $g (mut i64) (i64.const 7))
           (data (i32.const 8) "data") (type $t (func (param i32) (result i32)))
           (func $f (param i32) (result i32) (local i64)
             (block $out (result i32)
               (loop $again (br_if $again (i32.eqz (local.get 0))))
               (br_table $out $out (i32.const 3) (local.get 0))))
           (func (export "call") (param i32)
             (memory.copy (i32.const 0) (i32.const 8) (i32.const 4))
             (drop (call_indirect (type $t) (i32.const 1) (i32.load8_u offset=3 (local.get 0))))
             (global.set $g (i64.shl (global.get $g) (i64.const 2)))
             (drop (memory.grow (i32.const 1))))"#,
    ));
    assert!(check_code(&code).is_ok());
    let world = World::new();
    let (mut seed, mut passed) = (1_u64, 0);
    for _ in 0..6_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut mutated = code.clone();
        let place = usize::try_from(seed >> 33).unwrap() % mutated.len();
        mutated[place] = seed.to_le_bytes()[3];
        if let Ok(info) = check_code(&mutated)
            && info.entries[Entry::Init.index()]
        {
            passed += 1;
            // A failure of an engine is a failure of the node, which the harness does not forgive.
            let (run, _) = world.try_deploy(&mutated, &[], 100_000_000);
            assert_ne!(
                run.outcome.code,
                ResultCode::InvalidCode,
                "mutation {place}"
            );
        }
    }
    assert!(
        passed > 500,
        "{passed} mutations passed, too few to say much"
    );
}
