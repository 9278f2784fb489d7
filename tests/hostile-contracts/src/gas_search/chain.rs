//! Run kernels as the blocks of a chain on disk: executor, tree, undo rows and durable commit, each timed.

use std::sync::Arc;
use std::time::Duration;

use kumiki_executor::{BlockInput, Executor, Selection, Signatures, genesis_changes};
use kumiki_protocol::{
    Action, Address, ExecutedState, Gas, Genesis, Hash, Receipt, SecretKey, Status, Transaction,
    sha3_256, state_key,
};
use kumiki_state::{EmptyState, StateReader, Tree};
use kumiki_storage::{BlockCommit, Storage, StorageOptions};
use kumiki_testkit::{self as testkit, Account, Draft, account, genesis, validator};
use kumiki_vm::{EngineKind, Vm, VmConfig};
use tempfile::TempDir;

use super::kernel::{Costs, Kernel, place};
use crate::processor_time::processor_time;

/// Entries that the state has from the start: trees and tables of a chain that is in use.
const ENTRIES: u64 = 200_000;
/// Tokens of each kernel's contract.
const FUNDS: u128 = 1_000_000_000_000;

/// What a block took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// Processor time of executing it, with tree and durable commit where that is part of what the kernel costs.
    pub(super) time: Duration,
    /// Gas of all its transactions.
    pub(super) gas: Gas,
}

/// A kernel's contract on the chain.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    name: String,
    address: Address,
    code_hash: Hash,
    others: Vec<Address>,
    calls: u32,
    costs: Costs,
}

/// What the kernel's `call` is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) start: u32,
    pub(super) rounds: u32,
    /// Whether to run `setup` instead of the body.
    pub(super) prepares: bool,
}

/// A chain on disk with one node, whose memory of modules is as small as it can be made where `cold` is asked for.
pub(super) struct DiskChain {
    storage: Storage,
    executor: Executor,
    chain: testkit::Chain,
    genesis: Genesis,
    sender: Account,
    nonce: u64,
    salt: u64,
    _dir: TempDir,
}

