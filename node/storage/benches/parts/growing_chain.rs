//! Make a chain on disk that grows by blocks of transfers, for benches.

use std::path::Path;
use std::time::{Duration, Instant};

use kumiki_protocol::{Address, Event, Hash, Receipt, Status, Transaction, sha2_256, state_key};
use kumiki_state::{EmptyState, StateChanges, Tree};
use kumiki_storage::{BlockCommit, Storage, StorageOptions};
use kumiki_testkit::{Account, Chain, Draft, account, executed, genesis, validator};
use tempfile::TempDir;

/// A folder on the disk of `KUMIKI_BENCH_DIR`.
pub(crate) fn bench_dir() -> TempDir {
    let dir = match std::env::var_os("KUMIKI_BENCH_DIR") {
        Some(path) => TempDir::new_in(path),
        None => TempDir::new(),
    };
    dir.expect("the disk has room")
}

/// A chain on disk, with transfers between a fixed number of accounts.
pub(crate) struct GrowingChain {
    pub(crate) storage: Storage,
    chain: Chain,
    sender: Account,
    pub(crate) keys: u64,
    nonce: u64,
}

/// The address of an account.
pub(crate) fn address(number: u64) -> Address {
    Address(sha2_256(&[&number.to_be_bytes()]).0)
}

impl GrowingChain {
    /// One with so many accounts in the empty folder `dir`.
    pub(crate) fn new(dir: &Path, keys: u64) -> Self {
        let storage = Storage::open(dir, StorageOptions::default()).expect("a new folder");
        let mut changes = StateChanges::default();
        for number in 0..keys {
            let key = state_key::account(&address(number));
            changes.entries.insert(key, Some(vec![0; 24]));
        }
        let tree = Tree::empty()
            .update(&changes, &EmptyState)
            .expect("nothing fails");
        let genesis = genesis();
        let first = executed(0, (tree.root(), tree.entries()), &[]);
        let (chain, block) = Chain::new(&genesis, vec![validator(0)], first);
        storage
            .initialise(&genesis, &changes, &block)
            .expect("a new chain");
        Self {
            storage,
            chain,
            sender: account(0),
            keys,
            nonce: 0,
        }
    }

    /// As many transfers, each changing two accounts at random places and saying one event.
    fn transfers(&mut self, count: u64) -> (Vec<Transaction>, Vec<Receipt>, StateChanges) {
        let genesis = genesis();
        let mut changes = StateChanges::default();
        let mut transactions = Vec::new();
        for _ in 0..count {
            self.nonce += 1;
            for step in [7_919, 104_729] {
                let key = state_key::account(&address(self.nonce * step % self.keys));
                changes
                    .entries
                    .insert(key, Some(self.nonce.to_be_bytes().repeat(3)));
            }
            let draft = Draft::new(&genesis, &self.sender, self.nonce);
            transactions.push(draft.transfer(&address(1), 1).sign());
        }
        let event = Event {
            contract: address(0),
            topics: vec![Hash([1; 32]), Hash(address(self.nonce).0)],
            data: vec![0; 48],
        };
        let receipts = transactions
            .iter()
            .map(|transaction| Receipt {
                transaction: transaction.hash(),
                status: Status::Ok,
                gas_used: 1,
                fee: 1,
                outputs: vec![Vec::new()],
                events: vec![event.clone()],
            })
            .collect();
        (transactions, receipts, changes)
    }

    /// Time to prepare and to commit one block.
    pub(crate) fn add_block(&mut self, count: u64) -> (Duration, Duration) {
        let (transactions, receipts, changes) = self.transfers(count);
        let start = Instant::now();
        let prepared = self.storage.prepare(&changes).expect("the disk works");
        let preparing = start.elapsed();
        let height = self.storage.tip().map_or(0, |tip| tip.height + 1);
        let state = (prepared.state_root, prepared.state_entries);
        let result = executed(height, state, &receipts);
        let (block, certificate) = self.chain.append(transactions, result);
        let start = Instant::now();
        self.storage
            .commit(BlockCommit {
                block: &block,
                certificate: Some(&certificate),
                receipts: &receipts,
                prepared,
            })
            .expect("the disk works");
        (preparing, start.elapsed())
    }
}
