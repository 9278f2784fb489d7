//! Run a network for a while with load and faults, let it heal, and check it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kumiki_testkit::Random;

use crate::{Load, Net, Promise, check, opening};

/// Time in which a healed network must go on.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// Nothing.
    None,
    /// A random node gets `kill -9` and is started again.
    Kill,
    /// One of: kill, pause, partition.
    All,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Validators.
    pub validators: usize,
    /// Nodes without a seat.
    pub full_nodes: usize,
    /// How long load and faults go on.
    pub duration: Duration,
    /// Time between two faults.
    pub interval: Duration,
    /// What goes wrong.
    pub faults: Faults,
    /// What the faults are drawn from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Transactions that were acknowledged.
    pub acknowledged: usize,
    /// Faults.
    pub faults: u32,
    /// Promises that were broken.
    pub broken: Vec<Promise>,
    /// From the last healing to the next block on every node.
    pub healed_in: Duration,
}

/// Runs a plan.
///
/// # Errors
/// When the network cannot be started, driven or read.
pub async fn run(plan: &Plan) -> Result<Report, String> {
    let net = Arc::new(Net::start(plan.validators, plan.full_nodes, &[])?);
    let opening = opening(&net).await?;
    let load = Load::start(&net, plan.seed);
    let mut random = Random::new(plan.seed);
    let end = Instant::now() + plan.duration;
    let mut faults = 0;
    while Instant::now() < end {
        tokio::time::sleep(plan.interval).await;
        if plan.faults != Faults::None {
            let net = Arc::clone(&net);
            let (kind, node) = (random.below(3), random.below(plan.validators));
            let all = plan.faults == Faults::All;
            // The program waits for processes; clients go on meanwhile.
            let done = tokio::task::spawn_blocking(move || break_something(&net, all, kind, node));
            done.await.map_err(|error| error.to_string())??;
            faults += 1;
        }
    }
    let healing = Instant::now();
    heal(&net)?;
    progress(&net).await?;
    let healed_in = healing.elapsed();
    let told = load.finish().await;
    let broken = check(&net, opening, &told).await?;
    Ok(Report {
        acknowledged: told.transactions.len(),
        faults,
        broken,
        healed_in,
    })
}

fn break_something(net: &Net, all: bool, kind: usize, node: usize) -> Result<(), String> {
    let name = node.to_string();
    match (all, kind) {
        (true, 1) => {
            net.localnet(&["fault", "pause", &name])?;
            std::thread::sleep(Duration::from_secs(3));
            net.localnet(&["fault", "resume", &name])?;
        }
        (true, 2) => {
            let others: Vec<String> = (0..net.rpc.len())
                .filter(|other| *other != node)
                .map(|other| other.to_string())
                .collect();
            net.localnet(&["fault", "partition", &name, &others.join(",")])?;
            std::thread::sleep(Duration::from_secs(3));
            net.localnet(&["fault", "heal"])?;
        }
        _ => {
            net.localnet(&["fault", "restart", &name])?;
        }
    }
    Ok(())
}

fn heal(net: &Net) -> Result<(), String> {
    net.localnet(&["fault", "heal"])?;
    for node in 0..net.rpc.len() {
        net.localnet(&["fault", "resume", &node.to_string()])?;
    }
    Ok(())
}

/// Waits until every node has a block that none had.
async fn progress(net: &Net) -> Result<(), String> {
    let mut highest = 0;
    for node in 0..net.rpc.len() {
        let client = net.client_soon(node).await?;
        let health = client.health().await.map_err(|error| error.to_string())?;
        highest = highest.max(health.height);
    }
    let end = Instant::now() + HEALED_WITHIN;
    for node in 0..net.rpc.len() {
        loop {
            let client = net.client_soon(node).await?;
            let height = client.health().await.map_or(0, |health| health.height);
            if height > highest {
                break;
            }
            if Instant::now() >= end {
                return Err(format!(
                    "node {node} stays at {height} after healing, others had {highest}; {}",
                    net.log_end(node)
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
