//! State what a node is started with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kumiki_consensus::simplex::Pace;
use kumiki_consensus::{Clock, Sealing};
use kumiki_mempool::MempoolLimits;
use kumiki_network::NetworkConfig;
use kumiki_protocol::{Genesis, SecretKey};
use kumiki_rpc::ServerConfig;
use kumiki_storage::StorageOptions;

use crate::StateSync;

/// Pages that come from a program on their reader's own machine.
const LOOPBACK_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// Heights below the tip whose state a dev chain keeps: a developer may trace any block, and go back to it.
const DEV_UNDO_HEIGHTS: u64 = u64::MAX;

/// Which chain a node runs.
#[derive(Debug, Clone)]
pub enum GenesisSource {
    /// This chain; a data folder with another one is refused.
    Exactly(Genesis),
    /// The chain in the data folder; this one where there is none yet.
    StoredOr(Genesis),
}

/// How a node takes part in ordering the chain's blocks.
pub enum OrderingConfig {
    /// It is the only validator and seals alone.
    Solo {
        /// The validator's key.
        key: Box<SecretKey>,
        /// When to make blocks.
        sealing: Sealing,
    },
    /// It is one peer among many: a validator in the epochs in which its key has a seat, a full node in others.
    Network {
        /// How fast it proposes.
        pace: Pace,
        /// Its place among the peers; the key in here is also the one it votes with.
        network: Box<NetworkConfig>,
    },
}

impl std::fmt::Debug for OrderingConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Solo { sealing, .. } => f.debug_tuple("Solo").field(sealing).finish(),
            Self::Network { pace, .. } => f.debug_tuple("Network").field(pace).finish(),
        }
    }
}

impl OrderingConfig {
    /// The node's key.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        match self {
            Self::Solo { key, .. } => key,
            Self::Network { network, .. } => &network.key,
        }
    }
}

/// What a node is started with. Nothing here changes what a block does.
pub struct NodeConfig {
    /// Folder of the chain and of compiled contracts; made if missing.
    pub data_dir: PathBuf,
    /// Which chain to run.
    pub genesis: GenesisSource,
    /// How blocks are ordered.
    pub ordering: OrderingConfig,
    /// Fetch a state where there is nothing but genesis; `None`: execute all blocks.
    pub state_sync: Option<StateSync>,
    /// How much the mempool holds.
    pub mempool: MempoolLimits,
    /// How to open the store.
    pub storage: StorageOptions,
    /// Threads that verify signatures.
    pub admission_threads: usize,
    /// Keep what developers need to find the line of a trap, at the price of memory.
    pub trap_offsets: bool,
    /// What time it is.
    pub clock: Clock,
    /// Where and for whom to answer.
    pub rpc: ServerConfig,
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeConfig")
            .field("data_dir", &self.data_dir)
            .field("ordering", &self.ordering)
            .finish_non_exhaustive()
    }
}

impl NodeConfig {
    /// A dev chain in `data_dir`, sealed as soon as a transaction waits, answering on loopback at `rpc_port`
    /// (0: any free port), also pages that this machine serves itself: all a dev chain holds is published.
    #[must_use]
    pub fn dev(data_dir: PathBuf, genesis: Genesis, rpc_port: u16) -> Self {
        Self {
            data_dir,
            genesis: GenesisSource::StoredOr(genesis),
            ordering: OrderingConfig::Solo {
                key: Box::new(crate::dev_validator_key()),
                sealing: Sealing::AtOnce { heartbeat: None },
            },
            state_sync: None,
            mempool: MempoolLimits::STANDARD,
            storage: StorageOptions {
                undo_heights: DEV_UNDO_HEIGHTS,
                ..StorageOptions::default()
            },
            admission_threads: 1,
            trap_offsets: true,
            clock: system_clock(),
            rpc: ServerConfig {
                origins: LOOPBACK_ORIGINS.map(str::to_owned).into(),
                debug: true,
                ..ServerConfig::loopback(rpc_port)
            },
        }
    }

    /// The same, sealed as `sealing` says.
    #[must_use]
    pub fn sealed(mut self, sealing: Sealing) -> Self {
        self.ordering = OrderingConfig::Solo {
            key: Box::new(self.ordering.key().clone()),
            sealing,
        };
        self
    }
}

/// The system's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "node assembly is where the clock enters"
        )]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
