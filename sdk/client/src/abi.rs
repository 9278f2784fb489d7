//! Encode arguments for a contract and decode what comes back, from the contract's own metadata.
//!
//! In JSON, `u64`, `i64` and wider integers are decimal strings, `Vec<u8>` and `[u8; N]` are `0x` hex, structs
//! are objects (a single unnamed field stands for itself), an enum's variant is its name, or an object with
//! its name and its fields. Metadata and data come from a node, so both are bounded and neither can panic.

mod decode;
mod encode;
pub mod layout;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kumiki_abi::metadata::{EntryKind, EntryPoint, EventDefinition, Field, Metadata, TypeShape};
use kumiki_abi::type_name::{DEPTH_MAX, Type};
use kumiki_abi::{REVERT_CONTRACT, REVERT_SDK, SdkError};
use kumiki_protocol::{Address, Hash};
use serde_json::{Map, Value};

pub use encode::ArgumentText;

/// Values inside one value, so that a few bytes cannot ask for millions of empty ones.
const VALUES_MAX: usize = 100_000;

/// Why a value was not encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The contract has no such entry point.
    #[error("'{contract}' has no method '{found}'")]
    UnknownMethod {
        /// Name of the contract.
        contract: String,
        /// The method asked for.
        found: String,
        /// The methods there are.
        known: Vec<String>,
    },
    /// An argument is missing, unknown or given twice.
    #[error("{method}: {problem}")]
    Arguments {
        /// The method.
        method: String,
        /// Which argument and why.
        problem: String,
        /// The method's arguments, `name: type` each.
        signature: String,
    },
    /// A value is not of its type.
    #[error("{place}: expected {expected}, found {found}")]
    Mismatch {
        /// Where: argument, field, element.
        place: String,
        /// The type, with its range or form.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The metadata names a type that it does not define or that this version does not know.
    #[error("the contract's ABI names an unknown type '{name}'")]
    UnknownType {
        /// The type.
        name: String,
    },
    /// The bytes are not an encoding of the type.
    #[error("the bytes are no {expected}: {reason}")]
    Malformed {
        /// The type.
        expected: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The value or type nests too deep or holds too many values.
    #[error("the value is nested too deep or too large")]
    TooLarge,
}

/// What a contract reverted with.
#[derive(Debug, Clone, PartialEq)]
pub enum Revert {
    /// The contract's own error: its name, and the whole value as JSON.
    Contract {
        /// The variant's name.
        name: String,
        /// The variant's doc comment.
        docs: String,
        /// The error as JSON.
        value: Value,
    },
    /// An error that the SDK raised for the contract.
    Sdk(SdkError),
    /// Bytes that the metadata does not explain.
    Unknown(Vec<u8>),
}

/// A decoded event.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedEvent {
    /// Its name.
    pub name: String,
    /// Its fields by name, as JSON.
    pub fields: Value,
}

/// An input of a contract's entry point, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedInput<'a> {
    /// The entry point.
    pub method: &'a EntryPoint,
    /// Its arguments by name, as JSON; absent where the bytes are not what it takes.
    pub arguments: Option<Value>,
}

/// A contract's metadata, with its types at hand.
#[derive(Debug, Clone)]
pub struct Abi {
    metadata: Metadata,
    types: BTreeMap<String, usize>,
}

impl Abi {
    /// Takes over `metadata`.
    #[must_use]
    pub fn new(metadata: Metadata) -> Self {
        let types = metadata
            .types
            .iter()
            .enumerate()
            .map(|(index, one)| (one.name.clone(), index))
            .collect();
        Self { metadata, types }
    }

    /// The metadata.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The call or view called `name`.
    ///
    /// # Errors
    /// `UnknownMethod`, with the names there are.
    pub fn method(&self, name: &str) -> Result<&EntryPoint, ValueError> {
        let methods = &self.metadata.entry_points;
        methods
            .iter()
            .find(|one| one.name == name)
            .ok_or_else(|| ValueError::UnknownMethod {
                contract: self.metadata.name.clone(),
                found: name.to_owned(),
                known: methods.iter().map(|one| one.name.clone()).collect(),
            })
    }

