//! `kumiki localnet status`: how each node is, and whether all agree.

use std::time::Duration;

use kumiki_client::Client;
use kumiki_protocol::{Hash, Height};
use kumiki_rpc_api::NodeStatus;
use serde_json::{Value, json};

use super::up::ask;
use crate::commands::node::ask::role_name;
use crate::failure::Outcome;
use crate::localnet::Localnet;
use crate::localnet::process::State;
use crate::output::Output;

/// One answer of a node.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of a node.
struct Seen {
    state: State,
    /// What it says, or why it says nothing.
    status: Result<NodeStatus, String>,
    /// Its block at the height that is compared.
    block: Option<Hash>,
}

pub(super) async fn run(network: &Localnet, output: Output) -> Outcome<()> {
    let mut seen = look(network).await;
    // The highest block that all who answer have.
    let heights = seen.iter().filter_map(|one| one.status.as_ref().ok());
    let compared = heights.map(|status| status.height).min();
    if let Some(height) = compared {
        for (node, one) in (0..).zip(&mut seen) {
            if one.status.is_ok() {
                one.block = block_at(network, node, height).await;
            }
        }
    }
    let mut blocks: Vec<Hash> = seen.iter().filter_map(|one| one.block).collect();
    blocks.sort_unstable();
    blocks.dedup();
    let agree = blocks.len() <= 1;
    show(network, &seen, compared, agree, output);
    Ok(())
}

/// Asks all nodes at once.
async fn look(network: &Localnet) -> Vec<Seen> {
    let asked = network.nodes().map(|node| {
        let network = network.clone();
        tokio::spawn(async move {
            let state = network.process(node).state();
            let status = match state {
                State::Up => ask(&network, node).await,
                State::Paused => Err("it is paused".to_owned()),
                State::Down => Err("it does not run".to_owned()),
            };
            Seen {
                state,
                status,
                block: None,
            }
        })
    });
    let mut seen = Vec::new();
    for one in asked.collect::<Vec<_>>() {
        seen.push(one.await.unwrap_or_else(|error| Seen {
            state: State::Down,
            status: Err(error.to_string()),
            block: None,
        }));
    }
    seen
}

async fn block_at(network: &Localnet, node: usize, height: Height) -> Option<Hash> {
    let url = network.rpc_of(node);
    let asked = async {
        let client = Client::connect(&url, None).await.ok()?;
        client.header(Some(height)).await.ok()
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok()??;
    Some(answer.header.hash)
}

fn show(network: &Localnet, seen: &[Seen], compared: Option<Height>, agree: bool, output: Output) {
    let faults = network.faults();
    let mut lines = vec![format!(
        "{:<5} {:<7} {:<10} {:>8} {:>6}  {:<22} block at {}",
        "node",
        "state",
        "role",
        "height",
        "peers",
        "rpc",
        compared.map_or_else(|| "-".to_owned(), |height| height.to_string())
    )];
    let mut nodes: Vec<Value> = Vec::new();
    for (node, one) in (0..).zip(seen) {
        let rpc = network.rpc_of(node);
        let state = one.state.name();
        let block = one.block.map(|hash| hash.to_string());
        let mut json = json!({ "node": node, "state": state, "rpc": rpc, "block": block });
        match &one.status {
            Ok(status) => {
                let short: String = block.unwrap_or_default().chars().take(18).collect();
                lines.push(format!(
                    "{node:<5} {state:<7} {:<10} {:>8} {:>6}  {rpc:<22} {short}",
                    role_name(status.role),
                    status.height,
                    status.peers
                ));
                json["height"] = json!(status.height);
                json["role"] = json!(status.role);
                json["peers"] = json!(status.peers);
                json["peerId"] = json!(status.peer_id);
            }
            Err(why) => {
                lines.push(format!("{node:<5} {state:<7} {why}"));
                json["problem"] = json!(why);
            }
        }
        nodes.push(json);
    }
    if let Some(text) = faults.text() {
        lines.push(format!("faults: {text}"));
    }
    let answers = seen.iter().filter(|one| one.block.is_some()).count();
    lines.push(if agree {
        format!("{answers} of {} nodes answer, and agree", seen.len())
    } else {
        "the nodes DISAGREE on a block that is final: please report this".to_owned()
    });
    output.data(
        &json!({
            "dir": network.folder,
            "nodes": nodes,
            "comparedHeight": compared,
            "agree": agree,
            "faults": faults,
        }),
        &lines.join("\n"),
    );
}
