//! Hold every host function to the table, with good and with hostile arguments.

use kumiki_abi::{HOST_FUNCTIONS, ValueType};
use kumiki_protocol::{Address, Hash, PublicKey, ResultCode, SecretKey, sha2_256, sha3_256};

use super::harness::{ALICE, PLENTY, World, contract};
use crate::{DiagnosticKind, Entry, gas};

/// Deploys a contract whose `call` and `query` first copy the input to 1024, then run `body`.
fn deploy(world: &mut World, body: &str) -> Address {
    world.deploy(&contract(&format!(
        r#"(func $run (export "call") (param i32)
             (drop (call $input (i32.const 1024) (local.get 0)))
             {body})
           (func (export "query") (param i32) (call $run (local.get 0)))"#
    )))
}

fn returned(body: &str, input: &[u8]) -> Vec<u8> {
    let mut world = World::new();
    let address = deploy(&mut world, body);
    let run = world.try_call(&address, input, PLENTY);
    assert_eq!(run.outcome.code, ResultCode::Ok, "{:?}", run.diagnostics);
    run.outcome.data
}

#[test]
fn input_comes_whole_or_cut_with_its_full_length() {
    let body = "(i32.store (i32.const 0) (call $input (i32.const 4) (i32.const 3)))
                (call $ret (i32.const 0) (i32.const 8))";
    assert_eq!(returned(body, b"abcde"), [5, 0, 0, 0, b'a', b'b', b'c', 0]);
}

#[test]
fn the_last_ret_counts() {
    let body =
        "(call $ret (i32.const 1024) (i32.const 1)) (call $ret (i32.const 1025) (i32.const 2))";
    assert_eq!(returned(body, b"abc"), b"bc");
}

#[test]
fn revert_ends_at_once_with_data_and_undoes() {
    let mut world = World::new();
    let body = "(call $storage_set (i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 1))
                (call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (call $ret (i32.const 1024) (i32.const 1))
                (call $revert (i32.const 1025) (i32.const 2))
                (unreachable)";
    let address = deploy(&mut world, body);
    let run = world.try_call(&address, b"abc", PLENTY);
    assert_eq!(run.outcome.code, ResultCode::Reverted);
    assert_eq!(run.outcome.data, b"bc");
    assert!(run.changes.entries.is_empty() && run.events.is_empty());
}

#[test]
fn panic_message_reaches_diagnostics_only() {
    let mut world = World::new();
    let body = "(call $panic_message (i32.const 1024) (i32.const 4)) (unreachable)";
    let address = deploy(&mut world, body);
    let run = world.try_call(&address, b"oops", PLENTY);
    assert_eq!(run.outcome.code, ResultCode::Trap);
    assert!(run.outcome.data.is_empty());
    let kinds: Vec<_> = run
        .diagnostics
        .messages
        .iter()
        .map(|one| &one.kind)
        .collect();
    let DiagnosticKind::Panic { message } = kinds[0] else {
        panic!("{kinds:?}");
    };
    assert_eq!(message, "oops");
    assert!(matches!(kinds[1], DiagnosticKind::Trap { .. }), "{kinds:?}");
}

#[test]
fn storage_keeps_finds_and_removes() {
    let mut world = World::new();
    // The first byte of the input chooses: 1 set, 2 get, 3 remove, 4 has; the key is the second, the value follows.
    let body = r#"
        (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (then
          (call $storage_set (i32.const 1025) (i32.const 1) (i32.const 1026) (i32.sub (local.get 0) (i32.const 2)))))
        (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 2)) (then
          (i32.store (i32.const 0) (call $storage_get (i32.const 1025) (i32.const 1) (i32.const 4) (i32.const 4)))
          (call $ret (i32.const 0) (i32.const 8))))
        (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 3)) (then
          (call $storage_remove (i32.const 1025) (i32.const 1))))
        (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 4)) (then
          (i32.store (i32.const 0) (call $storage_has (i32.const 1025) (i32.const 1)))
          (call $ret (i32.const 0) (i32.const 4))))"#;
    let address = deploy(&mut world, body);
    let mut ask = |input: &[u8]| {
        let run = world.call(&address, input);
        assert_eq!(run.outcome.code, ResultCode::Ok, "{input:?}");
        run.outcome.data
    };
    assert_eq!(ask(&[2, b'k']), [255, 255, 255, 255, 0, 0, 0, 0]);
    assert_eq!(ask(&[4, b'k']), [0, 0, 0, 0]);
    ask(b"\x01kvalue");
    assert_eq!(ask(&[2, b'k']), *b"\x05\0\0\0valu");
    assert_eq!(ask(&[4, b'k']), [1, 0, 0, 0]);
    ask(&[3, b'k']);
    assert_eq!(ask(&[4, b'k']), [0, 0, 0, 0]);
    ask(b"\x01kvalue");
    assert_eq!(world.storage(&address, b"k").unwrap(), b"value");
    let empty = world.try_call(&address, &[1, b'k'], PLENTY);
    assert_eq!(empty.outcome.code, ResultCode::Limit);
}

