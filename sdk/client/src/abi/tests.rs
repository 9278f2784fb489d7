//! Hold encoding and decoding by metadata to SCALE itself and to one message per mistake.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// One method per type, called like it in lower case letters `a`, `b`, …
fn abi(types: &[&str]) -> Abi {
    let methods: Vec<Value> = types
        .iter()
        .map(|name| {
            json!({"name": name, "selector": "0x01020304", "kind": "call",
                "args": [{"name": "value", "type": name}], "returns": name})
        })
        .collect();
    let metadata = json!({
        "schema": "kumiki-abi/1", "name": "Sample", "version": "0.1.0", "sdk": "0.1.0",
        "init": null, "migrate": null, "entryPoints": methods,
        "events": [{"name": "Moved", "id": format!("0x{}", "07".repeat(32)), "fields": [
            {"name": "from", "type": "Address", "indexed": true}, {"name": "amount", "type": "u128"}]}],
        "error": "Failure",
        "types": [
            {"name": "Point", "struct": [{"name": "x", "type": "i16"}, {"name": "y", "type": "Option<u64>"}]},
            {"name": "Wrapped", "struct": [{"name": "", "type": "Vec<Point>"}]},
            {"name": "Failure", "enum": [
                {"name": "Paused", "index": 0, "fields": [], "docs": "Nothing moves."},
                {"name": "TooLittle", "index": 4, "fields": [{"name": "has", "type": "u128"}]},
                {"name": "Pair", "index": 5, "fields": [{"name": "", "type": "u8"}, {"name": "", "type": "bool"}]}]},
            {"name": "Endless", "struct": [{"name": "next", "type": "Endless"}]},
            {"name": "Empty", "struct": []}
        ],
        "storage": []
    });
    Abi::new(serde_json::from_value(metadata).unwrap())
}

fn encode_text(type_name: &str, text: &str) -> Result<Vec<u8>, ValueError> {
    let abi = abi(&[type_name]);
    let argument = ArgumentText {
        name: "value".to_owned(),
        text: text.to_owned(),
    };
    let input = abi.encode_call(abi.method(type_name)?, &[argument])?;
    assert_eq!(input[..4], [1, 2, 3, 4]);
    Ok(input[4..].to_vec())
}

fn decode_bytes(type_name: &str, bytes: &[u8]) -> Result<Value, ValueError> {
    let abi = abi(&[type_name]);
    let method = abi.method(type_name)?.clone();
    abi.decode_return(&method, bytes)
}

