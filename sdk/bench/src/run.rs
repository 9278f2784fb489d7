//! Fund the senders, sign the load, send it, and measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kumiki_client::{Client, ClientError, Draft};
use kumiki_protocol::{Action, Address, Amount, SecretKey, Transaction, limits, sha3_256};

use crate::connection::Connection;
use crate::load::{Lane, Terms, send_lane, sign_lane};
use crate::metrics_page::MetricsPage;
use crate::report::{Latency, Report, Stage};
use crate::ConnectionError;

/// Transactions measured one after the other on the idle chain.
const IDLE_COUNT: usize = 300;
/// Time between two measured transactions beside the load.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// Blocks for which the load is valid; below the protocol's window.
const VALID_FOR: u64 = limits::VALID_UNTIL_WINDOW_MAX - 10_000;

/// What is sent.
#[derive(Debug, Clone)]
pub enum Load {
    /// Transfers of native tokens.
    Native,
    /// Calls of a token contract. `input` is the encoded call that a sender can repeat; `prepare` are calls by
    /// the funder that give each sender, in order, what it needs.
    Token {
        /// The contract.
        contract: Address,
        /// One call of the load, to this receiver.
        transfer: fn(&Address) -> Vec<u8>,
        /// A call that gives this sender tokens.
        mint: fn(&Address) -> Vec<u8>,
    },
}

/// How to load a node.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node, as `http://HOST:PORT`.
    pub url: String,
    /// An account that can pay for everything, and mint where tokens are sent.
    pub funder: SecretKey,
    /// What is sent.
    pub load: Load,
    /// How long.
    pub seconds: u64,
    /// Transactions per second that are signed ahead; the load never exceeds this.
    pub rate_max: usize,
    /// Connections that send.
    pub connections: usize,
    /// Accounts that send, per connection.
    pub senders: usize,
    /// Transactions per JSON-RPC batch.
    pub batch: usize,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The node refuses or cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A task of the load panicked: a bug.
    #[error("a task of the load panicked")]
    Panicked,
    /// A set-up transaction failed.
    #[error("the set-up transaction {hash} failed: {status}")]
    SetUp {
        /// Which.
        hash: String,
        /// How.
        status: String,
    },
}

/// Loads a node and reports. `progress` hears what is being done.
///
/// # Errors
/// The first thing that went wrong; nothing is reported then.
pub async fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Report, BenchError> {
    let client = Client::connect(&options.url, None).await?;
    let keys = sender_keys(options, &client).await?;
    progress("funding the senders");
    fund(options, &client, &keys).await?;
    let terms = terms(options, &client, &keys[0]).await?;
    progress("measuring the idle chain");
    let mut prober = Prober::new(options, &terms, &keys)?;
    let idle = prober.measure_idle(&client).await?;
    progress("signing the load");
    let lanes = sign(options, &terms, &keys[1..]).await?;
    progress("sending the load");
    let measured = send(options, &client, lanes, prober).await?;
    Ok(measured.report(options, idle))
}

/// Fresh keys for this run: one that probes, then those of each connection.
async fn sender_keys(options: &Options, client: &Client) -> Result<Vec<SecretKey>, BenchError> {
    let height = client.info().await?.head.height.to_string();
    let funder = options.funder.to_seed();
    Ok((0..=options.connections * options.senders)
        .map(|index| {
            let index = index.to_string();
            let seed = sha3_256(&[
                b"kumiki/bench/",
                &funder,
                height.as_bytes(),
                b"/",
                index.as_bytes(),
            ]);
            SecretKey::from_seed(seed.0)
        })
        .collect())
}

fn address(key: &SecretKey) -> Address {
    Address::of_account(&key.public_key())
}

