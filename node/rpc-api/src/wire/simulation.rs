//! Show what an execution would come to, and what execution costs.

use kumiki_protocol::{Address, Gas, Hash, Height};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReceiptView;
use crate::schema::{AddressText, HashText};
use crate::{Bytes, Decimal};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DiagnosticKind {
    /// The contract panicked; the message is its own.
    Panic,
    /// The engine stopped it; the message is the engine's.
    Trap,
    /// It ended with the error that the message names: it reverted, ran out of gas, broke a limit.
    Ended,
    /// A call that it made failed with the error that the message names. What became of the contract comes after.
    CallFailed,
}

/// Something a contract or its engine said while running. Not part of the chain; text for people only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticView {
    /// What it is about.
    pub kind: DiagnosticKind,
    /// The contract that ran.
    #[schemars(with = "AddressText")]
    pub contract: Address,
    /// Hash of its code.
    #[schemars(with = "HashText")]
    pub code_hash: Hash,
    /// Of a call that failed: whom it went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<AddressText>")]
    pub callee: Option<Address>,
    /// Calls below this one: 0 for the first.
    pub call_depth: u32,
    /// What was said. A contract may have written it: show it as text.
    pub message: String,
    /// Byte offsets into the contract's Wasm, innermost first, to look up source lines by; empty where the node keeps
    /// none.
    pub wasm_offsets: Vec<u32>,
}

/// What a view answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallSimulation {
    /// The returned value, SCALE-encoded.
    pub data: Bytes,
    /// Gas used.
    pub gas_used: Gas,
    /// The height after which it ran.
    pub height: Height,
    /// What was said while running.
    pub diagnostics: Vec<DiagnosticView>,
}

/// What a transaction would come to in the next block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionSimulation {
    /// The receipt it would have.
    pub receipt: ReceiptView,
    /// A gas limit with room for a state that changes until then.
    pub suggested_gas_limit: Gas,
    /// Entries of the state it read.
    pub reads: u32,
    /// Entries of the state it wrote.
    pub writes: u32,
    /// The height after which it ran.
    pub height: Height,
    /// What was said while running.
    pub diagnostics: Vec<DiagnosticView>,
}

/// What gas costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeePrice {
    /// Base units for a unit of gas with which a transaction gets in now.
    pub gas_price: Decimal,
    /// The least that the chain ever accepts.
    pub minimum: Decimal,
}
