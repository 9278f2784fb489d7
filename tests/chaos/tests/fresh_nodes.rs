//! Nodes that begin with a genesis file and one peer's address catch up while load goes on, by blocks and by state.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use kumiki_chaos::{By, Load, Net, Newcomer, Nodes, check, opening};

const VALIDATORS: usize = 4;
/// Looks at a node that catches up; a busy machine stretches them.
const LOOKS: u32 = 1_200;

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
    let peer = net.peer_address(1).unwrap();
    let by_blocks = Newcomer::join(&net, &mut nodes, &peer, By::Blocks);
    let by_blocks = by_blocks.await.unwrap();
    let by_state = Newcomer::join(&net, &mut nodes, &peer, By::State);
    let by_state = by_state.await.unwrap();
    catches_up(&nodes, by_blocks.node, 0).await;
    catches_up(&nodes, by_state.node, 0).await;
    let whole = earliest(&nodes, by_blocks.node).await;
    assert!(whole <= 1, "it has every block");
    let began = earliest(&nodes, by_state.node).await;
    assert!(began > 40, "it began at {began}, which is no later epoch");

    let told = load.finish().await;
    assert!(told.transactions.len() > 100, "there was no load");
    let broken = check(&nodes, opening, &told).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
}
