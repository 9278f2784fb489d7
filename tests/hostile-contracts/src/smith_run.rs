//! Run generated modules with progress, and look at single ones.

use std::time::Instant;

use kumiki_hostile_contracts::smith::{Pair, Verdict, Verdicts, generate, run};

/// Runs `count` modules from seed `first`.
pub(crate) fn smith(first: u64, count: u64) -> Result<(), String> {
    let start = Instant::now();
<<<<<<< HEAD
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
=======
    let ended = run(first, count, &|verdicts| {
        let done: u64 = verdicts.values().sum();
        eprintln!("{done} of {count} modules in {} s", start.elapsed().as_secs());
    })?;
>>>>>>> hostile
    println!(
        "{count} modules from seed {first} in {} s, no difference: {}",
        start.elapsed().as_secs(),
        text(&ended)
    );
    Ok(())
}

fn text(ended: &Verdicts) -> String {
    let parts: Vec<String> = ended
        .iter()
        .map(|(verdict, count)| format!("{count} {}", name(*verdict)))
        .collect();
    parts.join(", ")
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

const fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotGenerated => "not generated",
        Verdict::Refused => "refused",
        Verdict::Ran(code) => code.name(),
    }
}
