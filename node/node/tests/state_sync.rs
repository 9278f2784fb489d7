//! A new node takes the state from several peers at once, goes on from there, and never believes one of them.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kumiki_consensus::simplex::Pace;
use kumiki_network::{Multiaddr, NetworkConfig, NetworkLimits};
use kumiki_node::{
    GenesisSource, Node, NodeConfig, NodeHandle, OrderingConfig, StateSync, dev_genesis,
};
use kumiki_protocol::{Address, Genesis, Hash, Height, SecretKey, Transaction};
use kumiki_state::{ScanDirection, StateReader as _};
use kumiki_testkit::{Draft, account, validator};

/// What every account has.
const BALANCE: u128 = 1 << 60;
/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(180);
/// Bytes per second that a capped peer sends.
const CAP: NonZeroU64 = NonZeroU64::new(256 * 1024).expect("not zero");

fn keys() -> Vec<SecretKey> {
    (1..=4).map(validator).collect()
}

/// A chain with `accounts` more accounts than the one that sends.
fn genesis(accounts: u32) -> Genesis {
    let mut addresses = vec![account(0).address];
    addresses.extend((0..accounts).map(|number| {
        let mut address = [7; 32];
        address[..4].copy_from_slice(&number.to_be_bytes());
        // Spread over the key space as hashes are.
        address[0] = u8::try_from(number % 251).unwrap();
        Address(address)
    }));
    let mut genesis = dev_genesis(&addresses, BALANCE, 1_000);
    genesis.validators = keys().iter().map(SecretKey::public_key).collect();
    genesis.parameters.execution_lag = 2;
    // Short, so that the certificates are verified over several epochs.
    genesis.parameters.epoch_blocks = 16;
    genesis
}

struct Plan<'a> {
    genesis: &'a Genesis,
    dir: &'a Path,
    cap: Option<NonZeroU64>,
}

impl Plan<'_> {
    fn config(&self, key: SecretKey, bootstrap: Vec<Multiaddr>) -> NodeConfig {
        let dir = self.dir.join(key.public_key().to_string());
        let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let mut network = NetworkConfig::new(key, self.genesis.hash(), listen);
        network.bootstrap = bootstrap;
        network.limits = NetworkLimits::loopback();
        network.limits.upload_bytes_per_second = self.cap;
        let mut config = NodeConfig::dev(dir, self.genesis.clone(), 0);
        config.genesis = GenesisSource::Exactly(self.genesis.clone());
        config.ordering = OrderingConfig::Network {
            pace: Pace {
                block_time: Duration::from_millis(20),
                heartbeat: Duration::from_millis(200),
            },
            network: Box::new(network),
        };
        config
    }

    async fn four(&self) -> Vec<NodeHandle> {
        let mut nodes: Vec<NodeHandle> = Vec::new();
        for key in keys() {
            let known = addresses(&nodes).await;
            nodes.push(Node::start(self.config(key, known)).await.unwrap());
        }
        nodes
    }

    /// A new node that takes the state, from the peers at `known` and those that it finds through them.
    async fn newcomer(
        &self,
        number: u8,
        known: Vec<Multiaddr>,
        trusted: Option<(Height, Hash)>,
        alone: bool,
    ) -> NodeHandle {
        let mut config = self.config(validator(number), known);
        config.state_sync = Some(StateSync { trusted });
        if let OrderingConfig::Network { network, .. } = &mut config.ordering
            && alone
        {
            network.discovery = false;
            network.limits.connections_in_max = 0;
            network.limits.connections_out_max = 1;
        }
        let started = tokio::time::timeout(DEADLINE, Node::start(config)).await;
        started.expect("the state does not come").unwrap()
    }
}

async fn addresses(nodes: &[NodeHandle]) -> Vec<Multiaddr> {
    let mut addresses = Vec::new();
    for node in nodes {
        addresses.extend(node.network().unwrap().listening().await.unwrap());
    }
    addresses
}

async fn reach(node: &NodeHandle, height: Height) {
    let mut heads = node.heads();
    let reached = heads.wait_for(|tip| tip.height >= height);
    let reached = tokio::time::timeout(DEADLINE, reached).await;
    reached.expect("a node does not go on").unwrap();
}

fn transfer(genesis: &Genesis, nonce: u64) -> Transaction {
    Draft::new(genesis, &account(0), nonce)
        .transfer(&account(1).address, 7)
        .sign()
}

