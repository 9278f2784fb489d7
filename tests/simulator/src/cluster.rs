//! Run the nodes of a scenario with its load and faults, heal everything, and check.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use commonware_p2p::simulated::{self, Network};
use commonware_runtime::{Clock as _, Runner as _, Supervisor as _, deterministic};
use commonware_utils::ordered::Set;
use kumiki_consensus::simplex::{PeerKey, message_bytes_max};
use kumiki_protocol::{
    ChainKind, Genesis, Height, SecretKey, Status, Transaction, TransactionHash,
};
use kumiki_storage::Storage;
use kumiki_testkit::{Random, genesis, validator};

use crate::alarm::Alarm;
use crate::checker::{self, Found};
use crate::load::Load;
use crate::node::{Machine, Running, World};
use crate::scenario::{Scenario, random};
use crate::seats;
use crate::villain::{self, Loose, Villain};
use crate::wiretap::Wiretap;

mod faults;

/// Simulated time between two looks at the network.
const STEP: Duration = Duration::from_millis(50);
/// Blocks that a healed network must decide, and how long it may take.
const BLOCKS_AFTER_HEALING: Height = 5;
const HEALED_WITHIN: Duration = Duration::from_secs(60);
/// What the chain logs as an error of a validator, and what a node logs of its own old journal.
const VOTED_TWICE: &str = "a validator voted twice";
const OLD_JOURNAL: &str = "others have heard votes of this node's key";

/// What a simulation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// A hash over everything that happened: equal for equal seeds.
    pub trace: String,
    /// The height that every node has.
    pub height: Height,
    /// Transactions that were acknowledged.
    pub acknowledged: usize,
    /// How often a node was killed.
    pub crashes: u32,
    /// How often the network was cut.
    pub cuts: u32,
    /// Validators that were seen to vote twice, by position.
    pub accused: BTreeSet<usize>,
    /// How often a node took a seat.
    pub seats_taken: usize,
    /// What broke a promise; empty in a sound network.
    pub broken: Vec<String>,
}

/// Runs `scenario`. The same scenario gives the same outcome on every machine.
#[must_use]
pub fn simulate(scenario: &Scenario) -> Outcome {
    let config = deterministic::Config::new()
        .with_seed(scenario.seed)
        .with_timeout(Some(scenario.duration + HEALED_WITHIN * 4));
    let scenario = *scenario;
    let alarm = Alarm::default();
    let heard = alarm.clone();
    let mut outcome = tracing::subscriber::with_default(alarm, || {
        let runner = deterministic::Runner::new(config);
        runner.start(|env| async move { Cluster::run(env, scenario).await })
    });
    let alarming = heard.take().into_iter();
    let alarming = alarming.filter(|error| !is_expected(scenario.villain, error));
    outcome
        .broken
        .extend(alarming.map(|error| format!("an error was logged: {error}")));
    outcome
}

/// Whether an honest node has to log this error.
fn is_expected(villain: Option<Villain>, error: &str) -> bool {
    let of_villain = error.contains(&validator(0).public_key().to_string());
    match villain {
        None => false,
        // Each twin hears of what the other has voted.
        Some(Villain::Twins) if error.contains(OLD_JOURNAL) => true,
        Some(_) => error.contains(VOTED_TWICE) && of_villain,
    }
}

struct Cluster {
    world: World,
    scenario: Scenario,
    machines: Vec<Machine>,
    /// What the first validator does where it is no honest one.
    villain: Option<Loose>,
    running: Vec<Option<Running>>,
    /// When a killed node starts again.
    restarts: Vec<Option<Duration>>,
    /// Directed links that are cut, and when they heal.
    cut: BTreeSet<(usize, usize)>,
    heals_at: Option<Duration>,
    load: Load,
    random: Random,
    elapsed: Duration,
    crashes: u32,
    cuts: u32,
    accused: BTreeSet<usize>,
    /// The highest block that each node has had stored, over restarts.
    shown: Vec<Height>,
    broken: Vec<String>,
}

fn scenario_genesis(scenario: &Scenario) -> (Genesis, Vec<SecretKey>) {
    let keys: Vec<SecretKey> = (0..scenario.validators).map(validator).collect();
    let mut genesis = genesis();
    genesis.kind = ChainKind::Live;
    genesis.chain_id = "kumiki-simulated".to_owned();
    genesis.time_ms = 0;
    genesis.validators = keys.iter().map(SecretKey::public_key).collect();
    genesis.parameters.execution_lag = scenario.execution_lag;
    genesis.parameters.epoch_blocks = scenario.epoch_blocks;
    genesis.parameters.block_bytes_max = 1 << 20;
    (genesis, keys)
}

