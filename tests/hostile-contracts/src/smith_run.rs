//! Run generated modules with progress, and look at single ones.

use std::time::Instant;

use kumiki_hostile_contracts::smith::{Pair, Verdict, Verdicts, generate, run};

/// Runs `count` modules from seed `first`.
pub(crate) fn smith(first: u64, count: u64) -> Result<(), String> {
    let start = Instant::now();
    let ended = run(first, count, &|verdicts| {
        let done: u64 = verdicts.values().sum();
        eprintln!(
            "{done} of {count} modules in {} s",
            start.elapsed().as_secs()
        );
    })?;
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
