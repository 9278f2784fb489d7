//! Measure what a block costs: preparing it, committing it durably, and reading beside it.
//!
//! `KUMIKI_BENCH_KEYS` sets the size of the state (default 100,000), `KUMIKI_BENCH_DIR` the disk (default: the
//! folder for temporary files, which may be memory).

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use kumiki_protocol::state_key;
use kumiki_state::StateReader;

#[path = "parts/growing_chain.rs"]
mod growing_chain;

use growing_chain::{GrowingChain, address, bench_dir};

fn blocks(criterion: &mut Criterion) {
    let keys = std::env::var("KUMIKI_BENCH_KEYS")
        .ok()
        .and_then(|text| text.parse().ok());
    let dir = bench_dir();
    let mut bench = GrowingChain::new(dir.path(), keys.unwrap_or(100_000));
    let keys = bench.keys;
    for count in [1, 100, 1_000] {
        criterion.bench_function(
            &format!("prepare {count} transfers on {keys} keys"),
            |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| bench.add_block(count).0).sum());
            },
        );
        criterion.bench_function(
            &format!("commit {count} transfers on {keys} keys"),
            |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| bench.add_block(count).1).sum());
            },
        );
    }
    let snapshot = bench.storage.snapshot().expect("there is a chain");
    let known: BTreeMap<u64, Vec<u8>> = (0..1_000)
        .map(|number| (number, state_key::account(&address(number * 97 % keys))))
        .collect();
    let mut at = 0;
    criterion.bench_function(&format!("read one of {keys} keys"), |bencher| {
        bencher.iter(|| {
            at = (at + 1) % 1_000;
            black_box(snapshot.get(&known[&at]).expect("the disk works"))
        });
    });
    criterion.bench_function(&format!("prove one of {keys} keys"), |bencher| {
        bencher.iter(|| {
            at = (at + 1) % 1_000;
            black_box(snapshot.prove(&known[&at]).expect("the disk works"))
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = blocks
}
criterion_main!(benches);
