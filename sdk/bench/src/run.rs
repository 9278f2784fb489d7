//! Fund the senders, sign the load, send it, and measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kumiki_client::rpc_api::{ReceiptStatus, TransactionReceipt};
use kumiki_client::{Client, ClientError, Draft};
use kumiki_protocol::{
    Action, Address, Amount, Encode as _, SecretKey, TransactionHash, limits, sha3_256,
};

use crate::ConnectionError;
use crate::connection::Connection;
use crate::load::{Lane, Pace, Terms, send_lane, sign_lane};
use crate::measured::Measured;
use crate::metrics_page::MetricsPage;
use crate::probe::{Patience, Prober};
use crate::report::Report;
use crate::usage::{Target, Usage};

#[cfg(test)]
mod tests;

/// How long a node may do nothing that this crate waits for: answer a request, or make any transaction final. Far
/// above what an overloaded node takes for a block.
const PATIENCE: Duration = Duration::from_secs(30);
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
    /// The nodes. The first is funded through and says what is final; each connection sends to another one.
    pub nodes: Vec<Target>,
    /// An account that can pay for everything, and mint where tokens are sent.
    pub funder: SecretKey,
    /// What is sent.
    pub load: Load,
    /// How long.
    pub seconds: u64,
    /// Transactions per second that are offered at most.
    pub rate_max: usize,
    /// Connections that send.
    pub connections: usize,
    /// Accounts that send, per connection.
    pub senders: usize,
    /// Transactions per JSON-RPC batch.
    pub batch: usize,
    /// Transactions measured one after the other on the idle chain.
    pub idle_count: usize,
    /// How long the chain is left alone before each of them, about.
    pub idle_pause: Duration,
}

impl Options {
    /// What a machine with two cores can take: 60 s of at most 12,000 transactions per second.
    #[must_use]
    pub fn standard(url: String, funder: SecretKey, load: Load) -> Self {
        Self {
            nodes: vec![Target { url, pid: None }],
            funder,
            load,
            seconds: 60,
            rate_max: 12_000,
            connections: 4,
            senders: 16,
            batch: 100,
            idle_count: 300,
            idle_pause: Duration::ZERO,
        }
    }

    /// The node that is funded through.
    fn first_url(&self) -> &str {
        self.nodes.first().map_or("", |node| &node.url)
    }

    /// The node of the connection `index`.
    fn url_of(&self, index: usize) -> &str {
        let index = index % self.nodes.len().max(1);
        self.nodes.get(index).map_or("", |node| &node.url)
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
    /// A transaction was taken in and does not become final, and no other does.
    #[error(
        "the {what} {hash} never became final: no transaction did for {seconds} s. The node's log may say why"
    )]
    Stalled {
        /// What it was for.
        what: &'static str,
        /// Which.
        hash: TransactionHash,
        /// How long nothing became final, in seconds.
        seconds: u64,
    },
    /// There is no node to load.
    #[error("there is no node to load")]
    NoNodes,
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
pub async fn run(options: &Options, progress: impl FnMut(&str)) -> Result<Report, BenchError> {
    run_with(options, PATIENCE, progress).await
}

async fn run_with(
    options: &Options,
    patience: Duration,
    mut progress: impl FnMut(&str),
) -> Result<Report, BenchError> {
    let mut clients = Vec::new();
    for node in &options.nodes {
        clients.push(Client::connect(&node.url, None).await?);
    }
    let client = Client::connect(options.first_url(), None).await?;
    let patience = Patience::new(options.first_url(), patience);
    let keys = sender_keys(options, &client).await?;
    let steps = Steps::find_out(&options.load, &client).await?;
    progress("funding the senders");
    fund(options, &steps, &client, &keys, &patience).await?;
    let terms = terms(&steps, &client, &keys[0]).await?;
    progress("measuring the idle chain");
    let receiver = address(keys.get(1).unwrap_or(&keys[0]));
    let action = steps.transfer(&receiver);
    let mut prober = Prober::new(&terms, &keys[0], action, patience.clone(), clients);
    let idle = prober
        .measure_idle(options.idle_count, options.idle_pause)
        .await?;
    progress("signing the load");
    let lanes = sign(options, &steps, &terms, &keys[1..]).await?;
    progress("sending the load");
    let measured = send(options, lanes, prober, &patience).await?;
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
    patience: &Patience,
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
        let transaction = client.sign(prepared.body, &options.funder)?;
        let receipt = patience
            .follow(client, &transaction, "set-up transaction")
            .await?;
        check_receipt(&receipt)?;
    }
    Ok(())
}

pub(crate) fn check_receipt(receipt: &TransactionReceipt) -> Result<(), BenchError> {
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

/// What the load's transactions have in common: gas as a simulation of one suggests, which has room to spare. More would
/// be kept free for them in blocks, and fewer would fit.
async fn terms(steps: &Steps, client: &Client, key: &SecretKey) -> Result<Terms, BenchError> {
    // To somebody else, as those of the load are.
    let draft = Draft::new(vec![steps.transfer(&Address([1; 32]))]);
    let prepared = client.prepare(&draft, &key.public_key()).await?;
    Ok(Terms {
        genesis_hash: client.genesis_hash(),
        gas_limit: prepared.body.gas_limit,
        gas_price: prepared.body.gas_price,
        valid_until: client.info().await?.head.height.saturating_add(VALID_FOR),
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

async fn send(
    options: &Options,
    lanes: Vec<Arc<Lane>>,
    prober: Prober,
    patience: &Patience,
) -> Result<Measured, BenchError> {
    let mut page = Connection::open(options.first_url(), patience.limit).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let lane_rate = options.rate_max.div_ceil(lanes.len().max(1)).max(1);
    let pace = Pace {
        batch: options.batch,
        per_second: lane_rate,
        patience: patience.limit,
    };
    let used_before = Usage::of(&options.nodes, patience.limit).await?;
    let before = MetricsPage::parse(&page.get("/metrics").await?);
    let start = Instant::now();
    let senders: Vec<_> = lanes
        .into_iter()
        .zip(0..)
        .map(|(lane, index)| {
            let (url, stop) = (options.url_of(index).to_owned(), Arc::clone(&stop));
            tokio::spawn(send_lane(url, lane, pace, stop))
        })
        .collect();
    let probing = tokio::spawn(prober.measure_until(Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let after = MetricsPage::parse(&page.get("/metrics").await?);
    let elapsed = start.elapsed();
    let used_after = Usage::of(&options.nodes, patience.limit).await?;
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
        used: used_after.since(&used_before),
        loaded,
        refusals,
    })
}
