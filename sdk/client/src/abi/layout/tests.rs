//! Hold each rule of the comparison to its verdict, and safe verdicts to bytes that the old type wrote.

mod random;

use LayoutChangeKind::*;
use serde_json::{Value, json};

use super::*;

/// Metadata with these storage fields (`name`, `Handle<…>` as its author writes it) and types.
fn abi(storage: &[(&str, &str)], types: Value) -> Abi {
    let storage: Vec<Value> = storage.iter().map(|(name, of)| field(name, of)).collect();
    let metadata = json!({
        "schema": "kumiki-abi/1", "name": "Sample", "version": "0.1.0", "sdk": "0.1.0",
        "init": null, "migrate": null, "entryPoints": [], "events": [], "error": null,
        "types": types, "storage": storage
    });
    Abi::new(serde_json::from_value(metadata).unwrap())
}

fn field(name: &str, of: &str) -> Value {
    let (handle, inner) = of.strip_suffix('>').unwrap().split_once('<').unwrap();
    let (key, value) = match inner.split_once("=>") {
        Some((key, value)) => (Some(key.trim()), value.trim()),
        None => (None, inner),
    };
    // Stands for the digest: as long, and another one for another name.
    let prefix = kumiki_protocol::sha3_256(&[name.as_bytes()]).to_string();
    json!({"name": name, "handle": handle, "key": key, "value": value, "prefix": prefix[..10]})
}

/// The changes between one `Item` of type `old` and of type `new`, each with the types of its version.
fn of_values((old, old_types): (&str, Value), (new, new_types): (&str, Value)) -> Vec<String> {
    let item = |of: &str, types| abi(&[("it", &format!("Item<{of}>"))], types);
    told(&item(old, old_types), &item(new, new_types))
}

fn told(old: &Abi, new: &Abi) -> Vec<String> {
    let line = |one: &LayoutChange| {
        let verdict = if one.is_safe() { "safe" } else { "UNSAFE" };
        let name = one.kind.name();
        format!("{verdict} {name} {}: {}", one.location(), one.what)
    };
    compare_layouts(old, new).iter().map(line).collect()
}

fn structure(name: &str, fields: &[(&str, &str)]) -> Value {
    let fields = fields
        .iter()
        .map(|(name, of)| json!({"name": name, "type": of}));
    json!({"name": name, "struct": fields.collect::<Vec<_>>()})
}

/// An enum whose variants are numbered in order, each of fields without names.
fn choice(name: &str, variants: &[(&str, &[&str])]) -> Value {
    let variants = variants.iter().enumerate().map(|(index, (name, fields))| {
        let fields: Vec<Value> = fields
            .iter()
            .map(|of| json!({"name": "", "type": of}))
            .collect();
        json!({"name": name, "index": index, "fields": fields})
    });
    json!({"name": name, "enum": variants.collect::<Vec<_>>()})
}

#[test]
fn fields_may_come_and_change_places_but_not_go_or_change_names_or_handles() {
    let none = || json!([]);
    let old = abi(&[("a", "Item<u8>"), ("b", "Map<Address => u128>")], none());
    let cases: [(&[(&str, &str)], &[&str]); 8] = [
        (&[("a", "Item<u8>"), ("b", "Map<Address => u128>")], &[]),
        (&[("b", "Map<Address => u128>"), ("a", "Item<u8>")], &[]),
        (
            &[
                ("c", "List<String>"),
                ("a", "Item<u8>"),
                ("b", "Map<Address => u128>"),
            ],
            &["safe fieldAdded c: List<String>"],
        ),
        (
            &[("b", "Map<Address => u128>")],
            &["UNSAFE fieldRemoved a: Item<u8>"],
        ),
        (
            &[("a", "Item<u8>"), ("balances", "Map<Address => u128>")],
            &[
                "UNSAFE fieldRemoved b: Map<Address, u128>; keys derive from names: if it is called balances now, it \
                 begins empty",
                "safe fieldAdded balances: Map<Address, u128>",
            ],
        ),
        (
            &[("a", "List<u8>"), ("b", "Map<Address => u128>")],
            &["UNSAFE handleChanged a: from Item<u8> to List<u8>"],
        ),
        (
            &[("a", "Item<u8>"), ("b", "OrderedMap<Address => u128>")],
            &["UNSAFE handleChanged b: from Map<Address, u128> to OrderedMap<Address, u128>"],
        ),
        (
            &[("a", "Item<u8>"), ("b", "Map<(Address, u8) => u64>")],
            &[
                "UNSAFE typeChanged b key: from Address to (Address, u8)",
                "UNSAFE typeChanged b value: from u128 to u64",
            ],
        ),
    ];
    for (storage, expected) in cases {
        assert_eq!(told(&old, &abi(storage, none())), expected, "{storage:?}");
    }
}

