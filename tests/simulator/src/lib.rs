//! Run whole networks of nodes in one process, with faults, bit for bit the same for the same seed.
//!
//! A simulated node is the real one without sockets, threads and files: the Simplex driver on Commonware's
//! deterministic runtime and simulated network, and our mempool, execution and storage, on disks that lose power. One
//! seed fixes everything: which faults there are, when they come, how long every message takes. What users rely on is
//! watched all the time, and the checker holds it against what every node has at the end. `README.md` has the list.

mod alarm;
mod certificates;
mod checker;
mod cluster;
mod environment;
mod forger;
mod journal_disk;
mod liar;
mod load;
mod node;
mod scenario;
mod seats;
mod villain;
mod wiretap;

pub use cluster::{Outcome, simulate};
pub use scenario::{Faults, Scenario};
pub use villain::Villain;
