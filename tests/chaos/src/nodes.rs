//! Know the nodes of a network: where they answer, and what they logged.

use std::path::PathBuf;
use std::time::Duration;

use kumiki_client::Client;
use kumiki_protocol::Height;

/// The nodes of a network, however they were started.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// RPC address of each node.
    pub rpc: Vec<String>,
    /// Where their folders are.
    folder: PathBuf,
}

impl Nodes {
    pub(crate) const fn new(rpc: Vec<String>, folder: PathBuf) -> Self {
        Self { rpc, folder }
    }

    /// A client of a node, if it answers.
    pub async fn client(&self, node: usize) -> Option<Client> {
        Client::connect(self.rpc.get(node)?, None).await.ok()
    }

    /// A client of a node that is there soon.
    ///
    /// # Errors
    /// When it is not there within a minute.
    pub async fn client_soon(&self, node: usize) -> Result<Client, String> {
        for _ in 0..600 {
            if let Some(client) = self.client(node).await {
                return Ok(client);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!(
            "node {node} does not answer; {}",
            self.log_end(node)
        ))
    }

    /// A node's folder.
    #[must_use]
    pub fn folder(&self, node: usize) -> std::path::PathBuf {
        self.folder.join(format!("node-{node}"))
    }

    /// The end of what a node logged.
    #[must_use]
    pub fn log_end(&self, node: usize) -> String {
        let log = self.log(node);
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(12)..);
        format!("its log ends with\n{}", end.unwrap_or_default().join("\n"))
    }

    /// What a node logged, all of it.
    #[must_use]
    pub fn log(&self, node: usize) -> String {
        std::fs::read(self.folder(node).join("log")).map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The height of a node's chain, if it answers.
    pub async fn height(&self, node: usize) -> Option<Height> {
        let health = self.client(node).await?.health().await;
        health.ok().map(|health| health.height)
    }

    /// Waits until a node's chain is higher than `height`, looking `looks` times, every 50 ms or as fast as the machine
    /// lets it.
    ///
    /// # Errors
    /// When it is not by then.
    pub async fn higher_than(
        &self,
        height: Height,
        node: usize,
        looks: u32,
    ) -> Result<Height, String> {
        let mut last = None;
        for _ in 0..looks {
            last = self.height(node).await;
            if let Some(found) = last.filter(|found| *found > height) {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!(
            "node {node} is at {last:?} and should be above {height}; {}",
            self.log_end(node)
        ))
    }

    /// Waits until a node is connected to `wanted` peers or more, looking as [`Self::higher_than`] does.
    ///
    /// # Errors
    /// When it is not by then.
    pub async fn among(&self, wanted: usize, node: usize, looks: u32) -> Result<(), String> {
        let mut last = None;
        for _ in 0..looks {
            if let Some(client) = self.client(node).await {
                last = client.node_peers().await.ok().map(|peers| peers.len());
            }
            if last.is_some_and(|found| found >= wanted) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!(
            "node {node} has {last:?} peers and should have {wanted}; {}",
            self.log_end(node)
        ))
    }
}
