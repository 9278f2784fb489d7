//! Hold what the methods answer from.

use std::sync::Arc;

use kumiki_consensus::Order;
use kumiki_executor::Executor;
use kumiki_mempool::SharedMempool;
use kumiki_protocol::{Genesis, PublicKey, SecretKey};
use kumiki_rpc_api::{HealthStatus, PeerView};
use kumiki_storage::{Storage, Tip};
use prometheus_client::registry::Registry;
use tokio::sync::{Mutex, mpsc, watch};

/// What a node sees of its network.
#[derive(Debug, Clone, Default)]
pub struct NetworkView {
    /// Its peer id.
    pub peer_id: Option<String>,
    /// Where peers reach it.
    pub listen_addresses: Vec<String>,
    /// Whom it is connected to.
    pub peers: Vec<PeerView>,
}

/// What a node gives the developer of its chain.
pub struct Developer {
    /// Where height and time are moved.
    pub orders: mpsc::Sender<Order>,
    /// Who signs what only a developer may do.
    pub key: Box<SecretKey>,
    /// Held while something is signed, so that no nonce is used twice.
    pub sending: Mutex<()>,
}

impl std::fmt::Debug for Developer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Developer").finish_non_exhaustive()
    }
}

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
    /// The node's own key.
    pub key: PublicKey,
    /// Its place in the network, as of a moment ago; `None` where the chain has no network.
    pub network: Option<watch::Receiver<NetworkView>>,
    /// Whether the node serves.
    pub status: watch::Receiver<HealthStatus>,
    /// What developers may do with the chain; `None` where nobody may.
    pub developer: Option<Developer>,
    /// The node's metrics, which the server adds its own to and shows under `/metrics`.
    pub metrics: Registry,
}
