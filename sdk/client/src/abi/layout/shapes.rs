//! Compare two types: is every encoding of the old one an encoding of the same value of the new one?
//!
//! Keys go by the same rule. A value has one encoding, so the new key of a value has the bytes that the old key had.

use std::collections::BTreeSet;

use kumiki_abi::metadata::{Field, TypeShape, Variant};

use super::{LayoutChange, LayoutChangeKind};
use crate::abi::{Abi, Type};

/// Nesting of types, above any real one.
const DEPTH_MAX: usize = 64;
/// Pairs of types that one comparison looks at, so that a hostile ABI cannot keep it busy.
const PAIRS_MAX: usize = 20_000;
/// Changes that are told; after so many it is too large.
const CHANGES_MAX: usize = 1_000;

/// A comparison of one storage field's keys or values.
pub(super) struct Comparison<'a> {
    old: &'a Abi,
    new: &'a Abi,
    field: &'a str,
    /// Pairs of named types that were compared or are being compared: what refers to itself is compared once.
    seen: BTreeSet<(String, String)>,
    pairs_left: usize,
    depth: usize,
    changes: Vec<LayoutChange>,
}

/// A part of a struct, tuple or variant: its name, empty where it has none, and its type.
struct Part<'a> {
    name: &'a str,
    of: Result<Type, String>,
}

