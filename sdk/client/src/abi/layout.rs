//! Compare the storage of two versions of a contract: does the new code read what the old code stored?
//!
//! `docs/spec/abi.md` has the rules in its section on versions. What is not known to be safe is unsafe. Metadata may
//! come from a node, so a comparison is bounded and cannot panic.

mod shapes;
#[cfg(test)]
mod tests;

use kumiki_abi::metadata::StorageField;

use super::{Abi, Type};
use shapes::Comparison;

/// One difference between the storage of two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutChange {
    /// The storage field, by its new name where it has one.
    pub field: String,
    /// Where in the field: `value.owner`, `key`, `value::Variant.0`, `value[]`; empty for the field itself.
    pub place: String,
    /// What kind of change it is.
    pub kind: LayoutChangeKind,
    /// What was and what is, for people.
    pub what: String,
}

macro_rules! kinds {
    ($($(#[doc = $docs:literal])+ $kind:ident $name:literal $safe:literal $reason:literal,)*) => {
        /// The kinds of changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum LayoutChangeKind {
            $($(#[doc = $docs])+ $kind,)*
        }

        impl LayoutChangeKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Its name for programs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Whether the new code reads what the old code stored.
            #[must_use]
            pub const fn is_safe(self) -> bool {
                match self { $(Self::$kind => $safe,)* }
            }

            /// Why it is safe or not.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$kind => $reason,)* }
            }
        }
    };
}

kinds! {
    /// A storage field is new.
    FieldAdded "fieldAdded" true "nothing is stored under its keys, so it begins empty",
    /// A storage field is new here, and an earlier version left something under its keys. Only who asks the chain knows.
    FieldReturns "fieldReturns" false "an earlier version left something under its keys, which it would read",
    /// A storage field has another name and the same keys.
    FieldRenamed "fieldRenamed" true "its keys are the same",
    /// A storage field is gone.
    FieldRemoved "fieldRemoved" false
        "what it holds stays stored where the new code does not reach it, and comes back if the name does",
    /// A storage field has other keys.
    FieldMoved "fieldMoved" false "its keys begin with other bytes, so nothing that is stored is found",
    /// A storage field is another handle.
    HandleChanged "handleChanged" false "the two keep values under keys of different forms",
    /// Another type with the same encodings.
    TypeRespelled "typeRespelled" true "both have the same bytes for the same values",
    /// Another type.
    TypeChanged "typeChanged" false "stored bytes would be read as what they are not",
    /// A struct or variant has a further field.
    PartAdded "partAdded" false "stored values end before it",
    /// A struct or variant has a field less.
    PartRemoved "partRemoved" false "stored values still have it, and its bytes would be read as what follows",
    /// A field of a struct or variant has another name.
    PartRenamed "partRenamed" true "names are not stored; it must mean the same",
    /// Fields of a struct or variant changed places.
    PartsReordered "partsReordered" false "fields are stored in order, so one would be read as the other",
    /// An enum has a further variant.
    VariantAdded "variantAdded" true "no stored value is it",
    /// An enum has a variant less.
    VariantRemoved "variantRemoved" false "stored values may be it, and nothing would read them",
    /// A variant has another name.
    VariantRenamed "variantRenamed" true "variants are stored by their number; it must mean the same",
    /// A variant has another number.
    VariantMoved "variantMoved" false "variants are stored by their number, so it would be read as another",
    /// The ABI does not say what a type is.
    Unknown "unknown" false "the ABI does not say what it is made of, so it cannot be compared",
    /// Types too deep or too many to compare.
    TooLarge "tooLarge" false "it is too deep or too large to compare",
}

impl LayoutChange {
    /// Whether the new code reads what the old code stored, as far as this change goes.
    #[must_use]
    pub const fn is_safe(&self) -> bool {
        self.kind.is_safe()
    }

    /// Where it is, for people: `balances value.owner`.
    #[must_use]
    pub fn location(&self) -> String {
        if self.place.is_empty() {
            self.field.clone()
        } else {
            format!("{} {}", self.field, self.place)
        }
    }
}

/// What differs between the storage of `old` and of `new`, fields of `old` first. Where all of it is safe, every value
/// that code with `old` stored is read by code with `new` as what it was.
#[must_use]
pub fn compare_layouts(old: &Abi, new: &Abi) -> Vec<LayoutChange> {
    let before = &old.metadata().storage;
    let after = &new.metadata().storage;
    let mut changes = Vec::new();
    for field in before {
        let same_keys = after.iter().find(|one| one.prefix == field.prefix);
        match same_keys {
            Some(found) => compare_fields((old, field), (new, found), &mut changes),
            None => changes.push(lost(field, before, after)),
        }
    }
    for field in after {
        let has_keys_of = |one: &StorageField| one.prefix == field.prefix;
        let is_known = |one: &StorageField| one.prefix == field.prefix || one.name == field.name;
        if !before.iter().any(is_known) {
            changes.push(change(field, LayoutChangeKind::FieldAdded, declared(field)));
        }
        // Two fields under the same keys: the macros refuse it, a file may say anything.
        if after.iter().filter(|one| has_keys_of(one)).count() > 1 {
            changes.push(change(field, LayoutChangeKind::Unknown, declared(field)));
        }
    }
    changes
}

fn change(field: &StorageField, kind: LayoutChangeKind, what: String) -> LayoutChange {
    LayoutChange {
        field: field.name.clone(),
        place: String::new(),
        kind,
        what,
    }
}

/// A field whose keys the new code does not know.
fn lost(field: &StorageField, before: &[StorageField], after: &[StorageField]) -> LayoutChange {
    if let Some(moved) = after.iter().find(|one| one.name == field.name) {
        let what = format!("keys from {} to {}", field.prefix, moved.prefix);
        return change(field, LayoutChangeKind::FieldMoved, what);
    }
    let is_new = |one: &&StorageField| {
        before.iter().all(|old| old.prefix != one.prefix)
            && (&one.handle, &one.key, &one.value) == (&field.handle, &field.key, &field.value)
    };
    let what = match after.iter().find(is_new) {
        Some(renamed) => format!(
            "{}; keys derive from names: if it is called {} now, it begins empty",
            declared(field),
            renamed.name
        ),
        None => declared(field),
    };
    change(field, LayoutChangeKind::FieldRemoved, what)
}

fn compare_fields(
    (old, before): (&Abi, &StorageField),
    (new, after): (&Abi, &StorageField),
    changes: &mut Vec<LayoutChange>,
) {
    if before.name != after.name {
        let what = format!("from {} to {}", before.name, after.name);
        changes.push(change(after, LayoutChangeKind::FieldRenamed, what));
    }
    if before.handle != after.handle || before.key.is_some() != after.key.is_some() {
        let what = format!("from {} to {}", declared(before), declared(after));
        changes.push(change(after, LayoutChangeKind::HandleChanged, what));
        return;
    }
    let parts = [
        ("key", before.key.as_deref(), after.key.as_deref()),
        ("value", Some(&*before.value), Some(&*after.value)),
    ];
    for (place, old_type, new_type) in parts {
        let (Some(old_type), Some(new_type)) = (old_type, new_type) else {
            continue;
        };
        let mut comparison = Comparison::new(old, new, &after.name);
        match (Type::parse(old_type), Type::parse(new_type)) {
            (Some(old_type), Some(new_type)) => comparison.compare(&old_type, &new_type, place),
            (None, _) | (_, None) => {
                comparison.push(LayoutChangeKind::Unknown, place, old_type.to_owned());
            }
        }
        let found = comparison.finish();
        if found.is_empty() && old_type != new_type {
            changes.push(LayoutChange {
                place: place.to_owned(),
                ..change(
                    after,
                    LayoutChangeKind::TypeRespelled,
                    format!("from {old_type} to {new_type}"),
                )
            });
        }
        changes.extend(found);
    }
}

/// A field's type as it is written in the contract.
fn declared(field: &StorageField) -> String {
    match &field.key {
        Some(key) => format!("{}<{key}, {}>", field.handle, field.value),
        None => format!("{}<{}>", field.handle, field.value),
    }
}
