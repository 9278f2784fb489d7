//! Count what the node does and where the time of a block goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kumiki_mempool::SharedMempool;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The node's own metrics; `kumiki_node_…` in the exposition.
#[derive(Debug, Clone)]
pub struct NodeMetrics {
    /// Height of the newest durable block.
    pub height: Gauge,
    /// Blocks committed since the start.
    pub blocks: Counter,
    /// Transactions committed since the start.
    pub transactions: Counter,
    /// Gas used by them.
    pub gas: Counter,
    /// Candidates passed over while building.
    pub dropped: Counter,
    /// Transactions per block.
    pub block_transactions: Histogram,
    /// Choosing candidates.
    pub select_seconds: Histogram,
    /// Executing a block.
    pub execute_seconds: Histogram,
    /// Working out the state root.
    pub root_seconds: Histogram,
    /// The durable commit.
    pub commit_seconds: Histogram,
    /// Moving mempool and head on.
    pub publish_seconds: Histogram,
}

impl NodeMetrics {
    /// Registers the metrics in `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("kumiki_node");
        let seconds = |registry: &mut Registry, name: &str, help: &str| {
            // 20 microseconds to about 10 seconds.
            let histogram = Histogram::new(exponential_buckets(0.000_02, 2.0, 20));
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
            histogram
        };
        let select_seconds = seconds(registry, "block_select", "Choosing candidates for a block");
        let execute_seconds = seconds(registry, "block_execute", "Executing a block");
        let root_seconds = seconds(registry, "block_root", "Working out the state root");
        let commit_seconds = seconds(registry, "block_commit", "Durable commit of a block");
        let publish_seconds = seconds(registry, "block_publish", "Moving mempool and head on");
        let metrics = Self {
            height: Gauge::default(),
            blocks: Counter::default(),
            transactions: Counter::default(),
            gas: Counter::default(),
            dropped: Counter::default(),
            block_transactions: Histogram::new(exponential_buckets(1.0, 2.0, 18)),
            select_seconds,
            execute_seconds,
            root_seconds,
            commit_seconds,
            publish_seconds,
        };
        registry.register(
            "height",
            "Height of the newest durable block",
            metrics.height.clone(),
        );
        registry.register("blocks", "Blocks committed", metrics.blocks.clone());
        registry.register(
            "transactions",
            "Transactions committed",
            metrics.transactions.clone(),
        );
        registry.register("gas", "Gas used", metrics.gas.clone());
        registry.register(
            "dropped_candidates",
            "Candidates passed over while building",
            metrics.dropped.clone(),
        );
        registry.register(
            "block_transactions",
            "Transactions per block",
            metrics.block_transactions.clone(),
        );
        metrics
    }
}

/// Reads the mempool's own counts at each scrape.
#[derive(Debug)]
pub(crate) struct MempoolCollector(pub(crate) Arc<SharedMempool>);

impl Collector for MempoolCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stats = self.0.stats();
        let mut counter = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, unit, counter.metric_type())?;
            counter.encode(metric)
        };
        let counts: [(&str, &str, &AtomicU64); 4] = [
            ("admitted", "Submissions taken in", &stats.admitted),
            ("refused", "Submissions refused", &stats.refused),
            ("batches", "Batches verified", &stats.batches),
            ("batched", "Submissions in verified batches", &stats.batched),
        ];
        for (name, help, value) in counts {
            #[expect(clippy::cast_precision_loss, reason = "a count for people")]
            let value = value.load(Ordering::Relaxed) as f64;
            counter(&format!("kumiki_mempool_{name}"), help, None, value)?;
        }
        let times: [(&str, &str, &AtomicU64); 2] = [
            (
                "check",
                "Reading accounts, and the pool",
                &stats.check_nanos,
            ),
            ("verify", "Verifying signatures", &stats.verify_nanos),
        ];
        for (name, help, nanos) in times {
            let seconds = Duration::from_nanos(nanos.load(Ordering::Relaxed)).as_secs_f64();
            let name = format!("kumiki_mempool_{name}");
            counter(&name, help, Some(&Unit::Seconds), seconds)?;
        }
        Ok(())
    }
}

/// Adds a duration to a histogram of seconds.
pub(crate) fn observe(histogram: &Histogram, elapsed: Duration) {
    histogram.observe(elapsed.as_secs_f64());
}
