//! Run contracts written as native Rust through the same frames, for tests of contracts.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kumiki_protocol::Hash;

use super::{Ran, Stop};
use crate::{Entry, Frame};

/// A contract in native Rust, for tests of contracts (feature `native`). It has the same host functions, gas
/// prices of host functions, rules of calls and limits as Wasm; its own instructions cost nothing.
pub trait NativeCode: Send + Sync {
    /// Runs `entry`, and hands the frame back. When a method of `frame` returns [`crate::Ended`], nothing more can
    /// happen in this call: return, or unwind (for example with `std::panic::resume_unwind`) and catch before the
    /// end of `run`; what it does after is ignored. A panic of the contract itself is to be caught too and handed
    /// to [`Frame::panicked`]. A panic that leaves `run` takes the session with it and goes on to the caller.
    fn run(&self, entry: Entry, frame: Frame) -> Frame;
}

/// Native code by the hash of the bytes that stand for it.
#[derive(Default)]
pub(crate) struct NativeCodes(RwLock<BTreeMap<Hash, Arc<dyn NativeCode>>>);

impl std::fmt::Debug for NativeCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NativeCodes")
    }
}

impl NativeCodes {
    pub(crate) fn insert(&self, hash: Hash, code: Arc<dyn NativeCode>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hash, code);
    }

    pub(crate) fn find(&self, hash: &Hash) -> Option<Arc<dyn NativeCode>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .map(Arc::clone)
    }
}

pub(super) fn run(code: &dyn NativeCode, entry: Entry, frame: Frame) -> Ran {
    Ran {
        frame: code.run(entry, frame),
        stop: Stop::Returned,
        stack_left: 0,
    }
}