impl Cluster {
    async fn run(env: deterministic::Context, scenario: Scenario) -> Outcome {
        let (genesis, keys) = scenario_genesis(&scenario);
        let genesis = Arc::new(genesis);
        let observers = (0..scenario.observers).map(|number| validator(100 + number));
        let machines: Vec<Machine> = keys
            .into_iter()
            .chain(observers)
            .enumerate()
            .map(|(index, key)| Machine::new(index, key, Arc::clone(&genesis)))
            .collect();
        let peers: Vec<PeerKey> = machines.iter().map(Machine::peer).collect();
        let bytes = u32::try_from(message_bytes_max(&genesis)).unwrap_or(u32::MAX);
        let config = simulated::Config {
            max_size: bytes.saturating_add(1_024),
            max_peers_per_set: NonZeroUsize::new(peers.len()).expect("there are validators"),
            disconnect_on_block: true,
            tracked_peer_sets: NonZeroUsize::new(4).expect("not zero"),
        };
        let (network, oracle) =
            Network::new_with_peers(env.child("network"), config, peers.clone()).await;
        network.start();
        let mut cluster = Self {
            running: machines.iter().map(|_| None).collect(),
            restarts: vec![None; machines.len()],
            machines,
            villain: None,
            cut: BTreeSet::new(),
            heals_at: None,
            load: Load::new((*genesis).clone()),
            random: random(scenario.seed.rotate_left(17)),
            elapsed: Duration::ZERO,
            crashes: 0,
            cuts: 0,
            accused: BTreeSet::new(),
            shown: vec![0; peers.len()],
            broken: Vec::new(),
            world: World {
                env,
                oracle,
                everybody: Set::from_iter_dedup(peers.iter().cloned()),
                wiretap: Wiretap::default(),
            },
            scenario,
        };
        cluster.connect_all().await;
        if let Some(villain) = scenario.villain {
            let loose = villain::start(villain, &cluster.machines[0], &cluster.world).await;
            cluster.villain = Some(loose);
        }
        for index in cluster.honest() {
            cluster.start(index).await;
        }
        while cluster.elapsed < cluster.scenario.duration {
            cluster.step(true).await;
        }
        cluster.finish().await
    }

    /// The nodes that keep the rules.
    fn honest(&self) -> std::ops::Range<usize> {
        usize::from(self.scenario.villain.is_some())..self.machines.len()
    }

    async fn start(&mut self, index: usize) {
        let slowness = Duration::from_millis(2);
        let started = self.machines[index].start(&self.world, slowness);
        let running = started.await;
        self.note_tip(index, &running.storage);
        self.running[index] = Some(running);
        self.restarts[index] = None;
    }

    /// Whoever has seen a block on a node must find it there again.
    fn note_tip(&mut self, index: usize, storage: &Storage) {
        let height = storage.tip().map_or(0, |tip| tip.height);
        let shown = self.shown[index];
        if height < shown {
            self.broken.push(format!(
                "node {index} had block {shown} and goes back to {height}"
            ));
        }
        self.shown[index] = height.max(shown);
    }

    async fn step(&mut self, faults: bool) {
        self.world.env.sleep(STEP).await;
        self.elapsed += STEP;
        self.bury_the_dead().await;
        if faults {
            self.hand_in();
        }
        self.collect();
        self.restart_due().await;
        if self.heals_at.is_some_and(|at| at <= self.elapsed) {
            self.heal().await;
        }
        if faults {
            self.crash_sometimes().await;
            self.cut_sometimes().await;
        }
    }

    /// Hands new transactions and those that are not acknowledged yet to all nodes, as gossip would.
    fn hand_in(&mut self) {
        let per_step = f64::from(self.scenario.transactions_per_second) * STEP.as_secs_f64();
        let mut wanted = per_step;
        let mut batch = Vec::new();
        while wanted >= 1.0 || (wanted > 0.0 && self.random.below(1_000) < to_per_mille(wanted)) {
            wanted -= 1.0;
            batch.extend(self.load.next(&mut self.random));
        }
        if self.scenario.seats_change && self.random.one_in(5) {
            batch.extend(self.move_a_seat());
        }
        if self.random.one_in(20) {
            batch.extend(self.load.open());
        }
        self.submit(batch);
    }

    /// Lets a node that had no seat at genesis do the next thing about it.
    fn move_a_seat(&mut self) -> Option<Transaction> {
        let seats = usize::from(self.scenario.validators);
        let observer = seats + self.random.below(self.machines.len() - seats);
        let machine = &self.machines[observer];
        let owner = self.load.idle_owner()?;
        let mut machines = self.running.iter().zip(&self.machines);
        let asked =
            machines.find_map(|(node, on)| node.as_ref().filter(|_| !on.disk.has_failed()))?;
        let call = seats::next_call(&machine.genesis, &machine.key, owner, &asked.storage)?;
        Some(self.load.call(&call))
    }

