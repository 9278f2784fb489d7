//! Show events and say which are wanted.

use kumiki_protocol::{Address, Event, Hash, Height, TransactionHash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{AddressText, HashText};
use crate::{Bytes, Cursor};

/// Which events are wanted; an empty filter wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventFilter {
    /// Only of this contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<AddressText>")]
    pub contract: Option<Address>,
    /// Only with these topics: position by position, `null` for any. At most 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Option<HashText>>", length(max = 4))]
    pub topics: Vec<Option<Hash>>,
}

/// Something a contract said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Its place in the chain; absent in simulations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// The transaction it came from; absent in simulations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<HashText>")]
    pub transaction: Option<TransactionHash>,
    /// The contract that said it.
    #[schemars(with = "AddressText")]
    pub contract: Address,
    /// First the event's id, then its indexed fields.
    #[schemars(with = "Vec<HashText>")]
    pub topics: Vec<Hash>,
    /// All fields, SCALE-encoded.
    pub data: Bytes,
}

impl EventView {
    /// The event of a simulation, which has no place in the chain.
    #[must_use]
    pub fn unplaced(event: &Event) -> Self {
        Self {
            cursor: None,
            transaction: None,
            contract: event.contract,
            topics: event.topics.clone(),
            data: Bytes(event.data.clone()),
        }
    }

    /// The event at `cursor` of `transaction`.
    #[must_use]
    pub fn placed(event: &Event, cursor: Cursor, transaction: TransactionHash) -> Self {
        Self {
            cursor: Some(cursor),
            transaction: Some(transaction),
            ..Self::unplaced(event)
        }
    }
}

/// A page of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events, in chain order. Fewer than `limit`, even none, may be followed by more: the work for one page is
    /// bounded.
    pub events: Vec<EventView>,
    /// Where the next page begins: give it as `after`; absent when this was the last.
    pub next: Option<Cursor>,
    /// The head up to which this looked.
    pub height: Height,
}