impl DiskChain {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().expect("a disk with room");
        let storage = Storage::open(&dir.path().join("chain"), StorageOptions::default());
        let storage = storage.expect("a new folder");
        let genesis = genesis();
        let mut changes = genesis_changes(&genesis);
        for number in 0..ENTRIES {
            let key = state_key::account(&Address(sha3_256(&[&number.to_le_bytes()]).0));
            changes.entries.insert(key, Some(vec![1; 24]));
        }
        let tree = Tree::empty().update(&changes, &EmptyState);
        let tree = tree.expect("nothing to read");
        let executed = result(0, (tree.root(), tree.entries()), &[]);
        let (chain, first) = testkit::Chain::new(&genesis, vec![validator(0)], executed);
        storage
            .initialise(&genesis, &changes, &first)
            .expect("a disk with room");
        let config = VmConfig {
            cache_dir: Some(dir.path().join("modules")),
            // Two modules are too many: one that calls others finds none of them.
            modules_bytes_max: 1,
            ..VmConfig::new(EngineKind::Wasmtime)
        };
        let vm = Vm::new(config).expect("a machine that can run contracts");
        Self {
            executor: Executor::new(vm, &genesis),
            storage,
            chain,
            genesis,
            sender: account(0),
            nonce: 0,
            salt: 0,
            _dir: dir,
        }
    }

    fn transaction(&mut self, action: Action) -> Transaction {
        let height = self.storage.tip().map_or(0, |tip| tip.height);
        let draft = Draft::new(&self.genesis, &self.sender, self.nonce)
            .gas_limit(self.genesis.parameters.block_gas_max)
            .valid_until(height + 100)
            .action(action);
        self.nonce += 1;
        draft.sign()
    }

    fn deployment(&mut self, code: Vec<u8>, value: u128) -> (Address, Transaction) {
        self.salt += 1;
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&self.salt.to_le_bytes());
        let address = Address::of_contract(&self.sender.address, &salt, &sha3_256(&[&code]));
        let action = Action::Deploy {
            code,
            salt,
            input: Vec::new(),
            value,
            admin: None,
        };
        (address, self.transaction(action))
    }

    /// Deploys all of them in one block.
    pub(super) fn deploy_kernels(&mut self, kernels: &[Kernel]) -> Vec<Deployed> {
        let mut transactions = Vec::new();
        let mut deployed = Vec::new();
        for kernel in kernels {
            let code = kernel.code();
            let code_hash = sha3_256(&[&code]);
            let mut others = Vec::new();
            for code in &kernel.cold {
                let (address, transaction) = self.deployment(code.clone(), 0);
                others.push(address);
                transactions.push(transaction);
            }
            let (address, transaction) = self.deployment(code, FUNDS);
            transactions.push(transaction);
            deployed.push(Deployed {
                name: format!("{}: {}", kernel.subject, kernel.name),
                address,
                code_hash,
                others,
                calls: kernel.calls,
                costs: kernel.costs,
            });
        }
        let added = self.add_block(transactions, "a deployment", Costs::Block);
        added.expect("kernels are contracts");
        deployed
    }

    /// Executes a block of the kernel's calls, and adds it where that is part of what it costs. Says what the calls came to
    /// where one of them fails.
    pub(super) fn run(&mut self, deployed: &Deployed, asked: Asked) -> Result<Took, String> {
        let (calls, costs) = match asked.prepares {
            true => (1, Costs::Block),
            false => (deployed.calls, deployed.costs),
        };
        let nonce = self.nonce;
        let transactions = (0..calls)
            .map(|call| {
                let start = asked.start.wrapping_add(call.wrapping_mul(asked.rounds));
                let input = self.input(deployed, Asked { start, ..asked });
                self.transaction(Action::Call {
                    contract: deployed.address,
                    input,
                    value: 0,
                })
            })
            .collect();
        let took = self.add_block(transactions, &deployed.name, costs);
        if costs == Costs::Execution {
            self.nonce = nonce;
        }
        took
    }

    fn input(&self, deployed: &Deployed, asked: Asked) -> Vec<u8> {
        let mut input = vec![0; 288];
        let mut put = |at: u32, bytes: &[u8]| {
            let at = at as usize;
            input[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &asked.rounds.to_le_bytes());
        put(4, &asked.start.to_le_bytes());
        put(8, &[u8::from(asked.prepares), 0, 0, 0, 3]);
        put(place::CODE_HASH, &deployed.code_hash.0);
        let key = SecretKey::from_seed([3; 32]);
        let public = key.public_key().0;
        put(place::PUBLIC_KEY, &public);
        put(place::SIGNATURE, &key.sign(&public).0);
        // The generator's x is the x of a point, and any s is a scalar, so that a key is recovered.
        put(place::RECOVERABLE, &[7; 32]);
        put(place::RECOVERABLE + 32, &GENERATOR_X);
        put(place::RECOVERABLE + 64, &[0x31; 32]);
        put(place::NONCE, &self.nonce.to_le_bytes());
        put(place::OWN, &deployed.address.0);
        input.extend(deployed.others.iter().flat_map(|address| address.0));
        input
    }

    fn add_block(
        &mut self,
        transactions: Vec<Transaction>,
        name: &str,
        costs: Costs,
    ) -> Result<Took, String> {
        let tip = self.storage.tip().expect("a chain");
        let input = BlockInput {
            height: tip.height + 1,
            time_ms: tip.time_ms + 1_000,
            proposer: validator(0).public_key(),
        };
        let base: Arc<dyn StateReader> = Arc::new(self.storage.snapshot().expect("a chain"));
        let start = processor_time();
        let block = self.executor.execute_block(
            base,
            &input,
            transactions,
            Selection::KeepRejected,
            Signatures::Verified,
        );
        let block = block.expect("a node that works");
        let mut time = processor_time() - start;
        let mut failed = None;
        for (receipt, notes) in block.receipts.iter().zip(&block.diagnostics) {
            if receipt.status != Status::Ok {
                failed = Some(format!("{name}: {:?}, {notes:?}", receipt.status));
            }
        }
        if costs == Costs::Execution || failed.is_some() {
            let took = Took {
                time,
                gas: block.gas_used,
            };
            return failed.map_or(Ok(took), Err);
        }
        let start = processor_time();
        let prepared = self.storage.prepare(&block.changes);
        let prepared = prepared.expect("a disk that works");
        time += processor_time() - start;
        let state = (prepared.state_root, prepared.state_entries);
        let result = result(input.height, state, &block.receipts);
        let (header, certificate) = self.chain.append(block.transactions, result);
        let start = processor_time();
        self.storage
            .commit(BlockCommit {
                block: &header,
                certificate: Some(&certificate),
                receipts: &block.receipts,
                prepared,
            })
            .expect("a disk that works");
        time += processor_time() - start;
        Ok(Took {
            time,
            gas: block.gas_used,
        })
    }
}

const GENERATOR_X: [u8; 32] = [
    0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07,
    0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
];

fn result(
    height: u64,
    (state_root, state_entries): (Hash, u64),
    receipts: &[Receipt],
) -> ExecutedState {
    ExecutedState {
        height,
        state_root,
        state_entries,
        receipts_root: Receipt::root(receipts),
        next_validators_hash: Hash::ZERO,
    }
}
