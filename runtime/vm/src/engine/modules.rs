//! Keep prepared modules in memory, each prepared once however many threads ask for it.
//!
//! What is kept never shows in results: a module that was thrown out is prepared again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use kumiki_protocol::Hash;

/// Modules kept of what the chain runs.
pub(super) const MODULES_MAX: usize = 512;

/// At most so many modules; the least recently used goes first.
pub(super) struct Modules<M> {
    state: Mutex<State<M>>,
    changed: Condvar,
    count_max: usize,
}

struct State<M> {
    ready: BTreeMap<Hash, (Arc<M>, u64)>,
    in_work: BTreeSet<Hash>,
    uses: u64,
}

impl<M> Modules<M> {
    pub(super) const fn new(count_max: usize) -> Self {
        Self {
            count_max,
            state: Mutex::new(State {
                ready: BTreeMap::new(),
                in_work: BTreeSet::new(),
                uses: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// The module of `hash`, if it is kept.
    #[cfg(feature = "wasmtime")]
    pub(super) fn kept(&self, hash: &Hash) -> Option<Arc<M>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        let now = state.uses;
        let (module, used) = state.ready.get_mut(hash)?;
        *used = now;
        Some(Arc::clone(module))
    }

    /// The module of `hash`: kept, or in work on another thread (waits), or made by `make`.
    pub(super) fn obtain<E>(
        &self,
        hash: &Hash,
        make: impl FnOnce() -> Result<Arc<M>, E>,
    ) -> Result<Arc<M>, E> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state.uses += 1;
            let now = state.uses;
            if let Some((module, used)) = state.ready.get_mut(hash) {
                *used = now;
                return Ok(Arc::clone(module));
            }
            if state.in_work.insert(*hash) {
                break;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        // Others must not wait for ever if `make` fails or panics.
        let _in_work = InWork {
            modules: self,
            hash,
        };
        let module = make()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ready.len() >= self.count_max
            && let Some(oldest) = state
                .ready
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(hash, _)| *hash)
        {
            state.ready.remove(&oldest);
        }
        let used = state.uses;
        state.ready.insert(*hash, (Arc::clone(&module), used));
        Ok(module)
    }
}

struct InWork<'a, M> {
    modules: &'a Modules<M>,
    hash: &'a Hash,
}

impl<M> Drop for InWork<'_, M> {
    fn drop(&mut self) {
        self.modules
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .in_work
            .remove(self.hash);
        self.modules.changed.notify_all();
    }
}
