//! Run generated modules on as many threads as there are cores, with progress.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kumiki_hostile_contracts::smith::{Pair, Verdict, generate};
use kumiki_vm::{EngineKind, spawn_execution_thread};

/// Modules after which fresh engines are taken, so that what they keep stays small.
const MODULES_PER_PAIR: u64 = 2_000;

/// How modules are counted on which the engines differ.
const DIFFERENT: &str = "different";

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
                    let ended = match pair.hold(seed) {
                        Ok(verdict) => name(verdict),
                        Err(difference) => {
                            eprintln!("{difference}");
                            DIFFERENT.to_owned()
                        }
                    };
                    *found.entry(ended).or_insert(0) += 1;
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
            spawn_execution_thread("smith", worker)
                .map_err(|error| format!("no thread: {error}"))?,
        );
    }
    let failed = workers
        .into_iter()
        .filter_map(|worker| worker.join().err())
        .count();
    let ended = ended.lock().map_err(|_poisoned| "a thread panicked")?;
    let different = ended.get(DIFFERENT).copied().unwrap_or(0);
    if failed > 0 || different > 0 {
        return Err(format!(
            "{different} modules differ and {failed} threads panicked; the seeds are above"
        ));
    }
    println!(
        "{count} modules from seed {first}, {:?} and {:?}: no difference",
        EngineKind::Wasmtime,
        EngineKind::Wasmi
    );
    Ok(())
}

/// Runs a contract in a file, Wasm or WAT, on both engines.
pub(crate) fn file(path: &str) -> Result<(), String> {
    let text = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let code = wat::parse_bytes(&text).map_err(|error| format!("{path}: {error}"))?;
    let verdict = Pair::new().hold_code(&code)?;
    println!("{}", name(verdict));
    Ok(())
}

/// Writes the module of `seed` to a file, to look at it.
pub(crate) fn write(seed: &str, file: &str) -> Result<(), String> {
    let seed = seed
        .parse()
        .map_err(|_no_number| format!("{seed} is no seed"))?;
    let wasm = generate(seed).ok_or("this seed gives no module")?;
    std::fs::write(file, wasm).map_err(|error| format!("{file}: {error}"))
}

fn name(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotGenerated => "not generated".to_owned(),
        Verdict::Refused => "refused".to_owned(),
        Verdict::Ran(code) => code.name().to_owned(),
    }
}
