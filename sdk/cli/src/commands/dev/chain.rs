//! Run the node inside this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use kumiki_consensus::Sealing;
use kumiki_node::{Node, NodeConfig, NodeError, NodeHandle, dev_genesis, system_clock};
use kumiki_protocol::Amount;
use kumiki_rpc::ServeError;
use kumiki_wallet::dev_account;

use crate::failure::{Exit, Failure, Outcome};
use crate::next_step::shell_word;

/// What each published account holds at first: a million KUMI, in base units.
const BALANCE: Amount = 1_000_000_000_000_000;

/// How to run the chain.
pub(crate) struct ChainOptions {
    pub(crate) data_dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) block_time_ms: Option<u64>,
    pub(crate) expose: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
}

/// A running dev chain.
pub(crate) struct DevChain {
    node: NodeHandle,
    url: String,
}

impl DevChain {
    /// Starts the chain in the data folder, or a new one; on return its RPC answers.
    pub(crate) async fn start(options: ChainOptions) -> Outcome<Self> {
        let node = Node::start(node_config(&options))
            .await
            .map_err(|error| node_failure(&error, &options))?;
        let url = format!("http://127.0.0.1:{}", node.rpc_address().port());
        Ok(Self { node, url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns when the node ends by itself, which it does only when it fails.
    pub(crate) async fn failed(&mut self) -> Failure {
        let found = match self.node.wait().await {
            Ok(()) => "it ended".to_owned(),
            Err(error) => error.to_string(),
        };
        Failure::new(Exit::Node, "nodeStopped", "the node stopped")
            .expected("it runs until Ctrl-C; everything acknowledged is on disk")
            .found(found)
            .next("kumiki dev")
    }

    /// Finishes the block in the making and closes the store.
    pub(crate) async fn stop(self) -> Outcome<()> {
        self.node.stop().await.map_err(|error| {
            Failure::new(
                Exit::Node,
                "nodeStopped",
                "the node had stopped before it was asked to",
            )
            .found(error.to_string())
            .next("kumiki dev")
        })
    }
}

fn node_config(options: &ChainOptions) -> NodeConfig {
    let accounts: Vec<_> = dev_account::all().iter().map(|one| one.address).collect();
    // The time makes each new chain another one, so that no transaction of an old one holds.
    let genesis = dev_genesis(&accounts, BALANCE, system_clock()());
    let mut config = NodeConfig::dev(options.data_dir.clone(), genesis, options.port);
    if let Some(milliseconds) = options.block_time_ms {
        config.sealing = Sealing::Every(Duration::from_millis(milliseconds.max(1)));
    }
    if options.expose {
        config.rpc.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.port));
    }
    config.rpc.hosts.extend_from_slice(&options.hosts);
    config.rpc.origins.extend_from_slice(&options.origins);
    config
}

fn node_failure(error: &NodeError, options: &ChainOptions) -> Failure {
    let folder = options.data_dir.display().to_string();
    Failure::new(Exit::Node, "nodeStart", "the chain does not start")
        .at(&folder)
        .expected("a folder with a chain that no other node uses, or none yet")
        .found(error.to_string())
        .next(format!(
            "kumiki dev --port {} --data-dir {}",
            options.port,
            shell_word(format!("{folder}-2"))
        ))
}
