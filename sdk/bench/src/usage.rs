//! Read what nodes use up: processor time of their processes, bytes that they send to peers.

use std::time::Duration;

use crate::ConnectionError;
use crate::connection::Connection;
use crate::metrics_page::MetricsPage;
use crate::report::Cost;

/// Counts what a node has sent to its peers.
const SENT_BYTES: &str = "kumiki_network_sent_bytes_total";
/// What Linux counts processor time in: `USER_HZ` is 100 on every architecture that Rust runs on there.
const TICKS_PER_SECOND: f64 = 100.0;

/// A node to look at.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its RPC, as `http://HOST:PORT`.
    pub url: String,
    /// Its process, where it runs on this machine and is known.
    pub pid: Option<u32>,
}

/// What nodes have used up, all together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    nodes: usize,
    cpu_seconds: Option<f64>,
    sent_bytes: Option<f64>,
}

impl Usage {
    /// What `nodes` have used up until now.
    pub(crate) async fn of(nodes: &[Target], patience: Duration) -> Result<Self, ConnectionError> {
        let (mut cpu_seconds, mut sent_bytes) = (Some(0.0), Some(0.0));
        for node in nodes {
            let mut connection = Connection::open(&node.url, patience).await?;
            let page = MetricsPage::parse(&connection.get("/metrics").await?);
            sent_bytes = sum(sent_bytes, page.sample(SENT_BYTES));
            cpu_seconds = sum(cpu_seconds, node.pid.and_then(cpu_seconds_of));
        }
        Ok(Self {
            nodes: nodes.len(),
            cpu_seconds,
            sent_bytes,
        })
    }

    /// What was used up since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let grown = |now: Option<f64>, before: Option<f64>| Some(now? - before?);
        Self {
            nodes: self.nodes,
            cpu_seconds: grown(self.cpu_seconds, earlier.cpu_seconds),
            sent_bytes: grown(self.sent_bytes, earlier.sent_bytes),
        }
    }

    /// The same per height and transaction of each node. What is divided by nothing is unknown.
    pub(crate) fn cost(&self, heights: f64, transactions: f64) -> Cost {
        let per = |total: Option<f64>, unit: f64, count: f64| {
            let each = total? / self.nodes as f64;
            (count > 0.0).then(|| each * unit / count)
        };
        Cost {
            nodes: self.nodes,
            cpu_ms_per_height: per(self.cpu_seconds, 1e3, heights),
            cpu_us_per_transaction: per(self.cpu_seconds, 1e6, transactions),
            bytes_per_height: per(self.sent_bytes, 1.0, heights),
            bytes_per_transaction: per(self.sent_bytes, 1.0, transactions),
        }
    }
}

fn sum(known: Option<f64>, more: Option<f64>) -> Option<f64> {
    Some(known? + more?)
}

/// Processor time that a process has had, all its threads together.
fn cpu_seconds_of(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    cpu_seconds_in(&stat)
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)): time in user and in kernel mode.
fn cpu_seconds_in(stat: &str) -> Option<f64> {
    // The name before them is in parentheses and may hold any character.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_user_and_kernel_together() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 9 0 0 0 150 50 7 7 20 0 1 0 99 0 0";
        assert_eq!(cpu_seconds_in(stat), Some(2.0));
        assert_eq!(cpu_seconds_in("7 (cut"), None);
        if cfg!(target_os = "linux") {
            assert!(cpu_seconds_of(std::process::id()).is_some());
        }
    }

    #[test]
    fn what_is_not_known_of_one_node_is_not_known_of_all() {
        let usage = |cpu_seconds, sent_bytes| Usage {
            nodes: 2,
            cpu_seconds,
            sent_bytes,
        };
        let used = usage(Some(5.0), Some(900.0)).since(&usage(Some(1.0), None));
        let cost = used.cost(100.0, 0.0);
        assert_eq!(cost.cpu_ms_per_height, Some(20.0));
        assert_eq!(cost.cpu_us_per_transaction, None);
        assert_eq!(cost.bytes_per_height, None);
    }
}
