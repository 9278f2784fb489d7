//! Nodes that began with one peer's address go on, come back and take in others when that peer is dead, and serve
//! clients as validators do.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use kumiki_chaos::{By, Load, Net, Newcomer, Nodes, check, opening};

const VALIDATORS: usize = 4;
/// The height from which nodes join: there is a past to fetch.
const PAST: u64 = 40;
/// Looks at a node that goes on; a busy machine stretches them.
const LOOKS: u32 = 2_400;

/// Waits until a node has a block that no validator had when this began.
async fn at_the_head(nodes: &Nodes, node: usize) {
    let mut head = 0;
    for validator in 0..VALIDATORS {
        head = head.max(nodes.height(validator).await.unwrap_or(0));
    }
    nodes.higher_than(head, node, LOOKS).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomers_outlive_the_peer_they_began_with_and_serve_clients() {
    let net = Net::start_discovering(VALIDATORS).unwrap();
    let opening = opening(&net).await.unwrap();
    let load = Load::start(&net, 37);
    net.higher_than(PAST, 0, LOOKS).await.unwrap();

    let mut nodes = Nodes::clone(&net);
    let first = net.peer_address(0).unwrap();
    let mut newcomers = Vec::new();
    for by in [By::Blocks, By::State] {
        let newcomer = Newcomer::join(&net, &mut nodes, &first, by).await.unwrap();
        at_the_head(&nodes, newcomer.node).await;
        // Who knows nobody else when its only contact dies has nobody to ask.
        nodes.among(2, newcomer.node, LOOKS).await.unwrap();
        newcomers.push(newcomer);
    }

    net.localnet(&["fault", "kill", "0"]).unwrap();
    for newcomer in &newcomers {
        at_the_head(&nodes, newcomer.node).await;
    }
    // Nobody that this one is told of has a seat, and whom that one was told of is dead.
    let through = newcomers[0].address.clone();
    let last = Newcomer::join(&net, &mut nodes, &through, By::Blocks);
    newcomers.push(last.await.unwrap());
    // The only address in its configuration is the dead one.
    newcomers[1].restart(&net, &mut nodes).await.unwrap();
    for newcomer in &newcomers {
        at_the_head(&nodes, newcomer.node).await;
    }
    let mut told = load.finish().await;
    let by_validators = told.transactions.len();

    let mut served = nodes.clone();
    served.rpc.drain(..VALIDATORS);
    let load = Load::start(&served, 38);
    for newcomer in &newcomers {
        at_the_head(&nodes, newcomer.node).await;
    }
    let more = load.finish().await;
    println!(
        "{by_validators} transactions acknowledged by validators, {} by newcomers",
        more.transactions.len()
    );
    assert!(by_validators > 100, "validators did not serve clients");
    assert!(more.transactions.len() > 40, "newcomers did not");
    told.transactions.extend(more.transactions);
    told.broken.extend(more.broken);

    net.localnet(&["fault", "restart", "0"]).unwrap();
    at_the_head(&nodes, 0).await;
    assert_eq!(
        check(&nodes, opening, &told).await.unwrap(),
        Vec::<String>::new()
    );
}
