//! Hold the document against the OpenRPC rules that matter to generators of clients.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_reference_of_the_document_resolves() {
    let document = document(Served::ALL);
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn required_parameters_come_first_and_names_are_unique() {
    let mut names = BTreeSet::new();
    for spec in method_specs() {
        assert!(names.insert(spec.name), "{} twice", spec.name);
        assert!(
            spec.params.is_sorted_by_key(|param| !param.required),
            "{}",
            spec.name
        );
        let params: BTreeSet<&str> = spec.params.iter().map(|param| param.name).collect();
        assert_eq!(params.len(), spec.params.len(), "{}", spec.name);
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.push(reference.clone());
            }
            for field in fields.values() {
                collect_references(field, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_references(item, found);
            }
        }
        _ => {}
    }
}
