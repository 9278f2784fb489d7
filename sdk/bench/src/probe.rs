//! Submit single transactions and wait for each, no longer than the chain makes progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kumiki_client::Client;
use kumiki_client::rpc_api::TransactionReceipt;
use kumiki_protocol::{Action, SecretKey, Transaction};

use crate::BenchError;
use crate::connection::Connection;
use crate::load::Terms;
use crate::measured::FINAL_TRANSACTIONS;
use crate::metrics_page::MetricsPage;
use crate::report::Latency;
use crate::run::check_receipt;

/// Time between two measured transactions beside the load.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// Looks at the chain's progress per time that it may make none.
const LOOKS: u32 = 20;

/// How long to wait for a chain that makes nothing final.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    url: String,
    pub(crate) limit: Duration,
}

impl Patience {
    pub(crate) fn new(url: &str, limit: Duration) -> Self {
        let url = url.to_owned();
        Self { url, limit }
    }

    /// Submits `transaction` and waits for its receipt. `what` says what it is for.
    pub(crate) async fn follow(
        &self,
        client: &Client,
        transaction: &Transaction,
        what: &'static str,
    ) -> Result<TransactionReceipt, BenchError> {
        tokio::select! {
            receipt = client.submit_and_wait(transaction) => Ok(receipt?),
            () = self.run_out() => Err(BenchError::Stalled {
                what,
                hash: transaction.hash(),
                seconds: self.limit.as_secs(),
            }),
        }
    }

    /// Returns once no transaction has become final for the time allowed. Blocks are no progress: a chain with a
    /// heartbeat makes empty ones for ever.
    async fn run_out(&self) {
        let (mut seen, mut since) = (None, Instant::now());
        while since.elapsed() < self.limit {
            tokio::time::sleep(self.limit / LOOKS).await;
            let now = self.count_final().await;
            if now.is_some() && now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    /// How many transactions the node says are final; `None` when it does not say.
    async fn count_final(&self) -> Option<f64> {
        let mut page = Connection::open(&self.url, self.limit).await.ok()?;
        let text = page.get("/metrics").await.ok()?;
        MetricsPage::parse(&text).sample(FINAL_TRANSACTIONS)
    }
}

/// Submits and waits, one transaction after the other.
pub(crate) struct Prober {
    key: SecretKey,
    terms: Terms,
    action: Action,
    nonce: u64,
    patience: Patience,
    /// One after the other is asked, so that the times are those of all.
    clients: Vec<Client>,
}

impl Prober {
    pub(crate) fn new(
        terms: &Terms,
        key: &SecretKey,
        action: Action,
        patience: Patience,
        clients: Vec<Client>,
    ) -> Self {
        Self {
            key: key.clone(),
            // Beside the load it pays a little more, as somebody in a hurry does.
            terms: Terms {
                gas_price: terms.gas_price.saturating_add(1),
                ..terms.clone()
            },
            action,
            nonce: 0,
            patience,
            clients,
        }
    }

    fn next(&mut self) -> Transaction {
        let transaction = self.terms.sign(&self.key, self.nonce, self.action.clone());
        self.nonce += 1;
        transaction
    }

    async fn measure(&mut self) -> Result<Duration, BenchError> {
        let transaction = self.next();
        self.clients.rotate_left(1);
        let client = self.clients.first().ok_or(BenchError::NoNodes)?;
        let start = Instant::now();
        let receipt = self
            .patience
            .follow(client, &transaction, "measured transaction")
            .await?;
        let elapsed = start.elapsed();
        check_receipt(&receipt)?;
        Ok(elapsed)
    }

    /// Measures `count` transactions, before each of which the chain is left alone for about `pause`.
    pub(crate) async fn measure_idle(
        &mut self,
        count: usize,
        pause: Duration,
    ) -> Result<Latency, BenchError> {
        let mut times = Vec::with_capacity(count);
        for index in 0..count {
            // Not always the same, so that heartbeats and transactions do not keep step: from half to one and a half.
            let share = 50 + (index * 37) % 100;
            tokio::time::sleep(pause.mul_f64(share as f64 / 100.0)).await;
            times.push(self.measure().await?);
        }
        Ok(Latency::of(times))
    }

    pub(crate) async fn measure_until(
        mut self,
        stop: Arc<AtomicBool>,
    ) -> Result<Latency, BenchError> {
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            times.push(self.measure().await?);
            tokio::time::sleep(PROBE_PAUSE).await;
        }
        Ok(Latency::of(times))
    }
}