    fn submit(&self, mut batch: Vec<Transaction>) {
        batch.sort_by_key(|transaction| transaction.body.nonce);
        let honest = self.running.iter().flatten().map(|one| &one.mempool);
        let others = self.villain.iter().flat_map(Loose::mempools);
        for mempool in honest.chain(others) {
            for transaction in &batch {
                // One that is in a block already is refused, which is as well.
                drop(mempool.admit_here(transaction.clone()));
            }
        }
    }

    /// Hears whom the nodes accuse of voting twice.
    fn hear_accusations(&mut self) {
        let mut reports = Vec::new();
        for running in self.running.iter_mut().flatten() {
            while let Ok(evidence) = running.evidence.try_recv() {
                let mut machines = self.machines.iter();
                let accused =
                    machines.position(|machine| machine.key.public_key() == evidence.validator);
                self.accused.extend(accused);
                reports.extend(self.load.report(evidence));
            }
        }
        self.submit(reports);
    }

    /// Takes a transaction as acknowledged where any node has it stored.
    fn collect(&mut self) {
        self.hear_accusations();
        for (index, running) in self.running.iter().enumerate() {
            let Some(storage) = running.as_ref().map(|one| &one.storage) else {
                continue;
            };
            if self.machines[index].disk.has_failed() {
                continue;
            }
            let hashes = self.load.open().map(|transaction| transaction.hash());
            let found = hashes.filter_map(|hash| Some((hash, happened_at(storage, &hash)?)));
            for (hash, height) in found.collect::<Vec<_>>() {
                self.load.acknowledge(hash, height);
            }
        }
        for index in self.honest() {
            if let Some(running) = &self.running[index] {
                let storage = Arc::clone(&running.storage);
                self.note_tip(index, &storage);
            }
        }
    }

    /// Heals the network, starts every node, waits until all have gone on together and nothing is open any more, and
    /// checks what they have.
    async fn finish(mut self) -> Outcome {
        self.heal().await;
        self.bury_the_dead().await;
        for index in self.honest() {
            self.machines[index].disk.fail_after(u64::MAX);
            if self.running[index].is_none() {
                self.start(index).await;
            }
        }
        // For the last time: from now on it is the nodes' to keep them.
        self.submit(self.load.open().collect());
        let highest = self.heights().into_iter().max().unwrap_or(0);
        let goal = highest + BLOCKS_AFTER_HEALING;
        let deadline = self.elapsed + HEALED_WITHIN;
        while self.heights().iter().any(|height| *height < goal) || self.load.open().count() > 0 {
            if self.elapsed >= deadline {
                self.broken.push(format!(
                    "after healing, heights stay at {:?}, the goal is {goal}; {} transactions are not acknowledged",
                    self.heights(),
                    self.load.open().count()
                ));
                break;
            }
            self.step(false).await;
        }
        self.judge()
    }

    /// What everything came to.
    fn judge(mut self) -> Outcome {
        let mut broken = std::mem::take(&mut self.broken);
        broken.extend(self.world.wiretap.take());
        let honest = self.honest();
        let innocent = self.accused.iter().filter(|one| honest.contains(one));
        broken.extend(innocent.map(|one| format!("honest validator {one} voted twice")));
        let stores: Vec<_> = self
            .running
            .iter()
            .flatten()
            .map(|one| &one.storage)
            .collect();
        let Found {
            height,
            broken: found,
        } = checker::check(&stores, &self.load);
        broken.extend(found);
        Outcome {
            trace: self.world.env.auditor().state(),
            height,
            acknowledged: self.load.acknowledged.len(),
            crashes: self.crashes,
            cuts: self.cuts,
            accused: self.accused,
            seats_taken: seats::taken(&self.machines[0].genesis, stores[0]),
            broken,
        }
    }

    fn heights(&self) -> Vec<Height> {
        let tips = self.running[self.honest()].iter().map(|running| {
            let tip = running.as_ref().and_then(|one| one.storage.tip());
            tip.map_or(0, |tip| tip.height)
        });
        tips.collect()
    }
}

/// Where the transaction was executed, in a running node's store.
fn happened_at(storage: &Storage, hash: &TransactionHash) -> Option<Height> {
    let location = storage.transaction_location(hash);
    let (height, index) = location.expect("a running node's store is sound")?;
    let receipt = storage.receipt(height, index);
    let receipt = receipt.expect("a running node's store is sound")?;
    (!matches!(receipt.status, Status::Rejected(_))).then_some(height)
}

fn to_per_mille(part: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the part is between 0 and 1"
    )]
    let per_mille = (part.clamp(0.0, 1.0) * 1_000.0) as usize;
    per_mille
}
