//! Start a node's parts in order, watch over them, and stop them in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use kumiki_consensus::{Solo, Tip as OrderingTip};
use kumiki_executor::{Executor, genesis_changes};
use kumiki_mempool::{ChainHead, ChainRules, Origin, SharedMempool};
use kumiki_network::Network;
use kumiki_protocol::{Action, Genesis, Transaction, ValidatorSet};
use kumiki_rpc::{NetworkView, RpcContext, ServerHandle};
use kumiki_rpc_api::HealthStatus;
use kumiki_storage::{Snapshot, Storage, StorageError, Tip};
use kumiki_vm::{EngineKind, Vm, VmConfig, gas};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::chain_executor::{ChainExecutor, ExecutorParts};
use crate::evidence::Reports;
use crate::genesis::genesis_block;
use crate::joined::{Company, Joined, show, start_gossip};
use crate::metrics::MempoolCollector;
use crate::ordering::{self, Ordering, SimplexParts};
use crate::threads::{self, Alarm, Threads, spawn_admission, spawn_executor};
use crate::{
    Chain, Fatal, GenesisSource, NodeConfig, NodeError, NodeMetrics, OrderingConfig, gossip,
};

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

/// A running node. Dropping it stops the node without waiting; [`Self::stop`] waits.
pub struct NodeHandle {
    genesis: Arc<Genesis>,
    storage: Arc<Storage>,
    executor: Arc<Executor>,
    mempool: Arc<SharedMempool>,
    heads: watch::Receiver<Tip>,
    rpc_address: SocketAddr,
    network: Option<Network>,
    stop: watch::Sender<bool>,
    /// Until it has been waited for.
    ended: Option<tokio::task::JoinHandle<Result<(), NodeError>>>,
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeHandle")
            .field("tip", &*self.heads.borrow())
            .finish_non_exhaustive()
    }
}

/// What a supervisor ends when the node does.
struct Parts {
    mempool: Arc<SharedMempool>,
    threads: Threads,
    rpc: ServerHandle,
    status: watch::Sender<HealthStatus>,
    network: Option<Network>,
    stop_ordering: watch::Sender<bool>,
}

impl Node {
    /// Starts a node and returns once it takes transactions.
    ///
    /// # Errors
    /// The first thing that is missing or does not fit.
    pub async fn start(config: NodeConfig) -> Result<NodeHandle, NodeError> {
        let opened = tokio::task::spawn_blocking(move || Opened::open(config));
        let opened = opened
            .await
            .map_err(|_panic| Fatal::Panicked { thread: "start-up" })??;
        opened.run().await
    }
}

impl NodeHandle {
    /// The chain's genesis.
    #[must_use]
    pub fn genesis(&self) -> &Arc<Genesis> {
        &self.genesis
    }

    /// The store, for reading.
    #[must_use]
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// The executor, for simulations.
    #[must_use]
    pub fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// The mempool.
    #[must_use]
    pub fn mempool(&self) -> &Arc<SharedMempool> {
        &self.mempool
    }

    /// The newest durable block, each time there is one.
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<Tip> {
        self.heads.clone()
    }

    /// Where the node answers JSON-RPC.
    #[must_use]
    pub const fn rpc_address(&self) -> SocketAddr {
        self.rpc_address
    }

    /// The network that the node is part of; `None` on a solo chain.
    #[must_use]
    pub const fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Waits until the node has ended by itself, which it does only when it fails.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn wait(&mut self) -> Result<(), NodeError> {
        let Some(ended) = &mut self.ended else {
            return Ok(());
        };
        let result = joined(ended.await);
        self.ended = None;
        result
    }

    /// Stops the node: no more submissions, the block in the making is finished, threads are joined.
    ///
    /// # Errors
    /// Why it had ended before, if it had and [`Self::wait`] has not said so.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.stop.send_replace(true);
        self.wait().await
    }
}

fn joined(result: Result<Result<(), NodeError>, tokio::task::JoinError>) -> Result<(), NodeError> {
    result.unwrap_or(Err(NodeError::Fatal(Fatal::Panicked {
        thread: "supervisor",
    })))
}