/// Hands transfers to `node`, one after the other, until the task is aborted.
fn load(node: &NodeHandle) -> tokio::task::JoinHandle<()> {
    let mempool = Arc::clone(node.mempool());
    let genesis = Arc::clone(node.genesis());
    tokio::spawn(async move {
        for nonce in 0.. {
            // Where the pool is full of this sender's, a block makes room.
            while mempool.submit(transfer(&genesis, nonce)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    })
}

/// What the node's RPC answers.
async fn call(node: &NodeHandle, method: &str, params: &str) -> String {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let address = node.rpc_address();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

fn same_chain(one: &NodeHandle, other: &NodeHandle, height: Height) {
    let (one, other) = (one.storage(), other.storage());
    assert_eq!(one.header(height).unwrap(), other.header(height).unwrap());
    let receipts = |storage: &kumiki_storage::Storage| storage.receipts(height).unwrap();
    assert_eq!(receipts(one), receipts(other));
}

async fn stop(nodes: Vec<NodeHandle>) {
    for node in nodes {
        node.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_node_takes_the_state_under_load_goes_on_from_it_and_gives_it_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(5_000);
    let plan = Plan {
        genesis: &genesis,
        dir: dir.path(),
        cap: None,
    };
    let mut nodes = plan.four().await;
    let load = load(&nodes[1]);
    // The base lies in a later epoch than the validators that genesis names.
    reach(&nodes[0], 50).await;
    let first = vec![addresses(&nodes).await.remove(0)];
    let new = plan.newcomer(90, first.clone(), None, false).await;
    let base = new
        .storage()
        .base()
        .unwrap()
        .expect("it has a base")
        .height();
    assert!(base > 2, "it took the state after {base}");
    assert!(new.storage().block(base - 1).unwrap().is_none());
    reach(&new, base + 40).await;
    same_chain(&nodes[0], &new, base + 30);

    // It says what it does not have.
    let answer = |method, params| call(&new, method, params);
    let refused = answer("chain_getBlock", r#"{"height":1}"#).await;
    assert!(refused.contains("heightPruned"), "{refused}");
    let refused = answer("events_query", r#"{"from":0}"#).await;
    assert!(refused.contains("heightPruned"), "{refused}");
    let refused = answer("chain_getFinality", r#"{"height":1}"#).await;
    assert!(refused.contains("heightPruned"), "{refused}");
    // The steps that it was led by itself, it shows to others.
    let shown = answer("chain_getEpochEnd", r#"{"epoch":0}"#).await;
    assert!(shown.contains("nextValidators"), "{shown}");
    let shown = answer("events_query", "{}").await;
    assert!(shown.contains("result"), "{shown}");
    let info = answer("chain_getInfo", "{}").await;
    let earliest = format!("\"earliestHeight\":{}", base + 1);
    assert!(info.contains(&earliest), "{info}");

    // Restarted it goes on from its own folder, whatever it is told about states.
    let tip = new.storage().tip().unwrap().height;
    new.stop().await.unwrap();
    let new = plan.newcomer(90, first, None, false).await;
    assert_eq!(new.storage().base().unwrap().unwrap().height(), base);
    reach(&new, tip + 20).await;

    // A node that was given its state gives it on, and shows the epochs from a trusted block on.
    let trusted = base + 1;
    let hash = new.storage().header(trusted).unwrap().unwrap().hash();
    let from_new = addresses(std::slice::from_ref(&new)).await;
    let next = plan
        .newcomer(91, from_new, Some((trusted, hash)), true)
        .await;
    let second = next.storage().base().unwrap().unwrap().height();
    assert!(second > base);
    let refused = call(&next, "chain_getEpochEnd", r#"{"epoch":0}"#).await;
    assert!(refused.contains("heightPruned"), "{refused}");
    reach(&next, second + 10).await;
    same_chain(&nodes[2], &next, second + 5);
    load.abort();
    nodes.extend([new, next]);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_that_a_trusted_block_does_not_lead_to() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(100);
    let plan = Plan {
        genesis: &genesis,
        dir: dir.path(),
        cap: None,
    };
    let nodes = plan.four().await;
    reach(&nodes[0], 20).await;
    let known = addresses(&nodes).await;
    let mut config = plan.config(validator(92), known);
    config.state_sync = Some(StateSync {
        trusted: Some((10, Hash([9; 32]))),
    });
    let folder = config.data_dir.clone();
    let waited = tokio::time::timeout(Duration::from_secs(3), Node::start(config)).await;
    assert!(waited.is_err(), "it took a state that is not trusted");
    assert!(!folder.join("chain/restore.redb").exists());
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_capped_peers_give_a_state_faster_than_one_and_no_byte_twice() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(60_000);
    let plan = Plan {
        genesis: &genesis,
        dir: dir.path(),
        cap: Some(CAP),
    };
    let nodes = plan.four().await;
    reach(&nodes[0], 8).await;
    let known = addresses(&nodes).await;
    let mut seconds = Vec::new();
    for (number, known, alone) in [(93, known[..1].to_vec(), true), (94, known, false)] {
        let before = sent(&nodes).await;
        let start = Instant::now();
        let new = plan.newcomer(number, known, None, alone).await;
        seconds.push(start.elapsed().as_secs_f64());
        let after = sent(&nodes).await;
        let entries = new.storage().snapshot().unwrap().state_entries();
        // Each entry came once: all else that travels is small beside it.
        let size = state_bytes(&new);
        assert!(
            after - before < size * 3 / 2,
            "{} of {size}",
            after - before
        );
        println!(
            "{entries} entries in {:.2} s, {} bytes sent",
            seconds.last().unwrap(),
            after - before
        );
        new.stop().await.unwrap();
    }
    println!(
        "one capped peer takes {:.2} times as long as four",
        seconds[0] / seconds[1]
    );
    stop(nodes).await;
}

/// Bytes of all keys and values of a node's state.
fn state_bytes(node: &NodeHandle) -> u64 {
    let mut bytes = 0;
    let snapshot = node.storage().snapshot().unwrap();
    let everything = (Bound::Unbounded, Bound::Unbounded);
    snapshot
        .scan(everything, ScanDirection::Ascending, &mut |key, value| {
            bytes += u64::try_from(key.len() + value.len()).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    bytes
}

async fn sent(nodes: &[NodeHandle]) -> u64 {
    let mut sum = 0;
    for node in nodes {
        let peers = node.network().unwrap().peers().await.unwrap();
        sum += peers.iter().map(|peer| peer.bytes_sent).sum::<u64>();
    }
    sum
}
