//! Say what was measured.

use std::fmt;
use std::time::Duration;

/// Times from submitting to the final receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// How many were measured.
    pub count: usize,
    /// Half were at most this, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 were at most this, in milliseconds.
    pub p99_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

/// How much of the node's time one kind of work took.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What was done, and on which thread.
    pub name: &'static str,
    /// Seconds of it per second of the run; 1 is one thread all the time.
    pub share: f64,
    /// Microseconds of it per final transaction.
    pub micros_per_transaction: f64,
}

/// What the nodes used up, each in the middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Nodes that were looked at.
    pub nodes: usize,
    /// Milliseconds of processor time of a node per height; `None` where processes are not known.
    pub cpu_ms_per_height: Option<f64>,
    /// Microseconds of processor time of a node per final transaction.
    pub cpu_us_per_transaction: Option<f64>,
    /// Bytes that a node sent to peers per height; `None` for a node without peers.
    pub bytes_per_height: Option<f64>,
    /// Bytes that a node sent to peers per final transaction.
    pub bytes_per_transaction: Option<f64>,
}

/// What a run measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What was sent.
    pub load: &'static str,
    /// How long it was sent, in seconds.
    pub seconds: f64,
    /// Transactions that became final in that time.
    pub transactions: u64,
    /// Blocks they came in.
    pub blocks: u64,
    /// Transactions per second.
    pub per_second: f64,
    /// Submit to final on the otherwise idle chain.
    pub idle: Latency,
    /// Submit to final beside the load.
    pub loaded: Latency,
    /// Refusals that made a connection wait and send again.
    pub refusals: u64,
    /// Where the time went.
    pub stages: Vec<Stage>,
    /// What the nodes used up under load.
    pub cost: Cost,
}

impl Latency {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times
                .get(index)
                .map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
        };
        Self {
            count: times.len(),
            p50_ms: at(50),
            p99_ms: at(99),
            max_ms: at(100),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms ({} measured)",
            self.p50_ms, self.p99_ms, self.max_ms, self.count
        )
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.cpu_ms_per_height, 2, "ms CPU per height"),
            (self.cpu_us_per_transaction, 0, "µs CPU per transaction"),
            (self.bytes_per_height, 0, "bytes sent per height"),
            (self.bytes_per_transaction, 0, "bytes sent per transaction"),
        ];
        let known = parts.into_iter().filter_map(|(number, digits, unit)| {
            number
                .filter(|number| number.is_finite())
                .map(|number| format!("{number:.digits$} {unit}"))
        });
        write!(f, "{}", known.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {:.0} tx/s final ({} in {:.1} s, {} blocks, {} refusals)",
            self.load, self.per_second, self.transactions, self.seconds, self.blocks, self.refusals
        )?;
        writeln!(f, "submit to final, idle:   {}", self.idle)?;
        writeln!(f, "submit to final, loaded: {}", self.loaded)?;
        let cost = self.cost.to_string();
        if !cost.is_empty() {
            writeln!(f, "each of {} nodes: {cost}", self.cost.nodes)?;
        }
        writeln!(f, "where the node's time goes:")?;
        for stage in &self.stages {
            writeln!(
                f,
                "  {:<34} {:>5.1} % of one core, {:>7.2} µs per transaction",
                stage.name,
                stage.share * 100.0,
                stage.micros_per_transaction
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let latency = Latency::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(
            (latency.p50_ms, latency.p99_ms, latency.max_ms),
            (100.0, 198.0, 200.0)
        );
        assert!(Latency::of(Vec::new()).p50_ms.is_nan());
    }
}