#[test]
fn keys_and_not_names_say_which_field_is_which() {
    let with_prefix = |fields: &[(&str, &str)]| {
        let mut metadata = abi(&[], json!([])).metadata().clone();
        for (name, prefix) in fields {
            let mut one = field(name, "Item<u8>");
            one["prefix"] = json!(prefix);
            metadata.storage.push(serde_json::from_value(one).unwrap());
        }
        Abi::new(metadata)
    };
    let old = with_prefix(&[("a", "0x00000001")]);
    let renamed = with_prefix(&[("b", "0x00000001")]);
    assert_eq!(told(&old, &renamed), ["safe fieldRenamed b: from a to b"]);
    let moved = with_prefix(&[("a", "0x00000002")]);
    assert_eq!(
        told(&old, &moved),
        ["UNSAFE fieldMoved a: keys from 0x00000001 to 0x00000002"]
    );
    let twice = with_prefix(&[("a", "0x00000001"), ("b", "0x00000001")]);
    assert_eq!(
        told(&old, &twice),
        ["UNSAFE unknown a: Item<u8>", "UNSAFE unknown b: Item<u8>"]
    );
}

#[test]
fn types_with_other_bytes_are_unsafe_and_those_with_the_same_are_not() {
    let plain = [
        "bool",
        "u8",
        "u16",
        "u32",
        "u64",
        "u128",
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "String",
        "Address",
        "Hash",
        "()",
        "(u8, u16)",
        "[u8; 32]",
        "[u8; 31]",
        "[u16; 32]",
        "Vec<u8>",
        "Vec<u16>",
        "Vec<Option<u8>>",
        "Option<u8>",
        "Option<u16>",
        "Result<u8, u16>",
        "Result<u16, u8>",
    ];
    let same = |old: &str, new: &str| {
        let raw = ["Address", "Hash", "[u8; 32]"];
        old == new
            || (old, new) == ("String", "Vec<u8>")
            || (raw.contains(&old) && raw.contains(&new))
    };
    for old in plain {
        for new in plain {
            let found = of_values((old, json!([])), (new, json!([])));
            let safe = found.iter().all(|one| one.starts_with("safe"));
            assert_eq!(safe, same(old, new), "{old} {new}: {found:?}");
            assert_eq!(found.is_empty(), old == new, "{old} {new}: {found:?}");
        }
    }
    assert_eq!(
        of_values(("String", json!([])), ("Vec<u8>", json!([]))),
        ["safe typeRespelled it value: from String to Vec<u8>"]
    );
    // Bytes need not be text.
    assert_eq!(
        of_values(("Vec<u8>", json!([])), ("String", json!([]))),
        ["UNSAFE typeChanged it value: from Vec<u8> to String"]
    );
    assert_eq!(
        of_values(
            ("Vec<(u8, Option<u32>)>", json!([])),
            ("Vec<(u8, Option<u64>)>", json!([]))
        ),
        ["UNSAFE typeChanged it value[].1::Some: from u32 to u64"]
    );
    let wrapped = || json!([structure("Cents", &[("", "u64")])]);
    assert_eq!(
        of_values(("u64", json!([])), ("Cents", wrapped())),
        ["safe typeRespelled it value: from u64 to Cents"]
    );
    assert_eq!(
        of_values(("Vec<Cents>", wrapped()), ("Vec<(u64,)>", json!([]))),
        ["safe typeRespelled it value: from Vec<Cents> to Vec<(u64,)>"]
    );
    assert_eq!(
        of_values(("Cents", wrapped()), ("u32", json!([]))),
        ["UNSAFE typeChanged it value: from u64 to u32"]
    );
}

#[test]
fn fields_of_structs_stay_in_number_order_and_type() {
    let old = [("owner", "Address"), ("amount", "u64"), ("spent", "u64")];
    let cases: [(&[(&str, &str)], &[&str]); 8] = [
        (&old, &[]),
        (
            &[("owner", "Address"), ("total", "u64"), ("spent", "u64")],
            &["safe partRenamed it value.amount: from amount to total"],
        ),
        (
            &[("owner", "Address"), ("spent", "u64"), ("amount", "u64")],
            &["UNSAFE partsReordered it value: from owner, amount, spent to owner, spent, amount"],
        ),
        (
            &[("owner", "Address"), ("spent", "u64")],
            &["UNSAFE partRemoved it value.amount: u64"],
        ),
        (
            &[
                ("owner", "Address"),
                ("amount", "u64"),
                ("spent", "u64"),
                ("paid", "bool"),
            ],
            &["UNSAFE partAdded it value.paid: bool"],
        ),
        (
            &[("owner", "Address"), ("amount", "u128"), ("spent", "u64")],
            &["UNSAFE typeChanged it value.amount: from u64 to u128"],
        ),
        (
            &[("owner", "Address"), ("spent", "u64"), ("paid", "u64")],
            &[
                "UNSAFE partRemoved it value.amount: u64",
                "UNSAFE partAdded it value.paid: u64",
            ],
        ),
        // A tuple says nothing of names.
        (&[("", "Address"), ("", "u64"), ("", "u64")], &[]),
    ];
    for (new, expected) in cases {
        let found = of_values(
            ("Grant", json!([structure("Grant", &old)])),
            ("Grant", json!([structure("Grant", new)])),
        );
        assert_eq!(found, expected, "{new:?}");
    }
    assert_eq!(
        of_values(
            ("Grant", json!([structure("Grant", &old)])),
            ("(Address, u64, u64)", json!([]))
        ),
        ["safe typeRespelled it value: from Grant to (Address, u64, u64)"]
    );
}

