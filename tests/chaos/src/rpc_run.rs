//! Attack the RPC of a validator, one attack after the other with quiet in between, and measure what it costs.

mod attackers;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kumiki_client::Client;
use kumiki_protocol::Height;

use crate::rpc_attack::{Attack, Outcomes, Target, lay_bait};
use crate::{Honest, Net, Process, Promise, check, opening};
use attackers::Attackers;

const NODES: usize = 4;
/// The one that is attacked.
const ATTACKED: usize = 0;
/// Looks at what must happen; a busy machine stretches them.
const LOOKS: u32 = 1_200;
const LOOK: Duration = Duration::from_millis(50);
/// Sockets that honest callers open and close meanwhile.
const SOCKETS_SLACK: usize = 16;

/// What to run.
#[derive(Clone, Debug)]
pub struct RpcPlan {
    /// Which attacks, in this order.
    pub attacks: Vec<&'static Attack>,
    /// How long each, at least.
    pub window: Duration,
    /// How long the quiet before each.
    pub quiet: Duration,
    /// The node that honest transactions go through: the attacked one is 0.
    pub through: usize,
    /// What a node's memory may grow by above where it was at first.
    pub growth_kib_max: u64,
    /// The program of this crate, which runs the attackers apart, at the lowest priority.
    pub program: PathBuf,
}

/// What was seen for a while.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How long.
    pub seconds: f64,
    /// Blocks that the network made.
    pub blocks: u64,
    /// Honest transactions that became final.
    pub transactions: u64,
    /// 99 of 100 honest transactions were final within this, in milliseconds.
    pub p99_ms: f64,
    /// Honest reads that the attacked node answered.
    pub reads: usize,
    /// Processor time of the attacked node.
    pub processor_seconds: f64,
}

/// What one attack came to.
#[derive(Clone, Debug)]
pub struct RpcRow {
    /// Its name.
    pub name: &'static str,
    /// Before it.
    pub before: Window,
    /// While it went on.
    pub under: Window,
    /// The attacked node's memory before, and the most while it went on, in KiB.
    pub memory_kib: (u64, u64),
    /// The attacked node's open sockets before, the most while it went on, and soon after.
    pub sockets: (usize, usize, usize),
    /// What the node did to the attackers.
    pub outcomes: Outcomes,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct RpcReport {
    /// One for each attack.
    pub rows: Vec<RpcRow>,
    /// Honest transactions that were acknowledged.
    pub acknowledged: usize,
    /// Tries of honest callers that came to nothing and were made again.
    pub failures: std::collections::BTreeMap<String, u64>,
    /// Promises that were broken.
    pub broken: Vec<Promise>,
}

/// Runs a plan.
///
/// # Errors
/// When the network cannot be started or read, or does not go on.
pub async fn attack_rpc(plan: &RpcPlan) -> Result<RpcReport, String> {
    let net = Net::start(NODES, 0, &[])?;
    let opening = opening(&net).await?;
    let target = lay_bait(&net, ATTACKED).await?;
    let honest = Honest::start(&net, plan.through);
    net.higher_than(target.height + 2, ATTACKED, LOOKS).await?;
    let process = Process::of(&net, ATTACKED)?;
    let first_kib = process.memory_kib()?;
    let mut watchers = Vec::new();
    for node in 0..NODES {
        watchers.push(net.client_soon(node).await?);
    }
    let run = Run {
        net: &net,
        honest: &honest,
        process,
        watchers,
    };
    let mut report = RpcReport {
        rows: Vec::new(),
        acknowledged: 0,
        failures: std::collections::BTreeMap::new(),
        broken: Vec::new(),
    };
    for attack in &plan.attacks {
        let row = run.row(plan, attack, &target).await?;
        println!("{row}");
        report.broken.extend(broken_by(&row, attack));
        let most = row.memory_kib.1;
        if most > first_kib + plan.growth_kib_max {
            let promise = format!("{}: {first_kib} KiB at first, then {most}", attack.name);
            report.broken.push(promise);
        }
        report.rows.push(row);
    }
    let seen = honest.finish().await;
    report.acknowledged = seen.told.transactions.len();
    report.failures = seen.failures;
    report
        .broken
        .extend(check(&net, opening, &seen.told).await?);
    Ok(report)
}

/// What a node did that it may not, or did not do that it must.
fn broken_by(row: &RpcRow, attack: &Attack) -> Vec<Promise> {
    let odd = row
        .outcomes
        .keys()
        .filter(|what| !attack.allowed.contains(&what.as_str()));
    let odd = odd.map(|what| format!("{}: the node did this: {what}", attack.name));
    let missing = attack
        .expected
        .iter()
        .filter(|what| !row.outcomes.contains_key(**what));
    let missing = missing.map(|what| format!("{}: the node never did {what}", attack.name));
    let open = row.sockets.2 > row.sockets.0 + SOCKETS_SLACK;
    let open = open.then(|| format!("{}: sockets stay open, {:?}", attack.name, row.sockets));
    odd.chain(missing).chain(open).collect()
}

/// What a row is made with.
struct Run<'a> {
    net: &'a Net,
    honest: &'a Honest,
    process: Process,
    /// One for each node, kept: a new one for each look would take places that others are to have.
    watchers: Vec<Client>,
}

