//! Load a running node over RPC with signed transfers and say how fast it is, and where its time goes.
//!
//! All transactions are signed before the clock starts. They are submitted in JSON-RPC batches over several
//! keep-alive connections; beside them, one connection submits and waits, one transaction after the other, and
//! its times are the latencies reported. What counts is what the chain made final, as its metrics say.

mod connection;
mod empty;
mod load;
mod measured;
mod metrics_page;
mod probe;
mod report;
mod run;
mod usage;

pub use connection::ConnectionError;
pub use empty::{Empty, watch_empty};
pub use report::{Cost, Latency, Report, Stage};
pub use run::{BenchError, Load, Options, run};
pub use usage::Target;
