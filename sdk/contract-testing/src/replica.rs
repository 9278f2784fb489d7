//! Keep one copy of the chain: a state in memory and the executor that changes it.

use std::sync::Arc;

use kumiki_executor::{BlockInput, ExecutedBlock, Executor, Selection, Signatures, View, Viewed};
use kumiki_protocol::{Genesis, Transaction};
use kumiki_state::{MemoryState, StateReader};
use kumiki_vm::Vm;

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