/// Where a window began.
struct Beginning {
    at: Instant,
    height: Height,
    processor_seconds: f64,
}

impl Run<'_> {
    async fn row(
        &self,
        plan: &RpcPlan,
        attack: &'static Attack,
        target: &Target,
    ) -> Result<RpcRow, String> {
        let beginning = self.begin().await?;
        tokio::time::sleep(plan.quiet).await;
        let before = self.end(&beginning).await?;
        let (memory, sockets) = (self.process.memory_kib()?, self.process.sockets()?);
        let mut attackers = Attackers::start(&plan.program, attack, target)?;
        let (most, watching) = watch(self.process);
        let beginning = self.begin().await?;
        let (shown, ()) = tokio::join!(attackers.shown(), tokio::time::sleep(plan.window));
        // What must go on does, however slow the machine is.
        let goes_on = self.goes_on(&beginning).await;
        let under = self.end(&beginning).await?;
        watching.abort();
        let outcomes = attackers.stop().await?;
        shown?;
        goes_on.map_err(|error| format!("under {}: {error}", attack.name))?;
        let sockets_max = usize::try_from(most.sockets.load(Ordering::Relaxed)).unwrap_or(0);
        Ok(RpcRow {
            name: attack.name,
            before,
            under,
            memory_kib: (memory, most.memory_kib.load(Ordering::Relaxed)),
            sockets: (sockets, sockets_max, self.sockets_after(sockets).await?),
            outcomes,
        })
    }

    async fn begin(&self) -> Result<Beginning, String> {
        Ok(Beginning {
            height: self.height().await?,
            processor_seconds: self.process.processor_seconds()?,
            at: Instant::now(),
        })
    }

    async fn end(&self, beginning: &Beginning) -> Result<Window, String> {
        let seconds = beginning.at.elapsed().as_secs_f64();
        let height = self.height().await?;
        let (transactions, mut waits, reads) = self.honest.since(beginning.at, ATTACKED);
        waits.sort_unstable();
        let index = (waits.len() * 99).div_ceil(100).saturating_sub(1);
        let p99 = waits.get(index).map_or(f64::NAN, Duration::as_secs_f64);
        Ok(Window {
            seconds,
            blocks: height.saturating_sub(beginning.height),
            transactions,
            p99_ms: p99 * 1_000.0,
            reads,
            processor_seconds: self.process.processor_seconds()? - beginning.processor_seconds,
        })
    }

    /// The height of a node that is not attacked.
    async fn height(&self) -> Result<Height, String> {
        self.above(0, ATTACKED + 1).await
    }

    /// The height of a node, once it is above `height`.
    async fn above(&self, height: Height, node: usize) -> Result<Height, String> {
        let mut last = String::new();
        for _ in 0..LOOKS {
            let health = self
                .watchers
                .get(node)
                .ok_or("no such node")?
                .health()
                .await;
            match health {
                Ok(health) if health.height > height => return Ok(health.height),
                Ok(health) => last = health.height.to_string(),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(LOOK).await;
        }
        let log = self.net.log_end(node);
        Err(format!(
            "node {node} should be above {height}: {last}; {log}"
        ))
    }

    /// Waits until all nodes have new blocks, honest transactions are final and honest reads answered.
    async fn goes_on(&self, beginning: &Beginning) -> Result<(), String> {
        for node in 0..NODES {
            self.above(beginning.height + 2, node).await?;
        }
        // Somebody who was not there before finds a place too.
        self.net.client_soon(ATTACKED).await?;
        let mut seen = (0, 0);
        for _ in 0..LOOKS {
            let (transactions, _, reads) = self.honest.since(beginning.at, ATTACKED);
            seen = (transactions, reads);
            if transactions > 0 && reads > 2 {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        let (transactions, reads) = seen;
        Err(format!(
            "{transactions} honest transactions, {reads} honest reads; {}",
            self.net.log_end(ATTACKED)
        ))
    }

    /// Open sockets of the node once they are about as many as before, or after long waiting.
    async fn sockets_after(&self, before: usize) -> Result<usize, String> {
        let mut sockets = 0;
        for _ in 0..LOOKS {
            sockets = self.process.sockets()?;
            if sockets <= before + SOCKETS_SLACK {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(sockets)
    }
}

#[derive(Debug, Default)]
struct Most {
    memory_kib: AtomicU64,
    sockets: AtomicU64,
}

/// Looks at a process until it is aborted, and keeps the most of what it had.
fn watch(process: Process) -> (Arc<Most>, tokio::task::JoinHandle<()>) {
    let most: Arc<Most> = Arc::default();
    let seen = Arc::clone(&most);
    let watching = tokio::spawn(async move {
        loop {
            // A node that is gone shows in that it does not go on.
            let memory = process.memory_kib().unwrap_or(0);
            seen.memory_kib.fetch_max(memory, Ordering::Relaxed);
            let sockets = u64::try_from(process.sockets().unwrap_or(0)).unwrap_or(0);
            seen.sockets.fetch_max(sockets, Ordering::Relaxed);
            tokio::time::sleep(LOOK).await;
        }
    });
    (most, watching)
}

impl Window {
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds
    }
}

impl RpcRow {
    /// The pace of blocks under the attack, of the pace before.
    #[must_use]
    pub fn pace(&self) -> f64 {
        self.under.per_second(self.under.blocks) / self.before.per_second(self.before.blocks)
    }
}

impl fmt::Display for RpcRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, under) = (&self.before, &self.under);
        write!(
            f,
            "| {} | {:.0}, {:.0} | {:.0}, {:.0} | {:.2}, {:.2}: {:.0} % | {:.0}, {:.0} % | {}, {} MiB | {}, {}, {} | {} |",
            self.name,
            before.per_second(before.transactions),
            under.per_second(under.transactions),
            before.p99_ms,
            under.p99_ms,
            before.per_second(before.blocks),
            under.per_second(under.blocks),
            self.pace() * 100.0,
            100.0 * before.processor_seconds / before.seconds,
            100.0 * under.processor_seconds / under.seconds,
            self.memory_kib.0 >> 10,
            self.memory_kib.1 >> 10,
            self.sockets.0,
            self.sockets.1,
            self.sockets.2,
            self.outcomes
                .iter()
                .map(|(what, count)| format!("{count} {what}"))
                .collect::<Vec<_>>()
                .join(", "),
        )
    }
}
