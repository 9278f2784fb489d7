//! Keep prepared modules in memory, each prepared once however many threads ask for it.
//!
//! What is kept never shows in results: a module that was thrown out is prepared again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use kumiki_protocol::Hash;

/// What a module takes besides its code: tables of the engine, names, allocations.
const MODULE_OVERHEAD_BYTES: usize = 64 << 10;

/// A module that knows how much memory its code takes.
pub(super) trait Weighed {
    fn code_bytes(&self) -> usize;
}

/// At most so many bytes of modules; the least recently used go first.
pub(super) struct Modules<M> {
    state: Mutex<State<M>>,
    changed: Condvar,
    bytes_max: usize,
}

struct State<M> {
    ready: BTreeMap<Hash, (Arc<M>, u64)>,
    in_work: BTreeSet<Hash>,
    uses: u64,
    bytes: usize,
}

impl<M: Weighed> State<M> {
    fn insert(&mut self, hash: Hash, module: &Arc<M>, bytes_max: usize) {
        self.bytes += bytes_of(module.as_ref());
        self.ready.insert(hash, (Arc::clone(module), self.uses));
        while self.bytes > bytes_max && self.ready.len() > 1 {
            let oldest = self.ready.iter().min_by_key(|(_, (_, used))| *used);
            let Some(hash) = oldest.map(|(hash, _)| *hash) else {
                break;
            };
            if let Some((module, _)) = self.ready.remove(&hash) {
                self.bytes -= bytes_of(module.as_ref());
            }
        }
    }
}

fn bytes_of(module: &impl Weighed) -> usize {
    module.code_bytes().saturating_add(MODULE_OVERHEAD_BYTES)
}

impl<M: Weighed> Modules<M> {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            state: Mutex::new(State {
                ready: BTreeMap::new(),
                in_work: BTreeSet::new(),
                uses: 0,
                bytes: 0,
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
        state.insert(*hash, &module, self.bytes_max);
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Code(usize);

    impl Weighed for Code {
        fn code_bytes(&self) -> usize {
            self.0
        }
    }

    fn obtain(modules: &Modules<Code>, number: u8, bytes: usize) -> bool {
        let mut made = false;
        let make = || {
            made = true;
            Ok::<_, ()>(Arc::new(Code(bytes)))
        };
        drop(modules.obtain(&Hash([number; 32]), make));
        made
    }

    #[test]
    fn bytes_are_bounded_and_the_least_recently_used_goes_first() {
        let modules = Modules::new(4 * MODULE_OVERHEAD_BYTES + 100);
        assert!(obtain(&modules, 1, 40) && obtain(&modules, 2, 30) && obtain(&modules, 3, 30));
        assert!(!obtain(&modules, 1, 40), "kept, and now the latest used");
        assert!(obtain(&modules, 4, 30), "30 bytes too many");
        assert!(!obtain(&modules, 1, 40) && !obtain(&modules, 3, 30) && !obtain(&modules, 4, 30));
        assert!(obtain(&modules, 2, 30), "2 had gone");
        assert!(
            obtain(&modules, 5, 1 << 30),
            "one too large for all is kept alone"
        );
        assert!(!obtain(&modules, 5, 1 << 30) && obtain(&modules, 4, 30));
    }
}
