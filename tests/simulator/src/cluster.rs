//! Run the nodes of a scenario with its load and faults, heal everything, and check.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use commonware_p2p::simulated::{self, Link, Network};
use commonware_runtime::{Clock as _, Runner as _, Supervisor as _, deterministic};
use commonware_utils::Probability;
use commonware_utils::ordered::Set;
use kumiki_consensus::simplex::{PeerKey, message_bytes_max};
use kumiki_protocol::{ChainKind, Genesis, Height, SecretKey};
use kumiki_testkit::{Random, genesis, validator};

use crate::checker::{self, Found};
use crate::load::Load;
use crate::node::{Machine, Running, World};
use crate::scenario::{Scenario, random};
use crate::villain::{self, Loose};

/// Simulated time between two looks at the network.
const STEP: Duration = Duration::from_millis(50);
/// Blocks that a healed network must decide, and how long it may take.
const BLOCKS_AFTER_HEALING: Height = 5;
const HEALED_WITHIN: Duration = Duration::from_secs(60);

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
    deterministic::Runner::new(config).start(|env| async move { Cluster::run(env, scenario).await })
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
            world: World {
                env,
                oracle,
                everybody: Set::from_iter_dedup(peers.iter().cloned()),
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
        self.running[index] = Some(started.await);
        self.restarts[index] = None;
    }

    async fn step(&mut self, faults: bool) {
        self.world.env.sleep(STEP).await;
        self.elapsed += STEP;
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
        if self.random.one_in(20) {
            batch.extend(
                self.load
                    .open
                    .values()
                    .map(|(_, transaction)| transaction.clone()),
            );
        }
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
        for running in self.running.iter_mut().flatten() {
            while let Ok(evidence) = running.evidence.try_recv() {
                let mut machines = self.machines.iter();
                let accused =
                    machines.position(|machine| machine.key.public_key() == evidence.validator);
                self.accused.extend(accused);
            }
        }
    }

    /// Takes a transaction as acknowledged where any node has it stored.
    fn collect(&mut self) {
        self.hear_accusations();
        for running in self.running.iter().flatten() {
            let found: Vec<_> = self
                .load
                .open
                .keys()
                .filter_map(|hash| {
                    let location = running.storage.transaction_location(hash);
                    Some((*hash, location.expect("a running node's store is sound")?.0))
                })
                .collect();
            for (hash, height) in found {
                self.load.acknowledge(hash, height);
            }
        }
    }

    async fn restart_due(&mut self) {
        for index in self.honest() {
            if self.restarts[index].is_some_and(|at| at <= self.elapsed) {
                self.start(index).await;
            }
        }
    }

    async fn crash_sometimes(&mut self) {
        if !self.scenario.faults.crashes || !self.random.one_in(40) {
            return;
        }
        let index = self.random.below(self.machines.len());
        let Some(running) = self.running[index].take() else {
            return;
        };
        running.kill().await;
        self.crashes += 1;
        if self.scenario.faults.power_losses && self.random.one_in(2) {
            let random = &mut self.random;
            let disk = &self.machines[index].disk;
            disk.restart(&mut |bound| random.below(bound));
            self.machines[index].journals.lose_power(random);
        }
        let pause = Duration::from_millis(u64::try_from(self.random.below(3_000)).unwrap_or(0));
        self.restarts[index] = Some(self.elapsed + pause);
    }

    async fn cut_sometimes(&mut self) {
        let faults = self.scenario.faults;
        if self.heals_at.is_some() || !self.random.one_in(60) {
            return;
        }
        let count = self.machines.len();
        let mut cut = BTreeSet::new();
        if faults.partitions && self.random.one_in(2) {
            let side: Vec<bool> = (0..count).map(|_| self.random.one_in(2)).collect();
            for from in 0..count {
                cut.extend(
                    (0..count)
                        .filter(|to| side[from] != side[*to])
                        .map(|to| (from, to)),
                );
            }
        } else if faults.one_way {
            let from = self.random.below(count);
            let to = (from + 1 + self.random.below(count - 1)) % count;
            cut.insert((from, to));
        }
        if cut.is_empty() {
            return;
        }
        for (from, to) in &cut {
            let ends = (self.machines[*from].peer(), self.machines[*to].peer());
            let removed = self.world.oracle.remove_link(ends.0, ends.1).await;
            removed.expect("a link that was there can be removed");
        }
        self.cut = cut;
        self.cuts += 1;
        let pause =
            Duration::from_millis(u64::try_from(500 + self.random.below(4_000)).unwrap_or(0));
        self.heals_at = Some(self.elapsed + pause);
    }

    async fn heal(&mut self) {
        for (from, to) in std::mem::take(&mut self.cut) {
            self.connect(from, to).await;
        }
        self.heals_at = None;
    }

    async fn connect_all(&self) {
        let count = self.machines.len();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                self.connect(from, to).await;
            }
        }
    }

    async fn connect(&self, from: usize, to: usize) {
        let lost = u64::from(self.scenario.faults.lost_per_mille);
        let link = Link {
            latency: self.scenario.latency,
            jitter: self.scenario.jitter,
            success_rate: Probability::new(1_000 - lost.min(999), 1_000)
                .expect("a part of a thousand is a probability"),
        };
        let ends = (self.machines[from].peer(), self.machines[to].peer());
        let added = self.world.oracle.add_link(ends.0, ends.1, link).await;
        added.expect("a link that was not there can be added");
    }

    /// Heals the network, starts every node, waits until all have gone on together, and checks what they have.
    async fn finish(mut self) -> Outcome {
        self.heal().await;
        for index in self.honest() {
            if self.running[index].is_none() {
                self.start(index).await;
            }
        }
        let highest = self.heights().into_iter().max().unwrap_or(0);
        let goal = highest + BLOCKS_AFTER_HEALING;
        let deadline = self.elapsed + HEALED_WITHIN;
        let mut broken = Vec::new();
        while self.heights().iter().any(|height| *height < goal) {
            if self.elapsed >= deadline {
                let heights = self.heights();
                broken.push(format!(
                    "after healing, heights stay at {heights:?}, the goal is {goal}"
                ));
                break;
            }
            self.hand_in();
            self.step(false).await;
        }
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
        } = checker::check(&stores, &self.load.acknowledged);
        broken.extend(found);
        Outcome {
            trace: self.world.env.auditor().state(),
            height,
            acknowledged: self.load.acknowledged.len(),
            crashes: self.crashes,
            cuts: self.cuts,
            accused: self.accused,
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

fn to_per_mille(part: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the part is between 0 and 1"
    )]
    let per_mille = (part.clamp(0.0, 1.0) * 1_000.0) as usize;
    per_mille
}
