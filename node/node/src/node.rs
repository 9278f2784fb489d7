//! Start a node's parts in order, watch over them, and stop them in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};

use kumiki_consensus::{Solo, Tip as OrderingTip};
use kumiki_executor::{Executor, genesis_changes};
use kumiki_mempool::{ChainHead, ChainRules, SharedMempool};
use kumiki_protocol::{Action, Genesis, Transaction};
use kumiki_rpc::{RpcContext, ServerHandle};
use kumiki_rpc_api::HealthStatus;
use kumiki_storage::{Snapshot, Storage, StorageError, Tip};
use kumiki_vm::{EngineKind, Vm, VmConfig, gas};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::executor_thread::{ExecutorThread, Shared};
use crate::genesis::genesis_block;
use crate::metrics::MempoolCollector;
use crate::threads::{self, Alarm, Threads, spawn_admission, spawn_executor};
use crate::{Chain, Fatal, GenesisSource, NodeConfig, NodeError, NodeMetrics};

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
        let key = config.validator.public_key();
        if validators.keys() != [key] {
            return Err(NodeError::NotTheValidator { key });
        }
        let lag = genesis.parameters.execution_lag;
        if lag != 0 {
            return Err(NodeError::ExecutionLag { found: lag });
        }
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
        let mempool = Arc::new(self.mempool());
        registry.register_collector(Box::new(MempoolCollector(Arc::clone(&mempool))));
        let (heads, heads_seen) = watch::channel(self.tip);
        let (tasks, task_queue) = mpsc::channel();
        let (alarm, alarmed) = watch::channel(false);
        let (status, status_seen) = watch::channel(HealthStatus::Ready);
        let context = RpcContext {
            storage: Arc::clone(&self.storage),
            executor: Arc::clone(&self.executor),
            mempool: Arc::clone(&mempool),
            genesis: Arc::clone(&self.genesis),
            heads: heads_seen.clone(),
            status: status_seen,
            metrics: registry,
        };
        // The port first: when it is taken, no thread has been started.
        let rpc = kumiki_rpc::serve(context, self.config.rpc).await?;
        let rpc_address = rpc.address();
        let executor_thread = ExecutorThread::open(Shared {
            storage: Arc::clone(&self.storage),
            executor: Arc::clone(&self.executor),
            mempool: Arc::clone(&mempool),
            genesis: Arc::clone(&self.genesis),
            heads,
            metrics,
        })?;
        let validators = executor_thread.validators.subscribe();
        let threads = Threads {
            executor: spawn_executor(executor_thread, task_queue, Alarm::of(&alarm))?,
            admission: (0..self.config.admission_threads.max(1))
                .map(|_| spawn_admission(&mempool, Alarm::of(&alarm)))
                .collect::<Result<_, _>>()?,
        };
        let solo = Solo {
            application: Arc::new(Chain::new(
                tasks,
                Arc::clone(&mempool),
                validators,
                heads_seen.clone(),
            )),
            key: self.config.validator,
            genesis_hash: self.genesis.hash(),
            sealing: self.config.sealing,
            clock: self.config.clock,
        };
        let tip = OrderingTip {
            height: self.tip.height,
            block_hash: self.tip.block_hash,
        };
        let (stop, stopped) = watch::channel(false);
        let parts = Parts {
            mempool: Arc::clone(&mempool),
            threads,
            rpc,
            status,
        };
        let supervised = supervise(solo, tip, parts, alarmed, stopped);
        Ok(NodeHandle {
            genesis: self.genesis,
            storage: self.storage,
            executor: self.executor,
            mempool,
            heads: heads_seen,
            rpc_address,
            stop,
            ended: Some(tokio::spawn(supervised)),
        })
    }

    fn mempool(&self) -> SharedMempool {
        let parameters = &self.genesis.parameters;
        let rules = ChainRules {
            genesis_hash: self.genesis.hash(),
            gas_price_min: parameters.gas_price_min,
            block_gas_max: parameters.block_gas_max,
            block_bytes_max: usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX),
            transaction_gas: gas::TRANSACTION_BASE.saturating_add(gas::SIGNATURE),
            transaction_gas_per_byte: gas::TRANSACTION_PER_BYTE,
        };
        let head = ChainHead {
            height: self.tip.height,
            state: Arc::<Snapshot>::clone(&self.state),
        };
        let vm = self.executor.vm().clone();
        SharedMempool::new(self.config.mempool, rules, head)
            .on_admitted(Box::new(move |admitted| prepare_code(&vm, admitted)))
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

/// Runs the ordering engine until it is asked to stop or a thread ends, then ends the rest.
async fn supervise(
    solo: Solo<Chain>,
    tip: OrderingTip,
    parts: Parts,
    mut alarmed: watch::Receiver<bool>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    let (stop_driver, driver_stopped) = watch::channel(false);
    let driver = tokio::spawn(solo.run(tip, driver_stopped));
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        _ = alarmed.wait_for(|alarm| *alarm) => {}
    }
    parts.status.send_replace(HealthStatus::Stopping);
    parts.mempool.close();
    stop_driver.send_replace(true);
    // With the driver goes the last sender of tasks, which ends the executor thread.
    let driver_panicked = driver.await.is_err();
    let result = threads::joined(parts.threads).await;
    if result.is_err() {
        parts.status.send_replace(HealthStatus::Failed);
    }
    parts.rpc.stop().await;
    match result {
        Ok(()) if driver_panicked => Err(Fatal::Panicked { thread: "ordering" }),
        other => other,
    }
    .inspect_err(|fatal| tracing::error!(error = %fatal, "node stopped"))
    .map_err(NodeError::Fatal)
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

fn initialise(storage: &Storage, genesis: &Genesis) -> Result<(), NodeError> {
    genesis.check()?;
    let validators = genesis
        .validator_set()
        .ok_or(kumiki_protocol::GenesisError::Validators)?;
    let changes = genesis_changes(genesis);
    let block = genesis_block(genesis, &validators, &changes)?;
    storage.initialise(genesis, &changes, &block)?;
    Ok(())
}