#[test]
fn storage_scan_pages_in_both_directions_and_stays_under_its_prefix() {
    let mut world = World::new();
    // Input: flags, limit, room, prefix length, prefix, start.
    let scan = r#"
        (if (i32.eqz (local.get 0)) (then
          (call $storage_set (i32.const 2048) (i32.const 2) (i32.const 2054) (i32.const 1))
          (call $storage_set (i32.const 2050) (i32.const 2) (i32.const 2055) (i32.const 1))
          (call $storage_set (i32.const 2052) (i32.const 2) (i32.const 2056) (i32.const 1))
          (return)))
        (i32.store (i32.const 0) (call $storage_scan
          (i32.const 1028) (i32.load8_u (i32.const 1027))
          (i32.add (i32.const 1028) (i32.load8_u (i32.const 1027)))
          (i32.sub (local.get 0) (i32.add (i32.const 4) (i32.load8_u (i32.const 1027))))
          (i32.load8_u (i32.const 1025)) (i32.load8_u (i32.const 1024))
          (i32.const 4) (i32.load8_u (i32.const 1026))))
        (call $ret (i32.const 0) (i32.const 64))"#;
    let address = world.deploy(&contract(&format!(
        r#"(data (i32.const 2048) "a1a2b1xyz")
           (func (export "call") (param i32)
             (drop (call $input (i32.const 1024) (local.get 0)))
             {scan})"#
    )));
    world.call(&address, &[]);
    let entry = |key: &str, value: &str| {
        let mut bytes = vec![2, 0, 0, 0];
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(&[1, 0, 0, 0]);
        bytes.extend_from_slice(value.as_bytes());
        bytes
    };
    let ask = |input: &[u8]| {
        let run = world.try_call(&address, input, PLENTY);
        assert_eq!(run.outcome.code, ResultCode::Ok, "{input:?}");
        let data = run.outcome.data;
        let length = i32::from_le_bytes(data[..4].try_into().unwrap());
        (length, data[4..].to_vec())
    };
    let page = |input: &[u8]| {
        let (length, data) = ask(input);
        data[..usize::try_from(length).unwrap()].to_vec()
    };
    assert_eq!(
        page(b"\0\x09\x3c\x01a"),
        [entry("a1", "x"), entry("a2", "y")].concat()
    );
    assert_eq!(
        page(b"\x01\x09\x3c\x01a"),
        [entry("a2", "y"), entry("a1", "x")].concat()
    );
    assert_eq!(page(b"\0\x01\x3c\x01a"), entry("a1", "x"));
    assert_eq!(page(b"\0\x09\x3c\x01aa1"), entry("a2", "y"));
    assert_eq!(page(b"\x01\x09\x3c\x01aa2"), entry("a1", "x"));
    assert_eq!(
        page(b"\0\x09\x3c\0"),
        [entry("a1", "x"), entry("a2", "y"), entry("b1", "z")].concat()
    );
    assert_eq!(page(b"\0\x09\x3c\x01aa2"), b"");
    assert_eq!(page(b"\0\x09\x0c\x01a"), entry("a1", "x"));
    assert_eq!(ask(b"\0\x09\x0a\x01a").0, -11);
    assert_eq!(page(b"\0\x09\x3c\x01c"), b"");
    let unknown_flag = world.try_call(&address, b"\x02\x09\x3c\x01a", PLENTY);
    assert_eq!(unknown_flag.outcome.code, ResultCode::Trap);
}

