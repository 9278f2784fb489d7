use super::chain::{Random, TestChain};
use super::disk::Disk;
use crate::index::EventIndex;
use crate::{OpenCheck, Storage, StorageError, StorageOptions};

pub(crate) fn open_on(disk: &Disk, check: OpenCheck) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        check,
        cache_bytes: 1 << 20,
        undo_heights: 64,
    };
    let database = Storage::builder(options)
        .create_with_backend(disk.clone())
        .map_err(crate::schema::failed("open"))?;
    let memory = redb::Database::builder()
        .create_with_backend(redb::backends::InMemoryBackend::new())
        .unwrap();
    Storage::assemble(database, EventIndex::new(memory)?, options, None)
}

fn losses() -> u64 {
    let set = std::env::var("KUMIKI_POWER_LOSSES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// Commits until the power fails; says how many blocks were acknowledged in all.
fn run_until_failure(disk: &Disk, chain: &mut TestChain, check: OpenCheck, acknowledged: &mut u64) {
    let storage = match open_on(disk, check) {
        Ok(storage) => storage,
        Err(error) => {
            assert!(disk.has_failed(), "does not open although the power is on: {error}");
            return;
        }
    };
    if storage.tip().is_none() {
        if chain.initialise(&storage).is_err() {
            return;
        }
        *acknowledged = (*acknowledged).max(1);
    }
    while chain.commit_next(&storage).is_ok() {
        *acknowledged = storage.tip().unwrap().height + 1;
    }
    assert!(
        disk.has_failed(),
        "a commit failed although the power is on"
    );
    let again = chain.commit_next(&storage);
    assert!(matches!(again, Err(StorageError::Poisoned)), "{again:?}");
}

#[test]
fn no_power_loss_loses_an_acknowledged_block_or_mixes_two() {
    let (mut lost, mut survived) = (0_u32, 0_u32);
    let mut random = Random(7);
    let (mut done, mut life) = (0, 0);
    while done < losses() {
        life += 1;
        let disk = Disk::default();
        let mut chain = TestChain::new(life);
        let mut acknowledged = 0;
        for _ in 0..25.min(losses() - done) {
            done += 1;
            let check = if random.below(2) == 0 {
                OpenCheck::Full
            } else {
                OpenCheck::Quick
            };
            // Few operations: the failure hits the recovery from the one before.
            let reach = [12, 60, 300][random.below(3)];
            disk.fail_after(1 + random.below(reach) as u64);
            run_until_failure(&disk, &mut chain, check, &mut acknowledged);
            disk.restart(&mut random);
        }
        let storage = open_on(&disk, OpenCheck::Full).unwrap();
        let stored = storage.tip().map_or(0, |tip| tip.height + 1);
        assert!(
            stored >= acknowledged,
            "{acknowledged} acknowledged, {stored} there"
        );
        assert!(
            stored <= acknowledged + 1,
            "{acknowledged} acknowledged, {stored} there"
        );
        if stored > acknowledged {
            survived += 1;
        } else {
            lost += 1;
        }
        if stored > 0 {
            chain.check_all(&storage);
            chain.commit_next(&storage).unwrap();
            chain.check_all(&storage);
        }
    }
    println!("{done} power losses: last block in flight lost {lost}, kept {survived}");
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
