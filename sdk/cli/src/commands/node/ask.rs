//! `kumiki node status` and `peers`: what a running node says of itself.

use kumiki_client::Client;
use kumiki_rpc_api::{HealthStatus, NodeRole};
use serde_json::json;

use super::{folder, home_option, running_rpc, settings};
use crate::arguments::node::{NodeAskArguments, NodeValueArguments};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

pub(super) async fn status(arguments: &NodeAskArguments, output: Output) -> Outcome<()> {
    let client = connect(arguments).await?;
    let (status, health) = (client.node_status().await?, client.health().await?);
    let mut lines = vec![
        format!("node        {}", client.url()),
        format!(
            "chain       {}, genesis {}",
            client.chain_id(),
            client.genesis_hash()
        ),
        format!("health      {}", health_name(health.status)),
        format!("role        {}", role_name(status.role)),
        format!(
            "height      {} in epoch {}, {} transactions wait",
            status.height, status.epoch, health.pending_transactions
        ),
        format!(
            "peers       {}, of {} other validators {}",
            status.peers,
            status
                .validators
                .saturating_sub(u32::from(status.role == NodeRole::Validator)),
            status.connected_validators
        ),
        format!("public key  {}", status.key),
    ];
    if let Some(peer) = &status.peer_id {
        lines.push(format!("peer id     {peer}"));
    }
    lines.extend(
        status
            .listen_addresses
            .iter()
            .map(|address| format!("listens     {address}")),
    );
    output.data(
        &json!({
            "rpc": client.url(),
            "chainId": client.chain_id(),
            "genesisHash": client.genesis_hash(),
            "status": status,
            "health": health,
        }),
        &lines.join("\n"),
    );
    Ok(())
}

pub(super) async fn peers(arguments: &NodeAskArguments, output: Output) -> Outcome<()> {
    let client = connect(arguments).await?;
    let peers = client.node_peers().await?;
    let lines: Vec<String> = peers
        .iter()
        .map(|peer| {
            let rtt = peer
                .rtt_ms
                .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
            format!(
                "{}  {}  {}  {rtt}  score {:.0}  {}",
                peer.peer_id,
                if peer.validator {
                    "validator"
                } else {
                    "full node"
                },
                if peer.inbound { "in" } else { "out" },
                peer.score,
                peer.addresses.join(" ")
            )
        })
        .collect();
    let text = if lines.is_empty() {
        "no peers".to_owned()
    } else {
        lines.join("\n")
    };
    output.data(&json!({ "rpc": client.url(), "peers": peers }), &text);
    Ok(())
}

async fn connect(arguments: &NodeAskArguments) -> Outcome<Client> {
    let url = match &arguments.rpc {
        Some(url) => url.clone(),
        None => url_of_folder(arguments)?,
    };
    Client::connect(&url, None).await.map_err(|error| {
        let failure = Failure::from(error);
        match failure.name() {
            "nodeUnreachable" => {
                failure.next(format!("kumiki node run{}", home_option(&arguments.home)))
            }
            _ => failure,
        }
    })
}

/// Where the node of the folder says that it answers, else where it would.
fn url_of_folder(arguments: &NodeAskArguments) -> Outcome<String> {
    if let Some(url) = running_rpc(&arguments.home)? {
        return Ok(url);
    }
    let folder = folder(&arguments.home)?;
    let none = NodeValueArguments {
        rpc_port: None,
        listen: Vec::new(),
        bootstrap: Vec::new(),
    };
    Ok(settings(&folder, &none)?.rpc_url())
}

pub(crate) const fn role_name(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Solo => "solo",
        NodeRole::Validator => "validator",
        NodeRole::FullNode => "full node",
    }
}

const fn health_name(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Starting => "starting",
        HealthStatus::Ready => "ready",
        HealthStatus::Stopping => "stopping",
        HealthStatus::Failed => "failed",
    }
}