#[test]
fn variants_keep_their_number_and_fields_and_others_may_follow() {
    let old: &[(&str, &[&str])] = &[("Open", &[]), ("Paid", &["u64"]), ("Shut", &[])];
    let cases: [(&[(&str, &[&str])], &[&str]); 7] = [
        (old, &[]),
        (
            &[
                ("Open", &[]),
                ("Paid", &["u64"]),
                ("Shut", &[]),
                ("Lost", &["Hash"]),
            ],
            &["safe variantAdded it value::Lost: number 3"],
        ),
        (
            &[
                ("Open", &[]),
                ("Lost", &[]),
                ("Paid", &["u64"]),
                ("Shut", &[]),
            ],
            &[
                "UNSAFE variantMoved it value::Paid: from number 1 to 2",
                "UNSAFE variantMoved it value::Shut: from number 2 to 3",
                "safe variantAdded it value::Lost: number 1",
            ],
        ),
        (
            &[("Open", &[]), ("Paid", &["u64"])],
            &["UNSAFE variantRemoved it value::Shut: number 2"],
        ),
        (
            &[("Open", &[]), ("Paid", &["u64"]), ("Closed", &[])],
            &["safe variantRenamed it value::Shut: from Shut to Closed"],
        ),
        (
            &[("Open", &[]), ("Paid", &["u64", "bool"]), ("Shut", &[])],
            &["UNSAFE partAdded it value::Paid.1: bool"],
        ),
        (
            &[("Open", &[]), ("Paid", &[]), ("Shut", &["u8"])],
            &[
                "UNSAFE partRemoved it value::Paid.0: u64",
                "UNSAFE partAdded it value::Shut.0: u8",
            ],
        ),
    ];
    for (new, expected) in cases {
        let found = of_values(
            ("State", json!([choice("State", old)])),
            ("State", json!([choice("State", new)])),
        );
        assert_eq!(found, expected, "{new:?}");
    }
}

#[test]
fn types_within_types_and_in_themselves_are_compared_once_for_each_field() {
    let types = |amount: &str| {
        json!([
            structure("Node", &[("amount", amount), ("below", "Vec<Node>")]),
            structure("Pair", &[("left", "Node"), ("right", "Node")]),
        ])
    };
    let storage = [("tree", "Item<Node>"), ("pairs", "List<Pair>")];
    let found = told(&abi(&storage, types("u32")), &abi(&storage, types("u64")));
    assert_eq!(
        found,
        [
            "UNSAFE typeChanged tree value.amount: from u32 to u64",
            "UNSAFE typeChanged pairs value.left.amount: from u32 to u64",
        ]
    );
    assert!(told(&abi(&storage, types("u32")), &abi(&storage, types("u32"))).is_empty());
}

#[test]
fn what_an_abi_does_not_say_and_what_is_endless_is_unsafe() {
    let unknown = of_values(("Grant", json!([])), ("Grant", json!([])));
    assert_eq!(unknown, ["UNSAFE unknown it value: Grant"]);
    let unreadable = of_values(("Box<u8>", json!([])), ("u8", json!([])));
    assert_eq!(unreadable, ["UNSAFE unknown it value: Box<u8>"]);
    let endless = json!([structure("Endless", &[("next", "Endless")])]);
    let found = of_values(("Endless", endless), ("u8", json!([])));
    assert_eq!(found, ["UNSAFE tooLarge it value: u8"]);
    // Each type names the next one twice, and the two sides fall out of step: very many pairs.
    let chain = |count: usize, step: usize| {
        let link = |index: usize| {
            let (near, far) = ((index + 1) % count, (index + step) % count);
            let names = [format!("T{near}"), format!("T{far}")];
            structure(
                &format!("T{index}"),
                &[("a", &names[0]), ("b", &names[1]), ("c", "u8")],
            )
        };
        json!((0..count).map(link).collect::<Vec<_>>())
    };
    let found = of_values(("T0", chain(400, 2)), ("T0", chain(401, 3)));
    assert!(
        found.iter().any(|one| one.contains("tooLarge")),
        "{found:?}"
    );
    assert!(found.len() < 100, "{}", found.len());
}

#[test]
fn every_kind_has_a_name_of_its_own_and_a_reason() {
    let names: std::collections::BTreeSet<&str> =
        LayoutChangeKind::ALL.iter().map(|one| one.name()).collect();
    assert_eq!(names.len(), LayoutChangeKind::ALL.len());
    assert!(
        LayoutChangeKind::ALL
            .iter()
            .all(|one| one.reason().len() > 10)
    );
    let safe = LayoutChangeKind::ALL.iter().filter(|one| one.is_safe());
    let safe: Vec<_> = safe.collect();
    let expected = [
        FieldAdded,
        FieldRenamed,
        TypeRespelled,
        PartRenamed,
        VariantAdded,
        VariantRenamed,
    ];
    assert_eq!(safe, expected.iter().collect::<Vec<_>>());
}
