//! Make blocks that change a small state at random, and remember all that the store should say about them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use kumiki_protocol::{
    Address, Block, Certificate, Event, Genesis, Hash, Height, Receipt, Status, sha3_256,
};
use kumiki_state::{ScanDirection, StateChanges, StateReader, Tree};
use kumiki_testkit::{Chain, Draft, Random, account, executed, genesis, validator};

use crate::{BlockCommit, EventCursor, EventFilter, Storage, StorageError};

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One block with all that belongs to it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) block: Block,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) changes: StateChanges,
    /// The state after it.
    pub(crate) state: Model,
}

/// A growing chain and the truth about it.
#[derive(Debug)]
pub(crate) struct TestChain {
    pub(crate) genesis: Genesis,
    chain: Chain,
    pub(crate) random: Random,
    pub(crate) made: Vec<Made>,
}

impl TestChain {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let genesis = genesis();
        let (changes, state) = random_changes(&mut random, &Model::new());
        let tree = Tree::empty()
            .update(&changes, &kumiki_state::EmptyState)
            .unwrap();
        let first = executed(0, (tree.root(), tree.entries()), &[]);
        let (chain, block) = Chain::new(&genesis, vec![validator(0)], first);
        let made = Made {
            block,
            certificate: None,
            receipts: Vec::new(),
            changes,
            state,
        };
        Self {
            genesis,
            chain,
            random,
            made: vec![made],
        }
    }

    pub(crate) fn initialise(&self, storage: &Storage) -> Result<(), StorageError> {
        storage.initialise(&self.genesis, &self.made[0].changes, &self.made[0].block)
    }

    /// Commits the next block, making it where it was not made before.
    pub(crate) fn commit_next(&mut self, storage: &Storage) -> Result<(), StorageError> {
        let height = storage.tip().unwrap().height + 1;
        let index = usize::try_from(height).unwrap();
        if index == self.made.len() {
            self.make(storage, height)?;
        }
        let made = &self.made[index];
        storage.commit(BlockCommit {
            block: &made.block,
            certificate: made.certificate.as_ref(),
            receipts: &made.receipts,
            prepared: storage.prepare(&made.changes)?,
        })
    }

    /// Makes the next block, at `height`.
    pub(crate) fn make(&mut self, storage: &Storage, height: Height) -> Result<(), StorageError> {
        let before = &self.made.last().unwrap().state;
        let (changes, state) = random_changes(&mut self.random, before);
        let prepared = storage.prepare(&changes)?;
        let count = self.random.below(3) as u64;
        let transactions: Vec<_> = (0..count)
            .map(|at| {
                let nonce = height * 3 + at;
                Draft::new(&self.genesis, &account(0), nonce)
                    .transfer(&account(1).address, 1)
                    .sign()
            })
            .collect();
        let receipts: Vec<Receipt> = transactions
            .iter()
            .map(|transaction| Receipt {
                transaction: transaction.hash(),
                status: Status::Ok,
                gas_used: height,
                fee: 1,
                outputs: vec![Vec::new()],
                events: random_events(&mut self.random),
            })
            .collect();
        let root = (prepared.state_root, prepared.state_entries);
        let result = executed(height, root, &receipts);
        let (block, certificate) = self.chain.append(transactions, result);
        self.made.push(Made {
            block,
            certificate: Some(certificate),
            receipts,
            changes,
            state,
        });
        Ok(())
    }

    /// Panics unless the store holds exactly the first blocks, up to its tip.
    pub(crate) fn check_all(&self, storage: &Storage) {
        let tip = storage.tip().unwrap();
        assert_eq!(storage.genesis().as_deref(), Some(&self.genesis));
        for (height, made) in (0..=tip.height).zip(&self.made) {
            assert_eq!(storage.block(height).unwrap().as_ref(), Some(&made.block));
            assert_eq!(storage.certificate(height).unwrap(), made.certificate);
            assert_eq!(
                storage.receipts(height).unwrap().as_ref(),
                Some(&made.receipts)
            );
            assert_eq!(storage.height_of(&made.block.hash()).unwrap(), Some(height));
            for (index, receipt) in (0..).zip(&made.receipts) {
                let found = storage.transaction_location(&receipt.transaction).unwrap();
                assert_eq!(found, Some((height, index)));
                assert_eq!(
                    storage.receipt(height, index).unwrap().as_ref(),
                    Some(receipt)
                );
            }
            for (hash, code) in &made.changes.codes {
                assert_eq!(
                    storage.snapshot().unwrap().code(hash).unwrap().as_ref(),
                    Some(code)
                );
            }
        }
        let last = &self.made[usize::try_from(tip.height).unwrap()];
        assert_eq!(tip.block_hash, last.block.hash());
        assert_eq!(tip.state_root, last.block.header.executed.state_root);
        assert_eq!(storage.header(tip.height + 1).unwrap(), None);
        assert_eq!(tip.state_root, root_of(&last.state));
        assert_eq!(entries_of(&storage.snapshot().unwrap()), last.state);
        self.check_past(storage, tip.height);
        self.check_events(storage, tip.height);
    }

    /// The oldest state that is kept, and one between it and the tip.
    fn check_past(&self, storage: &Storage, tip: Height) {
        let oldest = storage.oldest_state().unwrap();
        for height in [oldest, oldest.midpoint(tip)] {
            let past = storage.snapshot_at(height).unwrap();
            let made = &self.made[usize::try_from(height).unwrap()];
            assert_eq!(past.state_root(), root_of(&made.state), "{height}");
            assert_eq!(entries_of(&past), made.state, "{height}");
        }
    }

    /// The index knows every event of the first blocks, and no other.
    fn check_events(&self, storage: &Storage, tip: Height) {
        let contract = EventFilter {
            contract: Some(Address([1; 32])),
            ..EventFilter::default()
        };
        for filter in [EventFilter::default(), contract] {
            let mut expected = Vec::new();
            for (height, made) in (0..=tip).zip(&self.made) {
                for (transaction, receipt) in (0..).zip(&made.receipts) {
                    for (index, event) in (0..).zip(&receipt.events) {
                        let cursor = EventCursor {
                            height,
                            transaction,
                            index,
                        };
                        if filter.passes(event) {
                            expected.push((cursor, receipt.transaction, event.clone()));
                        }
                    }
                }
            }
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = storage.events(&filter, after, 256).unwrap();
                found.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected);
        }
    }
}

