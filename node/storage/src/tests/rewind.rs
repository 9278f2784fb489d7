//! Take blocks back, and hold what is left to what was there before them.

use super::chain::TestChain;
use super::power_loss::open_on;
use crate::SimulatedDisk as Disk;
use crate::{EventFilter, OpenCheck, Storage, StorageError};

const BLOCKS: u64 = 40;

fn check(chain: &TestChain, storage: &Storage) {
    chain.check_all(storage);
    let tip = storage.tip().unwrap();
    let above = chain
        .made
        .iter()
        .skip(usize::try_from(tip.height).unwrap() + 1);
    for (height, made) in (tip.height + 1..).zip(above) {
        assert_eq!(storage.block(height).unwrap(), None);
        assert_eq!(storage.certificate(height).unwrap(), None);
        assert_eq!(storage.receipts(height).unwrap(), None);
        assert_eq!(storage.height_of(&made.block.hash()).unwrap(), None);
        for receipt in &made.receipts {
            let location = storage.transaction_location(&receipt.transaction);
            assert_eq!(location.unwrap(), None);
        }
        assert!(storage.snapshot_at(height).is_err());
    }
    for height in storage.oldest_state().unwrap()..=tip.height {
        let snapshot = storage.snapshot_at(height).unwrap();
        let made = &chain.made[usize::try_from(height).unwrap()];
        assert_eq!(super::chain::entries_of(&snapshot), made.state);
    }
    let expected: Vec<_> = (0..=tip.height)
        .zip(&chain.made)
        .flat_map(|(height, made)| made.receipts.iter().map(move |receipt| (height, receipt)))
        .flat_map(|(height, receipt)| receipt.events.iter().map(move |event| (height, event)))
        .collect();
    let page = storage
        .events(&EventFilter::default(), None, 10_000)
        .unwrap();
    let found: Vec<_> = page
        .items
        .iter()
        .map(|(cursor, _, event)| (cursor.height, event))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_rewound_chain_is_what_it_was_and_goes_on_also_after_a_crash() {
    let disk = Disk::default();
    let mut storage = open_on(&disk, OpenCheck::Full).unwrap();
    let mut chain = TestChain::new(11);
    chain.initialise(&storage).unwrap();
    for _ in 0..BLOCKS {
        chain.commit_next(&storage).unwrap();
    }
    for height in [BLOCKS, BLOCKS - 1, 25, 7, 0] {
        let tip = storage.rewind(height).unwrap();
        assert_eq!((tip.height, storage.tip()), (height, Some(tip)));
        check(&chain, &storage);
        // The power fails here: what was rewound stays so.
        drop(storage);
        storage = open_on(&disk, OpenCheck::Full).unwrap();
        check(&chain, &storage);
        // Blocks that came after it come again, and lead to the same.
        for _ in 0..3.min(BLOCKS - height) {
            chain.commit_next(&storage).unwrap();
            check(&chain, &storage);
        }
    }
}

#[test]
fn heights_whose_state_is_gone_or_yet_to_come_change_nothing() {
    let disk = Disk::default();
    let storage = open_on(&disk, OpenCheck::Full).unwrap();
    let mut chain = TestChain::new(12);
    chain.initialise(&storage).unwrap();
    for _ in 0..70 {
        chain.commit_next(&storage).unwrap();
    }
    for height in [0, 5, 71] {
        let refused = storage.rewind(height);
        assert!(matches!(
            refused,
            Err(StorageError::HeightUnavailable { .. })
        ));
    }
    check(&chain, &storage);
    chain.commit_next(&storage).unwrap();
    // A handle that prepared a block before the rewind cannot commit it after.
    let stale = storage.prepare(&chain.made[71].changes).unwrap();
    storage.rewind(60).unwrap();
    let made = &chain.made[61];
    let refused = storage.commit(crate::BlockCommit {
        block: &made.block,
        certificate: made.certificate.as_ref(),
        receipts: &made.receipts,
        prepared: stale,
    });
    assert!(matches!(refused, Err(StorageError::StalePrepared)));
}