#[test]
fn context_is_the_messages_and_the_blocks() {
    let mut world = World::new();
    let body = "
        (call $caller (i32.const 0)) (call $self_address (i32.const 32)) (call $value (i32.const 64))
        (call $balance (i32.const 32) (i32.const 80))
        (i64.store (i32.const 96) (call $height)) (i64.store (i32.const 104) (call $block_time_ms))
        (i32.store (i32.const 112) (call $chain_id (i32.const 116) (i32.const 12)))
        (call $ret (i32.const 0) (i32.const 128))";
    let address = deploy(&mut world, body);
    world.give(&address, 40);
    let run = world.try_message(Entry::Call, &address, &[], 2, PLENTY);
    let expected = [
        ALICE.0.as_slice(),
        &address.0,
        &2_u128.to_le_bytes(),
        &42_u128.to_le_bytes(),
        &7_u64.to_le_bytes(),
        &1_700_000_000_123_u64.to_le_bytes(),
        &10_u32.to_le_bytes(),
        b"test-chain\0\0",
    ]
    .concat();
    assert_eq!(run.outcome.data, expected);
}

#[test]
fn gas_left_falls_as_gas_is_used() {
    let body =
        "(i64.store (i32.const 0) (call $gas_left)) (i64.store (i32.const 8) (call $gas_left))
                (call $ret (i32.const 0) (i32.const 16))";
    let data = returned(body, &[]);
    let first = u64::from_le_bytes(data[..8].try_into().unwrap());
    let second = u64::from_le_bytes(data[8..].try_into().unwrap());
    assert!(
        first < PLENTY && second < first && first - second < 2 * gas::HOST_FUNCTION,
        "{first} {second}"
    );
}

#[test]
fn hashes_are_the_functions_they_name() {
    let body = "(call $sha3_256 (i32.const 1024) (local.get 0) (i32.const 0))
                (call $keccak_256 (i32.const 1024) (local.get 0) (i32.const 32))
                (call $sha2_256 (i32.const 1024) (local.get 0) (i32.const 64))
                (call $blake2b_256 (i32.const 1024) (local.get 0) (i32.const 96))
                (call $ret (i32.const 0) (i32.const 128))";
    let expected = [
        sha3_256(&[b"abc"]).0.as_slice(),
        &hex::decode("4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45").unwrap(),
        &sha2_256(&[b"abc"]).0,
        &hex::decode("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319").unwrap(),
    ]
    .concat();
    assert_eq!(returned(body, b"abc"), expected);
}

#[test]
fn ed25519_signatures_verify_and_mutated_ones_do_not() {
    let key = SecretKey::from_seed([5; 32]);
    let PublicKey(public) = key.public_key();
    let input = [public.as_slice(), &key.sign(b"message").0, b"message"].concat();
    let body = "(i32.store (i32.const 0) (call $ed25519_verify
                  (i32.const 1024) (i32.const 1056) (i32.const 1120) (i32.sub (local.get 0) (i32.const 96))))
                (call $ret (i32.const 0) (i32.const 4))";
    assert_eq!(returned(body, &input), [1, 0, 0, 0]);
    for position in [0, 40, 100] {
        let mut mutated = input.clone();
        mutated[position] ^= 1;
        assert_eq!(returned(body, &mutated), [0, 0, 0, 0]);
    }
}

#[test]
fn secp256k1_keys_are_recovered() {
    let key = k256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let hash = sha2_256(&[b"message"]).0;
    let (signature, id) = key.sign_prehash_recoverable(&hash);
    let input = [hash.as_slice(), &signature.to_bytes(), &[id.to_byte()]].concat();
    let body = "(i32.store (i32.const 0) (call $secp256k1_recover (i32.const 1024) (i32.const 1056) (i32.const 4)))
                (call $ret (i32.const 0) (i32.const 68))";
    let point = key.verifying_key().to_sec1_point(false);
    let expected = [[1, 0, 0, 0].as_slice(), &point.as_bytes()[1..]].concat();
    assert_eq!(returned(body, &input), expected);
    let mut bad_id = input.clone();
    bad_id[96] = 4;
    assert_eq!(returned(body, &bad_id)[..4], [0, 0, 0, 0]);
    let mut zero = input;
    zero[32..96].fill(0);
    assert_eq!(returned(body, &zero)[..4], [0, 0, 0, 0]);
}

