//! Turn what was seen of a run into its report.

use std::time::Duration;

use crate::metrics_page::MetricsPage;
use crate::report::{Latency, Report, Stage};
use crate::run::{Load, Options};
use crate::usage::Usage;

/// What counts the transactions that are final.
pub(crate) const FINAL_TRANSACTIONS: &str = "kumiki_node_transactions_total";

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

/// What was seen of a run.
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    pub(crate) before: MetricsPage,
    pub(crate) after: MetricsPage,
    /// What the nodes used up meanwhile.
    pub(crate) used: Usage,
    pub(crate) loaded: Latency,
    pub(crate) refusals: u64,
}

impl Measured {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters are whole and far below 2^53"
    )]
    pub(crate) fn report(self, options: &Options, idle: Latency) -> Report {
        let growth = |name| self.after.growth(&self.before, name);
        let seconds = self.elapsed.as_secs_f64();
        let transactions = growth(FINAL_TRANSACTIONS);
        let stages = STAGES
            .iter()
            .map(|(name, metric)| Stage {
                name,
                share: growth(metric) / seconds,
                micros_per_transaction: growth(metric) * 1e6 / transactions.max(1.0),
            })
            .collect();
        let blocks = growth("kumiki_node_blocks_total");
        Report {
            cost: self.used.cost(blocks, transactions),
            load: match options.load {
                Load::Native => "native transfers",
                Load::Token { .. } => "token transfers",
            },
            seconds,
            transactions: transactions as u64,
            blocks: blocks as u64,
            per_second: transactions / seconds,
            idle,
            loaded: self.loaded,
            refusals: self.refusals,
            stages,
        }
    }
}
