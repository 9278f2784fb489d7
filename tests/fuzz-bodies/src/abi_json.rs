//! Read a contract's ABI from JSON, and decode by it what a chain holds: inputs, results, events, errors.

use std::str::FromStr as _;

use kumiki_abi::metadata::{EntryKind, EntryPoint, Metadata};
use kumiki_client::abi::layout::{LayoutChangeKind, compare_layouts};
use kumiki_client::abi::{Abi, Revert, signature};
use kumiki_protocol::Hash;
use kumiki_testkit::peak_bytes;

use crate::Verdict;
use crate::choices::Choices;

/// An ABI with every kind of type, whose text is mutated and by which bytes are decoded.
const SAMPLE: &str = include_str!("sample_abi.json");
/// Between the text and the bytes that are decoded by it.
const SEPARATOR: u8 = 0;
/// Entry points and events that are tried.
const TRIED_MAX: usize = 12;
/// What one value may hold: `VALUES_MAX` of the client, each at most this large as JSON, and lists that grow by doubling.
const VALUE_HEAP_MAX: usize = 64 << 20;

/// Reads an ABI and decodes bytes by it.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    let (text, data) = match choices.byte() % 3 {
        0 => {
            let rest = choices.rest();
            let end = rest.iter().position(|byte| *byte == SEPARATOR);
            let (text, data) = rest.split_at(end.unwrap_or(rest.len()));
            (text.to_vec(), data.get(1..).unwrap_or_default())
        }
        1 => (SAMPLE.as_bytes().to_vec(), choices.rest()),
        _ => {
            let data = choices.bytes(64);
            (choices.mutated(SAMPLE.as_bytes()), data)
        }
    };
    let Ok(metadata) = serde_json::from_slice::<Metadata>(&text) else {
        return Verdict::Refused;
    };
    let written = serde_json::to_string(&metadata).expect("an ABI has a JSON form");
    let again: Metadata = serde_json::from_str(&written).expect("what was written is read again");
    assert_eq!(again, metadata);
    held(&Abi::new(metadata), data);
    Verdict::Accepted
}

fn held(abi: &Abi, data: &[u8]) {
    let metadata = abi.metadata();
    let made = metadata.init.iter().chain(&metadata.migrate);
    for method in made.chain(&metadata.entry_points).take(TRIED_MAX) {
        assert!(signature(method).starts_with(&method.name));
        bounded(data, || drop(abi.decode_return(method, data)));
        hold_call(abi, method, data);
        let _known = abi.decode_input(method.kind, data);
    }
    let _known = abi.method_of(data);
    bounded(data, || {
        if let Revert::Unknown(bytes) = abi.decode_revert(data) {
            assert_eq!(bytes, data);
        }
    });
    for event in metadata.events.iter().take(TRIED_MAX) {
        if let Ok(topic) = Hash::from_str(&event.id) {
            let decoded = abi.decode_event(&[topic], data);
            let known = |name: &str| metadata.events.iter().any(|one| one.name == name);
            assert!(decoded.is_none_or(|found| known(&found.name)));
        }
    }
    hold_layout(abi);
}

/// What is decoded as a call is encoded to the same call.
fn hold_call(abi: &Abi, method: &EntryPoint, data: &[u8]) {
    let selector = method.selector.strip_prefix("0x").map(hex::decode);
    let mut input = match (method.kind, selector) {
        (EntryKind::Init | EntryKind::Migrate, _) => Vec::new(),
        (EntryKind::Call | EntryKind::View, Some(Ok(selector))) => selector,
        (EntryKind::Call | EntryKind::View, _) => return,
    };
    input.extend(data);
    let Ok(arguments) = bounded(data, || abi.decode_call(method, &input)) else {
        return;
    };
    let mut names: Vec<&String> = arguments.iter().map(|one| &one.name).collect();
    names.sort_unstable();
    names.dedup();
    // Two arguments of one name cannot be told apart.
    if names.len() == arguments.len() && abi_is_sound(abi) {
        assert_eq!(abi.encode_call(method, &arguments), Ok(input));
    }
}

/// Whether names of types, fields and variants are told apart: JSON has one place for each.
fn abi_is_sound(abi: &Abi) -> bool {
    use kumiki_abi::metadata::{Field, TypeShape};
    let differ = |mut names: Vec<&str>| {
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        names.len() == count
    };
    let fields = |fields: &[Field]| {
        let names: Vec<&str> = fields.iter().map(|one| one.name.as_str()).collect();
        let unnamed = names.iter().filter(|name| name.is_empty()).count();
        unnamed == names.len() || (unnamed == 0 && differ(names))
    };
    let types = &abi.metadata().types;
    let sound = types.iter().all(|one| match &one.shape {
        TypeShape::Struct(parts) => fields(parts),
        TypeShape::Enum(variants) => {
            let numbers: Vec<String> = variants.iter().map(|one| one.index.to_string()).collect();
            differ(variants.iter().map(|one| one.name.as_str()).collect())
                && differ(numbers.iter().map(String::as_str).collect())
                && variants.iter().all(|one| fields(&one.fields))
        }
    });
    sound && differ(types.iter().map(|one| one.name.as_str()).collect())
}

/// Storage compared with itself has changed in nothing; what cannot be compared is said to be so.
fn hold_layout(abi: &Abi) {
    let changes = compare_layouts(abi, abi);
    let storage = &abi.metadata().storage;
    let mut prefixes: Vec<String> = storage.iter().map(|one| one.prefix.clone()).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    if prefixes.len() == storage.len() && abi_is_sound(abi) {
        for change in changes {
            assert!(
                matches!(
                    change.kind,
                    LayoutChangeKind::Unknown | LayoutChangeKind::TooLarge
                ),
                "{change:?}"
            );
        }
    }
}

fn bounded<T>(data: &[u8], work: impl FnOnce() -> T) -> T {
    let (result, peak) = peak_bytes(work);
    assert!(
        peak <= VALUE_HEAP_MAX,
        "{} bytes of data made it hold {peak}",
        data.len()
    );
    result
}
