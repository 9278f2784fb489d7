//! `kumiki chain`: what chain this is and how far it has come, and moving a chain for development on.

use std::time::{Duration, UNIX_EPOCH};

use kumiki_consensus::TIME_MAX_MS;
use kumiki_protocol::ChainKind;
use kumiki_rpc_api::{HeadView, NodeRole};
use serde_json::json;

use crate::arguments::{ChainCommand, ChainMineArguments, ChainWarpArguments, NodeArguments, Warp};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;

/// Blocks asked for at a time.
const BLOCKS_AT_ONCE: u32 = 500;

pub(crate) async fn run(command: ChainCommand, output: Output) -> Outcome<()> {
    match command {
        ChainCommand::Info(arguments) => info(&arguments, output).await,
        ChainCommand::Mine(arguments) => mine(&arguments, output).await,
        ChainCommand::Warp(arguments) => warp(&arguments, output).await,
    }
}

async fn info(arguments: &NodeArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(arguments).await?;
    let info = network.client.info().await?;
    let kind = match info.kind {
        ChainKind::Dev => "dev",
        ChainKind::Live => "live",
    };
    let text = format!(
        "chain    {} ({kind})\ngenesis  {}\nnode     {}\nhead     {} at height {}\nstate    {} entries, root {}",
        info.chain_id,
        info.genesis_hash,
        network.client.url(),
        info.head.hash,
        info.head.height,
        info.head.state_entries,
        info.head.state_root,
    );
    output.data(
        &json!({ "rpc": network.client.url(), "chain": info }),
        &text,
    );
    Ok(())
}

async fn mine(arguments: &ChainMineArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    check_movable(&network).await?;
    let mut left = arguments.blocks;
    loop {
        let now = left.min(BLOCKS_AT_ONCE);
        let head = network.client.mine(now).await?;
        left -= now;
        if left == 0 {
            show(&network, &head, output);
            return Ok(());
        }
        output.message(&format!("at height {}, {left} more", head.height));
    }
}

async fn warp(arguments: &ChainWarpArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    check_movable(&network).await?;
    let head = match arguments.to {
        Warp::By(ms) => network.client.warp_by(ms).await?,
        Warp::To(ms) => network.client.warp_to(ms).await?,
    };
    show(&network, &head, output);
    Ok(())
}

/// Only a chain for development, and only its one validator, can be moved.
async fn check_movable(network: &Network) -> Outcome<()> {
    let role = network.client.node_status().await?.role;
    if network.client.kind() == ChainKind::Dev && role == NodeRole::Solo {
        return Ok(());
    }
    let what = "only a chain for development whose blocks one node makes can be moved";
    Err(Failure::new(Exit::Refused, "notMovable", what)
        .at(network.client.url())
        .expected("the node of 'kumiki dev'")
        .next("kumiki dev"))
}

fn show(network: &Network, head: &HeadView, output: Output) {
    // A node may say anything; later than that, a moment has no such form.
    let time = UNIX_EPOCH + Duration::from_millis(head.time_ms.min(TIME_MAX_MS));
    let text = format!(
        "head     {} at height {}\ntime     {}",
        head.hash,
        head.height,
        humantime::format_rfc3339_millis(time),
    );
    output.data(&json!({ "rpc": network.client.url(), "head": head }), &text);
}
