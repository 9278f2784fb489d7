//! Keep authenticated key-value state: the journal a block is executed in, the tree that commits to every
//! entry, and the proofs and verifier that need nothing but a hash function.
//!
//! `docs/spec/state.md` is the prose. Nothing here names a database or does I/O; what is stored is reached
//! through [`StateReader`].

mod changed;
mod ics23;
mod journal;
mod key_bits;
mod memory;
mod merged;
pub mod proof;
mod reader;
mod tree;

pub use changed::ChangedState;
pub use journal::{AccessSet, Checkpoint, Journal, Lent, StateChanges};
pub use key_bits::successor;
pub use memory::MemoryState;
pub use merged::{Ended, is_empty_range, scan_merged};
pub use proof::{KEY_BYTES_MAX, Proof, ProofError, RangeProof};
pub use reader::{
    EmptyState, Found, ScanDirection, Scanned, StateError, StateReader, VisitScanned,
};
pub use tree::{BUCKET_MAX, Bucket, BucketRecord, ProvenRange, Tree};
