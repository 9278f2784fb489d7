//! Run the node inside this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kumiki_consensus::Sealing;
use kumiki_node::{Node, NodeConfig, NodeError, NodeHandle, dev_genesis, system_clock};
use kumiki_protocol::Amount;
use kumiki_rpc::ServeError;
use kumiki_wallet::dev_account;
use tokio::sync::Notify;

use crate::failure::{Exit, Failure, Outcome};
use crate::next_step::shell_word;

/// What each published account holds at first: a million KUMI, in base units.
pub(crate) const BALANCE: Amount = 1_000_000_000_000_000;

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

    /// Told each time a developer has taken blocks back.
    pub(crate) fn rewinds(&self) -> Arc<Notify> {
        let mut heads = self.node.heads();
        let told = Arc::new(Notify::new());
        let teller = Arc::clone(&told);
        tokio::spawn(async move {
            let mut last = heads.borrow_and_update().height;
            while heads.changed().await.is_ok() {
                let height = heads.borrow_and_update().height;
                if height < last {
                    teller.notify_one();
                }
                last = height;
            }
        });
        told
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
        config = config.sealed(Sealing::Every(Duration::from_millis(milliseconds.max(1))));
    }
    if options.expose {
        config.rpc.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.port));
    }
    config.rpc.hosts.extend_from_slice(&options.hosts);
    config.rpc.origins.extend_from_slice(&options.origins);
    config
}

fn node_failure(error: &NodeError, options: &ChainOptions) -> Failure {
    if let NodeError::Rpc(ServeError::Config(error)) = error {
        return Failure::new(Exit::Usage, "usage", "the chain cannot be served like that")
            .at("--allow-host, --allow-origin")
            .expected("hosts like dev.example, origins like https://app.example")
            .found(error.to_string())
            .next("kumiki dev --help");
    }
    let folder = &options.data_dir;
    let other = format!("{}-2", folder.display());
    Failure::new(Exit::Node, "nodeStart", "the chain does not start")
        .at(folder.display().to_string())
        .expected("a folder with a chain that no other node uses, or none yet")
        .found(error.to_string())
        .next(format!("kumiki dev --data-dir {}", shell_word(other)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// The status line that the chain answers a request with these header lines.
    async fn status(chain: &DevChain, headers: &str) -> String {
        let mut socket = TcpStream::connect(chain.node.rpc_address()).await.unwrap();
        let request = format!("GET /health HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn hosts_and_origins_that_are_allowed_are_answered_and_pages_of_this_machine_anyway() {
        let folder = tempfile::tempdir().unwrap();
        let options = ChainOptions {
            data_dir: folder.path().join("dev"),
            port: 0,
            block_time_ms: None,
            expose: false,
            hosts: vec!["dev.example".to_owned()],
            origins: vec!["https://app.example".to_owned()],
        };
        let chain = DevChain::start(options).await.unwrap();
        let cases = [
            ("host: localhost\r\n", true),
            ("host: dev.example\r\n", true),
            ("host: other.example\r\n", false),
            ("host: localhost\r\norigin: https://app.example\r\n", true),
            ("host: localhost\r\norigin: http://localhost:5173\r\n", true),
            ("host: localhost\r\norigin: http://127.0.0.1:3000\r\n", true),
            (
                "host: localhost\r\norigin: http://localhost.example\r\n",
                false,
            ),
            (
                "host: localhost\r\norigin: https://other.example\r\n",
                false,
            ),
            // A name that someone points at this machine gets a page of this machine nothing.
            (
                "host: other.example\r\norigin: http://localhost:5173\r\n",
                false,
            ),
        ];
        for (headers, answered) in cases {
            let status = status(&chain, headers).await;
            let expected = if answered {
                "HTTP/1.1 200"
            } else {
                "HTTP/1.1 403"
            };
            assert!(status.starts_with(expected), "{headers}{status}");
        }
        chain.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_host_that_is_none_is_a_mistake_of_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let options = ChainOptions {
            data_dir: folder.path().join("dev"),
            port: 0,
            block_time_ms: None,
            expose: false,
            hosts: vec!["http://dev.example".to_owned()],
            origins: Vec::new(),
        };
        let failure = DevChain::start(options).await.err().unwrap().to_string();
        assert!(failure.contains("http://dev.example"), "{failure}");
        assert!(failure.contains("kumiki dev --help"), "{failure}");
    }

    #[test]
    fn an_exposed_chain_listens_on_all_addresses() {
        let mut options = ChainOptions {
            data_dir: PathBuf::from("unused"),
            port: 8_650,
            block_time_ms: None,
            expose: true,
            hosts: Vec::new(),
            origins: Vec::new(),
        };
        assert!(node_config(&options).rpc.listen.ip().is_unspecified());
        options.expose = false;
        assert!(node_config(&options).rpc.listen.ip().is_loopback());
    }
}
