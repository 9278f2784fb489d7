//! Cut the power at every write and show what is kept.
//!
//! A run is many lives, each fixed by its seed. `cargo xtask powerloss --crashes N --seed S` runs more of them, or that
//! of one seed again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kumiki_testkit::Random;

use super::chain::TestChain;
use crate::SimulatedDisk as Disk;
use crate::{OpenCheck, Storage, StorageError, StorageOptions};

/// Power failures in one life: enough for a chain that has grown and lost undo rows.
const CRASHES_PER_LIFE: u64 = 50;
/// In CI.
const CRASHES: u64 = 12_000;

pub(crate) fn open_on(disk: &Disk, check: OpenCheck) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        check,
        cache_bytes: 1 << 20,
        undo_heights: 64,
    };
    Storage::open_simulated(disk, options)
}

fn number_from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What happened in some lives.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Power failures while a block was committed,
    committing: u64,
    /// while the first block was,
    initialising: u64,
    /// while the store opened after a clean end or a failure,
    opening: u64,
    /// and of these, while it recovered from a failure during an opening.
    again: u64,
    /// Blocks that were in flight and are there,
    kept: u64,
    /// and those that are not.
    lost: u64,
    /// Blocks at the end.
    blocks: u64,
}

impl Tally {
    const fn crashes(&self) -> u64 {
        self.committing + self.initialising + self.opening
    }

    fn add(&mut self, other: &Self) {
        self.committing += other.committing;
        self.initialising += other.initialising;
        self.opening += other.opening;
        self.again += other.again;
        self.kept += other.kept;
        self.lost += other.lost;
        self.blocks += other.blocks;
    }
}

/// One disk, the chain on it, and what its owner was told.
struct Life {
    disk: Disk,
    chain: TestChain,
    random: Random,
    /// Blocks that commits have returned for, or that a later start has shown.
    acknowledged: u64,
    /// Whether a block was being written when the power failed last.
    in_flight: bool,
    tally: Tally,
}

impl Life {
    fn new(seed: u64) -> Self {
        // An empty file is made beside its place and renamed: a failure before that leaves no file.
        let disk = Disk::default();
        drop(open_on(&disk, OpenCheck::Full).unwrap());
        disk.settle();
        Self {
            disk,
            chain: TestChain::new(seed),
            random: Random::new(seed ^ 0x706f_7765_7200_0000),
            acknowledged: 0,
            in_flight: false,
            tally: Tally::default(),
        }
    }

    fn check(&mut self) -> OpenCheck {
        [OpenCheck::Full, OpenCheck::Quick][self.random.below(2)]
    }

    fn restart(&mut self) {
        let random = &mut self.random;
        self.disk.restart(&mut |bound| random.below(bound));
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
        let flying = u64::from(self.in_flight);
        assert!(
            told <= stored && stored <= told + flying,
            "{told} blocks acknowledged, {flying} in flight, {stored} there"
        );
        if self.in_flight && stored > told {
            self.tally.kept += 1;
        } else if self.in_flight {
            self.tally.lost += 1;
        }
        self.in_flight = false;
        self.acknowledged = stored;
        Some(storage)
    }

    /// Adds one block, if the power lasts.
    fn commit(&mut self, storage: &Storage) -> Result<(), StorageError> {
        self.in_flight = true;
        if storage.tip().is_none() {
            self.chain.initialise(storage)?;
        } else {
            self.chain.commit_next(storage)?;
        }
        self.in_flight = false;
        self.acknowledged = storage.tip().unwrap().height + 1;
        Ok(())
    }

    fn commit_until_failure(&mut self) {
        let check = self.check();
        let Some(storage) = self.open(check) else {
            self.tally.opening += 1;
            return;
        };
        let error = loop {
            if let Err(error) = self.commit(&storage) {
                break error;
            }
        };
        assert!(self.disk.has_failed(), "although the power is on: {error}");
        if storage.tip().is_none() {
            self.tally.initialising += 1;
            return;
        }
        self.tally.committing += 1;
        let again = self.chain.commit_next(&storage);
        assert!(matches!(again, Err(StorageError::Poisoned)), "{again:?}");
    }

