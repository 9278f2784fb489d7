//! Show receipts, events and failed executions as JSON and as text.

use kumiki_client::abi::{Abi, Revert, decode_sdk_revert, sdk_error_text};
use kumiki_protocol::Address;
use kumiki_rpc_api::{EventView, FailureView, ReceiptStatus, ReceiptView, TransactionReceipt};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, one_line};
use crate::said::Said;

/// What the user called, for messages.
pub(crate) struct Called<'a> {
    pub(crate) abi: &'a Abi,
    pub(crate) address: Address,
    pub(crate) contract: &'a str,
    pub(crate) method: &'a str,
}

/// An event, decoded where `abi` is that of its contract.
pub(crate) fn event_json(event: &EventView, abi: Option<&Abi>) -> Value {
    let decoded = abi.and_then(|abi| abi.decode_event(&event.topics, &event.data.0));
    json!({
        "cursor": event.cursor,
        "transaction": event.transaction,
        "contract": event.contract,
        "name": decoded.as_ref().map(|one| one.name.clone()),
        "fields": decoded.map(|one| one.fields),
        "topics": event.topics,
        "data": event.data,
    })
}

/// One line for one event.
pub(crate) fn event_text(event: &EventView, abi: Option<&Abi>) -> String {
    let place = event
        .cursor
        .map_or_else(|| "-".to_owned(), |cursor| cursor.to_string());
    match abi.and_then(|abi| abi.decode_event(&event.topics, &event.data.0)) {
        Some(decoded) => format!("{place}  {} {}", one_line(&decoded.name), decoded.fields),
        None => {
            let topics: Vec<String> = event.topics.iter().map(ToString::to_string).collect();
            format!("{place}  {}  {}", event.contract, topics.join(" "))
        }
    }
}

/// The ABI if it is that of the event's contract.
pub(crate) fn events_json(receipt: &ReceiptView, called: Option<&Called<'_>>) -> Vec<Value> {
    receipt
        .events
        .iter()
        .map(|event| event_json(event, abi_of(event, called)))
        .collect()
}

fn abi_of<'a>(event: &EventView, called: Option<&Called<'a>>) -> Option<&'a Abi> {
    called
        .filter(|called| called.address == event.contract)
        .map(|called| called.abi)
}

/// What a final transaction came to: `hash`, `height`, `status`, `returns`, `events`, `gasUsed`, `fee`.
pub(crate) fn receipt_json(
    receipt: &TransactionReceipt,
    returns: &Value,
    called: Option<&Called<'_>>,
) -> Value {
    json!({
        "hash": receipt.receipt.transaction,
        "height": receipt.height,
        "status": status_name(receipt.receipt.status),
        "returns": returns,
        "events": events_json(&receipt.receipt, called),
        "gasUsed": receipt.receipt.gas_used,
        "fee": receipt.receipt.fee,
    })
}

/// The same for people.
pub(crate) fn receipt_text(
    receipt: &TransactionReceipt,
    returns: &Value,
    called: Option<&Called<'_>>,
) -> String {
    let mut lines = vec![
        format!("transaction  {}", receipt.receipt.transaction),
        format!(
            "status       {} at height {}",
            status_name(receipt.receipt.status),
            receipt.height
        ),
    ];
    if !returns.is_null() {
        lines.push(format!("returns      {}", value_text(returns)));
    }
    for event in &receipt.receipt.events {
        lines.push(format!(
            "event        {}",
            event_text(event, abi_of(event, called))
        ));
    }
    lines.push(format!(
        "gas          {} (fee {})",
        receipt.receipt.gas_used, receipt.receipt.fee
    ));
    lines.join("\n")
}

/// A value for people: strings without quotes.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(crate) const fn status_name(status: ReceiptStatus) -> &'static str {
    match status {
        ReceiptStatus::Ok => "ok",
        ReceiptStatus::Failed => "failed",
        ReceiptStatus::Rejected => "rejected",
    }
}

/// What a failed execution means; `paid` says whether it cost anything.
pub(crate) fn execution_failure(
    failure: &FailureView,
    said: Said,
    called: Option<&Called<'_>>,
    paid: &str,
) -> Failure {
    let subject = called.map_or_else(
        || "the transaction".to_owned(),
        |called| format!("{}.{}", called.contract, called.method),
    );
    let next = called.map_or_else(
        || "kumiki chain info".to_owned(),
        |called| format!("kumiki view {}", called.contract),
    );
    let revert = (failure.name == "reverted").then(|| match called {
        Some(called) => called.abi.decode_revert(&failure.data.0),
        None => decode_sdk_revert(&failure.data.0)
            .unwrap_or_else(|| Revert::Unknown(failure.data.0.clone())),
    });
    let shown = match revert {
        Some(Revert::Contract { name, docs, value }) => {
            let shown = Failure::new(
                Exit::Execution,
                "contractError",
                format!("{subject} refused: {}; {paid}", one_line(&name)),
            )
            .found(value_text(&value));
            if docs.is_empty() {
                shown
            } else {
                shown.detail(docs)
            }
        }
        Some(Revert::Sdk(error)) => Failure::new(
            Exit::Execution,
            "contractError",
            format!("{subject} failed: {}; {paid}", sdk_error_text(error)),
        )
        .found(format!("{error:?}")),
        Some(Revert::Unknown(data)) => Failure::new(
            Exit::Execution,
            "contractError",
            format!("{subject} refused with data that its ABI does not explain; {paid}"),
        )
        .found(format!("0x{}", hex::encode(data))),
        None => Failure::new(
            Exit::Execution,
            failure.name.clone(),
            format!("{subject} failed: {}; {paid}", failure.name),
        )
        .found(failure.name.clone()),
    };
    let shown = match failure.action {
        Some(action) if action > 0 => shown.detail(format!("in action {action}")),
        _ => shown,
    };
    shown.next(next).said(said)
}
