//! Keep a chain on disk with one node, and time its blocks: signatures, execution, tree, undo rows and durable commit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kumiki_executor::{
    BlockInput, ExecutedBlock, Executor, Selection, Signatures, genesis_changes,
};
use kumiki_protocol::limits::BLOCK_GAS_MAX;
use kumiki_protocol::{
    AccountRecord, Action, Address, Encode as _, Gas, Genesis, Transaction, sha3_256, state_key,
};
use kumiki_state::{EmptyState, StateChanges, StateReader, Tree};
use kumiki_storage::{BlockCommit, Storage, StorageOptions};
use kumiki_testkit::{self as testkit, Account, Draft, account, executed, genesis, validator};
use kumiki_vm::{EngineKind, NewCode, Vm, VmConfig};
use tempfile::TempDir;

use crate::Chain;
use crate::processor_time::processor_time;

/// Entries that the state has from the start: trees and tables of a chain that is in use.
const ENTRIES: u64 = 200_000;

/// What a block took, or a part of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Of all threads of this process.
    pub processor: Duration,
    /// From begin to end, waiting for the disk included.
    pub elapsed: Duration,
    /// Gas of all its transactions.
    pub gas: Gas,
}

impl Took {
    fn since(start: (Duration, Instant), gas: Gas) -> Self {
        Self {
            processor: processor_time().saturating_sub(start.0),
            elapsed: start.1.elapsed(),
            gas,
        }
    }
}

fn now() -> (Duration, Instant) {
    (processor_time(), Instant::now())
}

/// A chain on disk with one node and one sender.
pub struct DiskChain {
    storage: Storage,
    executor: Executor,
    chain: testkit::Chain,
    genesis: Genesis,
    sender: Account,
    /// Nonce of the sender's next transaction.
    pub nonce: u64,
    _dir: TempDir,
}

impl DiskChain {
    /// A new chain with the largest blocks there are, whose node keeps so many bytes of modules in memory.
    ///
    /// # Panics
    /// When the disk or the machine fails.
    #[must_use]
    pub fn new(modules_bytes_max: usize) -> Self {
        let mut genesis = genesis();
        genesis.parameters.block_gas_max = BLOCK_GAS_MAX;
        let changes = genesis_changes(&genesis);
        Self::with(genesis, changes, 0, modules_bytes_max)
    }

    /// A chain that begins with the state of another and `accounts` that have tokens, and has the same sender.
    ///
    /// # Panics
    /// When the disk or the machine fails.
    #[must_use]
    pub fn after(other: &Chain, accounts: &[Account]) -> Self {
        let state = other.state();
        let entries = state.entries.iter();
        let mut changes = StateChanges {
            entries: entries
                .map(|(key, value)| (key.clone(), Some(value.clone())))
                .collect(),
            codes: state.codes.clone(),
        };
        for account in accounts {
            let record = AccountRecord {
                nonce: 0,
                balance: testkit::CHAIN_BALANCE,
            };
            let key = state_key::account(&account.address);
            changes.entries.insert(key, Some(record.encode()));
        }
        let modules = VmConfig::new(EngineKind::Wasmtime).modules_bytes_max;
        let nonce = other.sender().nonce;
        Self::with(other.genesis().clone(), changes, nonce, modules)
    }

    fn with(
        genesis: Genesis,
        mut changes: StateChanges,
        nonce: u64,
        modules_bytes_max: usize,
    ) -> Self {
        let dir = TempDir::new().expect("a disk with room");
        let storage = Storage::open(&dir.path().join("chain"), StorageOptions::default());
        let storage = storage.expect("a new folder");
        for number in 0..ENTRIES {
            let key = state_key::account(&Address(sha3_256(&[&number.to_le_bytes()]).0));
            changes.entries.insert(key, Some(vec![1; 24]));
        }
        let tree = Tree::empty().update(&changes, &EmptyState);
        let tree = tree.expect("nothing to read");
        let first = executed(0, (tree.root(), tree.entries()), &[]);
        let (chain, first) = testkit::Chain::new(&genesis, vec![validator(0)], first);
        storage
            .initialise(&genesis, &changes, &first)
            .expect("a disk with room");
        let config = VmConfig {
            cache_dir: Some(dir.path().join("modules")),
            modules_bytes_max,
            ..VmConfig::new(EngineKind::Wasmtime)
        };
        let vm = Vm::new(config).expect("a machine that can run contracts");
        Self {
            executor: Executor::new(vm, &genesis),
            storage,
            chain,
            genesis,
            sender: account(0),
            nonce,
            _dir: dir,
        }
    }

