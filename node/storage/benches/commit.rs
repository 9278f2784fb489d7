//! Measure what a block costs: preparing it, committing it durably, and reading beside it.
//!
//! `KUMIKI_BENCH_KEYS` sets the size of the state (default 100,000), `KUMIKI_BENCH_DIR` the disk (default: the
//! folder for temporary files, which may be memory).

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use kumiki_protocol::{
    Address, Event, ExecutedState, Hash, Receipt, Status, Transaction, sha2_256, state_key,
};
use kumiki_state::{EmptyState, StateChanges, StateReader, Tree};
use kumiki_storage::{BlockCommit, Storage, StorageOptions};
use kumiki_testkit::{Account, Chain, Draft, account, genesis, validator};
use tempfile::TempDir;

struct Bench {
    storage: Storage,
    chain: Chain,
    sender: Account,
    keys: u64,
    nonce: u64,
    _dir: TempDir,
}

fn address(number: u64) -> Address {
    Address(sha2_256(&[&number.to_be_bytes()]).0)
}

fn executed(
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

impl Bench {
    fn new(keys: u64) -> Self {
        let dir = match std::env::var_os("KUMIKI_BENCH_DIR") {
            Some(path) => TempDir::new_in(path),
            None => TempDir::new(),
        };
        let dir = dir.expect("the disk has room");
        let storage = Storage::open(dir.path(), StorageOptions::default()).expect("a new folder");
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
            _dir: dir,
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
    fn add_block(&mut self, count: u64) -> (Duration, Duration) {
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

fn blocks(criterion: &mut Criterion) {
    let keys = std::env::var("KUMIKI_BENCH_KEYS")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut bench = Bench::new(keys.unwrap_or(100_000));
    let keys = bench.keys;
    for count in [1, 100, 1_000] {
        criterion.bench_function(
            &format!("prepare {count} transfers on {keys} keys"),
            |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| bench.add_block(count).0).sum());
            },
        );
        criterion.bench_function(
            &format!("commit {count} transfers on {keys} keys"),
            |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| bench.add_block(count).1).sum());
            },
        );
    }
    let snapshot = bench.storage.snapshot().expect("there is a chain");
    let known: BTreeMap<u64, Vec<u8>> = (0..1_000)
        .map(|number| (number, state_key::account(&address(number * 97 % keys))))
        .collect();
    let mut at = 0;
    criterion.bench_function(&format!("read one of {keys} keys"), |bencher| {
        bencher.iter(|| {
            at = (at + 1) % 1_000;
            black_box(snapshot.get(&known[&at]).expect("the disk works"))
        });
    });
    criterion.bench_function(&format!("prove one of {keys} keys"), |bencher| {
        bencher.iter(|| {
            at = (at + 1) % 1_000;
            black_box(snapshot.prove(&known[&at]).expect("the disk works"))
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = blocks
}
criterion_main!(benches);