/// The root of a state, made from nothing.
fn root_of(state: &Model) -> Hash {
    let entries = state
        .iter()
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    let changes = StateChanges {
        entries: entries.collect(),
        ..StateChanges::default()
    };
    let tree = Tree::empty().update(&changes, &kumiki_state::EmptyState);
    tree.unwrap().root()
}

pub(crate) fn entries_of(reader: &dyn StateReader) -> Model {
    let mut entries = Model::new();
    let everything = (Bound::Unbounded, Bound::Unbounded);
    reader
        .scan(everything, ScanDirection::Ascending, &mut |key, value| {
            entries.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
    entries
}

/// Up to 40 writes among 300 keys; values of all sizes around the one that moves them out of line.
fn random_changes(random: &mut Random, before: &Model) -> (StateChanges, Model) {
    let mut changes = StateChanges::default();
    let mut after = before.clone();
    for _ in 0..random.below(40) {
        let key = vec![byte_below(random, 3); 1 + random.below(100)];
        if random.below(4) == 0 {
            after.remove(&key);
            changes.entries.insert(key, None);
        } else {
            let length = [0, 8, 127, 128, 129, 700][random.below(6)];
            let value = random.bytes(length);
            after.insert(key.clone(), value.clone());
            changes.entries.insert(key, Some(value));
        }
    }
    if random.below(10) == 0 {
        let code = random.bytes(5_000);
        changes.codes.insert(sha3_256(&[&code]), code.into());
    }
    (changes, after)
}

fn random_events(random: &mut Random) -> Vec<Event> {
    (0..random.below(4))
        .map(|_| Event {
            contract: Address([byte_below(random, 3); 32]),
            topics: (0..random.below(4))
                .map(|_| Hash([byte_below(random, 3); 32]))
                .collect(),
            data: random.bytes(10),
        })
        .collect()
}

fn byte_below(random: &mut Random, bound: usize) -> u8 {
    random.below(bound).to_le_bytes()[0]
}
