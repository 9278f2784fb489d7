//! Measure what blocks without transactions cost a network that makes them as fast as it can.

use std::time::{Duration, Instant};

use kumiki_client::Client;

use crate::BenchError;
use crate::report::Cost;
use crate::usage::{Target, Usage};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What empty blocks come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Empty {
    /// Heights that were decided.
    pub heights: u64,
    /// The same per second.
    pub per_second: f64,
    /// What they cost.
    pub cost: Cost,
}

impl std::fmt::Display for Empty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rate, nodes) = (self.per_second, self.cost.nodes);
        write!(
            f,
            "{rate:.1} heights/s; each of {nodes} nodes: {}",
            self.cost
        )
    }
}

/// Watches `nodes`, which nobody loads, for a while.
///
/// # Errors
/// When a node does not answer.
pub async fn watch_empty(nodes: &[Target], seconds: u64) -> Result<Empty, BenchError> {
    let first = nodes.first().ok_or(BenchError::NoNodes)?;
    let client = Client::connect(&first.url, None).await?;
    let before = client.info().await?.head.height;
    let (start, used_before) = (Instant::now(), Usage::of(nodes, PATIENCE).await?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = Usage::of(nodes, PATIENCE).await?.since(&used_before);
    let (after, elapsed) = (client.info().await?.head.height, start.elapsed());
    let heights = after.saturating_sub(before);
    Ok(Empty {
        heights,
        per_second: heights as f64 / elapsed.as_secs_f64(),
        cost: used.cost(heights as f64, 0.0),
    })
}
