//! Run the corpus at every gas limit: how a transaction fails is consensus too.
//!
//! At each limit two engines must agree on receipt and changes, and so must, at some, nodes that compile it for the
//! first time or find it on disk. The golden file holds a digest over all limits, so another build (debug, another
//! hash seed, another machine) that fails otherwise is found as well.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kumiki_conformance::Golden;
use kumiki_hostile_contracts::chain::Came;
use kumiki_hostile_contracts::corpus::{Sample, samples};
use kumiki_hostile_contracts::{Chain, Node};
use kumiki_protocol::{Action, Encode, Gas, Genesis, Hash, Receipt, Status, Transaction, sha3_256};
use kumiki_vm::{EngineKind, VmConfig, run_on_execution_stack, spawn_execution_thread};

/// What endless samples may use beside the transaction itself: their code is loaded, and then they run.
const ENDLESS_GAS: Gas = 250_000;
/// Gas that most samples can do with, and gas that all can but those that never end.
const ENOUGH: [Gas; 2] = [4_000_000, 30_000_000];
/// The same for deployments, which end.
const ENOUGH_TO_DEPLOY: [Gas; 2] = [20_000_000, 100_000_000];
/// Where the gas between the transaction's own, with loading its code, and the full cost is not more, every limit is run.
const DENSE_GAS: Gas = 2_000;
/// Samples that are run at every limit whatever they cost.
const EVERY_LIMIT: [&str; 2] = ["token transfer", "reentry_by_another"];
/// Samples that take milliseconds each, to compile or to run, and fail like others.
const SLOW: [&str; 6] = [
    "memory_16_mib_touched",
    "grow_to_the_end",
    "code_of_loops",
    "code_of_operands",
    "functions_of_32_parameters",
    "data_in_every_instance",
];
/// Distances of limits where it is more; all are prime.
const STRIDES: [Gas; 11] = [3, 7, 17, 31, 61, 127, 509, 2_039, 8_191, 32_749, 131_071];
/// Limits of one sample, about, where not every one is run.
const LIMITS: Gas = 400;
/// Limits around each at which the result changes its shape.
const NEIGHBOURS: Gas = 3;

/// Everything at one limit, with what only restates the limit left out, to find where it changes.
#[derive(PartialEq, Eq)]
struct Shape {
    status: Status,
    uses_all: bool,
    changed: usize,
}

struct Sweep<'a> {
    chain: &'a Chain,
    sample: &'a Sample,
    /// To be given each limit in turn; nobody looks at its signature.
    transaction: Transaction,
    digest: Hash,
    limits: BTreeSet<Gas>,
}

impl Sweep<'_> {
    fn at(&self, limit: Gas) -> Came {
        self.chain.try_run(&[self.with(limit)])
    }

    fn with(&self, limit: Gas) -> Transaction {
        let mut transaction = self.transaction.clone();
        transaction.body.gas_limit = limit;
        transaction
    }

    /// Runs at `limit`, once, and takes it into the digest.
    fn visit(&mut self, limit: Gas) -> Shape {
        let came = self.at(limit);
        let receipt = &came.receipts[0];
        if self.limits.insert(limit) {
            let entries: Vec<_> = came.changes.entries.iter().collect();
            // The hash of the transaction names the limit; the digest of a limit is added, so order does not matter.
            let found = sha3_256(&[&receipt.encode(), &entries.encode()]);
            for (sum, byte) in self.digest.0.iter_mut().zip(found.0) {
                *sum = sum.wrapping_add(byte);
            }
        }
        assert_failed_well(&self.sample.name, limit, receipt);
        Shape {
            status: receipt.status.clone(),
            uses_all: receipt.gas_used == limit,
            changed: came.changes.entries.len(),
        }
    }

    /// Runs around every limit between two at which the shapes differ.
    fn close_in(&mut self, low: Gas, high: Gas, at_low: &Shape, at_high: &Shape) {
        if at_low == at_high || high - low <= 1 {
            return;
        }
        let middle = low + (high - low) / 2;
        let at_middle = self.visit(middle);
        if high - low <= 2 * NEIGHBOURS {
            for limit in low..=high {
                self.visit(limit);
            }
        }
        self.close_in(low, middle, at_low, &at_middle);
        self.close_in(middle, high, &at_middle, at_high);
    }

    fn run(&mut self, limits: impl Iterator<Item = Gas>) {
        let mut before: Option<(Gas, Shape)> = None;
        for limit in limits {
            let shape = self.visit(limit);
            if let Some((low, at_low)) = &before {
                self.close_in(*low, limit, at_low, &shape);
            }
            before = Some((limit, shape));
        }
    }
}

/// No failure leaves anything behind or costs more than its limit.
fn assert_failed_well(name: &str, limit: Gas, receipt: &Receipt) {
    assert!(receipt.gas_used <= limit, "{name} at {limit}");
    match &receipt.status {
        Status::Ok => {}
        Status::Rejected(_) => assert_eq!(receipt.gas_used, 0, "{name} at {limit}"),
        Status::Failed { .. } => assert!(
            receipt.outputs.is_empty() && receipt.events.is_empty(),
            "{name} at {limit}"
        ),
    }
}

/// The gas of the transaction itself: below it nothing runs.
fn own_gas(chain: &Chain, sample: &Sample) -> Gas {
    let transaction = chain.transaction(vec![sample.action.clone()], 1 << 20);
    kumiki_vm::gas::TRANSACTION_BASE
        + kumiki_vm::gas::SIGNATURE
        + kumiki_vm::gas::TRANSACTION_PER_BYTE * transaction.encoded_size() as u64
}

