//! Run a real node in this process, and reach it through a proxy.

use std::time::Duration;

use kumiki_consensus::Sealing;
use kumiki_node::{Node, NodeConfig, NodeHandle, dev_genesis};
use kumiki_protocol::{Genesis, Transaction, TransactionHash};
use kumiki_testkit::{Draft, account};

use crate::Client;
use crate::proxy::Proxy;

/// A node on a fresh chain. Its folder goes when this is dropped.
pub(crate) struct TestNode {
    pub(crate) node: NodeHandle,
    _folder: tempfile::TempDir,
}

/// Seals as soon as a transaction waits.
pub(crate) const AT_ONCE: Sealing = Sealing::AtOnce { heartbeat: None };
/// Seals nothing while a test runs: what is handed in waits.
pub(crate) const NOT_TODAY: Sealing = Sealing::Every(Duration::from_secs(24 * 3_600));

impl TestNode {
    /// A node of the chain that began at `time_ms`; another time is another chain.
    pub(crate) async fn start(time_ms: u64, sealing: Sealing) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let accounts: Vec<_> = (0..4).map(|number| account(number).address).collect();
        let genesis = dev_genesis(&accounts, 1 << 80, time_ms);
        let mut config = NodeConfig::dev(folder.path().to_owned(), genesis, 0);
        config = config.sealed(sealing);
        Self {
            node: Node::start(config).await.unwrap(),
            _folder: folder,
        }
    }

    /// A client of this node, and what lies between them.
    pub(crate) async fn behind_proxy(&self) -> (Client, Proxy) {
        let proxy = Proxy::to(self.node.rpc_address()).await;
        (Client::connect(&proxy.url(), None).await.unwrap(), proxy)
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        self.node.genesis()
    }

    /// A transfer from account 0.
    pub(crate) fn transfer(&self, nonce: u64, amount: u128) -> Draft {
        Draft::new(self.genesis(), &account(0), nonce)
            .gas_limit(200_000)
            .transfer(&account(9).address, amount)
    }

    /// Hands in a transaction past any client and waits until a block has it; returns the height.
    pub(crate) async fn execute(&self, transaction: Transaction) -> u64 {
        let hash = self.node.mempool().submit(transaction).await.unwrap();
        let mut heads = self.node.heads();
        loop {
            heads.borrow_and_update();
            let storage = self.node.storage();
            if let Some((height, _)) = storage.transaction_location(&hash).unwrap() {
                return height;
            }
            heads.changed().await.unwrap();
        }
    }

    /// Returns once the transaction waits in the node, which it must.
    pub(crate) async fn waits(&self, hash: &TransactionHash) {
        let looking = async {
            while !self.node.mempool().contains(hash) {
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(60), looking).await;
        found.expect("it was not handed in");
    }
}
