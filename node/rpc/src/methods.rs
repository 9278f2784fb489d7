//! Answer the methods: one module per namespace, over what they share.

mod chain;
mod contract;
mod debug;
mod dev;
mod event;
mod finality;
mod node;
mod simulation;
mod state;
mod stream;
mod transaction;

use std::num::NonZero;
use std::ops::Deref;
use std::sync::Arc;

use jsonrpsee::Methods;
use kumiki_protocol::{AccountRecord, Address, Decode, Hash, Height, TransactionHash, state_key};
use kumiki_rpc_api::methods::{
    AccountApiServer, ChainApiServer, ContractApiServer, DebugApiServer, DevApiServer,
    EventsApiServer, FeeApiServer, NodeApiServer, RpcApiServer, SimulationApiServer,
    StateApiServer,
};
use kumiki_rpc_api::{ApiError, ErrorCode, HealthStatus, Limits, Served, document};
use kumiki_state::StateReader;
use kumiki_storage::{Snapshot, StorageError, Tip};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{Semaphore, watch};

use crate::blocking::Threads;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::{RpcContext, ServerConfig};

/// Simulations that wait for their turn, per one that runs.
const SIMULATIONS_QUEUED: usize = 32;
/// Calls that read from the store at once at most: what they do is mostly to make text of it, which takes a core.
const READS_MAX: usize = 4;
/// Pages that subscriptions read at once: apart from calls, so that neither waits for many of the other.
const STREAM_READS: usize = 2;

/// What the methods share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) context: RpcContext,
    pub(crate) limits: Limits,
    pub(crate) genesis_hash: Hash,
    /// Whether `debug_…` are served.
    pub(crate) debug: bool,
    pub(crate) metrics: Arc<Metrics>,
    /// The OpenRPC document, made once.
    pub(crate) document: Box<RawValue>,
    /// Where calls read from the store.
    pub(crate) reads: Threads,
    /// Where subscriptions do.
    pub(crate) stream_reads: Threads,
    /// Where contracts run.
    pub(crate) simulations: Threads,
    /// Places to wait for a turn to simulate in.
    pub(crate) simulations_queued: Arc<Semaphore>,
    /// The right to simulate with code that is not on the chain: one compiles it, and nobody has paid for that.
    pub(crate) simulated_code: Arc<Semaphore>,
    /// Places to wait for a receipt in.
    pub(crate) waiters: Arc<Places>,
    /// Where large messages and answers are held.
    pub(crate) memory: Memory,
    /// Closed when the last user of this is gone, and with it the server's hold on the store.
    _in_use: watch::Receiver<()>,
}

/// The node, in a type of this crate so that it can have the methods' traits.
#[derive(Clone, Debug)]
pub(crate) struct Rpc(Arc<Node>);

impl Rpc {
    /// Reads from the store on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        threads: &Threads,
        work: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let node = Arc::clone(&self.0);
        let read = threads.run(move || work(&node)).await;
        read.map_err(|error| fault(&error))?
    }
}

impl Deref for Rpc {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

/// Calls that read from the store at once. Those of one address are half of them at most.
pub(crate) fn reads_at_once() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.clamp(2, READS_MAX)
}

/// Every method, ready to be served.
pub(crate) fn all_methods(node: &Arc<Node>) -> Methods {
    let rpc = Rpc(Arc::clone(node));
    let mut all = Methods::new();
    let dev: Methods = match &node.context.developer {
        Some(_) => DevApiServer::into_rpc(rpc.clone()).into(),
        None => Methods::new(),
    };
    let debug: Methods = match node.debug {
        true => DebugApiServer::into_rpc(rpc.clone()).into(),
        false => Methods::new(),
    };
    let groups: [Methods; 12] = [
        dev,
        debug,
        RpcApiServer::into_rpc(rpc.clone()).into(),
        ChainApiServer::into_rpc(rpc.clone()).into(),
        AccountApiServer::into_rpc(rpc.clone()).into(),
        transaction::methods(rpc.clone()),
        SimulationApiServer::into_rpc(rpc.clone()).into(),
        ContractApiServer::into_rpc(rpc.clone()).into(),
        StateApiServer::into_rpc(rpc.clone()).into(),
        EventsApiServer::into_rpc(rpc.clone()).into(),
        FeeApiServer::into_rpc(rpc.clone()).into(),
        NodeApiServer::into_rpc(rpc).into(),
    ];
    for group in groups {
        all.merge(group)
            .expect("the names of all methods differ, by test");
    }
    all
}