#[test]
fn values_of_every_type_survive_the_round_trip() {
    let address = Address([3; 32]).to_string();
    let hash = Hash([4; 32]).to_string();
    let cases = [
        ("bool", "true", json!(true)),
        ("u8", "255", json!(255)),
        ("u32", "4294967295", json!(4_294_967_295_u32)),
        ("u64", "7", json!("7")),
        ("u128", "1_000_000", json!("1000000")),
        ("u128", &u128::MAX.to_string(), json!(u128::MAX.to_string())),
        ("i8", "-128", json!(-128)),
        ("i64", "-9", json!("-9")),
        ("i128", &i128::MIN.to_string(), json!(i128::MIN.to_string())),
        ("String", "a \"b\" = c", json!("a \"b\" = c")),
        ("Address", &address, json!(address)),
        ("Hash", &hash, json!(hash)),
        ("Vec<u8>", "0x00ff", json!("0x00ff")),
        ("[u8; 2]", "0x00ff", json!("0x00ff")),
        ("Option<u32>", "null", json!(null)),
        ("Option<u32>", "5", json!(5)),
        ("(u8, String)", r#"[1, "x"]"#, json!([1, "x"])),
        ("()", "null", json!(null)),
        ("[u16; 2]", "[1, 2]", json!([1, 2])),
        ("Vec<Option<bool>>", "[true, null]", json!([true, null])),
        (
            "Result<u8, String>",
            r#"{"Err": "no"}"#,
            json!({"Err": "no"}),
        ),
        (
            "Point",
            r#"{"x": -2, "y": "9"}"#,
            json!({"x": -2, "y": "9"}),
        ),
        (
            "Wrapped",
            r#"[{"x": 1, "y": null}]"#,
            json!([{"x": 1, "y": null}]),
        ),
        ("Failure", "Paused", json!("Paused")),
        (
            "Failure",
            r#"{"TooLittle": {"has": 3}}"#,
            json!({"TooLittle": {"has": "3"}}),
        ),
        (
            "Failure",
            r#"{"Pair": [1, true]}"#,
            json!({"Pair": [1, true]}),
        ),
    ];
    for (type_name, text, expected) in cases {
        let bytes = encode_text(type_name, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(decode_bytes(type_name, &bytes), Ok(expected), "{type_name}");
    }
}

#[test]
fn encoding_is_scale() {
    assert_eq!(encode_text("u128", "1").unwrap(), 1_u128.to_le_bytes());
    assert_eq!(encode_text("Vec<u8>", "0x0102").unwrap(), [8, 1, 2]);
    assert_eq!(encode_text("String", "ab").unwrap(), [8, b'a', b'b']);
    assert_eq!(encode_text("Option<bool>", "true").unwrap(), [1, 1]);
    assert_eq!(encode_text("Failure", "Paused").unwrap(), [0]);
}

#[test]
fn mismatches_say_where_what_was_expected_and_what_was_found() {
    let cases = [
        ("u8", "256", "value: expected u8 (0 to 255), found '256'"),
        (
            "u128",
            "-1",
            "value: expected u128 (0 to 340282366920938463463374607431768211455), found '-1'",
        ),
        (
            "bool",
            "yes",
            "value: expected bool (true or false), found 'yes'",
        ),
        (
            "Vec<u8>",
            "12",
            "value: expected bytes (0x and an even number of hex digits), found '12'",
        ),
        (
            "[u8; 2]",
            "0x01",
            "value: expected 2 bytes (0x and hex digits), found '0x01'",
        ),
        (
            "(u8, u8)",
            "[1]",
            "value: expected an array of 2 values, found [1]",
        ),
        (
            "Point",
            r#"{"x": "a"}"#,
            "value.x: expected i16 (-32768 to 32767), found 'a'",
        ),
        (
            "Wrapped",
            r#"[{"z": 1}]"#,
            r#"value[0][0]: expected Point {x, y}, found {"z":1}"#,
        ),
        (
            "Failure",
            "Broke",
            "value: expected Failure (Paused, TooLittle, Pair), found 'Broke'",
        ),
        (
            "Missing",
            "1",
            "the contract's ABI names an unknown type 'Missing'",
        ),
        (
            "Vec<",
            "1",
            "the contract's ABI names an unknown type 'Vec<'",
        ),
    ];
    for (type_name, text, expected) in cases {
        let error = encode_text(type_name, text).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn missing_unknown_and_doubled_arguments_are_named() {
    let abi = abi(&["u8"]);
    let method = abi.method("u8").unwrap();
    let argument = |name: &str| ArgumentText {
        name: name.to_owned(),
        text: "1".to_owned(),
    };
    let error = |given: &[ArgumentText]| abi.encode_call(method, given).unwrap_err().to_string();
    assert_eq!(error(&[]), "u8: argument 'value' (u8) is missing");
    assert_eq!(error(&[argument("x")]), "u8: it has no argument 'x'");
    let twice = error(&[argument("value"), argument("value")]);
    assert_eq!(twice, "u8: argument 'value' is given twice");
    assert!(matches!(
        abi.method("u9"),
        Err(ValueError::UnknownMethod { .. })
    ));
}

#[test]
fn reverts_are_told_apart() {
    let abi = abi(&[]);
    let Revert::Contract { name, docs, value } = abi.decode_revert(&[1, 0]) else {
        panic!("not the contract's error");
    };
    assert_eq!((name.as_str(), docs.as_str()), ("Paused", "Nothing moves."));
    assert_eq!(value, json!("Paused"));
    assert_eq!(
        abi.decode_revert(&[0, 3]),
        Revert::Sdk(SdkError::NotPayable)
    );
    for unknown in [&[][..], &[0], &[0, 99], &[1], &[1, 9], &[2, 0], &[1, 0, 0]] {
        assert_eq!(
            abi.decode_revert(unknown),
            Revert::Unknown(unknown.to_vec())
        );
    }
}

#[test]
fn events_decode_by_their_first_topic() {
    let abi = abi(&[]);
    let mut data = vec![3; 32];
    data.extend_from_slice(&5_u128.to_le_bytes());
    let event = abi.decode_event(&[Hash([7; 32])], &data).unwrap();
    assert_eq!(event.name, "Moved");
    assert_eq!(event.fields["amount"], json!("5"));
    assert_eq!(abi.decode_event(&[Hash([8; 32])], &data), None);
    assert_eq!(abi.decode_event(&[], &data), None);
}

#[test]
fn hostile_metadata_and_data_are_bounded() {
    assert_eq!(decode_bytes("Endless", &[]), Err(ValueError::TooLarge));
    let nested = format!("{}0{}", "{\"next\":".repeat(100), "}".repeat(100));
    assert_eq!(encode_text("Endless", &nested), Err(ValueError::TooLarge));
    // Four bytes that claim 2^30 - 1 empty values.
    assert_eq!(
        decode_bytes("Vec<Empty>", &[0xfe, 0xff, 0xff, 0xff]),
        Err(ValueError::TooLarge)
    );
    assert_eq!(
        decode_bytes("[Empty; 4294967296]", &[]),
        Err(ValueError::TooLarge)
    );
    let deep = format!("{}u8{}", "Vec<".repeat(100), ">".repeat(100));
    assert!(matches!(
        decode_bytes(&deep, &[0]),
        Err(ValueError::UnknownType { .. })
    ));
}

proptest! {
    #[test]
    fn arbitrary_types_and_bytes_never_panic(
        type_name in "(Vec<|Option<|\\(|\\[|u8|u128|i64|bool|String|Hash|Point|Failure|Wrapped|, |; 3|>|\\)|\\]){1,8}",
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        text in ".{0,32}",
    ) {
        let _decoded = decode_bytes(&type_name, &bytes);
        let _encoded = encode_text(&type_name, &text);
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for type_name in ["Failure", "Wrapped", "(u8, Option<i32>)", "Vec<String>", "Result<u64, bool>"] {
            if let Ok(value) = decode_bytes(type_name, &bytes) {
                let again = encode_text(type_name, &value.to_string()).or_else(|_plain| {
                    encode_text(type_name, value.as_str().unwrap_or_default())
                });
                prop_assert_eq!(again, Ok(bytes.clone()), "{}", type_name);
            }
        }
    }
}

#[test]
fn arguments_of_a_call_are_read_as_they_are_written() {
    let cases = [
        ("bool", "true"),
        ("u64", "7"),
        ("String", "12"),
        ("Option<String>", "a b"),
        ("Option<u32>", "null"),
        ("Vec<u8>", "0x00ff"),
        ("(u8, String)", r#"[1,"x"]"#),
        ("Wrapped", r#"[{"x":-1,"y":"5"}]"#),
        ("Failure", r#""Paused""#),
        ("Failure", r#"{"TooLittle":{"has":"9"}}"#),
    ];
    for (type_name, text) in cases {
        let abi = abi(&[type_name]);
        let method = abi.method(type_name).unwrap();
        let given = [ArgumentText {
            name: "value".to_owned(),
            text: text.to_owned(),
        }];
        let input = abi.encode_call(method, &given).unwrap();
        assert_eq!(abi.decode_call(method, &input).unwrap(), given);
        assert_eq!(abi.method_of(&input), Some(method));
        let longer = [&input[..], &[0]].concat();
        assert!(abi.decode_call(method, &longer).is_err(), "{type_name}");
        let mut other = input.clone();
        other[0] ^= 1;
        assert!(abi.decode_call(method, &other).is_err(), "{type_name}");
        assert_eq!(abi.method_of(&other), None);
    }
}
