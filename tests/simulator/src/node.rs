//! Put a node together as `node/node` does, on the simulated runtime, network and disk.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use commonware_actor::Feedback;
use commonware_p2p::simulated::{self, Oracle};
use commonware_p2p::{Manager, PeerSetSubscription, Provider, Receiver, Sender, TrackedPeers};
use commonware_runtime::{Clock as _, Handle, Quota, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::ordered::Set;
use kumiki_consensus::Application;
use kumiki_consensus::simplex::{
    self, Beginning, Channels, Pace, PeerKey, Peers, SimplexConfig, Timeouts, peer_key,
};
use kumiki_executor::Executor;
use kumiki_mempool::{ChainHead, MempoolLimits, SharedMempool};
use kumiki_node::{
    Chain, ChainExecutor, EvidenceQueue, ExecutorParts, NodeMetrics, TaskQueue, chain_rules,
    initialise,
};
use kumiki_protocol::{Block, Genesis, SecretKey};
use kumiki_storage::{OpenCheck, SimulatedDisk, Snapshot, Storage, StorageOptions};
use kumiki_testkit::Random;
use kumiki_vm::{EngineKind, Vm, VmConfig};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::environment::NodeEnvironment;
use crate::journal_disk::JournalDisk;
use crate::scenario::random;
use crate::wiretap::{Carries, Wiretap};

/// Messages per second and peer on each channel: mailboxes have room for so many.
const QUOTA: std::num::NonZeroU32 = std::num::NonZeroU32::new(4_096).expect("not zero");

/// What outlives a crash.
#[derive(Clone)]
pub(crate) struct Machine {
    /// Different for each, also where two have one key.
    pub(crate) index: usize,
    pub(crate) key: SecretKey,
    pub(crate) genesis: Arc<Genesis>,
    /// The chain's store.
    pub(crate) disk: SimulatedDisk,
    /// The ordering engine's files.
    pub(crate) journals: JournalDisk,
}

/// A running node.
pub(crate) struct Running {
    pub(crate) storage: Arc<Storage>,
    pub(crate) mempool: Arc<SharedMempool>,
    /// Double votes that this node has seen.
    pub(crate) evidence: EvidenceQueue,
    task: Handle<()>,
}

impl Running {
    /// Stops the node where it is, as `kill -9` does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

impl Machine {
    pub(crate) fn new(index: usize, key: SecretKey, genesis: Arc<Genesis>) -> Self {
        Self {
            index,
            key,
            genesis,
            disk: SimulatedDisk::default(),
            journals: JournalDisk::default(),
        }
    }

    pub(crate) fn peer(&self) -> PeerKey {
        peer_of(&self.key)
    }

    pub(crate) fn open(&self) -> Arc<Storage> {
        let options = StorageOptions {
            check: OpenCheck::Quick,
            cache_bytes: 1 << 20,
            undo_heights: 64,
        };
        let storage = Storage::open_simulated(&self.disk, options)
            .expect("a disk that lost power opens again");
        if storage.genesis().is_none() {
            initialise(&storage, &self.genesis).expect("the test's genesis starts a chain");
        }
        Arc::new(storage)
    }

    /// Starts the node. `slowness` is the most time that one step of the executor takes.
    pub(crate) async fn start(&self, world: &World, slowness: Duration) -> Running {
        let recovered = self.journals.recover(&world.env).await;
        recovered.expect("the runtime's files can be written");
        let channels = world.channels(&self.key).await;
        let listen = |(sender, receiver), carries| {
            let heard = world.wiretap.listen(sender, self.index, carries);
            (heard, receiver)
        };
        let channels = Channels {
            votes: listen(channels.votes, Carries::Votes),
            certificates: listen(channels.certificates, Carries::Others),
            views: listen(channels.views, Carries::Others),
            proposals: listen(channels.proposals, Carries::Others),
            blocks: listen(channels.blocks, Carries::Others),
            news: listen(channels.news, Carries::Others),
        };
        self.start_on(world, slowness, channels, |chain| chain)
    }

    /// Starts the node on channels of whatever kind, its engine with what `told` makes of the chain.
    pub(crate) fn start_on<A, S, R>(
        &self,
        world: &World,
        slowness: Duration,
        channels: Channels<S, R>,
        told: impl FnOnce(Chain) -> A,
    ) -> Running
    where
        A: Application,
        S: Sender<PublicKey = PeerKey>,
        R: Receiver<PublicKey = PeerKey>,
    {
        let storage = self.open();
        let tip = storage.tip().expect("an initialised store has a tip");
        let state: Arc<Snapshot> = Arc::new(storage.snapshot().expect("the tip can be read"));
        let mempool = Arc::new(SharedMempool::new(
            MempoolLimits::STANDARD,
            chain_rules(&self.genesis),
            ChainHead {
                height: tip.height,
                state,
            },
        ));
        let (heads, _seen) = watch::channel(tip);
        let executor = ChainExecutor::open(ExecutorParts {
            storage: Arc::clone(&storage),
            executor: Arc::new(Executor::new(vm(), &self.genesis)),
            mempool: Arc::clone(&mempool),
            genesis: Arc::clone(&self.genesis),
            heads,
            metrics: NodeMetrics::register(&mut Registry::default()),
        })
        .expect("the stored chain can be gone on from");
        let (chain, tasks, evidence) = executor.chain();
        let config = self.config(&storage);
        let peers = world.peers(&self.key);
        let index = u64::try_from(self.index).unwrap_or(0);
        let pauses = Pauses {
            random: random(index),
            most: slowness,
            disk: self.disk.clone(),
        };
        let application = Arc::new(told(chain));
        let disk = self.journals.clone();
        let env = world.env.child("node").with_attribute("index", self.index);
        let task = env.spawn(move |env| async move {
            env.child("executor")
                .spawn(move |env| execute(env, executor, tasks, pauses));
            let (_stop, stopped) = watch::channel(false);
            let env = NodeEnvironment {
                inner: env.child("ordering"),
                disk,
            };
            simplex::run(env, config, application, peers, channels, stopped).await;
        });
        Running {
            storage,
            mempool,
            evidence,
            task,
        }
    }

    fn config(&self, storage: &Storage) -> SimplexConfig {
        let heartbeat = Duration::from_millis(1_000);
        let genesis_block: Block = storage
            .block(0)
            .expect("genesis can be read")
            .expect("genesis is stored");
        SimplexConfig {
            key: self.key.clone(),
            genesis: Arc::clone(&self.genesis),
            beginning: Beginning::Genesis(Arc::new(genesis_block)),
            pace: Pace {
                block_time: Duration::ZERO,
                heartbeat,
            },
            timeouts: Timeouts::for_heartbeat(heartbeat),
            partition_prefix: format!("{}-", self.index),
            keeps_up: tokio::sync::watch::Sender::new(false),
        }
    }
}

/// How long the steps of an executor take.
struct Pauses {
    random: Random,
    most: Duration,
    /// Where what is executed is stored.
    disk: SimulatedDisk,
}

/// Does an executor's work as its thread does, each step after a pause.
#[expect(clippy::panic, reason = "a node that must stop ends the simulation")]
async fn execute(
    env: deterministic::Context,
    mut executor: ChainExecutor,
    mut tasks: TaskQueue,
    mut pauses: Pauses,
) {
    loop {
        let most = usize::try_from(pauses.most.as_micros()).unwrap_or(1);
        let micros = u64::try_from(pauses.random.below(most)).unwrap_or(0);
        env.sleep(Duration::from_micros(micros)).await;
        match executor.run_next(&mut tasks).await {
            Ok(true) => {}
            Ok(false) => return,
            // Nobody is there any more to be told.
            Err(_fatal) if pauses.disk.has_failed() => return,
            // With this the node is at its end, and so is the simulation.
            Err(fatal) => panic!("a node stopped: {fatal}"),
        }
    }
}

pub(crate) type SimSender = simulated::Sender<PeerKey, deterministic::Context>;
pub(crate) type SimReceiver = simulated::Receiver<PeerKey>;

/// What all nodes live in.
pub(crate) struct World {
    pub(crate) env: deterministic::Context,
    pub(crate) oracle: Oracle<PeerKey, deterministic::Context>,
    pub(crate) everybody: Set<PeerKey>,
    /// Hears what honest nodes vote.
    pub(crate) wiretap: Wiretap,
}

impl World {
    /// The channels of the node with this key.
    pub(crate) async fn channels(&self, key: &SecretKey) -> Channels<SimSender, SimReceiver> {
        let control = self.oracle.control(peer_of(key));
        let quota = Quota::per_second(QUOTA);
        let mut opened = Vec::new();
        for channel in 0..6 {
            let ends = control.register(channel, quota).await;
            opened.push(ends.expect("the simulated network has the channel"));
        }
        let mut next = opened.into_iter();
        let mut take = || next.next().expect("six channels were opened");
        Channels {
            votes: take(),
            certificates: take(),
            views: take(),
            proposals: take(),
            blocks: take(),
            news: take(),
        }
    }

    fn peers(
        &self,
        key: &SecretKey,
    ) -> Peers<WithObservers, simulated::Control<PeerKey, deterministic::Context>> {
        Peers {
            manager: WithObservers {
                manager: self.oracle.manager(),
                everybody: self.everybody.clone(),
            },
            blocker: self.oracle.control(peer_of(key)),
        }
    }
}

/// The key as the network knows it.
pub(crate) fn peer_of(key: &SecretKey) -> PeerKey {
    peer_key(&key.public_key()).expect("a test validator's key is valid")
}

/// Lets nodes without a seat be peers too, as the real network does with everybody who is connected.
#[derive(Clone, Debug)]
struct WithObservers {
    manager: simulated::Manager<PeerKey, deterministic::Context>,
    everybody: Set<PeerKey>,
}

impl Provider for WithObservers {
    type PublicKey = PeerKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PeerKey>> {
        self.manager.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PeerKey> {
        self.manager.subscribe().await
    }
}

impl Manager for WithObservers {
    fn track<P>(&mut self, id: u64, peers: P) -> Feedback
    where
        P: Into<TrackedPeers<PeerKey>> + Send,
    {
        let primary = peers.into().primary;
        let tracked = TrackedPeers::new(primary, self.everybody.clone());
        self.manager.track(id, tracked)
    }
}

/// One virtual machine for all: what it caches is the same for everybody.
fn vm() -> Vm {
    static VM: OnceLock<Vm> = OnceLock::new();
    VM.get_or_init(|| Vm::new(VmConfig::new(EngineKind::Wasmtime)).expect("the engine starts"))
        .clone()
}