/// A node whose store and engine are there and whose threads are not.
struct Opened {
    config: NodeConfig,
    genesis: Arc<Genesis>,
    storage: Arc<Storage>,
    executor: Arc<Executor>,
    tip: Tip,
    state: Arc<Snapshot>,
}

impl Opened {
    fn open(config: NodeConfig) -> Result<Self, NodeError> {
        std::fs::create_dir_all(&config.data_dir).map_err(|source| NodeError::Io {
            operation: "make the data folder",
            source,
        })?;
        let storage = Storage::open(&config.data_dir.join("chain"), config.storage)?;
        let genesis = open_chain(&storage, &config.genesis)?;
        let validators = genesis
            .validator_set()
            .ok_or(kumiki_protocol::GenesisError::Validators)?;
        check_ordering(&config.ordering, &genesis, &validators)?;
        let vm = open_vm(&config.data_dir, config.trap_offsets)?;
        let tip = storage.tip().ok_or(StorageError::NotInitialised)?;
        let state = Arc::new(storage.snapshot()?);
        tracing::info!(
            chain = genesis.chain_id,
            height = tip.height,
            root = %tip.state_root,
            "chain opened"
        );
        Ok(Self {
            executor: Arc::new(Executor::new(vm, &genesis)),
            storage: Arc::new(storage),
            genesis,
            config,
            tip,
            state,
        })
    }

    async fn run(self) -> Result<NodeHandle, NodeError> {
        let mut registry = Registry::default();
        let metrics = NodeMetrics::register(&mut registry);
        let (company, topic) = Company::join(&self.config.ordering, &self.genesis, &mut registry)?;
        let network = company.network().cloned();
        let (admitted, to_gossip) = mpsc::channel(gossip::QUEUE);
        let mempool = Arc::new(self.mempool(topic.is_some().then_some(admitted)));
        registry.register_collector(Box::new(MempoolCollector(Arc::clone(&mempool))));
        let (heads, heads_seen) = watch::channel(self.tip);
        let (alarm, alarmed) = watch::channel(false);
        let (status, status_seen) = watch::channel(match &network {
            Some(_) => HealthStatus::Starting,
            None => HealthStatus::Ready,
        });
        let view = network.as_ref().map(show);
        let context = self.rpc_context(&mempool, &heads_seen, view, status_seen, registry);
        // The port first: when it is taken, no thread has been started.
        let rpc = kumiki_rpc::serve(context, self.config.rpc.clone()).await?;
        let rpc_address = rpc.address();
        let chain_executor = ChainExecutor::open(ExecutorParts {
            storage: Arc::clone(&self.storage),
            executor: Arc::clone(&self.executor),
            mempool: Arc::clone(&mempool),
            genesis: Arc::clone(&self.genesis),
            heads,
            metrics,
        })?;
        let (chain, task_queue, evidence) = chain_executor.chain();
        let threads = Threads {
            executor: spawn_executor(chain_executor, task_queue, Alarm::of(&alarm))?,
            admission: (0..self.config.admission_threads.max(1))
                .map(|_| spawn_admission(&mempool, Alarm::of(&alarm)))
                .collect::<Result<_, _>>()?,
        };
        let (stop_ordering, ordering_stopped) = watch::channel(false);
        if let Some(topic) = topic {
            start_gossip(topic, &mempool, to_gossip, (self.config.clock)());
        }
        if network.is_some() {
            let key = self.config.ordering.key().clone();
            let report = Reports::new(key, Arc::clone(&self.genesis), Arc::clone(&mempool));
            tokio::spawn(report.run(evidence));
        }
        let alarm = Alarm::of(&alarm);
        let ordering = self.start_ordering(chain, company, ordering_stopped, alarm, &status)?;
        let (stop, stopped) = watch::channel(false);
        let parts = Parts {
            mempool: Arc::clone(&mempool),
            threads,
            rpc,
            status,
            network: network.clone(),
            stop_ordering,
        };
        let supervised = supervise(ordering, parts, alarmed, stopped);
        Ok(NodeHandle {
            genesis: self.genesis,
            storage: self.storage,
            executor: self.executor,
            mempool,
            heads: heads_seen,
            rpc_address,
            network,
            stop,
            ended: Some(tokio::spawn(supervised)),
        })
    }