async fn fund(options: &Options, client: &Client, keys: &[SecretKey]) -> Result<(), BenchError> {
    let funder = options.funder.public_key();
    let balance = client.account(Address::of_account(&funder), None).await?;
    // Half of what there is, in equal parts.
    let parts = Amount::try_from(keys.len()).unwrap_or(Amount::MAX);
    let amount = balance.balance.0 / 2 / parts;
    let per_transaction = match options.load {
        Load::Native => limits::ACTIONS_MAX,
        Load::Token { .. } => limits::ACTIONS_MAX / 2,
    };
    for keys in keys.chunks(per_transaction) {
        let mut actions = Vec::new();
        for key in keys {
            let to = address(key);
            actions.push(Action::Transfer { to, amount });
            if let Load::Token { contract, mint, .. } = &options.load {
                actions.push(Action::Call {
                    contract: *contract,
                    input: mint(&to),
                    value: 0,
                });
            }
        }
        let prepared = client.prepare(&Draft::new(actions), &funder).await?;
        let receipt = client.send(prepared.body, &options.funder).await?;
        check_receipt(&receipt)?;
    }
    Ok(())
}

fn check_receipt(
    receipt: &kumiki_client::rpc_api::TransactionReceipt,
) -> Result<(), BenchError> {
    let value = serde_json::to_value(receipt).unwrap_or_default();
    if value["status"] == "ok" || value["status"]["kind"] == "ok" {
        return Ok(());
    }
    Err(BenchError::SetUp {
        hash: value["hash"].to_string(),
        status: value["status"].to_string(),
    })
}

/// What the load's transactions have in common: gas as a simulation of one suggests, with room to spare.
async fn terms(
    options: &Options,
    client: &Client,
    key: &SecretKey,
) -> Result<Terms, BenchError> {
    let draft = Draft::new(vec![action(&options.load, &address(key))]);
    let prepared = client.prepare(&draft, &key.public_key()).await?;
    Ok(Terms {
        genesis_hash: client.genesis_hash(),
        gas_limit: prepared.body.gas_limit.saturating_mul(2),
        gas_price: prepared.body.gas_price,
        valid_until: client.info().await?.head.height + VALID_FOR,
    })
}

/// One step of the load, to `receiver`.
fn action(load: &Load, receiver: &Address) -> Action {
    match load {
        Load::Native => Action::Transfer {
            to: *receiver,
            amount: 1,
        },
        Load::Token {
            contract, transfer, ..
        } => Action::Call {
            contract: *contract,
            input: transfer(receiver),
            value: 0,
        },
    }
}

async fn sign(
    options: &Options,
    terms: &Terms,
    keys: &[SecretKey],
) -> Result<Vec<Arc<Lane>>, BenchError> {
    let seconds = usize::try_from(options.seconds).unwrap_or(usize::MAX);
    let count = options.rate_max.saturating_mul(seconds) / options.connections.max(1);
    let signing: Vec<_> = keys
        .chunks(options.senders.max(1))
        .map(|senders| {
            let (terms, senders, load) = (terms.clone(), senders.to_vec(), options.load.clone());
            tokio::task::spawn_blocking(move || {
                let receivers: Vec<Address> = senders.iter().map(address).collect();
                // Each sends to the next.
                let receiver = |index: usize| receivers[(index + 1) % receivers.len()];
                sign_lane(&terms, &senders, count, |index| action(&load, &receiver(index)))
            })
        })
        .collect();
    let mut lanes = Vec::new();
    for lane in signing {
        lanes.push(Arc::new(lane.await.map_err(|_panic| BenchError::Panicked)?));
    }
    Ok(lanes)
}

/// Submits and waits, one transaction after the other.
struct Prober {
    key: SecretKey,
    terms: Terms,
    action: Action,
    nonce: u64,
}

impl Prober {
    fn new(options: &Options, terms: &Terms, keys: &[SecretKey]) -> Result<Self, BenchError> {
        let receiver = keys.get(1).unwrap_or(&keys[0]);
        Ok(Self {
            key: keys[0].clone(),
            // Beside the load it pays a little more, as somebody in a hurry does.
            terms: Terms {
                gas_price: terms.gas_price + 1,
                ..terms.clone()
            },
            action: action(&options.load, &address(receiver)),
            nonce: 0,
        })
    }