/// What a type is made of.
enum Shape<'a> {
    Product(Vec<Part<'a>>),
    Enum(&'a [Variant]),
    Other(&'a Type),
    Unknown,
}

fn parts(fields: &[Field]) -> Vec<Part<'_>> {
    fields
        .iter()
        .map(|field| Part {
            name: &field.name,
            of: Type::parse(&field.type_name).ok_or_else(|| field.type_name.clone()),
        })
        .collect()
}

fn shape<'a>(abi: &'a Abi, of: &'a Type) -> Shape<'a> {
    match of {
        Type::Tuple(types) => {
            let part = |one: &Type| Part {
                name: "",
                of: Ok(one.clone()),
            };
            Shape::Product(types.iter().map(part).collect())
        }
        Type::Named(name) => match abi.shape(name) {
            Some(TypeShape::Struct(fields)) => Shape::Product(parts(fields)),
            Some(TypeShape::Enum(variants)) => Shape::Enum(variants),
            None => Shape::Unknown,
        },
        other => Shape::Other(other),
    }
}

/// Whether it is 32 bytes as they are.
fn is_32_bytes(of: &Type) -> bool {
    match of {
        Type::Address | Type::Hash => true,
        Type::Array(element, 32) => **element == Type::Unsigned(1),
        _ => false,
    }
}

/// A type as it is written.
fn text(of: &Type) -> String {
    let all = |types: &[Type]| types.iter().map(text).collect::<Vec<_>>().join(", ");
    match of {
        Type::Bool => "bool".to_owned(),
        Type::Unsigned(bytes) => format!("u{}", u32::from(*bytes) * 8),
        Type::Signed(bytes) => format!("i{}", u32::from(*bytes) * 8),
        Type::String => "String".to_owned(),
        Type::Address => "Address".to_owned(),
        Type::Hash => "Hash".to_owned(),
        Type::Tuple(types) => format!("({})", all(types)),
        Type::Array(element, count) => format!("[{}; {count}]", text(element)),
        Type::Vec(element) => format!("Vec<{}>", text(element)),
        Type::Option(inner) => format!("Option<{}>", text(inner)),
        Type::Result(ok, error) => format!("Result<{}, {}>", text(ok), text(error)),
        Type::Named(name) => name.clone(),
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn new(old: &'a Abi, new: &'a Abi, field: &'a str) -> Self {
        Self {
            old,
            new,
            field,
            seen: BTreeSet::new(),
            pairs_left: PAIRS_MAX,
            depth: 0,
            changes: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<LayoutChange> {
        self.changes
    }

    pub(super) fn push(&mut self, kind: LayoutChangeKind, place: &str, what: String) {
        let kind = match self.changes.len() {
            0..CHANGES_MAX => kind,
            CHANGES_MAX => LayoutChangeKind::TooLarge,
            _ => return,
        };
        self.changes.push(LayoutChange {
            field: self.field.to_owned(),
            place: place.to_owned(),
            kind,
            what,
        });
    }

    fn changed(&mut self, old: &Type, new: &Type, place: &str) {
        let what = format!("from {} to {}", text(old), text(new));
        self.push(LayoutChangeKind::TypeChanged, place, what);
    }

    pub(super) fn compare(&mut self, old: &Type, new: &Type, place: &str) {
        if let (Type::Named(old), Type::Named(new)) = (old, new)
            && !self.seen.insert((old.clone(), new.clone()))
        {
            return;
        }
        let left = self.pairs_left.checked_sub(1);
        let (Some(left), true) = (left, self.depth < DEPTH_MAX) else {
            // Said once: a budget that is used up ends all the rest.
            if self.changes.last().map(|one| one.kind) != Some(LayoutChangeKind::TooLarge) {
                self.push(LayoutChangeKind::TooLarge, place, text(new));
            }
            return;
        };
        self.pairs_left = left;
        self.depth += 1;
        self.compare_shapes(old, new, place);
        self.depth -= 1;
    }

    fn compare_shapes(&mut self, old: &Type, new: &Type, place: &str) {
        match (shape(self.old, old), shape(self.new, new)) {
            (Shape::Unknown, _) => self.push(LayoutChangeKind::Unknown, place, text(old)),
            (_, Shape::Unknown) => self.push(LayoutChangeKind::Unknown, place, text(new)),
            (Shape::Product(old), Shape::Product(new)) => self.compare_products(&old, &new, place),
            // A struct of one field is stored as that field.
            (Shape::Product(parts), _) if parts.len() == 1 => match parts.first() {
                Some(Part { of: Ok(inner), .. }) => self.compare(inner, new, place),
                _ => self.push(LayoutChangeKind::Unknown, place, text(old)),
            },
            (_, Shape::Product(parts)) if parts.len() == 1 => match parts.first() {
                Some(Part { of: Ok(inner), .. }) => self.compare(old, inner, place),
                _ => self.push(LayoutChangeKind::Unknown, place, text(new)),
            },
            (Shape::Enum(old), Shape::Enum(new)) => self.compare_enums(old, new, place),
            (Shape::Other(old), Shape::Other(new)) => self.compare_others(old, new, place),
            _ => self.changed(old, new, place),
        }
    }

    fn compare_others(&mut self, old: &Type, new: &Type, place: &str) {
        match (old, new) {
            // Text is its bytes.
            (Type::String, Type::Vec(element)) if **element == Type::Unsigned(1) => {}
            _ if is_32_bytes(old) && is_32_bytes(new) => {}
            (Type::Vec(old), Type::Vec(new)) => self.compare(old, new, &format!("{place}[]")),
            (Type::Array(old, count), Type::Array(new, same)) if count == same => {
                self.compare(old, new, &format!("{place}[]"));
            }
            (Type::Option(old), Type::Option(new)) => {
                self.compare(old, new, &format!("{place}::Some"));
            }
            (Type::Result(old, old_error), Type::Result(new, new_error)) => {
                self.compare(old, new, &format!("{place}::Ok"));
                self.compare(old_error, new_error, &format!("{place}::Err"));
            }
            _ if old == new => {}
            _ => self.changed(old, new, place),
        }
    }

    /// Parts are stored one after the other, without names. With names on both sides, names say what belongs together.
    fn compare_products(&mut self, old: &[Part<'_>], new: &[Part<'_>], place: &str) {
        if !(have_names(old) && have_names(new)) {
            return self.compare_by_position(old, new, place);
        }
        let find = |parts: &[Part<'_>], name: &str| parts.iter().position(|one| one.name == name);
        let is_renamed = |index: usize| match (old.get(index), new.get(index)) {
            (Some(before), Some(after)) => {
                find(new, before.name).is_none() && find(old, after.name).is_none()
            }
            _ => false,
        };
        for (index, part) in old.iter().enumerate() {
            let below = format!("{place}.{}", part.name);
            let after = match find(new, part.name) {
                Some(same) => new.get(same),
                None if is_renamed(index) => {
                    let after = new.get(index);
                    let name = after.map_or("", |after| after.name);
                    let what = format!("from {} to {name}", part.name);
                    self.push(LayoutChangeKind::PartRenamed, &below, what);
                    after
                }
                None => None,
            };
            match after {
                Some(after) => self.compare_parts(part, after, &below),
                None => self.push(LayoutChangeKind::PartRemoved, &below, part_text(part)),
            }
        }
        for (index, part) in new.iter().enumerate() {
            if find(old, part.name).is_none() && !is_renamed(index) {
                let below = format!("{place}.{}", part.name);
                self.push(LayoutChangeKind::PartAdded, &below, part_text(part));
            }
        }
        let kept = |parts: &[Part<'_>], others: &[Part<'_>]| -> Vec<String> {
            let kept = parts.iter().map(|one| one.name.to_owned());
            kept.filter(|name| find(others, name).is_some()).collect()
        };
        let (before, after) = (kept(old, new), kept(new, old));
        if before != after {
            let what = format!("from {} to {}", before.join(", "), after.join(", "));
            self.push(LayoutChangeKind::PartsReordered, place, what);
        }
    }

    fn compare_by_position(&mut self, old: &[Part<'_>], new: &[Part<'_>], place: &str) {
        for (index, (before, after)) in old.iter().zip(new).enumerate() {
            self.compare_parts(before, after, &format!("{place}.{index}"));
        }
        for (index, part) in old.iter().enumerate().skip(new.len()) {
            let below = format!("{place}.{index}");
            self.push(LayoutChangeKind::PartRemoved, &below, part_text(part));
        }
        for (index, part) in new.iter().enumerate().skip(old.len()) {
            let below = format!("{place}.{index}");
            self.push(LayoutChangeKind::PartAdded, &below, part_text(part));
        }
    }

    fn compare_parts(&mut self, old: &Part<'_>, new: &Part<'_>, place: &str) {
        match (&old.of, &new.of) {
            (Ok(old), Ok(new)) => self.compare(old, new, place),
            (Err(name), _) | (_, Err(name)) => {
                self.push(LayoutChangeKind::Unknown, place, name.clone());
            }
        }
    }

    /// A variant is stored as its number and its fields.
    fn compare_enums(&mut self, old: &[Variant], new: &[Variant], place: &str) {
        let is_in = |variants: &[Variant], name: &str| variants.iter().any(|one| one.name == name);
        let renamed = |before: &Variant| {
            let same = new.iter().find(|one| one.index == before.index)?;
            let fits = !is_in(new, &before.name) && !is_in(old, &same.name);
            fits.then_some(same)
        };
        for before in old {
            let below = format!("{place}::{}", before.name);
            let after = match new.iter().find(|one| one.name == before.name) {
                Some(after) if after.index == before.index => after,
                Some(after) => {
                    let what = format!("from number {} to {}", before.index, after.index);
                    self.push(LayoutChangeKind::VariantMoved, &below, what);
                    continue;
                }
                None => match renamed(before) {
                    Some(after) => {
                        let what = format!("from {} to {}", before.name, after.name);
                        self.push(LayoutChangeKind::VariantRenamed, &below, what);
                        after
                    }
                    None => {
                        let what = format!("number {}", before.index);
                        self.push(LayoutChangeKind::VariantRemoved, &below, what);
                        continue;
                    }
                },
            };
            self.compare_products(&parts(&before.fields), &parts(&after.fields), &below);
        }
        for after in new {
            let is_old = |one: &Variant| {
                one.name == after.name || renamed(one).is_some_and(|same| same.name == after.name)
            };
            if !old.iter().any(is_old) {
                let below = format!("{place}::{}", after.name);
                let what = format!("number {}", after.index);
                self.push(LayoutChangeKind::VariantAdded, &below, what);
            }
        }
    }
}

/// Whether each part has a name of its own.
fn have_names(parts: &[Part<'_>]) -> bool {
    let names: BTreeSet<&str> = parts.iter().map(|one| one.name).collect();
    names.len() == parts.len() && !names.contains("")
}

fn part_text(part: &Part<'_>) -> String {
    match &part.of {
        Ok(of) => text(of),
        Err(name) => name.clone(),
    }
}
