//! Hold the transactions that wait for a block: admission, order, limits, eviction.
//!
//! [`Mempool`] is the pure structure: no clock, no threads, no I/O, and every order that can show is a
//! `BTreeMap`'s. [`SharedMempool`] puts a lock and an admission queue around it: submissions are checked in
//! batches on threads of their own, cheapest check first, so that neither the RPC server nor the executor ever
//! verifies a signature. `docs/spec/transaction.md` is the prose.

mod admission;
mod pool;
mod refusal;
mod shared;

pub use admission::ChainRules;
pub use pool::{BlockRoom, Candidate, Inserted, Mempool, MempoolLimits, PoolSize, Removal};
pub use refusal::Refusal;
pub use shared::{AdmissionStats, AdmittedHook, ChainHead, Origin, SharedMempool};
