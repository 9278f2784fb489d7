//! Hold what the methods answer from.

use std::sync::Arc;

use kumiki_executor::Executor;
use kumiki_mempool::SharedMempool;
use kumiki_protocol::Genesis;
use kumiki_rpc_api::HealthStatus;
use kumiki_storage::{Storage, Tip};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

/// The parts of a node that answer requests.
#[derive(Debug)]
pub struct RpcContext {
    /// Blocks, state, events. It must be initialised.
    pub storage: Arc<Storage>,
    /// Runs simulations.
    pub executor: Arc<Executor>,
    /// Takes transactions in.
    pub mempool: Arc<SharedMempool>,
    /// The chain's genesis.
    pub genesis: Arc<Genesis>,
    /// The newest block that is executed and synced to disk: send it after the commit has returned. No answer
    /// shows anything later.
    pub heads: watch::Receiver<Tip>,
    /// Whether the node serves.
    pub status: watch::Receiver<HealthStatus>,
    /// The node's metrics, which the server adds its own to and shows under `/metrics`.
    pub metrics: Registry,
}
