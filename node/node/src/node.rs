//! Start a node's parts in order, watch over them, and stop them in order.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use kumiki_executor::Executor;
use kumiki_mempool::SharedMempool;
use kumiki_network::Network;
use kumiki_protocol::Genesis;
use kumiki_rpc_api::HealthStatus;
use kumiki_storage::{Storage, Tip};
use tokio::sync::watch;

use crate::opened::Opened;
use crate::ordering::Ordering;
use crate::rpc_server::RpcServer;
use crate::threads::{self, Threads};
use crate::{Fatal, NodeConfig, NodeError};

/// How long a stopped node waits for calls that still read its store.
const RELEASE: Duration = Duration::from_secs(5);

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

/// A running node. Dropping it stops the node without waiting; [`Self::stop`] waits.
pub struct NodeHandle {
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) mempool: Arc<SharedMempool>,
    pub(crate) heads: watch::Receiver<Tip>,
    pub(crate) rpc_address: SocketAddr,
    pub(crate) network: Option<Network>,
    pub(crate) stop: watch::Sender<bool>,
    /// Until it has been waited for.
    pub(crate) ended: Option<tokio::task::JoinHandle<Result<(), NodeError>>>,
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeHandle")
            .field("tip", &*self.heads.borrow())
            .finish_non_exhaustive()
    }
}

/// What a supervisor ends when the node does.
pub(crate) struct Parts {
    pub(crate) mempool: Arc<SharedMempool>,
    pub(crate) threads: Threads,
    pub(crate) rpc: RpcServer,
    pub(crate) status: watch::Sender<HealthStatus>,
    pub(crate) network: Option<Network>,
    pub(crate) stop_ordering: watch::Sender<bool>,
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

    /// Stops the node: no more submissions, the block in the making is finished, threads are joined. Its data
    /// folder is free afterwards, unless a caller still has the store from [`Self::storage`].
    ///
    /// # Errors
    /// Why it had ended before, if it had and [`Self::wait`] has not said so.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.stop.send_replace(true);
        let result = self.wait().await;
        let storage = Arc::downgrade(&self.storage);
        drop(self);
        released(&storage).await;
        result
    }
}

/// Waits until nothing has the store open: a call or a peer's question may have been reading when the node
/// stopped, and ends by itself.
async fn released(storage: &Weak<Storage>) {
    let free = async {
        while storage.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(RELEASE, free).await.is_err() {
        tracing::warn!("the node has stopped, and its store is still being read");
    }
}

fn joined(result: Result<Result<(), NodeError>, tokio::task::JoinError>) -> Result<(), NodeError> {
    result.unwrap_or(Err(NodeError::Fatal(Fatal::Panicked {
        thread: "supervisor",
    })))
}

/// Runs the ordering engine until it is asked to stop or a thread ends, then ends the rest.
pub(crate) async fn supervise(
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
