//! Hold the metadata that the macros write to its schema and to what the contract says.

use kumiki_abi::metadata::{EntryKind, Fragment, Metadata, SCHEMA, TypeShape};
use kumiki_contract::Contract as _;
use kumiki_probe_contract::probe::Probe;

fn fragments() -> Vec<Fragment> {
    Probe::fragments()
        .into_iter()
        .map(|line| {
            assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
            serde_json::from_str(line).expect("a fragment follows the schema")
        })
        .collect()
}

fn contract() -> Box<Metadata> {
    let mut contracts = fragments()
        .into_iter()
        .filter_map(|fragment| match fragment {
            Fragment::Contract(contract) => Some(contract),
            _ => None,
        });
    let contract = contracts.next().expect("there is one contract");
    assert!(contracts.next().is_none());
    contract
}

#[test]
fn the_contract_fragment_tells_what_there_is() {
    let contract = contract();
    assert_eq!(contract.schema, SCHEMA);
    assert_eq!(contract.name, "Probe");
    assert_eq!(contract.error.as_deref(), Some("Error"));
    assert!(contract.docs.starts_with("One of each handle."));
    assert!(contract.init.unwrap().payable);
    assert_eq!(contract.migrate.unwrap().kind, EntryKind::Migrate);
    let place = contract.entry_points.iter().find(|one| one.name == "place");
    let place = place.unwrap();
    // SHA3-256("place(u64,i32,Order)"): the alias `Price` is written out.
    let types: Vec<&str> = place
        .args
        .iter()
        .map(|one| one.type_name.as_str())
        .collect();
    assert_eq!(types, ["u64", "i32", "Order"]);
    let selector = selector_of("place(u64,i32,Order)");
    assert_eq!(place.selector, selector);
    assert_eq!((place.kind, place.payable), (EntryKind::Call, false));
    let storage: Vec<(&str, &str, Option<&str>, &str)> = contract
        .storage
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.handle.as_str(),
                one.key.as_deref(),
                one.value.as_str(),
            )
        })
        .collect();
    assert_eq!(storage[4], ("log", "List", None, "Entry"));
    assert_eq!(
        storage[5],
        ("orders", "OrderedMap", Some("(u64, i32)"), "Order")
    );
}

#[test]
fn every_named_type_is_described_once() {
    let mut names: Vec<String> = fragments()
        .into_iter()
        .filter_map(|fragment| match fragment {
            Fragment::Type(definition) => Some(definition.name),
            _ => None,
        })
        .collect();
    names.sort();
    assert_eq!(names, ["Entry", "Error", "Order", "Side"]);
}

#[test]
fn enums_keep_their_variants_numbers_and_fields() {
    let side = fragments().into_iter().find_map(|fragment| match fragment {
        Fragment::Type(definition) if definition.name == "Side" => Some(definition),
        _ => None,
    });
    let TypeShape::Enum(variants) = side.unwrap().shape else {
        panic!("an enum");
    };
    assert_eq!((variants[1].name.as_str(), variants[1].index), ("Sell", 1));
    assert_eq!(variants[1].fields[0].name, "limit");
    assert_eq!(variants[1].docs, "To give, at most so much.");
}

/// `0x` and the first four bytes of SHA3-256, from another implementation than the macros'.
fn selector_of(signature: &str) -> String {
    let digest = kumiki_protocol::sha3_256(&[signature.as_bytes()]);
    digest.to_string()[..10].to_owned()
}
