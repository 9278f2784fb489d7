//! Attack running validators on every protocol that a node can speak, while honest clients hand transactions in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kumiki_protocol::Height;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::attacker::{self, HARMS, Harm, Outcome, Target};
use crate::{Load, Net, Process, Promise, check, opening};

const NODES: usize = 4;
/// What a node's memory may grow by under attack, in KiB: queues, windows of streams and buffers are all bounded.
const GROWTH_KIB_MAX: u64 = 300 * 1_024;
/// Looks at a node that goes on; a busy machine stretches them.
const LOOKS: u32 = 1_200;
/// Channels of a node; whoever sends an endless frame on one of them is banned.
const CHANNELS: u64 = 7;
/// It takes part only where a connection came through a relay, which those of an attacker do not.
const RELAYED_ONLY: &str = "/libp2p/dcutr";

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct HostilePlan {
    /// How long each kind of harm is done at a time.
    pub each: Duration,
    /// How often all kinds are done, one after the other.
    pub rounds: u32,
    /// What the load is drawn from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct HostileReport {
    /// Transactions that were acknowledged meanwhile.
    pub acknowledged: usize,
    /// Peers that meant harm, one after the other and at once.
    pub attackers: usize,
    /// Streams that nodes took from them.
    pub streams_taken: usize,
    /// Connections that nodes ended.
    pub cut_off: usize,
    /// Peers that each node banned.
    pub banned: Vec<u64>,
    /// The most memory that any node had before.
    pub memory_kib_before: u64,
    /// The most memory that any node had meanwhile.
    pub memory_kib_max: u64,
    /// Promises that were broken.
    pub broken: Vec<Promise>,
}

/// Runs a plan.
///
/// # Errors
/// When the network cannot be started or read, or does not go on.
pub async fn hostile(plan: &HostilePlan) -> Result<HostileReport, String> {
    let net = Arc::new(Net::start_changed(NODES, speaking)?);
    let opening = opening(&net).await?;
    let client = net.client_soon(0).await?;
    let info = client.info().await.map_err(|error| error.to_string())?;
    let target = |node| Target::of(&net, node, &info.genesis_hash);
    let targets: Vec<Target> = (0..NODES).map(target).collect::<Result<_, _>>()?;
    let load = Load::start(&net, plan.seed);
    net.higher_than(5, 0, LOOKS).await?;
    let memory_kib_before = memory_kib_of_all(&net)?;
    let (most, watching) = watch_memory(&net);
    let mut report = HostileReport {
        acknowledged: 0,
        attackers: 0,
        streams_taken: 0,
        cut_off: 0,
        banned: Vec::new(),
        memory_kib_before,
        memory_kib_max: 0,
        broken: Vec::new(),
    };
    for _ in 0..plan.rounds {
        for harm in HARMS {
            do_harm(&net, &targets, harm, plan.each, &mut report).await?;
        }
        let height = net.height(0).await.unwrap_or(0);
        let attacks = targets
            .iter()
            .map(|target| attacker::attack_before_the_handshake(target, plan.each));
        futures_util::future::join_all(attacks).await;
        all_go_on(&net, height).await?;
    }
    report.banned = banned(&net).await?;
    watching.abort();
    report.memory_kib_max = most.load(Ordering::Relaxed).max(memory_kib_before);
    if report.memory_kib_max > memory_kib_before + GROWTH_KIB_MAX {
        let grown = report.memory_kib_max;
        let promise = format!("a node grew from {memory_kib_before} to {grown} KiB");
        report.broken.push(promise);
    }
    let told = load.finish().await;
    report.acknowledged = told.transactions.len();
    report.broken.extend(check(&net, opening, &told).await?);
    Ok(report)
}

/// Changes to a node's file, so that all protocols are spoken somewhere: a node that asks others whether it is
/// reachable relays nothing until one says so.
fn speaking(node: usize) -> Vec<(&'static str, &'static str)> {
    let mut changes = vec![
        ("discovery = false", "discovery = true"),
        ("#relay_client = false", "relay_client = true"),
        ("#dcutr = false", "dcutr = true"),
    ];
    changes.push(if node.is_multiple_of(2) {
        ("#relay_server = false", "relay_server = true")
    } else {
        ("#autonat = false", "autonat = true")
    });
    changes
}

