//! Measure the root of 1,000 and 10,000 updates, 9 in 10 of them on existing keys, without any disk.
//!
//! `KUMIKI_BENCH_KEYS` sets the size of the state (default 200,000). Keys have 44 bytes, values 64.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use kumiki_protocol::{Hash, sha2_256};
use kumiki_state::{
    Found, ScanDirection, Scanned, StateChanges, StateError, StateReader, Tree, VisitScanned,
};

struct MapState(BTreeMap<Vec<u8>, Vec<u8>>);

impl StateReader for MapState {
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        Ok(Found::within(self.0.get(key).cloned(), bytes_max))
    }

    fn scan_lazily(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        _direction: ScanDirection,
        visit: &mut VisitScanned<'_>,
    ) -> Result<(), StateError> {
        for (key, value) in self.0.range::<[u8], _>(range) {
            if visit(key, Scanned::Loaded(value))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn code(&self, _hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        Ok(None)
    }
}

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![0x10; 12];
    key.extend(sha2_256(&[&number.to_be_bytes()]).0);
    key
}

fn batch(size: u64, keys: u64) -> StateChanges {
    let number = |at: u64| {
        if at.is_multiple_of(10) {
            keys + at
        } else {
            at * 7_919 % keys
        }
    };
    let entries = (0..size)
        .map(|at| (key(number(at)), Some(vec![1; 64])))
        .collect();
    StateChanges {
        entries,
        codes: BTreeMap::new(),
    }
}

fn root(criterion: &mut Criterion) {
    let keys = std::env::var("KUMIKI_BENCH_KEYS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200_000);
    let state = MapState((0..keys).map(|number| (key(number), vec![0; 64])).collect());
    let entries = state
        .0
        .iter()
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect();
    let changes = StateChanges {
        entries,
        codes: BTreeMap::new(),
    };
    let nothing = MapState(BTreeMap::new());
    let tree = Tree::empty()
        .update(&changes, &nothing)
        .expect("a map does not fail");
    for size in [1_000, 10_000] {
        let batch = batch(size, keys);
        criterion.bench_function(
            &format!("root of {size} updates on {keys} keys"),
            |bencher| {
                bencher.iter(|| {
                    let next = tree
                        .update(black_box(&batch), &state)
                        .expect("a map does not fail");
                    black_box(next.records_changed_since(&tree).len())
                });
            },
        );
    }
    let one = key(5);
    criterion.bench_function(&format!("proof on {keys} keys"), |bencher| {
        bencher.iter(|| black_box(tree.prove(&one, &state).expect("a map does not fail")));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = root
}
criterion_main!(benches);
