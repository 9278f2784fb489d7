//! Show entries of the state and proofs of them.

use kumiki_protocol::{Hash, Height};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FinalityView, SignedHeader};
use crate::Bytes;
use crate::schema::HashText;

/// What the state holds under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateEntry {
    /// The whole key, the contract's prefix included.
    pub key: Bytes,
    /// The value; absent when there is none.
    pub value: Option<Bytes>,
    /// The height after which this holds.
    pub height: Height,
}

/// An entry in a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateItem {
    /// The key: of the contract's storage when a contract was named, else the whole key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// A page of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatePage {
    /// The entries, by rising key.
    pub entries: Vec<StateItem>,
    /// Where the next page begins: give it as `after`; absent when this was the last.
    pub next: Option<Bytes>,
    /// The height after which this holds: give it as `at` for pages of one and the same state.
    pub height: Height,
}

/// An entry, or that there is none, with all that is needed to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateProof {
    /// The whole key, the contract's prefix included.
    pub key: Bytes,
    /// The value; absent when there is none, which the proof then shows.
    pub value: Option<Bytes>,
    /// The proof against `stateRoot`, SCALE-encoded as docs/spec/state.md says.
    pub proof: Bytes,
    /// Root of the state after `height`.
    #[schemars(with = "HashText")]
    pub state_root: Hash,
    /// The height after which this holds.
    pub height: Height,
    /// The header whose `executed` names `stateRoot`, and its own certificate if it has one.
    pub signed_header: SignedHeader,
    /// The headers after it up to the first that has a certificate, and that certificate; absent where
    /// `signedHeader` has its own, and of genesis as long as nothing decides a block after it.
    #[serde(default)]
    pub descendants: Option<FinalityView>,
}
