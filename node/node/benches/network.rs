//! Measure a network of validators in one process: heights per second, transfers per second, time to final.
//!
//! `cargo bench -p kumiki-node --bench network -- [VALIDATORS] [SECONDS]`. All validators share this machine's cores.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot run should say so, and prints what it measures"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kumiki_consensus::simplex::Pace;
use kumiki_network::{Multiaddr, NetworkConfig, NetworkLimits};
use kumiki_node::{GenesisSource, Node, NodeConfig, NodeHandle, OrderingConfig, dev_genesis};
use kumiki_protocol::{Genesis, SecretKey, Transaction};
use kumiki_testkit::{Account, Draft, account, validator};

const SENDERS: u8 = 64;

fn genesis(validators: u8) -> Genesis {
    let accounts: Vec<_> = (0..SENDERS).map(|number| account(number).address).collect();
    let mut genesis = dev_genesis(&accounts, 1 << 80, 1_000);
    genesis.validators = (0..validators)
        .map(|number| validator(number).public_key())
        .collect();
    genesis.parameters.execution_lag = 2;
    genesis
}

async fn start(dir: &Path, genesis: &Genesis, heartbeat: Duration) -> Vec<NodeHandle> {
    let mut nodes: Vec<NodeHandle> = Vec::new();
    let mut bootstrap: Vec<Multiaddr> = Vec::new();
    for number in 0..genesis.validators.len() {
        let key: SecretKey = validator(u8::try_from(number).unwrap());
        let dir = dir.join(number.to_string());
        let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let mut network = NetworkConfig::new(key, genesis.hash(), listen);
        network.bootstrap.clone_from(&bootstrap);
        network.limits = NetworkLimits::loopback();
        let mut config = NodeConfig::dev(dir, genesis.clone(), 0);
        config.genesis = GenesisSource::Exactly(genesis.clone());
        config.ordering = OrderingConfig::Network {
            pace: Pace {
                block_time: Duration::ZERO,
                heartbeat,
            },
            network: Box::new(network),
        };
        let node = Node::start(config).await.unwrap();
        if bootstrap.is_empty() {
            bootstrap = node.network().unwrap().listening().await.unwrap();
        }
        nodes.push(node);
    }
    for node in &nodes {
        let mut heads = node.heads();
        heads.wait_for(|tip| tip.height >= 3).await.unwrap();
    }
    nodes
}

fn height(nodes: &[NodeHandle]) -> u64 {
    nodes[0].heads().borrow().height
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

async fn empty(validators: u8, seconds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(validators);
    let nodes = start(dir.path(), &genesis, Duration::ZERO).await;
    let (first, cpu, begin) = (height(&nodes), cpu_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let heights = (height(&nodes) - first) as f64;
    let rate = heights / begin.elapsed().as_secs_f64();
    let cpu = (cpu_seconds() - cpu) / heights / f64::from(validators);
    println!(
        "{validators} validators, empty blocks: {rate:.0} heights/s, {:.2} ms CPU per node and height",
        cpu * 1_000.0
    );
    for node in nodes {
        node.stop().await.unwrap();
    }
}

async fn latency(validators: u8) {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(validators);
    let nodes = start(dir.path(), &genesis, Duration::from_secs(2)).await;
    let mut times = Vec::new();
    for nonce in 0..40 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let node = &nodes[usize::try_from(nonce).unwrap() % nodes.len()];
        let transaction = transfer(&genesis, &account(0), nonce);
        let hash = transaction.hash();
        let begin = Instant::now();
        node.mempool().submit(transaction).await.unwrap();
        let mut heads = node.heads();
        let storage = node.storage();
        heads
            .wait_for(|_| storage.transaction_location(&hash).unwrap().is_some())
            .await
            .unwrap();
        times.push(begin.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{validators} validators, idle to final: p50 {:.1} ms, p90 {:.1} ms, worst {:.1} ms",
        times[20], times[36], times[39]
    );
    for node in nodes {
        node.stop().await.unwrap();
    }
}

fn transfer(genesis: &Genesis, sender: &Account, nonce: u64) -> Transaction {
    let mut draft = Draft::new(genesis, sender, nonce)
        .gas_limit(200_000)
        .transfer(&account(200).address, 1);
    draft.body.valid_until = 90_000;
    draft.sign()
}

async fn transfers(validators: u8, seconds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(validators);
    let nodes = Arc::new(start(dir.path(), &genesis, Duration::from_secs(2)).await);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut senders = Vec::new();
    let (first_height, cpu, begin) = (height(&nodes), cpu_seconds(), Instant::now());
    for number in 0..SENDERS {
        let (nodes, genesis) = (Arc::clone(&nodes), genesis.clone());
        senders.push(tokio::spawn(async move {
            let node = &nodes[usize::from(number) % nodes.len()];
            let sender = account(number);
            let mut nonce = 0;
            let mut open = std::collections::VecDeque::new();
            while Instant::now() < end {
                let transaction = transfer(&genesis, &sender, nonce);
                let hash = transaction.hash();
                node.mempool().submit(transaction).await.unwrap();
                open.push_back(hash);
                nonce += 1;
                if open.len() >= 64 {
                    let oldest = open.pop_front().unwrap();
                    let mut heads = node.heads();
                    let storage = node.storage();
                    heads
                        .wait_for(|_| storage.transaction_location(&oldest).unwrap().is_some())
                        .await
                        .unwrap();
                }
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let took = begin.elapsed().as_secs_f64();
    let last = height(&nodes);
    let mut count = 0;
    for at in first_height + 1..=last {
        count += nodes[0]
            .storage()
            .header(at)
            .unwrap()
            .unwrap()
            .transactions_count;
    }
    let cpu = (cpu_seconds() - cpu) / f64::from(count) / f64::from(validators);
    println!(
        "{validators} validators, transfers: {:.0} tx/s, {:.0} heights/s, {:.0} us CPU per node and transfer",
        f64::from(count) / took,
        (last - first_height) as f64 / took,
        cpu * 1e6,
    );
    for node in Arc::into_inner(nodes).unwrap() {
        node.stop().await.unwrap();
    }
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let validators = u8::try_from(numbers.next().unwrap_or(4)).unwrap();
    let seconds = numbers.next().unwrap_or(10);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        empty(validators, seconds).await;
        latency(validators).await;
        transfers(validators, seconds).await;
    });
}
