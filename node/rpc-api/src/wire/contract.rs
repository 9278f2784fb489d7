//! Show contracts, their code and what it says of itself.

use kumiki_abi::metadata::Metadata;
use kumiki_protocol::{Address, Hash, Height};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{AddressText, HashText};
use crate::{Bytes, Decimal};

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContractView {
    /// Its address.
    #[schemars(with = "AddressText")]
    pub address: Address,
    /// SHA3-256 of its Wasm; zero for a system contract, which has none.
    #[schemars(with = "HashText")]
    pub code_hash: Hash,
    /// Bytes of its Wasm.
    pub code_size: u32,
    /// Who may upgrade it; absent when nobody may.
    #[schemars(with = "Option<AddressText>")]
    pub admin: Option<Address>,
    /// Native tokens it holds.
    pub balance: Decimal,
    /// The height after which this holds.
    pub height: Height,
}

/// What a contract's code says of itself. Its author wrote it: show its texts as text, never as markup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContractAbi {
    /// SHA3-256 of the Wasm that holds it; zero for a system contract.
    #[schemars(with = "HashText")]
    pub code_hash: Hash,
    /// Entry points, types, events, errors and storage.
    pub abi: Metadata,
}

/// Wasm as it was deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContractCode {
    /// SHA3-256 of it.
    #[schemars(with = "HashText")]
    pub code_hash: Hash,
    /// The Wasm.
    pub code: Bytes,
}