    fn rpc_context(
        &self,
        mempool: &Arc<SharedMempool>,
        heads: &watch::Receiver<Tip>,
        network: Option<watch::Receiver<NetworkView>>,
        status: watch::Receiver<HealthStatus>,
        metrics: Registry,
    ) -> RpcContext {
        RpcContext {
            storage: Arc::clone(&self.storage),
            executor: Arc::clone(&self.executor),
            mempool: Arc::clone(mempool),
            genesis: Arc::clone(&self.genesis),
            heads: heads.clone(),
            key: self.config.ordering.key().public_key(),
            network,
            status,
            metrics,
        }
    }

    fn start_ordering(
        &self,
        chain: Chain,
        company: Company,
        stopped: watch::Receiver<bool>,
        alarm: Alarm,
        status: &watch::Sender<HealthStatus>,
    ) -> Result<Ordering, NodeError> {
        match company {
            Company::Solo { key, sealing } => {
                let solo = Solo {
                    application: Arc::new(chain),
                    key: *key,
                    genesis_hash: self.genesis.hash(),
                    sealing,
                    clock: Arc::clone(&self.config.clock),
                };
                let tip = OrderingTip {
                    height: self.tip.height,
                    block_hash: self.tip.block_hash,
                };
                Ok(ordering::start_solo(solo, tip, stopped, alarm))
            }
            Company::Network(joined) => {
                let Joined {
                    key,
                    pace,
                    network,
                    channels,
                } = *joined;
                let (keeps_up, seen) = watch::channel(false);
                tokio::spawn(show_readiness(seen, status.clone()));
                let genesis_block = self.storage.block(0)?;
                let parts = SimplexParts {
                    key,
                    genesis: Arc::clone(&self.genesis),
                    genesis_block: genesis_block.ok_or(StorageError::NotInitialised)?,
                    pace,
                    chain,
                    network,
                    channels,
                    keeps_up,
                    folder: self.config.data_dir.join("consensus"),
                };
                ordering::start_simplex(parts, stopped, alarm)
            }
        }
    }

    fn mempool(&self, to_gossip: Option<mpsc::Sender<Arc<Transaction>>>) -> SharedMempool {
        let rules = chain_rules(&self.genesis);
        let head = ChainHead {
            height: self.tip.height,
            state: Arc::<Snapshot>::clone(&self.state),
        };
        let vm = self.executor.vm().clone();
        SharedMempool::new(self.config.mempool, rules, head).on_admitted(Box::new(
            move |admitted, origin| {
                prepare_code(&vm, admitted);
                if let (Some(to_gossip), Origin::Caller) = (&to_gossip, origin) {
                    // Where the queue is full, this node proposes it itself when it leads.
                    drop(to_gossip.try_send(Arc::clone(admitted)));
                }
            },
        ))
    }
}

/// What a mempool holds transactions of the chain of `genesis` against.
#[must_use]
pub fn chain_rules(genesis: &Genesis) -> ChainRules {
    let parameters = &genesis.parameters;
    ChainRules {
        genesis_hash: genesis.hash(),
        gas_price_min: parameters.gas_price_min,
        block_gas_max: parameters.block_gas_max,
        block_bytes_max: usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX),
        transaction_gas: gas::TRANSACTION_BASE.saturating_add(gas::SIGNATURE),
        transaction_gas_per_byte: gas::TRANSACTION_PER_BYTE,
    }
}

/// Has new code compiled while its transaction waits for a block.
fn prepare_code(vm: &Vm, transaction: &Transaction) {
    for action in &transaction.body.actions {
        if let Action::Deploy { code, .. } | Action::Upgrade { code, .. } = action {
            vm.prepare_ahead(code);
        }
    }
}

