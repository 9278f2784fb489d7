//! Count what the server does, and show all metrics of the node.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What is told apart: method names come from our own table, so there are not more of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CallLabels {
    method: &'static str,
    /// The error code, 0 for none.
    code: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RefusalLabels {
    reason: &'static str,
}

/// The server's own metrics, and the registry that shows all.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    call_seconds: Histogram,
    refusals: Family<RefusalLabels, Counter>,
    slow_readers: Counter,
    connections: Gauge,
    simulations: Gauge,
    waiters: Gauge,
    head_height: Gauge,
    pending_transactions: Gauge,
}

/// What is read at the time of a scrape.
pub(crate) struct Readings {
    pub(crate) connections: u32,
    pub(crate) simulations: usize,
    pub(crate) waiters: u32,
    pub(crate) head_height: u64,
    pub(crate) pending_transactions: usize,
}

impl Metrics {
    /// Adds the server's metrics to `registry`.
    pub(crate) fn new(mut registry: Registry) -> Arc<Self> {
        let calls = Family::default();
        let call_seconds = Histogram::new([0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]);
        let refusals = Family::default();
        let slow_readers = Counter::default();
        let connections = Gauge::default();
        let simulations = Gauge::default();
        let waiters = Gauge::default();
        let head_height = Gauge::default();
        let pending_transactions = Gauge::default();
        registry.register(
            "kumiki_rpc_calls",
            "RPC calls by method and error code",
            calls.clone(),
        );
        registry.register(
            "kumiki_rpc_call_seconds",
            "Time from a call to its answer",
            call_seconds.clone(),
        );
        registry.register(
            "kumiki_rpc_refusals",
            "Connections and requests refused before any call",
            refusals.clone(),
        );
        registry.register(
            "kumiki_rpc_slow_readers",
            "Subscriptions closed because their reader did not keep up",
            slow_readers.clone(),
        );
        registry.register(
            "kumiki_rpc_simulations",
            "Simulations that run",
            simulations.clone(),
        );
        registry.register(
            "kumiki_rpc_waiters",
            "Requests that wait for a receipt",
            waiters.clone(),
        );
        registry.register(
            "kumiki_rpc_connections",
            "Open connections",
            connections.clone(),
        );
        registry.register(
            "kumiki_chain_head_height",
            "Height of the newest executed and synced block",
            head_height.clone(),
        );
        registry.register(
            "kumiki_mempool_pending_transactions",
            "Transactions that wait for a block",
            pending_transactions.clone(),
        );
        Arc::new(Self {
            registry,
            calls,
            call_seconds,
            refusals,
            slow_readers,
            connections,
            simulations,
            waiters,
            head_height,
            pending_transactions,
        })
    }

    pub(crate) fn count_call(&self, method: &'static str, code: Option<i32>, took: Duration) {
        let code = code.unwrap_or(0).into();
        self.calls.get_or_create(&CallLabels { method, code }).inc();
        self.call_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn count_slow_reader(&self) {
        self.slow_readers.inc();
    }

    pub(crate) fn count_refusal(&self, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// All metrics of the node, as OpenMetrics text.
    pub(crate) fn text(&self, readings: &Readings) -> String {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.connections.set(readings.connections.into());
        self.waiters.set(readings.waiters.into());
        self.simulations.set(gauge(readings.simulations as u64));
        self.head_height.set(gauge(readings.head_height));
        self.pending_transactions
            .set(gauge(readings.pending_transactions as u64));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String does not fail");
        text
    }
}
