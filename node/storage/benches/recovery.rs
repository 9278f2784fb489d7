//! Measure how long a store takes to open after its process was killed in the middle of a commit.
//!
//! `KUMIKI_BENCH_KEYS` sets the size of the state (default 1,000,000), `KUMIKI_BENCH_DIR` the disk.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kumiki_storage::{OpenCheck, Storage, StorageOptions};

#[path = "parts/growing_chain.rs"]
mod growing_chain;

use growing_chain::{GrowingChain, bench_dir};

/// Set for the process that is killed: the folder of its store.
const CHILD: &str = "KUMIKI_BENCH_CHILD";
/// Kills for each kind of opening.
const ROUNDS: usize = 3;
const TRANSACTIONS: u64 = 1_000;

fn keys() -> u64 {
    let keys = std::env::var("KUMIKI_BENCH_KEYS");
    keys.map_or(1_000_000, |text| text.parse().expect("a number"))
}

/// Commits blocks until it is killed, saying each.
fn grow_until_killed(dir: &Path) {
    let mut chain = GrowingChain::new(dir, keys());
    for height in 1_u64.. {
        let _took = chain.add_block(TRANSACTIONS);
        println!("{height}");
    }
}

/// Lets a process grow a chain in `dir`, and kills it at some moment of its third block or later.
fn kill_while_committing(dir: &Path, later: Duration) {
    let mut child = Command::new(std::env::current_exe().expect("it has a name"))
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let said = lines.take(2).filter(Result::is_ok).count();
    assert_eq!(said, 2, "it ended by itself");
    std::thread::sleep(later);
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
}

fn open(dir: &Path, check: OpenCheck) -> Duration {
    let options = StorageOptions {
        check,
        ..StorageOptions::default()
    };
    let start = Instant::now();
    let storage = Storage::open(dir, options).expect("it opens after a kill");
    let took = start.elapsed();
    assert!(storage.tip().is_some_and(|tip| tip.height >= 2));
    took
}

fn main() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return grow_until_killed(Path::new(&dir));
    }
    for round in 0..ROUNDS {
        let dir = bench_dir();
        let later = Duration::from_millis(7 * u64::try_from(round).unwrap_or(0));
        kill_while_committing(dir.path(), later);
        let whole = std::fs::metadata(dir.path().join("chain.redb")).expect("it is there");
        let (first, full) = match round % 2 {
            0 => (OpenCheck::Full, open(dir.path(), OpenCheck::Full)),
            _ => (OpenCheck::Quick, open(dir.path(), OpenCheck::Quick)),
        };
        let again = [OpenCheck::Full, OpenCheck::Quick].map(|check| open(dir.path(), check));
        println!(
            "{} keys, {} MB: {first:?} after the kill {full:?}; later full {:?}, quick {:?}",
            keys(),
            whole.len() >> 20,
            again[0],
            again[1]
        );
    }
}