    /// The input of a call or view: selector and arguments.
    ///
    /// # Errors
    /// The first argument that is missing, unknown or not of its type.
    pub fn encode_call(
        &self,
        method: &EntryPoint,
        arguments: &[ArgumentText],
    ) -> Result<Vec<u8>, ValueError> {
        let mut input = match method.kind {
            EntryKind::Init | EntryKind::Migrate => Vec::new(),
            EntryKind::Call | EntryKind::View => selector(&method.selector)?.to_vec(),
        };
        encode::arguments(self, method, arguments, &mut input)?;
        Ok(input)
    }

    /// What an input asks of the contract, if the metadata knows that. `EntryKind::Call` and `View` are told apart by
    /// the selector.
    #[must_use]
    pub fn decode_input(&self, kind: EntryKind, input: &[u8]) -> Option<DecodedInput<'_>> {
        let metadata = &self.metadata;
        let (method, arguments) = match kind {
            EntryKind::Init => (metadata.init.as_ref()?, input),
            EntryKind::Migrate => (metadata.migrate.as_ref()?, input),
            EntryKind::Call | EntryKind::View => {
                let (first, rest) = input.split_first_chunk::<4>()?;
                let mut methods = metadata.entry_points.iter();
                let method = methods.find(|one| selector(&one.selector) == Ok(*first))?;
                (method, rest)
            }
        };
        Some(DecodedInput {
            method,
            arguments: decode::fields(self, &method.args, arguments).ok(),
        })
    }

    /// The arguments that the input of a call or view of `method` holds, as [`Self::encode_call`] takes them.
    ///
    /// # Errors
    /// `Malformed`, `UnknownType` or `TooLarge` when input and metadata do not agree.
    pub fn decode_call(
        &self,
        method: &EntryPoint,
        input: &[u8],
    ) -> Result<Vec<ArgumentText>, ValueError> {
        let arguments = match method.kind {
            EntryKind::Init | EntryKind::Migrate => Some(input),
            EntryKind::Call | EntryKind::View => input.strip_prefix(&selector(&method.selector)?),
        };
        let arguments = arguments.ok_or_else(|| ValueError::Malformed {
            expected: method.name.clone(),
            reason: "it begins with the selector of another method",
        })?;
        decode::arguments(self, &method.args, arguments)
    }

    /// The call or view that an input's selector names.
    #[must_use]
    pub fn method_of(&self, input: &[u8]) -> Option<&EntryPoint> {
        let found = input.first_chunk::<4>()?;
        let methods = self.metadata.entry_points.iter();
        methods
            .filter(|one| matches!(one.kind, EntryKind::Call | EntryKind::View))
            .find(|one| selector(&one.selector).as_ref() == Ok(found))
    }

    /// What a call or view of `method` returned, as JSON.
    ///
    /// # Errors
    /// `Malformed`, `UnknownType` or `TooLarge` when contract and metadata do not agree.
    pub fn decode_return(&self, method: &EntryPoint, data: &[u8]) -> Result<Value, ValueError> {
        decode::whole(self, &method.returns, data)
    }

    /// What revert data says.
    #[must_use]
    pub fn decode_revert(&self, data: &[u8]) -> Revert {
        decode_sdk_revert(data)
            .or_else(|| self.decode_contract_revert(data))
            .unwrap_or_else(|| Revert::Unknown(data.to_vec()))
    }

    /// The event that topics and data are, if the metadata defines it.
    #[must_use]
    pub fn decode_event(&self, topics: &[Hash], data: &[u8]) -> Option<DecodedEvent> {
        let id = topics.first()?.to_string();
        let definition = self.metadata.events.iter().find(|one| one.id == id)?;
        let fields = decode::fields(self, &event_fields(definition), data).ok()?;
        Some(DecodedEvent {
            name: definition.name.clone(),
            fields,
        })
    }

    fn decode_contract_revert(&self, data: &[u8]) -> Option<Revert> {
        let (first, rest) = data.split_first()?;
        let error = self.metadata.error.as_ref()?;
        if *first != REVERT_CONTRACT {
            return None;
        }
        let value = decode::whole(self, error, rest).ok()?;
        let name = match &value {
            Value::String(name) => name.clone(),
            Value::Object(fields) => fields.keys().next()?.clone(),
            _ => return None,
        };
        let docs = self
            .variants(error)
            .and_then(|variants| variants.iter().find(|one| one.name == name))
            .map(|one| one.docs.clone())
            .unwrap_or_default();
        Some(Revert::Contract { name, docs, value })
    }

    fn variants(&self, name: &str) -> Option<&[kumiki_abi::metadata::Variant]> {
        match self.shape(name)? {
            TypeShape::Enum(variants) => Some(variants),
            TypeShape::Struct(_) => None,
        }
    }

    fn shape(&self, name: &str) -> Option<&TypeShape> {
        self.types
            .get(name)
            .and_then(|index| self.metadata.types.get(*index))
            .map(|one| &one.shape)
    }
}