/// Does one kind of harm to all nodes, and sees that they go on, answer to it and end it.
async fn do_harm(
    net: &Net,
    targets: &[Target],
    harm: Harm,
    time: Duration,
    report: &mut HostileReport,
) -> Result<(), String> {
    let height = net.height(0).await.unwrap_or(0);
    let banned_before = banned(net).await?;
    let outcomes = attack_all(targets, harm, time).await?;
    let banned: Vec<u64> = banned(net)
        .await?
        .iter()
        .zip(banned_before)
        .map(|(now, before)| now.saturating_sub(before))
        .collect();
    let taken: usize = outcomes.iter().map(|(_, outcome)| outcome.taken).sum();
    let cut_off = outcomes.iter().filter(|(_, outcome)| outcome.cut_off);
    let cut_off = cut_off.count();
    println!(
        "{harm:?}: {} attackers, {taken} streams taken, {cut_off} cut off, banned by each node: {banned:?}",
        outcomes.len()
    );
    report.attackers += outcomes.len();
    report.streams_taken += taken;
    report.cut_off += cut_off;
    let mut spoken: BTreeMap<&str, usize> = BTreeMap::new();
    for (protocol, outcome) in &outcomes {
        *spoken.entry(protocol).or_default() += outcome.taken;
        if harm == Harm::Endless && protocol.contains("/channel/") && !outcome.cut_off {
            report
                .broken
                .push(format!("{protocol} takes endless frames: {outcome:?}"));
        }
    }
    let unheard = spoken
        .iter()
        .filter(|(protocol, taken)| **taken == 0 && **protocol != RELAYED_ONLY);
    let unheard = unheard.map(|(protocol, _)| format!("{harm:?}: no node speaks {protocol}"));
    report.broken.extend(unheard);
    if harm == Harm::Endless && banned.iter().any(|count| *count < CHANNELS) {
        let promise = format!("endless frames on {CHANNELS} channels, and banned are {banned:?}");
        report.broken.push(promise);
    }
    all_go_on(net, height).await
}

/// Waits until all nodes are well above `height`.
async fn all_go_on(net: &Net, height: Height) -> Result<(), String> {
    for node in 0..NODES {
        net.higher_than(height + 2, node, LOOKS).await?;
    }
    Ok(())
}

/// Does one kind of harm to all nodes over all protocols at once, each by a peer of its own.
async fn attack_all(
    targets: &[Target],
    harm: Harm,
    time: Duration,
) -> Result<Vec<(String, Outcome)>, String> {
    let mut attacks = Vec::new();
    for target in targets {
        for protocol in attacker::protocols(&target.prefix) {
            let target = target.clone();
            attacks.push(tokio::spawn(async move {
                let outcome = attacker::attack(&target, &protocol, harm, time).await?;
                Ok::<_, String>((protocol, outcome))
            }));
        }
    }
    let mut outcomes = Vec::new();
    for attack in attacks {
        outcomes.push(attack.await.map_err(|error| error.to_string())??);
    }
    Ok(outcomes)
}

/// Memory of the node that has most, in KiB.
fn memory_kib_of_all(net: &Net) -> Result<u64, String> {
    let all = (0..NODES).map(|node| Process::of(net, node)?.memory_kib());
    let all: Result<Vec<u64>, String> = all.collect();
    Ok(all?.into_iter().max().unwrap_or(0))
}

/// Looks at the memory of all nodes until it is aborted, and keeps the most that any of them had.
fn watch_memory(net: &Arc<Net>) -> (Arc<AtomicU64>, tokio::task::JoinHandle<()>) {
    let most = Arc::new(AtomicU64::new(0));
    let (net, seen) = (Arc::clone(net), Arc::clone(&most));
    let watching = tokio::spawn(async move {
        loop {
            // A node that is gone shows in that it does not go on.
            seen.fetch_max(memory_kib_of_all(&net).unwrap_or(0), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    (most, watching)
}

/// Peers that each node has banned so far.
async fn banned(net: &Net) -> Result<Vec<u64>, String> {
    let mut all = Vec::new();
    for url in &net.rpc {
        let metrics = metrics(url).await.map_err(|error| error.to_string())?;
        let line = metrics.lines().find(|line| line.contains("bans_total "));
        let count = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        all.push(count.ok_or_else(|| format!("{url}/metrics has no bans_total"))?);
    }
    Ok(all)
}

async fn metrics(url: &str) -> std::io::Result<String> {
    let host = url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
