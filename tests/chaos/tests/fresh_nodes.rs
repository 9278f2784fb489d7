//! Fresh full nodes join a network under load, by blocks and by state, also where the node that others began with is
//! dead.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use kumiki_chaos::{By, Load, Net, Newcomer, Nodes, check, opening};

const VALIDATORS: usize = 4;
/// The height from which nodes join: there is a past to fetch.
const PAST: u64 = 40;
/// Looks at a node that goes on; a busy machine stretches them.
const LOOKS: u32 = 2_400;
/// Transactions that are final through the newcomers alone.
const SERVED: usize = 40;

/// Waits until a node has a block that no validator had when this began.
async fn at_the_head(nodes: &Nodes, node: usize) {
    let mut head = 0;
    for validator in 0..VALIDATORS {
        head = head.max(nodes.height(validator).await.unwrap_or(0));
    }
    nodes.higher_than(head, node, LOOKS).await.unwrap();
}

/// The first height whose block a node has.
async fn earliest(nodes: &Nodes, node: usize) -> u64 {
    let client = nodes.client_soon(node).await.unwrap();
    client.info().await.unwrap().earliest_height
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_nodes_join_under_load_by_blocks_and_by_state_also_without_the_first_node() {
    let net = Net::start_discovering(VALIDATORS).unwrap();
    let opening = opening(&net).await.unwrap();
    let load = Load::start(&net, 31);
    net.higher_than(PAST, 0, LOOKS).await.unwrap();

    let mut nodes: Nodes = (*net).clone();
    let first = net.peer_address(0).unwrap();
    let mut newcomers = Vec::new();
    for by in [By::Blocks, By::State] {
        let newcomer = Newcomer::join(&net, &mut nodes, &first, by).await.unwrap();
        at_the_head(&nodes, newcomer.node).await;
        newcomers.push(newcomer);
    }

    // Whom they began with is dead; others take their place, and take in whoever comes.
    net.localnet(&["fault", "kill", "0"]).unwrap();
    for newcomer in &newcomers {
        at_the_head(&nodes, newcomer.node).await;
    }
    let through = newcomers[0].address.clone();
    for by in [By::Blocks, By::State] {
        let newcomer = Newcomer::join(&net, &mut nodes, &through, by)
            .await
            .unwrap();
        at_the_head(&nodes, newcomer.node).await;
        newcomers.push(newcomer);
    }
    // The only address in its configuration is that of the dead node.
    newcomers[1].restart(&net, &mut nodes).await.unwrap();
    at_the_head(&nodes, newcomers[1].node).await;

    assert!(earliest(&nodes, newcomers[0].node).await <= 1);
    assert!(earliest(&nodes, newcomers[1].node).await > 1);
    assert!(earliest(&nodes, newcomers[2].node).await <= 1);
    assert!(earliest(&nodes, newcomers[3].node).await > 1);
    let mut told = load.finish().await;
    println!("{} acknowledged by validators", told.transactions.len());

    // Newcomers alone serve clients as validators do.
    let mut served = nodes.clone();
    served.rpc.drain(..VALIDATORS);
    let load = Load::start(&served, 32);
    for newcomer in &newcomers {
        at_the_head(&nodes, newcomer.node).await;
    }
    let by_newcomers = load.finish().await;
    println!("{} by newcomers", by_newcomers.transactions.len());
    assert!(by_newcomers.transactions.len() >= SERVED);
    told.transactions.extend(by_newcomers.transactions);
    told.broken.extend(by_newcomers.broken);

    net.localnet(&["fault", "restart", "0"]).unwrap();
    at_the_head(&nodes, 0).await;
    assert_eq!(
        check(&nodes, opening, &told).await.unwrap(),
        Vec::<String>::new()
    );
}
