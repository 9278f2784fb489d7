//! `kumiki chain`: what chain this is and how far it has come, and moving a chain for development on.

use std::time::{Duration, UNIX_EPOCH};

use kumiki_client::ClientError;
use kumiki_consensus::TIME_MAX_MS;
use kumiki_protocol::ChainKind;
use kumiki_rpc_api::{ErrorCode, HeadView, NodeRole};
use serde_json::{Value, json};

use crate::arguments::{
    BlockName, ChainCommand, ChainMineArguments, ChainRevertArguments, ChainSetBalanceArguments,
    ChainUndoArguments, ChainWarpArguments, NodeArguments, Warp,
};
use crate::commands::call::call_as;
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::render::{receipt_json, receipt_text};

/// Blocks asked for at a time.
const BLOCKS_AT_ONCE: u32 = 500;

pub(crate) async fn run(command: ChainCommand, output: Output) -> Outcome<()> {
    match command {
        ChainCommand::Info(arguments) => info(&arguments, output).await,
        ChainCommand::Mine(arguments) => mine(&arguments, output).await,
        ChainCommand::Warp(arguments) => warp(&arguments, output).await,
        ChainCommand::Snapshot(node) => snapshot(&node, output).await,
        ChainCommand::Revert(arguments) => revert(&arguments, output).await,
        ChainCommand::Undo(arguments) => undo(&arguments, output).await,
        ChainCommand::Reset(node) => reset(&node, output).await,
        ChainCommand::SetBalance(arguments) => set_balance(&arguments, output).await,
        ChainCommand::Impersonate(arguments) => {
            call_as(&arguments.call, Some(&arguments.account), output).await
        }
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

async fn snapshot(arguments: &NodeArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(arguments).await?;
    check_movable(&network).await?;
    let head = network.client.snapshot().await?;
    show(&network, &head, output);
    output.message(&format!(
        "to come back to it: kumiki chain revert {}",
        head.hash
    ));
    Ok(())
}

async fn revert(arguments: &ChainRevertArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    check_movable(&network).await?;
    let hash = match arguments.to {
        BlockName::Hash(hash) => hash,
        BlockName::Height(height) => {
            let named = network.client.header(Some(height)).await;
            named.map_err(no_such_block)?.header.hash
        }
    };
    let head = network.client.revert(hash).await.map_err(no_such_block)?;
    show(&network, &head, output);
    Ok(())
}

fn no_such_block(error: ClientError) -> Failure {
    match error {
        ClientError::Api(error)
            if matches!(
                error.code,
                ErrorCode::BlockUnknown | ErrorCode::HeightUnknown
            ) =>
        {
            let what = "the chain has no such block, or no more";
            Failure::new(Exit::Refused, error.code.name(), what)
                .expected("a block from genesis, 0, to the head")
                .found(error.data.detail)
                .next("kumiki chain info")
        }
        other => other.into(),
    }
}

async fn undo(arguments: &ChainUndoArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    check_movable(&network).await?;
    let undone = network.client.undo(arguments.blocks).await;
    let head = match undone {
        Err(ClientError::Api(error)) if error.code == ErrorCode::HeightUnknown => {
            let what = "there are not so many transactions to take back; nothing changed";
            return Err(Failure::new(Exit::Refused, "nothingToUndo", what)
                .found(error.data.detail)
                .next("kumiki chain info"));
        }
        other => other?,
    };
    show(&network, &head, output);
    Ok(())
}

async fn reset(arguments: &NodeArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(arguments).await?;
    check_movable(&network).await?;
    let head = network.client.reset().await?;
    show(&network, &head, output);
    Ok(())
}

async fn set_balance(arguments: &ChainSetBalanceArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    check_movable(&network).await?;
    let account = network.holder_address(&arguments.account)?;
    let set = network.client.set_balance(account, arguments.balance);
    let receipt = set.await?;
    output.data(
        &receipt_json(&receipt, &Value::Null, None),
        &receipt_text(&receipt, &Value::Null, None),
    );
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
pub(crate) async fn check_movable(network: &Network) -> Outcome<()> {
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
