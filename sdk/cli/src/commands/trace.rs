//! `kumiki trace`: what the calls of a transaction did, and where they failed.

mod tree;

use kumiki_client::ClientError;
use kumiki_protocol::TransactionBody;
use kumiki_rpc_api::{ErrorCode, TraceView};
use serde_json::json;

use crate::arguments::TraceArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::render::status_name;
use tree::Tree;

pub(crate) async fn run(arguments: &TraceArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let traced = network.client.trace_transaction(arguments.hash).await;
    let trace = traced.map_err(|error| explain(error, &network))?;
    show(&network, &trace, output).await;
    Ok(())
}

/// Traces a transaction that nobody has sent.
pub(crate) async fn show_unsent(
    network: &Network,
    body: &TransactionBody,
    output: Output,
) -> Outcome<()> {
    let traced = network.client.trace_call(body).await;
    let trace = traced.map_err(|error| explain(error, network))?;
    show(network, &trace, output).await;
    Ok(())
}

fn explain(error: ClientError, network: &Network) -> Failure {
    match error {
        ClientError::Protocol { reason, .. } if reason.contains("-32601") => Failure::new(
            Exit::Node,
            "notServed",
            "this node traces for nobody",
        )
        .at(network.client.url())
        .expected("the node of 'kumiki dev', or debug = true in [rpc] of its node.toml")
        .next("kumiki dev"),
        ClientError::Api(error) if error.code == ErrorCode::HeightPruned => Failure::new(
            Exit::NotFound,
            "heightPruned",
            "the state that the transaction ran on is gone from this node",
        )
        .at(network.client.url())
        .expected("a newer transaction, or a node with a higher undo_heights in [storage] of its node.toml")
        .found(error.data.detail.clone())
        .next("kumiki chain info"),
        other => other.into(),
    }
}

async fn show(network: &Network, trace: &TraceView, output: Output) {
    let said = network.sources().explain(&trace.diagnostics);
    let tree = Tree::of(network, trace).await;
    let receipt = &trace.receipt;
    let json = json!({
        "hash": receipt.transaction,
        "status": status_name(receipt.status),
        "failure": receipt.failure,
        "stateHeight": trace.state_height,
        "index": trace.index,
        "gasUsed": receipt.gas_used,
        "fee": receipt.fee,
        "intrinsicGas": trace.intrinsic_gas,
        "actions": tree.json(trace),
        "diagnostics": said.json,
        "truncated": trace.truncated,
        "leftOut": trace.left_out,
    });
    let failure = receipt.failure.as_ref();
    let how = failure.map_or_else(String::new, |failure| format!(": {}", failure.name));
    let place = trace.index.map_or_else(
        || format!("would run after height {}", trace.state_height),
        |index| {
            format!(
                "height {}, index {index}",
                trace.state_height.saturating_add(1)
            )
        },
    );
    let mut lines = vec![
        format!("transaction  {}", receipt.transaction),
        format!("status       {}{how}, {place}", status_name(receipt.status)),
        format!(
            "gas          {} (fee {}), {} of it before the first action",
            receipt.gas_used, receipt.fee, trace.intrinsic_gas
        ),
    ];
    lines.extend(tree.lines(trace));
    lines.extend(said.lines);
    if trace.truncated {
        let left_out = trace.left_out;
        lines.push(format!(
            "truncated: {left_out} calls and steps are left out"
        ));
    }
    output.data(&json, &lines.join("\n"));
}
