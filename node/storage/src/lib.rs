//! Keep blocks, state and indexes durably: one atomic, synced transaction per block.
//!
//! `docs/spec/state.md` is the prose. This is the only crate that names the database. Readers hold snapshots
//! and never wait for a commit.

mod commit;
mod error;
mod finality;
mod folder;
mod head;
mod index;
mod interface;
mod open;
mod restore;
mod result;
mod rewind;
mod schema;
mod simulated_disk;
mod snapshot;
mod storage;
mod view;

#[cfg(test)]
mod tests;

pub use error::StorageError;
pub use folder::create_folder;
pub use interface::{
    Base, BlockCommit, EntryPage, EventCursor, EventFilter, EventPage, OpenCheck, RangePage,
    StorageOptions, Tip,
};
pub use restore::{Restore, Restored};
pub use simulated_disk::SimulatedDisk;
pub use snapshot::Snapshot;
pub use storage::{Prepared, Storage};