    /// Cuts the power again while the store recovers, some times.
    fn fail_while_recovering(&mut self) {
        let mut before = 0;
        for _ in 0..self.random.below(3) {
            self.disk.fail_after(1 + self.random.below(10) as u64);
            let check = self.check();
            let opened = self.open(check);
            // Closing writes too.
            let unopened = opened.map(drop).is_none();
            if unopened || self.disk.has_failed() {
                self.tally.opening += 1;
                self.tally.again += before;
                before = 1;
            }
            self.restart();
        }
    }

    /// Everything is there and goes on.
    fn check_all(&mut self) {
        let storage = self.open(OpenCheck::Full).unwrap();
        if storage.tip().is_some() {
            self.chain.check_all(&storage);
        }
    }
}

/// One life to its end.
fn live(seed: u64, crashes: u64, prepare: fn(&Disk)) -> Tally {
    let mut life = Life::new(seed);
    prepare(&life.disk);
    while life.tally.crashes() < crashes {
        // With few operations the failure hits the opening.
        let reach = [12, 100, 300, 900][life.random.below(4)];
        life.disk.fail_after(1 + life.random.below(reach) as u64);
        life.commit_until_failure();
        life.restart();
        life.fail_while_recovering();
        life.check_all();
    }
    for _ in 0..2 {
        let storage = life.open(OpenCheck::Full).unwrap();
        life.commit(&storage).unwrap();
    }
    life.check_all();
    life.tally.blocks = life.acknowledged;
    life.tally
}

/// Lives from the seed `first` on, until there were so many crashes.
fn run(first: u64, crashes: u64, show: bool) -> Tally {
    let next = AtomicU64::new(first);
    let total = Mutex::new(Tally::default());
    let lives = crashes.div_ceil(CRASHES_PER_LIFE);
    let each = crashes.min(CRASHES_PER_LIFE);
    let live_on = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + lives {
                return;
            }
            let lived = catch_unwind(AssertUnwindSafe(|| live(seed, each, |_| {})));
            let tally = lived.unwrap_or_else(|_said| {
                panic!("seed {seed} failed; again: cargo xtask powerloss --crashes {each} --seed {seed}")
            });
            let mut total = total.lock().unwrap();
            let before = total.crashes();
            total.add(&tally);
            let part = (crashes / 20).max(1);
            if show && before / part != total.crashes() / part {
                eprintln!("seed {seed}: {} of {crashes} crashes", total.crashes());
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(live_on)).collect();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        assert!(ended.iter().all(Result::is_ok), "see above");
    });
    total.into_inner().unwrap()
}

#[test]
fn no_power_loss_loses_an_acknowledged_block_or_mixes_two() {
    let crashes = number_from_env("KUMIKI_POWER_LOSSES", CRASHES);
    let first = number_from_env("KUMIKI_POWER_LOSS_SEED", 1);
    let asked = std::env::var_os("KUMIKI_POWER_LOSSES").is_some();
    let tally = run(first, crashes, asked);
    println!(
        "{} power losses from seed {first}: {tally:?}",
        tally.crashes()
    );
    assert!(tally.crashes() >= crashes);
    if crashes >= 1_000 {
        // A block in flight is there only where the power fails in the last sync of its commit.
        let least = crashes / 500;
        let often = [tally.committing, tally.opening, tally.again, tally.lost];
        assert!(tally.initialising > 0 && tally.kept > least, "{tally:?}");
        assert!(often.iter().all(|count| *count > crashes / 10), "{tally:?}");
        assert!(tally.blocks > crashes / 4, "no room for blocks: {tally:?}");
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let found = (1..=5).filter(|seed| {
        let lived = catch_unwind(|| live(*seed, CRASHES_PER_LIFE, |disk| disk.lie()));
        lived.is_err()
    });
    assert_eq!(found.count(), 5);
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