/// Says that a node is ready as long as it keeps up with its peers, until it stops.
async fn show_readiness(mut keeps_up: watch::Receiver<bool>, status: watch::Sender<HealthStatus>) {
    while keeps_up.changed().await.is_ok() {
        let now = match *keeps_up.borrow_and_update() {
            true => HealthStatus::Ready,
            false => HealthStatus::Starting,
        };
        status.send_if_modified(|status| {
            let serves = matches!(status, HealthStatus::Starting | HealthStatus::Ready);
            let changes = serves && *status != now;
            if changes {
                *status = now;
            }
            changes
        });
    }
}

/// Runs the ordering engine until it is asked to stop or a thread ends, then ends the rest.
async fn supervise(
    ordering: Ordering,
    parts: Parts,
    mut alarmed: watch::Receiver<bool>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        _ = alarmed.wait_for(|alarm| *alarm) => {}
    }
    parts.status.send_replace(HealthStatus::Stopping);
    parts.mempool.close();
    parts.stop_ordering.send_replace(true);
    // With the engine goes the last sender of tasks, which ends the executor thread.
    let driver_panicked = !ordering.ended().await;
    let result = threads::joined(parts.threads).await;
    if result.is_err() {
        parts.status.send_replace(HealthStatus::Failed);
    }
    if let Some(network) = &parts.network {
        network.shutdown().await;
    }
    parts.rpc.stop().await;
    match result {
        Ok(()) if driver_panicked => Err(Fatal::Panicked { thread: "ordering" }),
        other => other,
    }
    .inspect_err(|fatal| tracing::error!(error = %fatal, "node stopped"))
    .map_err(NodeError::Fatal)
}

/// Checks that this node can take part in ordering this chain in the way it is told to.
fn check_ordering(
    ordering: &OrderingConfig,
    genesis: &Genesis,
    validators: &ValidatorSet,
) -> Result<(), NodeError> {
    let lag = genesis.parameters.execution_lag;
    match ordering {
        OrderingConfig::Network { .. } if lag == 0 => Err(NodeError::NoExecutionLag),
        OrderingConfig::Network { .. } => Ok(()),
        OrderingConfig::Solo { key, .. } => {
            let key = key.public_key();
            if validators.keys() != [key] {
                return Err(NodeError::NotTheValidator { key });
            }
            if lag != 0 {
                return Err(NodeError::ExecutionLag { found: lag });
            }
            let epoch_blocks = genesis.parameters.epoch_blocks;
            if epoch_blocks != u32::MAX {
                return Err(NodeError::Epochs {
                    found: epoch_blocks,
                });
            }
            Ok(())
        }
    }
}

fn open_vm(data_dir: &Path, trap_offsets: bool) -> Result<Vm, NodeError> {
    let mut config = VmConfig::new(EngineKind::Wasmtime);
    config.cache_dir = Some(data_dir.join("compiled"));
    config.trap_offsets = trap_offsets;
    Ok(Vm::new(config)?)
}

/// The chain that the store holds, started from `source` where there is none.
fn open_chain(storage: &Storage, source: &GenesisSource) -> Result<Arc<Genesis>, NodeError> {
    let (GenesisSource::Exactly(wanted) | GenesisSource::StoredOr(wanted)) = source;
    let Some(stored) = storage.genesis() else {
        initialise(storage, wanted)?;
        return Ok(Arc::new(wanted.clone()));
    };
    if matches!(source, GenesisSource::Exactly(_)) && *stored != *wanted {
        return Err(NodeError::OtherChain {
            found: stored.hash(),
            expected: wanted.hash(),
        });
    }
    Ok(stored)
}

/// Starts the chain of `genesis` in an empty store.
///
/// # Errors
/// When the genesis starts no chain, or the store refuses.
pub fn initialise(storage: &Storage, genesis: &Genesis) -> Result<(), NodeError> {
    genesis.check()?;
    let validators = genesis
        .validator_set()
        .ok_or(kumiki_protocol::GenesisError::Validators)?;
    let changes = genesis_changes(genesis);
    let block = genesis_block(genesis, &validators, &changes)?;
    storage.initialise(genesis, &changes, &block)?;
    Ok(())
}