    fn next(&mut self) -> Transaction {
        let transaction = self.terms.sign(&self.key, self.nonce, self.action.clone());
        self.nonce += 1;
        transaction
    }

    async fn measure(&mut self, client: &Client) -> Result<Duration, BenchError> {
        let transaction = self.next();
        let start = Instant::now();
        let receipt = client.submit_and_wait(&transaction).await?;
        let elapsed = start.elapsed();
        check_receipt(&receipt)?;
        Ok(elapsed)
    }

    async fn measure_idle(&mut self, client: &Client) -> Result<Latency, BenchError> {
        let mut times = Vec::with_capacity(IDLE_COUNT);
        for _ in 0..IDLE_COUNT {
            times.push(self.measure(client).await?);
        }
        Ok(Latency::of(times))
    }

    async fn measure_until(
        mut self,
        client: Client,
        stop: Arc<AtomicBool>,
    ) -> Result<Latency, BenchError> {
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            times.push(self.measure(&client).await?);
            tokio::time::sleep(PROBE_PAUSE).await;
        }
        Ok(Latency::of(times))
    }
}

/// What was seen of a run.
struct Measured {
    elapsed: Duration,
    before: MetricsPage,
    after: MetricsPage,
    loaded: Latency,
    refusals: u64,
}

async fn send(
    options: &Options,
    client: &Client,
    lanes: Vec<Arc<Lane>>,
    prober: Prober,
) -> Result<Measured, BenchError> {
    let mut page = Connection::open(&options.url).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let before = MetricsPage::parse(&page.get("/metrics").await?);
    let start = Instant::now();
    let senders: Vec<_> = lanes
        .into_iter()
        .map(|lane| {
            let url = options.url.clone();
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(send_lane(url, lane, options.batch, stop, sent))
        })
        .collect();
    let probing = tokio::spawn(prober.measure_until(client.clone(), Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let after = MetricsPage::parse(&page.get("/metrics").await?);
    let elapsed = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut refusals = 0;
    for sender in senders {
        refusals += sender.await.map_err(|_panic| BenchError::Panicked)??;
    }
    let loaded = probing.await.map_err(|_panic| BenchError::Panicked)??;
    Ok(Measured {
        elapsed,
        before,
        after,
        loaded,
        refusals,
    })
}

/// Kinds of work and the metrics that count their seconds.
const STAGES: [(&str, &str); 7] = [
    ("admission: account and pool", "kumiki_mempool_check_seconds_total"),
    ("admission: signatures", "kumiki_mempool_verify_seconds_total"),
    ("executor: choose candidates", "kumiki_node_block_select_seconds_sum"),
    ("executor: execute", "kumiki_node_block_execute_seconds_sum"),
    ("executor: state root and header", "kumiki_node_block_root_seconds_sum"),
    ("executor: durable commit", "kumiki_node_block_commit_seconds_sum"),
    ("executor: publish", "kumiki_node_block_publish_seconds_sum"),
];

impl Measured {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters are whole and far below 2^53"
    )]
    fn report(self, options: &Options, idle: Latency) -> Report {
        let growth = |name| self.after.growth(&self.before, name);
        let seconds = self.elapsed.as_secs_f64();
        let transactions = growth("kumiki_node_transactions_total");
        let stages = STAGES
            .iter()
            .map(|(name, metric)| Stage {
                name,
                share: growth(metric) / seconds,
                micros_per_transaction: growth(metric) * 1e6 / transactions.max(1.0),
            })
            .collect();
        Report {
            load: match options.load {
                Load::Native => "native transfers",
                Load::Token { .. } => "token transfers",
            },
            seconds,
            transactions: transactions as u64,
            blocks: growth("kumiki_node_blocks_total") as u64,
            per_second: transactions / seconds,
            idle,
            loaded: self.loaded,
            refusals: self.refusals,
            stages,
        }
    }
}
