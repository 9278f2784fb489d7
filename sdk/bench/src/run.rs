//! Fund the senders, sign the load, send it, and measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kumiki_client::rpc_api::{ReceiptStatus, TransactionReceipt};
use kumiki_client::{Client, ClientError, Draft};
use kumiki_protocol::{
    Action, Address, Amount, Encode as _, SecretKey, Transaction, limits, sha3_256,
};

use crate::ConnectionError;
use crate::connection::Connection;
use crate::load::{Lane, Terms, send_lane, sign_lane};
use crate::metrics_page::MetricsPage;
use crate::report::{Latency, Report, Stage};

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
    /// Calls of `transfer(to, amount)` of a token contract that the funder owns and can `mint(to, amount)` with.
    Token {
        /// The contract.
        contract: Address,
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

impl Options {
    /// What a machine with two cores can take: 60 s of at most 12,000 transactions per second.
    #[must_use]
    pub fn standard(url: String, funder: SecretKey, load: Load) -> Self {
        Self {
            url,
            funder,
            load,
            seconds: 60,
            rate_max: 12_000,
            connections: 4,
            senders: 16,
            batch: 100,
        }
    }
}

/// The load, with what is to be found out about a contract only once.
#[derive(Debug, Clone)]
enum Steps {
    Native,
    Token {
        contract: Address,
        transfer: [u8; 4],
        mint: [u8; 4],
    },
}

impl Steps {
    async fn find_out(load: &Load, client: &Client) -> Result<Self, BenchError> {
        let Load::Token { contract } = load else {
            return Ok(Self::Native);
        };
        let abi = client.abi(*contract).await?;
        let selector = |name: &'static str| {
            let method = abi.method(name).ok();
            let digits = method.and_then(|method| method.selector.strip_prefix("0x"));
            let mut selector = [0; 4];
            digits
                .and_then(|digits| hex::decode_to_slice(digits, &mut selector).ok())
                .map(|()| selector)
                .ok_or(BenchError::NoToken { name })
        };
        Ok(Self::Token {
            contract: *contract,
            transfer: selector("transfer")?,
            mint: selector("mint")?,
        })
    }

    /// One step of the load, to `receiver`.
    fn transfer(&self, receiver: &Address) -> Action {
        match self {
            Self::Native => Action::Transfer {
                to: *receiver,
                amount: 1,
            },
            Self::Token {
                contract, transfer, ..
            } => call(contract, transfer, receiver, 1),
        }
    }

    /// What gives `sender` tokens, where it needs any.
    fn mint(&self, sender: &Address) -> Option<Action> {
        match self {
            Self::Native => None,
            Self::Token { contract, mint, .. } => Some(call(contract, mint, sender, 1 << 40)),
        }
    }
}

