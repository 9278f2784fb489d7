//! Show that reads see one committed height, old ones included.

use std::ops::Bound;

use kumiki_protocol::{Block, Receipt};
use kumiki_state::proof::{verify, verify_range};
use kumiki_state::{StateChanges, StateReader as _};

use super::chain::{TestChain, entries_of};
use super::power_loss::open_on;
use crate::SimulatedDisk as Disk;
use crate::{BlockCommit, OpenCheck, Storage, StorageError};

fn chain_of(disk: &Disk, blocks: usize) -> (TestChain, Storage) {
    let storage = open_on(disk, OpenCheck::Full).unwrap();
    let mut chain = TestChain::new(5);
    chain.initialise(&storage).unwrap();
    for _ in 0..blocks {
        chain.commit_next(&storage).unwrap();
    }
    (chain, storage)
}

fn check_past_states(chain: &TestChain, storage: &Storage) {
    let tip = storage.tip().unwrap().height;
    assert_eq!(storage.oldest_state().unwrap(), tip - 64);
    for height in tip - 64..=tip {
        let made = &chain.made[usize::try_from(height).unwrap()];
        let snapshot = storage.snapshot_at(height).unwrap();
        let root = made.block.header.executed.state_root;
        assert_eq!((snapshot.height(), snapshot.state_root()), (height, root));
        assert_eq!(entries_of(&snapshot), made.state);
        for key in [vec![0; 7], vec![1; 40], vec![2; 99], vec![3]] {
            let value = made.state.get(&key);
            assert_eq!(snapshot.get(&key).unwrap().as_ref(), value);
            let proof = snapshot.prove(&key).unwrap();
            let value = value.map(Vec::as_slice);
            assert_eq!(verify(&root, &key, value, &proof), Ok(()));
        }
        let range = (Bound::Included(&[1][..]), Bound::Excluded(&[2][..]));
        let page = snapshot.prove_range(range, 1_000).unwrap();
        assert!(!page.more);
        assert_eq!(
            verify_range(&root, range, &page.entries, &page.proof),
            Ok(())
        );
    }
    for height in [0, tip - 65, tip + 1] {
        let refused = storage.snapshot_at(height);
        assert!(matches!(
            refused,
            Err(StorageError::HeightUnavailable { .. })
        ));
    }
}

#[test]
fn last_64_states_are_read_and_proved_also_after_a_restart() {
    let disk = Disk::default();
    let (chain, storage) = chain_of(&disk, 70);
    check_past_states(&chain, &storage);
    drop(storage);
    check_past_states(&chain, &open_on(&disk, OpenCheck::Quick).unwrap());
}

#[test]
fn snapshot_does_not_see_later_blocks() {
    let (mut chain, storage) = chain_of(&Disk::default(), 3);
    let snapshot = storage.snapshot().unwrap();
    let before = entries_of(&snapshot);
    for _ in 0..5 {
        chain.commit_next(&storage).unwrap();
    }
    assert_eq!(entries_of(&snapshot), before);
    assert_ne!(entries_of(&storage.snapshot().unwrap()), before);
}

#[test]
fn pages_under_a_prefix_join_to_all_its_entries() {
    let (chain, storage) = chain_of(&Disk::default(), 20);
    for height in [15, 20] {
        let snapshot = storage.snapshot_at(height).unwrap();
        let state = &chain.made[usize::try_from(height).unwrap()].state;
        let mut found = Vec::new();
        loop {
            let after = found
                .last()
                .map(|(key, _): &(Vec<u8>, Vec<u8>)| key.clone());
            let page = snapshot.entries_from(&[1, 1], after.as_deref(), 3).unwrap();
            found.extend(page.entries);
            if !page.more {
                break;
            }
        }
        let expected: Vec<_> = state
            .iter()
            .filter(|(key, _)| key.starts_with(&[1, 1]))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn blocks_that_do_not_follow_are_refused_and_change_nothing() {
    let (mut chain, storage) = chain_of(&Disk::default(), 3);
    let stale = storage.prepare(&StateChanges::default()).unwrap();
    chain.commit_next(&storage).unwrap();
    let last = chain.made.last().unwrap();
    let commit = |prepared, block, receipts| {
        storage.commit(BlockCommit {
            block,
            certificate: last.certificate.as_ref(),
            receipts,
            prepared,
        })
    };
    let again = commit(
        storage.prepare(&last.changes).unwrap(),
        &last.block,
        &last.receipts,
    );
    assert!(matches!(
        again,
        Err(StorageError::NotNext { found: 4, tip: 4 })
    ));
    let mut next = last.block.clone();
    next.header.height = 5;
    next.header.parent = last.block.hash();
    next.header.executed.height = 5;
    let refused = commit(stale, &next, &last.receipts);
    assert!(matches!(refused, Err(StorageError::StalePrepared)));
    let prepared = || storage.prepare(&StateChanges::default()).unwrap();
    let refused = commit(prepared(), &next, &last.receipts);
    assert!(matches!(
        refused,
        Err(StorageError::WrongResult { height: 5 })
    ));
    assert_eq!(storage.tip().unwrap().height, 4);
    chain.commit_next(&storage).unwrap();
    chain.check_all(&storage);
    refuses_other_results(&mut chain, &storage);
    let twice = chain.initialise(&storage);
    assert!(matches!(
        twice,
        Err(StorageError::AlreadyInitialised { .. })
    ));
}

/// The next block with any one thing changed that its header commits to is refused, and without that it is not.
fn refuses_other_results(chain: &mut TestChain, storage: &Storage) {
    type Change = fn(&mut Block, &mut Vec<Receipt>);
    let changes: [(&str, Change); 7] = [
        ("a transaction", |block, _| {
            block.transactions[0].body.nonce += 1
        }),
        ("a signature", |block, _| {
            block.transactions[0].signature.0[0] ^= 1
        }),
        ("one fewer", |block, _| drop(block.transactions.pop())),
        ("a receipt", |_, receipts| receipts[0].gas_used += 1),
        ("another order", |_, receipts| receipts.reverse()),
        ("no receipts", |_, receipts| receipts.clear()),
        ("a root", |block, _| {
            block.header.executed.state_entries += 1
        }),
    ];
    let height = loop {
        let height = storage.tip().unwrap().height + 1;
        chain.make(storage, height).unwrap();
        if chain.made.last().unwrap().block.transactions.len() == 2 {
            break height;
        }
        chain.commit_next(storage).unwrap();
    };
    let made = chain.made.last().unwrap();
    for (name, change) in changes {
        let (mut block, mut receipts) = (made.block.clone(), made.receipts.clone());
        change(&mut block, &mut receipts);
        let refused = storage.commit(BlockCommit {
            block: &block,
            certificate: None,
            receipts: &receipts,
            prepared: storage.prepare(&made.changes).unwrap(),
        });
        let wrong =
            matches!(refused, Err(StorageError::WrongResult { height: at }) if at == height);
        assert!(wrong, "{name}: {refused:?}");
    }
    chain.commit_next(storage).unwrap();
    chain.check_all(storage);
}
