//! Hand transfers in at whatever node answers, until each is certain to be final.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kumiki_client::Client;
use kumiki_protocol::{
    Action, Address, Amount, Height, Nonce, Transaction, TransactionBody, TransactionHash,
};
use kumiki_rpc_api::TransactionState;
use kumiki_testkit::Random;
use kumiki_wallet::dev_account::{self, DevAccount};
use tokio::sync::watch;

use crate::Nodes;

/// Transactions that one account has under way.
const PIPELINE: usize = 8;
/// Between two questions about one transaction.
const PAUSE: Duration = Duration::from_millis(30);
/// Asked so often, a transaction is handed in again elsewhere.
const PATIENCE: u32 = 40;

/// Reads of accounts that are kept to be compared.
const READS_KEPT: usize = 400;

/// What a node said of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which node.
    pub node: usize,
    /// Whose account.
    pub address: Address,
    /// After which block.
    pub height: Height,
    /// What it held.
    pub balance: Amount,
    /// How many transactions it had sent.
    pub nonce: Nonce,
}

/// What clients were told.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Transactions that a node called final, with the height it gave.
    pub transactions: BTreeMap<TransactionHash, Height>,
    /// What nodes said of accounts, the newest.
    pub reads: VecDeque<Read>,
    /// Promises broken while it ran.
    pub broken: Vec<String>,
}

/// Clients that hand transfers in, one for each published account.
#[derive(Debug)]
pub struct Load {
    clients: Vec<tokio::task::JoinHandle<()>>,
    stop: watch::Sender<bool>,
    told: Arc<Mutex<Acknowledged>>,
}

impl Load {
    /// Starts the clients.
    #[must_use]
    pub fn start(nodes: &Nodes, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let told: Arc<Mutex<Acknowledged>> = Arc::default();
        let clients = (1_u64..).zip(dev_account::all()).map(|(number, account)| {
            let sender = Sender {
                nodes: nodes.clone(),
                account,
                random: Random::new(seed ^ (number << 32)),
                told: Arc::clone(&told),
                heads: BTreeMap::new(),
            };
            tokio::spawn(sender.run(stopped.clone()))
        });
        Self {
            clients: clients.collect(),
            stop,
            told,
        }
    }

    /// Ends the clients once all they have under way is final, and says what they were told.
    ///
    /// # Panics
    /// When a client did.
    pub async fn finish(self) -> Acknowledged {
        self.stop.send_replace(true);
        for client in self.clients {
            client.await.expect("a client does not panic");
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut told)
    }
}

struct Sender {
    nodes: Nodes,
    account: DevAccount,
    random: Random,
    told: Arc<Mutex<Acknowledged>>,
    /// The highest head that each node has shown to this client.
    heads: BTreeMap<usize, Height>,
}

impl Sender {
    async fn run(mut self, stop: watch::Receiver<bool>) {
        let mut nonce = self.first_nonce().await;
        while !*stop.borrow() {
            let (_, client) = self.any_client().await;
            let count = Nonce::try_from(PIPELINE).unwrap_or(1);
            let batch: Vec<Transaction> = (nonce..nonce + count)
                .map(|nonce| self.transfer(&client, nonce))
                .collect();
            for transaction in &batch {
                // What is refused or lost here is handed in again below.
                drop(client.submit(transaction).await);
            }
            for transaction in &batch {
                self.until_final(transaction).await;
            }
            nonce += count;
        }
    }

    /// What comes after all that the account sent before.
    async fn first_nonce(&mut self) -> Nonce {
        loop {
            let (_, client) = self.any_client().await;
            if let Ok(next) = client.next_nonce(self.account.address).await {
                return next.nonce;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Some node that answers.
    async fn any_client(&mut self) -> (usize, Client) {
        loop {
            let node = self.random.below(self.nodes.rpc.len());
            if let Some(client) = self.nodes.client(node).await {
                return (node, client);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn transfer(&mut self, client: &Client, nonce: Nonce) -> Transaction {
        let to: Vec<Address> = dev_account::all().iter().map(|one| one.address).collect();
        let receiver = to[self.random.below(to.len())];
        let body = TransactionBody {
            version: TransactionBody::current_version(),
            genesis_hash: client.genesis_hash(),
            sender: self.account.key.public_key(),
            nonce,
            gas_limit: 200_000,
            gas_price: 1,
            valid_until: 90_000,
            actions: vec![Action::Transfer {
                to: receiver,
                amount: Amount::try_from(self.random.below(1_000)).unwrap_or(1),
            }],
        };
        let signature = self.account.key.sign(&body.sign_bytes());
        Transaction { body, signature }
    }

    /// Asks until some node says that the transaction is final, handing it in again now and then.
    async fn until_final(&mut self, transaction: &Transaction) {
        let hash = transaction.hash();
        loop {
            let (node, client) = self.any_client().await;
            drop(client.submit(transaction).await);
            for _ in 0..PATIENCE {
                let Ok(answer) = client.transaction(hash, None).await else {
                    break;
                };
                self.note_head(node, answer.head);
                if let (TransactionState::Final, Some(height)) = (answer.status, answer.height) {
                    self.told
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .transactions
                        .insert(hash, height);
                    self.read(transaction.body.nonce, height).await;
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Reads the account from some node. One that has the block of a final transaction shows what it did, and no node
    /// shows what is in no block: that is compared in the end.
    async fn read(&mut self, nonce: Nonce, height: Height) {
        let (node, client) = self.any_client().await;
        let Ok(view) = client.account(self.account.address, None).await else {
            return;
        };
        self.note_head(node, view.height);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if view.height >= height && view.nonce <= nonce {
            told.broken.push(format!(
                "node {node} shows nonce {} at {}, and {nonce} was called final at {height}",
                view.nonce, view.height
            ));
        }
        if told.reads.len() == READS_KEPT {
            told.reads.pop_front();
        }
        told.reads.push_back(Read {
            node,
            address: view.address,
            height: view.height,
            balance: view.balance.0,
            nonce: view.nonce,
        });
    }

    /// Everything that a node has shown is on its disk, so its head never goes back, not even over a crash.
    fn note_head(&mut self, node: usize, head: Height) {
        let known = self.heads.entry(node).or_insert(head);
        if head < *known {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.broken
                .push(format!("node {node} showed height {known} and then {head}"));
        }
        *known = head.max(*known);
    }
}
