//! Run generated modules on as many threads as there are cores, with progress.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kumiki_hostile_contracts::smith::{Pair, Verdict};
use kumiki_vm::{EngineKind, spawn_execution_thread};

/// Modules after which fresh engines are taken, so that what they keep stays small.
const MODULES_PER_PAIR: u64 = 2_000;

/// Runs the modules of `first..first + count`.
pub(crate) fn run(first: u64, count: u64) -> Result<(), String> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let start = Instant::now();
    let next = std::sync::Arc::new(AtomicU64::new(first));
    let ended: std::sync::Arc<Mutex<BTreeMap<String, u64>>> = std::sync::Arc::default();
    let mut workers = Vec::new();
    for _ in 0..threads {
        let (next, ended) = (std::sync::Arc::clone(&next), std::sync::Arc::clone(&ended));
        let worker = move || {
            loop {
                let from = next.fetch_add(MODULES_PER_PAIR, Ordering::Relaxed);
                let to = (from + MODULES_PER_PAIR).min(first + count);
                if from >= to {
                    return;
                }
                let mut found = BTreeMap::new();
                let pair = Pair::new();
                for seed in from..to {
                    *found.entry(name(pair.hold(seed))).or_insert(0) += 1;
                }
                let mut ended = ended.lock().expect("no worker panics with it");
                for (name, number) in found {
                    *ended.entry(name).or_insert(0) += number;
                }
                let done: u64 = ended.values().sum();
                eprintln!(
                    "{done} of {count} modules in {} s: {ended:?}",
                    start.elapsed().as_secs()
                );
            }
        };
        workers.push(
            spawn_execution_thread("smith", worker).map_err(|error| format!("no thread: {error}"))?,
        );
    }
    let failed = workers
        .into_iter()
        .filter_map(|worker| worker.join().err())
        .count();
    if failed > 0 {
        return Err(format!(
            "{failed} threads found a difference; the seed is above"
        ));
    }
    println!(
        "{count} modules from seed {first}, {:?} and {:?}: no difference",
        EngineKind::Wasmtime,
        EngineKind::Wasmi
    );
    Ok(())
}

fn name(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotGenerated => "not generated".to_owned(),
        Verdict::Refused => "refused".to_owned(),
        Verdict::Ran(code) => code.name().to_owned(),
    }
}
