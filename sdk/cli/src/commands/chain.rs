//! `kumiki chain`: what chain this is and how far it has come, and moving a chain for development on.

use std::time::{Duration, UNIX_EPOCH};

use kumiki_client::ClientError;
use kumiki_consensus::TIME_MAX_MS;
use kumiki_protocol::ChainKind;
use kumiki_rpc_api::{ErrorCode, HeadView, NodeRole};
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
        "chain    {} ({kind})\ngenesis  {}\nnode     {}\nhead     {} at height {}\ntime     {}\nstate    {} entries, root {}",
        info.chain_id,
        info.genesis_hash,
        network.client.url(),
        info.head.hash,
        info.head.height,
        moment(info.head.time_ms),
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
    let moved = match arguments.to {
        Warp::By(ms) => network.client.warp_by(ms).await,
        Warp::To(ms) => network.client.warp_to(ms).await,
    };
    let head = match moved {
        Err(ClientError::Api(error)) if error.code == ErrorCode::TimeOutOfRange => {
            return Err(out_of_range(arguments.to));
        }
        other => other?,
    };
    show(&network, &head, output);
    Ok(())
}

fn out_of_range(to: Warp) -> Failure {
    let found = match to {
        Warp::By(ms) => format!("{ms} ms after its time"),
        Warp::To(ms) => moment(ms),
    };
    let what = "the time of a chain goes neither back nor beyond the year 9999";
    Failure::new(Exit::Refused, ErrorCode::TimeOutOfRange.name(), what)
        .expected("a moment after the time of the head")
        .found(found)
        .next("kumiki chain info")
}

/// `ms` milliseconds after 1970, in UTC; what lies beyond the year 9999 has no such form, and shows as its end.
fn moment(ms: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(ms.min(TIME_MAX_MS));
    humantime::format_rfc3339_millis(time).to_string()
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
    let text = format!(
        "head     {} at height {}\ntime     {}",
        head.hash,
        head.height,
        moment(head.time_ms),
    );
    output.data(&json!({ "rpc": network.client.url(), "head": head }), &text);
}
