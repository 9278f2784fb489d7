//! Describe a contract to tools: entry points, types, events, errors, storage layout.
//!
//! The macros of `kumiki-contract` write one JSON [`Fragment`] per line into
//! [`crate::METADATA_FRAGMENTS_SECTION`]; `kumiki build` folds them into one [`Metadata`], written as a JSON
//! file and into [`crate::METADATA_SECTION`].
//!
//! Types are written as Rust writes them, without paths: `bool`, `u8`…`u128`, `i8`…`i128`, `String`,
//! `Address`, `Hash`, `()`, `(A, B)`, `[T; N]`, `Vec<T>`, `Option<T>`, `Result<T, E>`, or the name of a
//! [`TypeDefinition`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The only [`Metadata::schema`] there is.
pub const SCHEMA: &str = "kumiki-abi/1";

/// Everything tools need to know of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Version of this schema, [`SCHEMA`].
    pub schema: String,
    /// Name of the contract's struct.
    pub name: String,
    /// Version of the contract's crate.
    pub version: String,
    /// What the contract is, from its doc comment.
    #[serde(default)]
    pub docs: String,
    /// Version of the SDK that built it.
    pub sdk: String,
    /// What `rustc --version` printed where it was built.
    #[serde(default)]
    pub compiler: String,
    /// Makes the first state.
    pub init: Option<EntryPoint>,
    /// Takes over the state of older code.
    pub migrate: Option<EntryPoint>,
    /// Calls and views, in source order.
    pub entry_points: Vec<EntryPoint>,
    /// Events, in source order.
    pub events: Vec<EventDefinition>,
    /// The contract's error enum, by type name.
    pub error: Option<String>,
    /// Structs and enums named in the above, by name.
    pub types: Vec<TypeDefinition>,
    /// Storage fields, in source order.
    pub storage: Vec<StorageField>,
}

/// Something a contract can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryPoint {
    /// Its name.
    pub name: String,
    /// `0x` and 8 hex digits: the first 4 bytes of SHA3-256 of `name(type,type)`; zero for `init`, `migrate`.
    pub selector: String,
    /// Whether it may change state.
    pub kind: EntryKind,
    /// Whether it takes native tokens.
    #[serde(default)]
    pub payable: bool,
    /// Arguments in order.
    pub args: Vec<Field>,
    /// What it returns; of `Result<T, E>` the `T`.
    pub returns: String,
    /// From its doc comment.
    #[serde(default)]
    pub docs: String,
}

/// Whether an entry point may change state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EntryKind {
    /// Makes the first state.
    Init,
    /// Takes over the state of older code.
    Migrate,
    /// May change state.
    Call,
    /// May not.
    View,
}

/// A named, typed place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    /// Its name; empty in tuple structs and variants.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventDefinition {
    /// Its name.
    pub name: String,
    /// Topic 0: SHA3-256 of `Name(type,type)`, `0x` hex.
    pub id: String,
    /// Fields in order; the data of an event is their SCALE encoding.
    pub fields: Vec<EventField>,
    /// From its doc comment.
    #[serde(default)]
    pub docs: String,
}

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventField {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it is also a topic: its SCALE encoding padded with zeros to 32 bytes, or SHA3-256 of it if longer.
    #[serde(default)]
    pub indexed: bool,
}

/// A struct or enum that entry points, events, errors or storage use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeDefinition {
    /// Its name, unique in the contract.
    pub name: String,
    /// What it is made of.
    #[serde(flatten)]
    pub shape: TypeShape,
    /// From its doc comment.
    #[serde(default)]
    pub docs: String,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TypeShape {
    /// A struct's fields, in encoding order.
    Struct(Vec<Field>),
    /// An enum's variants.
    Enum(Vec<Variant>),
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Its SCALE index.
    pub index: u8,
    /// Its fields.
    pub fields: Vec<Field>,
    /// From its doc comment.
    #[serde(default)]
    pub docs: String,
}

/// Where a contract keeps what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StorageField {
    /// Its name.
    pub name: String,
    /// The handle: `Item`, `Map`, `List` or `OrderedMap`.
    pub handle: String,
    /// Type of its keys, for maps.
    #[serde(default)]
    pub key: Option<String>,
    /// Type of its values.
    pub value: String,
    /// What its storage keys begin with, `0x` hex.
    pub prefix: String,
}

/// One line of [`crate::METADATA_FRAGMENTS_SECTION`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fragment {
    /// The contract itself: `name`, `version`, `docs`, `sdk`, `init`, `migrate`, `entry_points`, `error`, `storage`
    /// set; the rest empty.
    Contract(Box<Metadata>),
    /// An event.
    Event(EventDefinition),
    /// A struct or enum.
    Type(TypeDefinition),
}