fn sweep(chain: &Chain, sample: &Sample, strangers: &Strangers) -> String {
    let own = own_gas(chain, sample);
    let mut sweep = Sweep {
        chain,
        sample,
        transaction: chain.transaction(vec![sample.action.clone()], 0),
        digest: Hash::ZERO,
        limits: BTreeSet::new(),
    };
    // Some use what they get: less is tried first.
    let enough = match sample.action {
        Action::Deploy { .. } => ENOUGH_TO_DEPLOY,
        _ => ENOUGH,
    };
    let ended = enough
        .into_iter()
        .map(|limit| (limit, sweep.at(limit).receipts[0].gas_used))
        .find(|(limit, used)| used < limit);
    let (full, top) = match ended {
        Some((_, full)) => (full, full),
        None => (0, own + ENDLESS_GAS),
    };
    // What is rejected for its limit alone.
    sweep.run([0, 1, own / 2, own - 2, own - 1].into_iter());
    let span = top - own;
    let loading = kumiki_vm::gas::CALL + kumiki_vm::gas::CODE_LOAD;
    if span <= DENSE_GAS || EVERY_LIMIT.contains(&sample.name.as_str()) {
        sweep.run(own..=top + 1);
    } else {
        let stride = STRIDES.into_iter().find(|stride| span / stride <= LIMITS);
        let stride = usize::try_from(stride.unwrap_or(2_097_143)).unwrap();
        // The load is one charge: nothing changes within it but the limit.
        let strided = match span <= loading + 4 * DENSE_GAS {
            true => top - DENSE_GAS,
            false => top - 1,
        };
        sweep.run((own..strided).step_by(stride).chain(strided..=top + 1));
    }
    strangers.agree_on(&sweep);
    format!(
        "full {full}, {} limits, {}",
        sweep.limits.len(),
        sweep.digest
    )
}

/// Nodes that see each sample for the first time: one compiles it, one stores it, and one finds it on disk.
struct Strangers {
    cold: Node,
    storing: Node,
    finding: Node,
}

impl Strangers {
    fn new(genesis: &Genesis, folder: &Path) -> Self {
        let stored = VmConfig {
            cache_dir: Some(folder.to_owned()),
            ..VmConfig::new(EngineKind::Wasmtime)
        };
        Self {
            cold: Node::new("cold", VmConfig::new(EngineKind::Wasmtime), genesis),
            storing: Node::new("storing", stored.clone(), genesis),
            finding: Node::new("finding", stored, genesis),
        }
    }

    /// Each runs the sample at a limit where it ends by itself, or fails shortly before.
    fn agree_on(&self, sweep: &Sweep<'_>) {
        let limits: Vec<Gas> = sweep.limits.iter().copied().collect();
        let (last, before) = (limits.len() - 1, limits.len() - 4);
        for (node, limit) in [
            (&self.cold, limits[before]),
            (&self.storing, limits[last]),
            (&self.finding, limits[last]),
        ] {
            let name = &sweep.sample.name;
            let block = sweep.chain.execute(node, vec![sweep.with(limit)]);
            let warm = sweep.at(limit);
            assert_eq!(block.receipts, warm.receipts, "{name} at {limit}");
            assert_eq!(block.changes, warm.changes, "{name} at {limit}");
        }
    }
}

#[test]
fn failures_at_every_gas_limit_are_as_ever() {
    let (chain, corpus) = run_on_execution_stack(|| {
        let mut chain = Chain::on_both_engines();
        let mut corpus = samples(&mut chain);
        corpus.retain(|sample| !SLOW.contains(&sample.name.as_str()));
        (chain, corpus)
    })
    .unwrap();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![String::new(); corpus.len()]);
    std::thread::scope(|scope| {
        let work = || {
            run_on_execution_stack(|| {
                let folder = tempfile::tempdir().unwrap();
                let strangers = Strangers::new(chain.genesis(), folder.path());
                while let Some(sample) = corpus.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let text = sweep(&chain, sample, &strangers);
                    let place = corpus
                        .iter()
                        .position(|one| one.name == sample.name)
                        .unwrap();
                    found.lock().unwrap()[place] = text;
                }
            })
            .unwrap();
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let mut golden = Golden::new("failure_paths.txt");
    for (sample, text) in corpus.iter().zip(found.into_inner().unwrap()) {
        golden.add(&sample.name, text);
    }
    golden.compare();
}

#[test]
fn another_hash_seed_changes_nothing() {
    let run = || {
        let mut chain = Chain::on_both_engines();
        let corpus = samples(&mut chain);
        let transactions: Vec<_> = (0..)
            .zip(&corpus)
            .map(|(earlier, sample)| {
                chain.transaction_after(earlier, vec![sample.action.clone()], 1_000_000)
            })
            .collect();
        let came = chain.try_run(&transactions);
        // Each thread hashes with keys of its own.
        (RandomState::new().hash_one(1), came)
    };
    let first = spawn_execution_thread("first", run).unwrap();
    let second = spawn_execution_thread("second", run).unwrap();
    let ((one, first), (other, second)) = (first.join().unwrap(), second.join().unwrap());
    assert_ne!(one, other, "two seeds");
    assert_eq!(first, second);
}
