//! Cut the power at every write and show what is kept.

use kumiki_testkit::Random;
use redb::StorageBackend as _;

use super::chain::TestChain;
use crate::SimulatedDisk as Disk;
use crate::{OpenCheck, Storage, StorageError, StorageOptions};

pub(crate) fn open_on(disk: &Disk, check: OpenCheck) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        check,
        cache_bytes: 1 << 20,
        undo_heights: 64,
    };
    Storage::open_simulated(disk, options)
}

fn losses() -> u64 {
    let set = std::env::var("KUMIKI_POWER_LOSSES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// One disk, the chain on it, and what its owner was told.
struct Life {
    disk: Disk,
    chain: TestChain,
    /// Blocks that commits have returned for, or that a later start has shown.
    acknowledged: u64,
    lost: u32,
    kept: u32,
}

impl Life {
    fn new(seed: u64) -> Self {
        // An empty file is made beside its place and renamed: a failure before that leaves no file.
        let disk = Disk::default();
        drop(open_on(&disk, OpenCheck::Full).unwrap());
        disk.sync_data().unwrap();
        Self {
            disk,
            chain: TestChain::new(seed),
            acknowledged: 0,
            lost: 0,
            kept: 0,
        }
    }

    /// Opens after a failure; only the block in flight may be there or not.
    fn open(&mut self, check: OpenCheck) -> Option<Storage> {
        let storage = match open_on(&self.disk, check) {
            Ok(storage) => storage,
            Err(error) => {
                assert!(
                    self.disk.has_failed(),
                    "does not open although the power is on: {error}"
                );
                return None;
            }
        };
        let stored = storage.tip().map_or(0, |tip| tip.height + 1);
        let told = self.acknowledged;
        assert!(stored >= told, "{told} acknowledged, {stored} there");
        assert!(stored <= told + 1, "{told} acknowledged, {stored} there");
        if stored > told {
            self.kept += 1;
        } else {
            self.lost += 1;
        }
        self.acknowledged = stored;
        Some(storage)
    }

    fn commit_until_failure(&mut self, check: OpenCheck) {
        let Some(storage) = self.open(check) else {
            return;
        };
        if storage.tip().is_none() {
            if self.chain.initialise(&storage).is_err() {
                return;
            }
            self.acknowledged = 1;
        }
        while self.chain.commit_next(&storage).is_ok() {
            self.acknowledged = storage.tip().unwrap().height + 1;
        }
        assert!(
            self.disk.has_failed(),
            "a commit failed although the power is on"
        );
        let again = self.chain.commit_next(&storage);
        assert!(matches!(again, Err(StorageError::Poisoned)), "{again:?}");
    }

    fn check_all(&mut self) {
        let storage = self.open(OpenCheck::Full).unwrap();
        if storage.tip().is_some() {
            self.chain.check_all(&storage);
        }
    }
}

#[test]
fn no_power_loss_loses_an_acknowledged_block_or_mixes_two() {
    let mut random = Random::new(7);
    let (mut done, mut seed, mut blocks, mut lost, mut kept) = (0, 0, 0, 0, 0);
    while done < losses() {
        seed += 1;
        let mut life = Life::new(seed);
        for _ in 0..25.min(losses() - done) {
            done += 1;
            let check = [OpenCheck::Full, OpenCheck::Quick][random.below(2)];
            // With few operations the failure hits the recovery from the one before.
            let reach = [12, 80, 600][random.below(3)];
            life.disk.fail_after(1 + random.below(reach) as u64);
            life.commit_until_failure(check);
            life.disk.restart(&mut |bound| random.below(bound));
            if random.below(2) == 0 {
                life.check_all();
            }
        }
        life.check_all();
        blocks += life.acknowledged;
        lost += life.lost;
        kept += life.kept;
    }
    println!("{done} power losses, {blocks} blocks: in flight lost or none {lost}, kept {kept}");
    assert!(blocks > done / 4, "the failures left no room for blocks");
}

#[test]
fn commit_syncs_twice_and_reads_go_on_after_a_failed_one() {
    let disk = Disk::default();
    let storage = open_on(&disk, OpenCheck::Full).unwrap();
    let mut chain = TestChain::new(1);
    chain.initialise(&storage).unwrap();
    chain.commit_next(&storage).unwrap();
    let (before, _) = disk.counts();
    chain.commit_next(&storage).unwrap();
    assert_eq!(disk.counts().0 - before, 2);
    disk.fail_after(3);
    assert!(chain.commit_next(&storage).is_err());
    assert!(matches!(
        chain.commit_next(&storage),
        Err(StorageError::Poisoned)
    ));
    assert_eq!(storage.tip().unwrap().height, 2);
    assert!(storage.snapshot().is_ok());
}