/// What revert data of the SDK says; needs no metadata.
#[must_use]
pub fn decode_sdk_revert(data: &[u8]) -> Option<Revert> {
    match data {
        [REVERT_SDK, number] => SdkError::from_number(*number).map(Revert::Sdk),
        _ => None,
    }
}

/// What an SDK error means to the caller.
#[must_use]
pub const fn sdk_error_text(error: SdkError) -> &'static str {
    match error {
        SdkError::UnknownSelector => "the contract has no such method",
        SdkError::BadInput => "the arguments are not what the method takes",
        SdkError::NotPayable => "the method takes no native tokens, but some were sent along",
        SdkError::CorruptStorage => "stored bytes are not of the declared type",
        SdkError::Panic => "the contract panicked",
        SdkError::CallFailed => "a contract that it called failed",
    }
}

/// The arguments of an entry point, `name: type` each.
#[must_use]
pub fn signature(method: &EntryPoint) -> String {
    let arguments: Vec<String> = method
        .args
        .iter()
        .map(|one| format!("{}: {}", one.name, one.type_name))
        .collect();
    format!("{}({})", method.name, arguments.join(", "))
}

fn event_fields(definition: &EventDefinition) -> Vec<Field> {
    definition
        .fields
        .iter()
        .map(|one| Field {
            name: one.name.clone(),
            type_name: one.type_name.clone(),
        })
        .collect()
}

fn selector(text: &str) -> Result<[u8; 4], ValueError> {
    let mut bytes = [0; 4];
    text.strip_prefix("0x")
        .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok())
        .map(|()| bytes)
        .ok_or(ValueError::Malformed {
            expected: "selector".to_owned(),
            reason: "it is not 0x and 8 hex digits",
        })
}

/// A struct's or variant's fields as they stand in JSON.
enum FieldForm<'a> {
    /// None.
    Unit,
    /// One without a name: it stands for itself.
    Single(&'a Field),
    /// Several without names: an array.
    Tuple,
    /// With names: an object.
    Named,
}

fn field_form(fields: &[Field]) -> FieldForm<'_> {
    match fields {
        [] => FieldForm::Unit,
        [one] if one.name.is_empty() => FieldForm::Single(one),
        [first, ..] if first.name.is_empty() => FieldForm::Tuple,
        _ => FieldForm::Named,
    }
}

/// An address from its text, or a closer description of what is wrong with it.
fn parse_address(text: &str, place: &str) -> Result<Address, ValueError> {
    text.parse().map_err(
        |error: kumiki_protocol::AddressError| ValueError::Mismatch {
            place: place.to_owned(),
            expected: "Address (kumi1…)".to_owned(),
            found: format!("'{}', {error}", shorten(text)),
        },
    )
}

/// The type that metadata writes as `text`.
fn parse_type(text: &str) -> Result<Type, ValueError> {
    Type::parse(text).ok_or_else(|| ValueError::UnknownType {
        name: shorten(text),
    })
}

/// At most 64 characters of `text`, without control characters.
fn shorten(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(64)
        .map(|one| if one.is_control() { '\u{fffd}' } else { one })
        .collect();
    if text.chars().nth(64).is_some() {
        short.push('…');
    }
    short
}

fn object(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.into_iter().collect::<Map<String, Value>>())
}
