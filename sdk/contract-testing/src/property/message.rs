//! Read from a contract's metadata which messages it has and what their arguments are made of.

use std::collections::BTreeMap;

use kumiki_abi::metadata::{
    EntryKind, EntryPoint, Field, Fragment, Metadata, TypeDefinition, TypeShape,
};
use kumiki_abi::type_name::Type;
use kumiki_contract::{Address, Contract};

use crate::wasm_file::fail;

/// A contract that random calls go to.
pub(crate) struct Target {
    /// What a test would call its handle.
    pub(crate) variable: String,
    pub(crate) address: Address,
    pub(crate) messages: Vec<Message>,
    pub(crate) types: Types,
    /// The contract's own error, where it has one.
    pub(crate) error: Option<Type>,
}

/// Something that a contract can be asked.
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) selector: [u8; 4],
    pub(crate) kind: EntryKind,
    pub(crate) is_payable: bool,
    pub(crate) arguments: Vec<Part>,
    pub(crate) returns: Type,
}

/// An argument or a field.
pub(crate) struct Part {
    /// Empty in tuple structs and variants.
    pub(crate) name: String,
    pub(crate) of: Type,
}

/// A contract's structs and enums, by name.
pub(crate) struct Types(BTreeMap<String, Shape>);

/// What a type is made of.
pub(crate) enum Shape {
    Struct(Vec<Part>),
    Enum(Vec<Variant>),
}

/// A variant of an enum.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) index: u8,
    pub(crate) parts: Vec<Part>,
}

impl Target {
    /// The contract `C` at `address`; handles of the same contract are numbered, so `others` are those before it.
    pub(crate) fn new<C: Contract>(address: Address, others: &[Self]) -> Self {
        let mut definitions = Vec::new();
        let mut metadata: Option<Box<Metadata>> = None;
        for line in C::fragments() {
            match serde_json::from_str(line) {
                Ok(Fragment::Contract(contract)) => metadata = Some(contract),
                Ok(Fragment::Type(definition)) => definitions.push(definition),
                Ok(Fragment::Event(_)) => {}
                Err(error) => fail(&format!("{}'s metadata: {error}", C::NAME)),
            }
        }
        let Some(metadata) = metadata else {
            fail(&format!("{} has no metadata", C::NAME))
        };
        let name = snake_case(C::NAME);
        let number = others
            .iter()
            .filter(|other| other.variable.starts_with(&name))
            .count();
        let variable = match number {
            0 => name,
            number => format!("{name}_{}", number + 1),
        };
        Self {
            variable,
            address,
            messages: metadata.entry_points.iter().map(message).collect(),
            types: Types(definitions.iter().map(definition).collect()),
            error: metadata.error.as_deref().map(parse),
        }
    }
}

impl Types {
    /// What a named type is made of.
    pub(crate) fn shape(&self, name: &str) -> &Shape {
        self.0
            .get(name)
            .unwrap_or_else(|| fail(&format!("the metadata does not define the type {name}")))
    }
}

fn parse(text: &str) -> Type {
    Type::parse(text).unwrap_or_else(|| fail(&format!("'{text}' is no type of metadata")))
}

fn message(point: &EntryPoint) -> Message {
    let mut selector = [0; 4];
    let digits = point.selector.strip_prefix("0x").unwrap_or_default();
    if hex::decode_to_slice(digits, &mut selector).is_err() {
        fail(&format!("'{}' is no selector", point.selector));
    }
    Message {
        name: point.name.clone(),
        selector,
        kind: point.kind,
        is_payable: point.payable,
        arguments: parts(&point.args),
        returns: parse(&point.returns),
    }
}

fn parts(fields: &[Field]) -> Vec<Part> {
    let part = |field: &Field| Part {
        name: field.name.clone(),
        of: parse(&field.type_name),
    };
    fields.iter().map(part).collect()
}

fn definition(definition: &TypeDefinition) -> (String, Shape) {
    let shape = match &definition.shape {
        TypeShape::Struct(fields) => Shape::Struct(parts(fields)),
        TypeShape::Enum(variants) => {
            let variant = |one: &kumiki_abi::metadata::Variant| Variant {
                name: one.name.clone(),
                index: one.index,
                parts: parts(&one.fields),
            };
            Shape::Enum(variants.iter().map(variant).collect())
        }
    };
    (definition.name.clone(), shape)
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (index, one) in name.char_indices() {
        if one.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(one.to_lowercase());
    }
    text
}
