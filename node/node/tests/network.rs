//! Four nodes on loopback, each with its own swarm, engine, executor and store, agree.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::path::Path;
use std::time::Duration;

use kumiki_consensus::simplex::Pace;
use kumiki_network::{Multiaddr, NetworkConfig, NetworkLimits};
use kumiki_node::{GenesisSource, Node, NodeConfig, NodeHandle, OrderingConfig, dev_genesis};
use kumiki_protocol::{Genesis, Height, SecretKey, Transaction, TransactionHash};
use kumiki_testkit::{Draft, account, validator};

const BALANCE: u128 = 1 << 80;
/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(60);

fn keys() -> Vec<SecretKey> {
    (0..4).map(validator).collect()
}

fn genesis() -> Genesis {
    let mut genesis = dev_genesis(&[account(0).address], BALANCE, 1_000);
    genesis.validators = keys().iter().map(SecretKey::public_key).collect();
    genesis.parameters.execution_lag = 2;
    genesis
}

fn config(dir: &Path, key: SecretKey, bootstrap: Vec<Multiaddr>) -> NodeConfig {
    let genesis = genesis();
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let mut network = NetworkConfig::new(key, genesis.hash(), listen);
    network.bootstrap = bootstrap;
    network.limits = NetworkLimits::loopback();
    network.known_peers_file = Some(dir.join("peers.json"));
    let mut config = NodeConfig::dev(dir.to_owned(), genesis.clone(), 0);
    config.genesis = GenesisSource::Exactly(genesis);
    config.ordering = OrderingConfig::Network {
        pace: Pace {
            block_time: Duration::ZERO,
            heartbeat: Duration::from_millis(500),
        },
        network: Box::new(network),
    };
    config
}

async fn start(dir: &Path, key: SecretKey, bootstrap: Vec<Multiaddr>) -> NodeHandle {
    let dir = dir.join(key.public_key().to_string());
    Node::start(config(&dir, key, bootstrap)).await.unwrap()
}

/// Four validators that know nothing but the first one's address.
async fn four(dir: &Path) -> Vec<NodeHandle> {
    let mut nodes = Vec::new();
    let mut bootstrap = Vec::new();
    for key in keys() {
        let node = start(dir, key, bootstrap.clone()).await;
        if bootstrap.is_empty() {
            bootstrap = node.network().unwrap().listening().await.unwrap();
        }
        nodes.push(node);
    }
    nodes
}

async fn reach(node: &NodeHandle, height: Height) {
    let mut heads = node.heads();
    let reached = heads.wait_for(|tip| tip.height >= height);
    let reached = tokio::time::timeout(DEADLINE, reached).await;
    reached.expect("a node does not go on").unwrap();
}

/// Waits until `node` has the transaction and says at which height.
async fn final_at(node: &NodeHandle, hash: &TransactionHash) -> Height {
    let mut heads = node.heads();
    let storage = node.storage();
    let found = heads.wait_for(|_| storage.transaction_location(hash).unwrap().is_some());
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.expect("a transaction is not final").unwrap();
    storage.transaction_location(hash).unwrap().unwrap().0
}

fn transfer(nonce: u64) -> Transaction {
    Draft::new(&genesis(), &account(0), nonce)
        .transfer(&account(1).address, 7)
        .sign()
}

async fn stop(nodes: Vec<NodeHandle>) {
    for node in nodes {
        node.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_find_each_other_and_agree_on_what_any_of_them_is_handed() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = four(dir.path()).await;
    for (nonce, node) in (0..).zip(&nodes) {
        let hash = node.mempool().submit(transfer(nonce)).await.unwrap();
        let mut heights = Vec::new();
        for other in &nodes {
            heights.push(final_at(other, &hash).await);
        }
        heights.dedup();
        assert_eq!(heights.len(), 1, "in one block on all nodes");
    }
    let height = nodes[0].storage().tip().unwrap().height;
    for node in &nodes[1..] {
        reach(node, height).await;
        let (own, other) = (nodes[0].storage(), node.storage());
        assert_eq!(other.header(height).unwrap(), own.header(height).unwrap());
        let root =
            |storage: &kumiki_storage::Storage| storage.snapshot_at(height).unwrap().state_root();
        assert_eq!(root(other), root(own));
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_of_four_go_on_and_the_fourth_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut nodes = four(dir.path()).await;
    let first = nodes[0].mempool().submit(transfer(0)).await.unwrap();
    for node in &nodes {
        final_at(node, &first).await;
    }
    let gone = nodes.pop().unwrap();
    gone.stop().await.unwrap();
    let hash = nodes[1].mempool().submit(transfer(1)).await.unwrap();
    let height = final_at(&nodes[0], &hash).await;
    let known = nodes[2].network().unwrap().listen_addresses();
    let back = start(dir.path(), keys().remove(3), known).await;
    reach(&back, height).await;
    assert_eq!(final_at(&back, &hash).await, height);
    nodes.push(back);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_seat_follows_and_passes_transactions_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut nodes = four(dir.path()).await;
    let known = nodes[2].network().unwrap().listen_addresses();
    let observer = start(dir.path(), validator(99), known).await;
    let hash = observer.mempool().submit(transfer(0)).await.unwrap();
    let height = final_at(&nodes[0], &hash).await;
    assert_eq!(final_at(&observer, &hash).await, height);
    nodes.push(observer);
    stop(nodes).await;
}
