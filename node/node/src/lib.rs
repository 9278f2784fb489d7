//! Assemble a node: open the store, start the threads and tasks, stop them in order, stop at any failure.
//!
//! The dev chain and the validator of a network are this same assembly; they differ in genesis and ordering
//! engine. This is the one place of the node that spawns threads and reads the clock.
//!
//! The path of a block: candidates from the mempool, executed on the executor thread, root, header,
//! certificate, one durable commit, then the head is published. Whoever waits for a transaction sees it only
//! after its block is synced.

mod assembly;
mod chain;
mod chain_executor;
mod config;
mod error;
mod evidence;
mod genesis;
mod gossip;
mod joined;
mod metrics;
mod node;
mod opened;
mod ordering;
mod peers;
mod rpc_server;
mod state_sync;
mod threads;
mod validators;
mod verify;

pub use assembly::chain_rules;
pub use chain::{Chain, EvidenceQueue, TaskQueue};
pub use chain_executor::{ChainExecutor, ExecutorParts};
pub use config::{GenesisSource, NodeConfig, OrderingConfig, system_clock};
pub use error::{Fatal, NodeError};
pub use genesis::{DEV_CHAIN_ID, dev_genesis};
pub use kumiki_protocol::dev_validator_key;
pub use metrics::NodeMetrics;
pub use node::{Node, NodeHandle};
pub use opened::initialise;
pub use state_sync::{StateSync, StateSyncError};
pub use verify::{Verified, VerifyError, verify_chain};
