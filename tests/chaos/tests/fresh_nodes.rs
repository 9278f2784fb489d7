//! Nodes that begin with a genesis file and one peer's address catch up while load goes on, by blocks and by state.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use std::fs::File;
use std::process::{Child, Command};

use kumiki_chaos::{Load, Net, Nodes, check, opening};
use kumiki_integration::program::kumiki;

const VALIDATORS: usize = 4;
/// Looks at a node that catches up; a busy machine stretches them.
const LOOKS: u32 = 1_200;

/// A full node of its own, started as an operator would. Dropping it kills it.
struct Fresh(Child);

impl Drop for Fresh {
    fn drop(&mut self) {
        // It may have ended before.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The word after `word` in what a node says when it is ready.
fn said(nodes: &Nodes, node: usize, word: &str) -> Option<String> {
    let log = nodes.log(node);
    let ready = log.lines().rfind(|line| line.starts_with("ready"))?;
    let mut words = ready.split_whitespace();
    words.find(|found| *found == word)?;
    words.next().map(str::to_owned)
}

/// Starts node number `node`, which is told of `peer` only, and gets all else from the network by `mode`.
async fn join(net: &Net, nodes: &mut Nodes, node: usize, peer: usize, mode: &str) -> Fresh {
    let (address, id) = (said(nodes, peer, "listen"), said(nodes, peer, "peer"));
    let bootstrap = format!("{}/p2p/{}", address.unwrap(), id.unwrap());
    let folder = nodes.folder(node);
    let home = folder.to_string_lossy().into_owned();
    let genesis = nodes.folder(0).join("genesis.json");
    let genesis = genesis.to_string_lossy().into_owned();
    let mut arguments = vec!["node", "init", "--chain", &genesis, "--home", &home];
    arguments.extend([
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--bootstrap",
        &bootstrap,
    ]);
    net.kumiki(&arguments).unwrap();
    let log = File::create(folder.join("log")).unwrap();
    let child = Command::new(kumiki())
        .args(["node", "run", "--home", &home])
        .env("KUMIKI_NODE_RPC_PORT", "0")
        .env("KUMIKI_NODE_SYNC_MODE", mode)
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .unwrap();
    let fresh = Fresh(child);
    for _ in 0..LOOKS {
        if let Some(rpc) = said(nodes, node, "rpc") {
            assert_eq!(nodes.rpc.len(), node);
            nodes.rpc.push(rpc);
            return fresh;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("node {node} does not come up; {}", nodes.log_end(node));
}

/// Waits until `node` is where `other` is now, and a few blocks further.
async fn catches_up(nodes: &Nodes, node: usize, other: usize) {
    let head = nodes.height(other).await.unwrap();
    nodes.higher_than(head + 5, node, LOOKS).await.unwrap();
}

async fn earliest(nodes: &Nodes, node: usize) -> u64 {
    let client = nodes.client_soon(node).await.unwrap();
    client.info().await.unwrap().earliest_height
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_nodes_catch_up_under_load_by_blocks_and_by_state() {
    let net = Net::start(VALIDATORS, 0, &["--epoch-blocks", "40"]).unwrap();
    let opening = opening(&net).await.unwrap();
    let load = Load::start(&net, 31);
    let mut nodes = Nodes::clone(&net);
    // Well into a later epoch than that of genesis.
    nodes.higher_than(90, 0, LOOKS).await.unwrap();
    let by_blocks = join(&net, &mut nodes, 4, 1, "blocks").await;
    let by_state = join(&net, &mut nodes, 5, 1, "state").await;
    catches_up(&nodes, 4, 0).await;
    catches_up(&nodes, 5, 0).await;
    assert!(earliest(&nodes, 4).await <= 1, "it has every block");
    let began = earliest(&nodes, 5).await;
    assert!(began > 40, "it began at {began}, which is no later epoch");

    let told = load.finish().await;
    assert!(told.transactions.len() > 100, "there was no load");
    let broken = check(&nodes, opening, &told).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    drop([by_blocks, by_state]);
}