impl Node {
    /// `in_use` is open as long as this is in use.
    pub(crate) fn new(
        mut context: RpcContext,
        config: &ServerConfig,
        in_use: watch::Receiver<()>,
    ) -> Self {
        let limits = config.limits;
        let running = usize::try_from(limits.simulations).unwrap_or(1);
        let document = document(Served {
            dev: context.developer.is_some(),
            debug: config.debug,
        });
        Self {
            metrics: Metrics::new(std::mem::take(&mut context.metrics)),
            genesis_hash: context.genesis.hash(),
            debug: config.debug,
            context,
            limits,
            document: to_raw_value(&document).expect("a JSON value is written as JSON"),
            reads: Threads::new(reads_at_once()),
            stream_reads: Threads::new(STREAM_READS),
            simulations: Threads::new(running),
            simulations_queued: Arc::new(Semaphore::new(running * (SIMULATIONS_QUEUED + 1))),
            simulated_code: Arc::new(Semaphore::new(1)),
            waiters: Places::new(limits.waiters, limits.waiters_per_ip),
            memory: Memory::new(),
            _in_use: in_use,
        }
    }

    /// The newest block that answers may show.
    pub(crate) fn head(&self) -> Tip {
        *self.context.heads.borrow()
    }

    pub(crate) fn status(&self) -> HealthStatus {
        *self.context.status.borrow()
    }

    /// The state after the block at `at`, by default after the head.
    pub(crate) fn state_at(&self, at: Option<Height>) -> Result<Snapshot, ApiError> {
        let height = self.check_height(at)?;
        self.context
            .storage
            .snapshot_at(height)
            .map_err(|error| match error {
                StorageError::HeightUnavailable { oldest, .. } => ApiError::new(
                    ErrorCode::HeightPruned,
                    format!("the state after height {height} is gone, {oldest} is the oldest kept"),
                ),
                other => fault(&other),
            })
    }

    /// `at`, by default the head, which it may not be above.
    pub(crate) fn check_height(&self, at: Option<Height>) -> Result<Height, ApiError> {
        let head = self.head().height;
        let height = at.unwrap_or(head);
        if height > head {
            return Err(ApiError::new(
                ErrorCode::HeightUnknown,
                format!("height {height} is above the head {head}"),
            ));
        }
        Ok(height)
    }

    /// The lowest height whose block is kept.
    pub(crate) fn earliest(&self) -> Result<Height, ApiError> {
        let base = self.context.storage.base();
        let base = base.map_err(|error| fault(&error))?;
        Ok(base.map_or(0, |base| base.height().saturating_add(1)))
    }

    /// Where a transaction is, if it is in a block that answers may show.
    pub(crate) fn location(
        &self,
        hash: &TransactionHash,
    ) -> Result<Option<(Height, u32)>, ApiError> {
        let head = self.head().height;
        let found = self
            .context
            .storage
            .transaction_location(hash)
            .map_err(|error| fault(&error))?;
        Ok(found.filter(|(height, _)| *height <= head))
    }
}

/// The account of `address`, zeros where there is none.
pub(crate) fn account_in(
    state: &dyn StateReader,
    address: &Address,
) -> Result<AccountRecord, ApiError> {
    let record = read_record(state, &state_key::account(address))?;
    Ok(record.unwrap_or_default())
}

/// The record that the protocol keeps under `key`.
pub(crate) fn read_record<T: Decode>(
    state: &dyn StateReader,
    key: &[u8],
) -> Result<Option<T>, ApiError> {
    let bytes = state.get(key).map_err(|error| fault(&error))?;
    bytes
        .map(|bytes| T::decode(&mut bytes.as_slice()).map_err(|error| fault(&error)))
        .transpose()
}

/// Logs a failure of this node, and answers without its text, which may name folders.
pub(crate) fn fault(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%error, "rpc answer failed");
    ApiError::new(
        ErrorCode::NodeFault,
        "the node could not read its store or run its engine",
    )
}

/// The answer where the store lacks what it has said to hold.
pub(crate) fn lost(what: &'static str) -> ApiError {
    tracing::error!(what, "missing from the store");
    ApiError::new(ErrorCode::NodeFault, "the node's store lacks a part of it")
}
