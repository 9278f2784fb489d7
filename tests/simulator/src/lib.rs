//! Run whole networks of nodes in one process, with faults, bit for bit the same for the same seed.
//!
//! A simulated node is the real one without sockets, threads and files: the Simplex driver on Commonware's
//! deterministic runtime and simulated network, and our mempool, execution and storage, the last on a disk that loses
//! power. One seed fixes everything: which faults there are, when they come, how long every message takes. The
//! [`checker`] holds what users rely on against what every node has at the end.

pub mod checker;
mod cluster;
mod load;
mod node;
mod scenario;

pub use cluster::{Outcome, simulate};
pub use scenario::{Faults, Scenario};