/// A call of a method that takes an address and an amount.
fn call(contract: &Address, selector: &[u8; 4], to: &Address, amount: Amount) -> Action {
    let mut input = selector.to_vec();
    (to, amount).encode_to(&mut input);
    Action::Call {
        contract: *contract,
        input,
        value: 0,
    }
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
    /// The contract is not a token that the funder can mint.
    #[error("the contract has no method '{name}': expected a token with transfer and mint")]
    NoToken {
        /// The method that is missing.
        name: &'static str,
    },
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
    let steps = Steps::find_out(&options.load, &client).await?;
    progress("funding the senders");
    fund(options, &steps, &client, &keys).await?;
    let terms = terms(&steps, &client, &keys[0]).await?;
    progress("measuring the idle chain");
    let mut prober = Prober::new(&steps, &terms, &keys);
    let idle = prober.measure_idle(&client).await?;
    progress("signing the load");
    let lanes = sign(options, &steps, &terms, &keys[1..]).await?;
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

async fn fund(
    options: &Options,
    steps: &Steps,
    client: &Client,
    keys: &[SecretKey],
) -> Result<(), BenchError> {
    let funder = options.funder.public_key();
    let balance = client.account(Address::of_account(&funder), None).await?;
    // Half of what there is, in equal parts.
    let parts = Amount::try_from(keys.len()).unwrap_or(Amount::MAX);
    let amount = balance.balance.0 / 2 / parts;
    for keys in keys.chunks(limits::ACTIONS_MAX / 2) {
        let mut actions = Vec::new();
        for key in keys {
            let to = address(key);
            actions.push(Action::Transfer { to, amount });
            actions.extend(steps.mint(&to));
        }
        let prepared = client.prepare(&Draft::new(actions), &funder).await?;
        let receipt = client.send(prepared.body, &options.funder).await?;
        check_receipt(&receipt)?;
    }
    Ok(())
}

fn check_receipt(receipt: &TransactionReceipt) -> Result<(), BenchError> {
    let receipt = &receipt.receipt;
    if receipt.status == ReceiptStatus::Ok {
        return Ok(());
    }
    let why = receipt.failure.as_ref().map(|failure| failure.name.clone());
    Err(BenchError::SetUp {
        hash: receipt.transaction.to_string(),
        status: why.unwrap_or_default(),
    })
}

/// What the load's transactions have in common: gas as a simulation of one suggests, with room to spare.
async fn terms(steps: &Steps, client: &Client, key: &SecretKey) -> Result<Terms, BenchError> {
    let draft = Draft::new(vec![steps.transfer(&address(key))]);
    let prepared = client.prepare(&draft, &key.public_key()).await?;
    Ok(Terms {
        genesis_hash: client.genesis_hash(),
        gas_limit: prepared.body.gas_limit.saturating_mul(2),
        gas_price: prepared.body.gas_price,
        valid_until: client.info().await?.head.height + VALID_FOR,
    })
}

async fn sign(
    options: &Options,
    steps: &Steps,
    terms: &Terms,
    keys: &[SecretKey],
) -> Result<Vec<Arc<Lane>>, BenchError> {
    let seconds = usize::try_from(options.seconds).unwrap_or(usize::MAX);
    let count = options.rate_max.saturating_mul(seconds) / options.connections.max(1);
    let signing: Vec<_> = keys
        .chunks(options.senders.max(1))
        .map(|senders| {
            let (terms, senders, steps) = (terms.clone(), senders.to_vec(), steps.clone());
            tokio::task::spawn_blocking(move || {
                let receivers: Vec<Address> = senders.iter().map(address).collect();
                // Each sends to the next.
                let receiver = |index: usize| receivers[(index + 1) % receivers.len()];
                sign_lane(&terms, &senders, count, |index| {
                    steps.transfer(&receiver(index))
                })
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
    fn new(steps: &Steps, terms: &Terms, keys: &[SecretKey]) -> Self {
        let receiver = keys.get(1).unwrap_or(&keys[0]);
        Self {
            key: keys[0].clone(),
            // Beside the load it pays a little more, as somebody in a hurry does.
            terms: Terms {
                gas_price: terms.gas_price + 1,
                ..terms.clone()
            },
            action: steps.transfer(&address(receiver)),
            nonce: 0,
        }
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
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let before = metrics_page(&options.url).await?;
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
    let after = metrics_page(&options.url).await?;
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

/// On a connection of its own: a node closes those that are idle as long as a load takes.
async fn metrics_page(url: &str) -> Result<MetricsPage, BenchError> {
    let text = Connection::open(url).await?.get("/metrics").await?;
    Ok(MetricsPage::parse(&text))
}

/// Kinds of work and the metrics that count their seconds.
const STAGES: [(&str, &str); 7] = [
    (
        "admission: account and pool",
        "kumiki_mempool_check_seconds_total",
    ),
    (
        "admission: signatures",
        "kumiki_mempool_verify_seconds_total",
    ),
    (
        "executor: choose candidates",
        "kumiki_node_block_select_seconds_sum",
    ),
    ("executor: execute", "kumiki_node_block_execute_seconds_sum"),
    (
        "executor: state root and header",
        "kumiki_node_block_root_seconds_sum",
    ),
    (
        "executor: durable commit",
        "kumiki_node_block_commit_seconds_sum",
    ),
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
