//! Attack running validators on every protocol they speak, while honest clients hand transactions in.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kumiki_chaos::attacker::{self, HARMS, Harm, Outcome, Target};
use kumiki_chaos::{Load, Net, check, opening};

const NODES: usize = 4;
/// How long each kind of harm is done to all nodes at once.
const TIME: Duration = Duration::from_secs(5);
/// What a node's memory may grow by under attack, in KiB: queues, windows of streams and buffers are all bounded.
const GROWTH_KIB_MAX: u64 = 300 * 1_024;
/// Looks at a node that goes on; a busy machine stretches them.
const LOOKS: u32 = 1_200;

fn memory_kib(net: &Net, node: usize) -> u64 {
    let pid = std::fs::read_to_string(net.folder(node).join("pid")).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Looks at the memory of all nodes until it is dropped, and keeps the most that any of them had.
fn watch_memory(net: &Arc<Net>) -> (Arc<AtomicU64>, tokio::task::JoinHandle<()>) {
    let most = Arc::new(AtomicU64::new(0));
    let (net, seen) = (Arc::clone(net), Arc::clone(&most));
    let watching = tokio::spawn(async move {
        loop {
            for node in 0..NODES {
                seen.fetch_max(memory_kib(&net, node), Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    (most, watching)
}

/// Peers that a node has banned so far.
async fn bans(net: &Net, node: usize) -> u64 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = net.rpc[node].trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let line = answer.lines().find(|line| line.contains("bans_total "));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Does one kind of harm to all nodes over all protocols at once, each by a peer of its own.
async fn attack_all(targets: &[Target], harm: Harm) -> Vec<(String, Outcome)> {
    let mut attacks = Vec::new();
    for target in targets {
        for protocol in attacker::protocols(&target.prefix) {
            let target = target.clone();
            attacks.push(tokio::spawn(async move {
                let outcome = attacker::attack(&target, &protocol, harm, TIME).await;
                (protocol, outcome.unwrap())
            }));
        }
    }
    let mut outcomes = Vec::new();
    for attack in attacks {
        outcomes.push(attack.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_mean_harm_neither_fork_nor_stall_nor_fill_the_nodes() {
    let net = Arc::new(Net::start_discovering(NODES).unwrap());
    let opening = opening(&net).await.unwrap();
    let client = net.client_soon(0).await.unwrap();
    let genesis = client.info().await.unwrap().genesis_hash;
    let targets: Vec<Target> = (0..NODES)
        .map(|node| Target::of(&net, node, &genesis).unwrap())
        .collect();
    let load = Load::start(&net, 23);
    net.higher_than(5, 0, LOOKS).await.unwrap();
    let before: u64 = (0..NODES).map(|node| memory_kib(&net, node)).max().unwrap();
    let (most, watching) = watch_memory(&net);
    for harm in HARMS {
        let height = net.height(0).await.unwrap_or(0);
        let banned_before = bans(&net, 0).await;
        let outcomes = attack_all(&targets, harm).await;
        let taken: usize = outcomes.iter().map(|(_, outcome)| outcome.taken).sum();
        let cut_off = outcomes
            .iter()
            .filter(|(_, outcome)| outcome.cut_off)
            .count();
        let banned = bans(&net, 0).await - banned_before;
        println!(
            "{harm:?}: {} attackers, {taken} streams taken, {cut_off} cut off, {banned} banned by node 0",
            outcomes.len()
        );
        // Relays, AutoNAT and DCUtR are off where nobody turns them on.
        for (protocol, outcome) in &outcomes {
            let kinds = ["/channel/", "/gossip/", "/kad/", "/id/1.0.0", "/ping/"];
            let is_spoken = kinds.iter().any(|kind| protocol.contains(kind));
            assert!(
                !is_spoken || outcome.taken > 0,
                "{protocol} is not attacked"
            );
        }
        if harm == Harm::Endless {
            for (protocol, outcome) in &outcomes {
                let is_channel = protocol.contains("/channel/");
                assert!(!is_channel || outcome.cut_off, "{protocol}: {outcome:?}");
            }
            assert!(banned >= 7, "only {banned} are banned");
        }
        // All have gone on meanwhile, and go on.
        for node in 0..NODES {
            net.higher_than(height + 2, node, LOOKS).await.unwrap();
        }
    }
    let attacks = targets
        .iter()
        .map(|target| attacker::attack_before_the_handshake(target, TIME));
    futures_util::future::join_all(attacks).await;
    let height = net.height(0).await.unwrap_or(0);
    for node in 0..NODES {
        net.higher_than(height + 2, node, LOOKS).await.unwrap();
    }
    watching.abort();
    let most = most.load(Ordering::Relaxed);
    println!("memory: {before} KiB before, {most} KiB at most");
    assert!(
        most < before + GROWTH_KIB_MAX,
        "{before} KiB grew to {most}"
    );
    let told = load.finish().await;
    println!("{} transactions acknowledged", told.transactions.len());
    assert!(
        told.transactions.len() > 100,
        "honest clients were not served"
    );
    assert_eq!(
        check(&net, opening, &told).await.unwrap(),
        Vec::<String>::new()
    );
}
