//! `kumiki tx`: the fate of a transaction.

use kumiki_rpc_api::TransactionState;
use serde_json::json;

use crate::arguments::TxArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::render::{event_text, status_name};

pub(crate) async fn run(arguments: &TxArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let answer = network
        .client
        .transaction(arguments.hash, arguments.valid_until)
        .await?;
    let state = match answer.status {
        TransactionState::Unknown => {
            return Err(Failure::new(
                Exit::NotFound,
                "transactionUnknown",
                "this node knows no such transaction",
            )
            .at(format!("{}, height {}", network.client.url(), answer.head))
            .expected("a transaction that waits or is final on this chain")
            .found(arguments.hash.to_string())
            .next(format!("kumiki chain info --rpc {}", network.client.url())));
        }
        TransactionState::Pending => "pending",
        TransactionState::Final => "final",
        TransactionState::Expired => "expired",
    };
    let receipt = match answer.status {
        TransactionState::Final => Some(network.client.receipt(arguments.hash).await?),
        _ => None,
    };
    let json = json!({
        "hash": arguments.hash,
        "state": state,
        "head": answer.head,
        "height": answer.height,
        "index": answer.index,
        "transaction": answer.transaction,
        "receipt": receipt.as_ref().map(|one| &one.receipt),
    });
    let mut lines = vec![
        format!("transaction  {}", arguments.hash),
        format!("state        {state}"),
    ];
    if let Some(one) = &receipt {
        lines.push(format!(
            "status       {} at height {}, index {}",
            status_name(one.receipt.status),
            one.height,
            one.index
        ));
        if let Some(failure) = &one.receipt.failure {
            lines.push(format!("failure      {}", failure.name));
        }
        for event in &one.receipt.events {
            lines.push(format!("event        {}", event_text(event, None)));
        }
        lines.push(format!(
            "gas          {} (fee {})",
            one.receipt.gas_used, one.receipt.fee
        ));
    }
    output.data(&json, &lines.join("\n"));
    Ok(())
}