#[test]
fn events_carry_contract_topics_and_data() {
    let mut world = World::new();
    let body = "(call $emit_event (i32.const 1024) (i32.const 2) (i32.const 1024) (i32.const 3))";
    let address = deploy(&mut world, body);
    let run = world.try_call(&address, &[[1; 32], [2; 32]].concat(), PLENTY);
    assert_eq!(run.events.len(), 1);
    assert_eq!(run.events[0].contract, address);
    assert_eq!(run.events[0].topics, [Hash([1; 32]), Hash([2; 32])]);
    assert_eq!(run.events[0].data, [1, 1, 1]);
}

#[test]
fn limits_end_the_call_as_limit() {
    let cases = [
        "(call $storage_set (i32.const 0) (i32.const 129) (i32.const 0) (i32.const 1))",
        "(call $storage_set (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1))",
        "(call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))",
        "(drop (call $storage_get (i32.const 0) (i32.const 4096) (i32.const 0) (i32.const 0)))",
        "(drop (memory.grow (i32.const 1))) (call $storage_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 65537))",
        "(drop (memory.grow (i32.const 1))) (call $ret (i32.const 0) (i32.const 65537))",
        "(drop (memory.grow (i32.const 1))) (call $revert (i32.const 0) (i32.const 65537))",
        "(call $emit_event (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0))",
        "(call $emit_event (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))",
        "(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16385))",
        "(loop $again (call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (br $again))",
    ];
    for body in cases {
        let mut world = World::new();
        let address = deploy(&mut world, body);
        let run = world.try_call(&address, &[], PLENTY);
        assert_eq!(run.outcome.code, ResultCode::Limit, "{body}");
        assert!(run.changes.entries.is_empty() && run.events.is_empty());
    }
}

/// Calls `name` with zero pointers and ones elsewhere, but `odd` at `position`.
fn hostile_call(name: &str, position: usize, odd: i32) -> String {
    let host = HOST_FUNCTIONS.iter().find(|one| one.name == name).unwrap();
    let mut text = format!("(call ${name}");
    for (index, (parameter, kind)) in host.parameters.iter().enumerate() {
        let value = match index {
            _ if index == position => odd,
            _ if parameter.ends_with("ptr") || *parameter == "flags" => 0,
            _ => 1,
        };
        match kind {
            ValueType::I32 => text.push_str(&format!(" (i32.const {value})")),
            ValueType::I64 => text.push_str(&format!(" (i64.const {value})")),
        }
    }
    text.push(')');
    match host.result {
        Some(_) => format!("(drop {text})"),
        None => text,
    }
}

#[test]
fn every_range_outside_memory_is_a_trap() {
    let mut tried = 0;
    for host in HOST_FUNCTIONS {
        for (position, (parameter, _)) in host.parameters.iter().enumerate() {
            let odds: &[i32] = match parameter {
                _ if parameter.ends_with("ptr") => &[65_536, -1, i32::MIN, 65_537],
                _ if parameter.ends_with("len") => &[65_537, -1, i32::MIN, i32::MAX],
                _ => &[],
            };
            for odd in odds {
                let mut world = World::new();
                let body = hostile_call(host.name, position, *odd);
                let address = deploy(&mut world, &body);
                let run = world.try_call(&address, &[], PLENTY);
                assert_eq!(run.outcome.code, ResultCode::Trap, "{body}");
                assert!(run.outcome.gas_used < PLENTY / 10);
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn a_range_that_ends_at_the_end_of_memory_is_fine() {
    let body = "(drop (call $input (i32.const 65534) (i32.const 2)))
                (call $ret (i32.const 65534) (i32.const 2))
                (drop (call $input (i32.const 65536) (i32.const 0)))";
    assert_eq!(returned(body, b"ab"), b"ab");
}
