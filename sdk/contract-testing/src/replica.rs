//! Keep one copy of the chain: a state in memory and the executor that changes it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use kumiki_executor::{BlockInput, ExecutedBlock, Executor, Selection, Signatures, View, Viewed};
use kumiki_protocol::{Genesis, Hash, Transaction};
use kumiki_state::{ScanDirection, StateChanges, StateError, StateReader};
use kumiki_vm::Vm;

/// One committed state.
#[derive(Clone, Default)]
struct MemoryState {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    codes: BTreeMap<Hash, Arc<[u8]>>,
}

impl MemoryState {
    fn apply(&mut self, changes: &StateChanges) {
        for (key, value) in &changes.entries {
            match value {
                Some(value) => self.entries.insert(key.clone(), value.clone()),
                None => self.entries.remove(key),
            };
        }
        let codes = changes.codes.iter();
        self.codes
            .extend(codes.map(|(hash, code)| (*hash, Arc::clone(code))));
    }
}

impl StateReader for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: ScanDirection,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let mut entries = self.entries.range::<[u8], _>(range);
        while let Some((key, value)) = match direction {
            ScanDirection::Ascending => entries.next(),
            ScanDirection::Descending => entries.next_back(),
        } {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        Ok(self.codes.get(hash).map(Arc::clone))
    }
}

/// One copy of the chain under one engine.
pub(crate) struct Replica {
    pub(crate) name: &'static str,
    executor: Executor,
    state: Arc<MemoryState>,
}

impl Replica {
    pub(crate) fn new(name: &'static str, vm: Vm, genesis: &Genesis) -> Self {
        let mut state = MemoryState::default();
        state.apply(&kumiki_executor::genesis_changes(genesis));
        Self {
            name,
            executor: Executor::new(vm, genesis),
            state: Arc::new(state),
        }
    }

    pub(crate) const fn vm(&self) -> &Vm {
        self.executor.vm()
    }

    /// Executes a block and commits it.
    pub(crate) fn execute(
        &mut self,
        input: &BlockInput,
        transactions: Vec<Transaction>,
    ) -> ExecutedBlock {
        let base: Arc<dyn StateReader> = Arc::clone(&self.state) as Arc<dyn StateReader>;
        let block = self
            .executor
            .execute_block(
                base,
                input,
                transactions,
                Selection::KeepRejected,
                Signatures::Verified,
            )
            .expect("a state in memory does not fail");
        Arc::make_mut(&mut self.state).apply(&block.changes);
        block
    }

    pub(crate) fn view(&self, input: &BlockInput, view: View) -> Viewed {
        let base: Arc<dyn StateReader> = Arc::clone(&self.state) as Arc<dyn StateReader>;
        self.executor
            .view(base, input, view)
            .expect("a state in memory does not fail")
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.state.entries.get(key).map(Vec::as_slice)
    }
}