    /// The most gas of a block.
    #[must_use]
    pub const fn block_gas_max(&self) -> Gas {
        self.genesis.parameters.block_gas_max
    }

    /// Who sends.
    #[must_use]
    pub const fn sender(&self) -> Address {
        self.sender.address
    }

    /// The sender's next transaction.
    pub fn transaction(&mut self, action: Action, gas_limit: Gas) -> Transaction {
        self.nonce += 1;
        self.sign((&self.sender, self.nonce - 1), action, gas_limit)
    }

    /// A transaction of anybody, with their nonce.
    #[must_use]
    pub fn sign(&self, by: (&Account, u64), action: Action, gas_limit: Gas) -> Transaction {
        let height = self.storage.tip().map_or(0, |tip| tip.height);
        Draft::new(&self.genesis, by.0, by.1)
            .gas_limit(gas_limit)
            .valid_until(height + 100)
            .action(action)
            .sign()
    }

    fn next(&self) -> BlockInput {
        let tip = self.storage.tip().expect("a chain");
        BlockInput {
            height: tip.height + 1,
            time_ms: tip.time_ms + 1_000,
            proposer: validator(0).public_key(),
        }
    }

    /// Begins to compile what the block brings, and tells when that is done: before a vote, or while the block is executed.
    #[must_use]
    pub fn prepare(&self, transactions: &[Transaction]) -> Receiver<()> {
        let codes = transactions.iter().flat_map(NewCode::of).collect();
        let (done, wait) = channel();
        self.executor.vm().prepare_block(codes, move || {
            let _waited_for = done.send(());
        });
        wait
    }

    /// Executes the next block, and keeps nothing of it.
    ///
    /// # Panics
    /// When the node fails.
    #[must_use]
    pub fn execute(
        &self,
        transactions: Vec<Transaction>,
        signatures: Signatures<'_>,
    ) -> (ExecutedBlock, Took) {
        let base: Arc<dyn StateReader> = Arc::new(self.storage.snapshot().expect("a chain"));
        let input = self.next();
        let start = now();
        let block = self.executor.execute_block(
            base,
            &input,
            transactions,
            Selection::KeepRejected,
            signatures,
        );
        let block = block.expect("a node that works");
        let took = Took::since(start, block.gas_used);
        (block, took)
    }

    /// Adds the block, on top of what executing it took.
    ///
    /// # Panics
    /// When the disk fails.
    pub fn commit(&mut self, block: ExecutedBlock, executing: Took) -> Took {
        let height = self.next().height;
        let start = now();
        let prepared = self.storage.prepare(&block.changes);
        let prepared = prepared.expect("a disk that works");
        let preparing = Took::since(start, 0);
        let state = (prepared.state_root, prepared.state_entries);
        let (header, certificate) = self
            .chain
            .append(block.transactions, executed(height, state, &block.receipts));
        let start = now();
        self.storage
            .commit(BlockCommit {
                block: &header,
                certificate: Some(&certificate),
                receipts: &block.receipts,
                prepared,
            })
            .expect("a disk that works");
        let committing = Took::since(start, 0);
        Took {
            processor: executing.processor + preparing.processor + committing.processor,
            elapsed: executing.elapsed + preparing.elapsed + committing.elapsed,
            gas: executing.gas,
        }
    }
}
