//! Show what the calls of a transaction did, for developers.

use kumiki_protocol::{Address, Gas, Hash, Height};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DiagnosticView, ReceiptView};
use crate::schema::{AddressText, HashText};
use crate::{Bytes, Decimal};

/// The beginning of some bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CutBytes {
    /// At most the first 256.
    pub bytes: Bytes,
    /// How many there are.
    pub size: u32,
}

/// Which entry point of a contract a call went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EntryName {
    /// `init`, of a contract that was deployed.
    Init,
    /// A message that may change state.
    Call,
    /// A view.
    Query,
    /// `migrate`, of code that a contract was upgraded to.
    Migrate,
}

/// One thing that a call did. What it did is undone where the call, or one above it, failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum StepView {
    /// Called, deployed or upgraded a contract.
    Call {
        /// The call.
        call: Box<TracedCallView>,
    },
    /// Read an entry of its storage.
    Read {
        /// The key.
        key: CutBytes,
        /// What was there.
        value: Option<CutBytes>,
    },
    /// Asked whether an entry is there.
    Has {
        /// The key.
        key: CutBytes,
        /// Whether it is.
        found: bool,
    },
    /// Wrote an entry, or removed it.
    Write {
        /// The key.
        key: CutBytes,
        /// What was there before.
        before: Option<CutBytes>,
        /// What is there after.
        after: Option<CutBytes>,
    },
    /// Read entries in the order of their keys.
    Scan {
        /// What their keys begin with.
        prefix: CutBytes,
        /// How many it was given.
        entries: u32,
    },
    /// Emitted an event.
    Event {
        /// First the event's id, then its indexed fields.
        #[schemars(with = "Vec<HashText>")]
        topics: Vec<Hash>,
        /// All fields, SCALE-encoded.
        data: CutBytes,
    },
    /// Sent native tokens.
    Transfer {
        /// To whom.
        #[schemars(with = "AddressText")]
        to: Address,
        /// How many base units.
        amount: Decimal,
        /// `ok`, or the name of the error for which they did not move.
        result: String,
    },
}

/// One call of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TracedCallView {
    /// Which entry point.
    pub entry: EntryName,
    /// Who called.
    #[schemars(with = "AddressText")]
    pub caller: Address,
    /// The contract.
    #[schemars(with = "AddressText")]
    pub contract: Address,
    /// Hash of its code; absent where the call did not come to run.
    #[schemars(with = "Option<HashText>")]
    pub code_hash: Option<Hash>,
    /// Selector and SCALE arguments.
    pub input: CutBytes,
    /// Native tokens sent along.
    pub value: Decimal,
    /// The most gas it might use.
    pub gas_limit: Gas,
    /// Gas it used, with the calls it made.
    pub gas_used: Gas,
    /// Gas it used itself.
    pub own_gas_used: Gas,
    /// `ok`, or the name of the error that it ended with.
    pub result: String,
    /// What it returned or reverted with.
    pub data: CutBytes,
    /// What it did, in order.
    pub steps: Vec<StepView>,
}

/// One action of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TracedActionView {
    /// Gas it used in all.
    pub gas_used: Gas,
    /// How much of that the copy of its output in the receipt cost.
    pub output_gas: Gas,
    /// The call it made; absent for transfers, for calls of system contracts, and where it was left out.
    pub call: Option<TracedCallView>,
}

/// What the calls of a transaction did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceView {
    /// The receipt it has, or would have.
    pub receipt: ReceiptView,
    /// The height after whose state the transactions of its block, or it alone, ran.
    pub state_height: Height,
    /// Its position in its block; absent for one that nobody has sent.
    pub index: Option<u32>,
    /// Gas that it cost before its first action; with that of the actions it is the receipt's `gasUsed`.
    pub intrinsic_gas: Gas,
    /// The actions that were begun, in order: a failed one is the last.
    pub actions: Vec<TracedActionView>,
    /// Panic messages, traps and positions, in the order they happened.
    pub diagnostics: Vec<DiagnosticView>,
    /// Whether calls or steps are left out because there were too many. Gas is right all the same.
    pub truncated: bool,
    /// How many.
    pub left_out: u64,
}
