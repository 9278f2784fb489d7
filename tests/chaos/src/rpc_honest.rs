//! Honest callers beside an attack: a steady load of transfers through one node, and reads that must hold R4.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kumiki_client::{Client, ClientError};
use kumiki_protocol::{Action, Height, Nonce, Transaction, TransactionBody};
use kumiki_rpc_api::ErrorCode;
use kumiki_wallet::dev_account::{self, DevAccount};
use tokio::sync::watch;

use crate::{Acknowledged, Nodes, Promise};

/// Transactions that an account hands in at a time; it waits for the last.
const AT_ONCE: Nonce = 8;
/// Each account begins anew so often, or when the ones before are final.
const EVERY: Duration = Duration::from_millis(250);
/// Between two reads, and between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// What honest callers saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// When each wait for a final transaction ended, and how long it was.
    pub waits: Vec<(Instant, Duration)>,
    /// When each read was answered, and by which node.
    pub reads: Vec<(Instant, usize)>,
    /// What they were told was final.
    pub told: Acknowledged,
    /// Tries that were refused or came to nothing, and were made again.
    pub failures: BTreeMap<String, u64>,
}

/// The callers.
#[derive(Debug)]
pub struct Honest {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    stop: watch::Sender<bool>,
    seen: Arc<Mutex<Seen>>,
}

impl Honest {
    /// Starts callers: each published account but the first sends through the node `through`, and one reads from each
    /// node.
    #[must_use]
    pub fn start(nodes: &Nodes, through: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let caller = |node| Caller {
            nodes: nodes.clone(),
            node,
            seen: Arc::clone(&seen),
            stopped: stopped.clone(),
        };
        let senders = dev_account::all().into_iter().skip(1);
        let mut tasks: Vec<_> = senders
            .map(|account| tokio::spawn(caller(through).send(account)))
            .collect();
        tasks.extend((0..nodes.rpc.len()).map(|node| tokio::spawn(caller(node).read())));
        Self { tasks, stop, seen }
    }

    /// Transactions that became final, the waits for them, and reads of `node`, since `since`.
    #[must_use]
    pub fn since(&self, since: Instant, node: usize) -> (u64, Vec<Duration>, usize) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = seen.waits.iter().rev().take_while(|(at, _)| *at >= since);
        let waits: Vec<Duration> = recent.map(|(_, wait)| *wait).collect();
        let reads = seen.reads.iter().rev().take_while(|(at, _)| *at >= since);
        let reads = reads.filter(|(_, read)| *read == node);
        let count = u64::try_from(waits.len()).unwrap_or(u64::MAX);
        (count.saturating_mul(AT_ONCE), waits, reads.count())
    }

    /// Ends the callers once all they have under way is final.
    ///
    /// # Panics
    /// When a caller did.
    pub async fn finish(self) -> Seen {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("a caller does not panic");
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen)
    }
}

struct Caller {
    nodes: Nodes,
    node: usize,
    seen: Arc<Mutex<Seen>>,
    stopped: watch::Receiver<bool>,
}

impl Caller {
    fn with_seen(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note_failure(&self, error: &ClientError) {
        let name = match error {
            ClientError::Api(error) => error.code.name().to_owned(),
            other => other.to_string().chars().take(80).collect(),
        };
        self.with_seen(|seen| *seen.failures.entry(name).or_default() += 1);
    }

    async fn client(&self) -> Client {
        let url = self.nodes.rpc.get(self.node).cloned().unwrap_or_default();
        loop {
            match Client::connect(&url, None).await {
                Ok(client) => return client,
                Err(error) => self.note_failure(&error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send(self, account: DevAccount) {
        let client = self.client().await;
        let mut nonce = loop {
            match client.next_nonce(account.address).await {
                Ok(next) => break next.nonce,
                Err(error) => self.note_failure(&error),
            }
            tokio::time::sleep(PAUSE).await;
        };
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !*self.stopped.borrow() {
            ticks.tick().await;
            for nonce in nonce..nonce + AT_ONCE - 1 {
                self.hand_in(&client, &transfer(&client, &account, nonce))
                    .await;
            }
            let last = transfer(&client, &account, nonce + AT_ONCE - 1);
            self.until_final(&client, &last).await;
            nonce += AT_ONCE;
        }
    }

    /// Hands in until the node has it.
    async fn hand_in(&self, client: &Client, transaction: &Transaction) {
        while let Err(error) = client.submit(transaction).await {
            let executed =
                matches!(&error, ClientError::Api(error) if error.code == ErrorCode::NonceTooLow);
            if executed {
                return;
            }
            self.note_failure(&error);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn until_final(&self, client: &Client, transaction: &Transaction) {
        let start = Instant::now();
        let height = loop {
            match client.submit_and_wait(transaction).await {
                Ok(receipt) => break receipt.height,
                Err(error) => self.note_failure(&error),
            }
            tokio::time::sleep(PAUSE).await;
        };
        self.with_seen(|seen| {
            seen.waits.push((Instant::now(), start.elapsed()));
            seen.told.transactions.insert(transaction.hash(), height);
        });
    }

    /// Reads what must never go back: the head, and the nonce of an account that sends.
    async fn read(self) {
        let client = self.client().await;
        let account = dev_account::all().into_iter().nth(1);
        let address = account.map(|account| account.address).unwrap_or_default();
        let mut highest: (Height, Nonce) = (0, 0);
        while !*self.stopped.borrow() {
            match client.account(address, None).await {
                Ok(view) => {
                    let (height, nonce) = (view.height, view.nonce);
                    if height < highest.0 || nonce < highest.1 {
                        let promise: Promise = format!(
                            "node {} showed {highest:?} and then {:?}",
                            self.node,
                            (height, nonce)
                        );
                        self.with_seen(|seen| seen.told.broken.push(promise));
                    }
                    highest = (height, nonce);
                    self.with_seen(|seen| seen.reads.push((Instant::now(), self.node)));
                }
                Err(error) => self.note_failure(&error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn transfer(client: &Client, account: &DevAccount, nonce: Nonce) -> Transaction {
    TransactionBody {
        version: TransactionBody::current_version(),
        genesis_hash: client.genesis_hash(),
        sender: account.key.public_key(),
        nonce,
        gas_limit: 200_000,
        gas_price: 1,
        valid_until: 90_000,
        actions: vec![Action::Transfer {
            to: account.address,
            amount: 1,
        }],
    }
    .sign(&account.key)
}
