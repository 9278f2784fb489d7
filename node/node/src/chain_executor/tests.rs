//! What the executor thread refuses to go on from.

use std::path::Path;

use kumiki_consensus::Application as _;
use kumiki_executor::{Selection, genesis_changes};
use kumiki_mempool::{ChainRules, MempoolLimits, Removal};
use kumiki_protocol::{Certificate, Proposal, Rejection};
use kumiki_storage::StorageOptions;
use kumiki_testkit::{Draft, account};
use kumiki_vm::{EngineKind, Vm, VmConfig};
use prometheus_client::registry::Registry;

use super::*;
use crate::genesis::genesis_block;
use crate::{dev_genesis, dev_validator_key};

mod code;
mod lag;
mod validators;

/// What account 0 has.
const BALANCE: u128 = 1 << 80;

/// An executor thread over a new chain, to be driven by hand.
fn thread(dir: &Path) -> ChainExecutor {
    lagging_thread(dir, 0)
}

/// The same on a chain whose headers hold the result of the block `lag` before.
fn lagging_thread(dir: &Path, lag: u8) -> ChainExecutor {
    thread_of(dir, |genesis| genesis.parameters.execution_lag = lag)
}

/// The same on a chain whose genesis is changed first.
fn thread_of(dir: &Path, change: impl FnOnce(&mut Genesis)) -> ChainExecutor {
    let mut genesis = dev_genesis(&[account(0).address], BALANCE, 1_000);
    change(&mut genesis);
    let validators = genesis.validator_set().unwrap();
    let storage = Storage::open(dir, StorageOptions::default()).unwrap();
    let changes = genesis_changes(&genesis);
    let block = genesis_block(&genesis, &validators, &changes).unwrap();
    storage.initialise(&genesis, &changes, &block).unwrap();
    let vm = VmConfig {
        cache_dir: Some(dir.join("modules")),
        ..VmConfig::new(EngineKind::Wasmtime)
    };
    let vm = Vm::new(vm).unwrap();
    let tip = storage.tip().unwrap();
    let state = Arc::new(storage.snapshot().unwrap());
    let rules = ChainRules {
        genesis_hash: genesis.hash(),
        kind: genesis.kind,
        gas_price_min: 1,
        block_gas_max: genesis.parameters.block_gas_max,
        block_bytes_max: 1 << 20,
        transaction_gas: 0,
        transaction_gas_per_byte: 0,
    };
    let head = ChainHead {
        height: 0,
        state: Arc::<Snapshot>::clone(&state),
    };
    let parts = ExecutorParts {
        storage: Arc::new(storage),
        executor: Arc::new(Executor::new(vm, &genesis)),
        mempool: Arc::new(SharedMempool::new(MempoolLimits::STANDARD, rules, head)),
        genesis: Arc::new(genesis),
        heads: watch::channel(tip).0,
        metrics: NodeMetrics::register(&mut Registry::default()),
    };
    ChainExecutor::open(parts).unwrap()
}

fn request(thread: &ChainExecutor) -> BuildRequest {
    BuildRequest {
        height: thread.tip.height + 1,
        parent: thread.tip.block_hash,
        time_ms: 5,
        proposer: dev_validator_key().public_key(),
        allow_empty: true,
        ancestors: Vec::new(),
    }
}

/// Looks at a proposal on the tip.
fn checked(thread: &mut ChainExecutor, block: Arc<Block>) -> bool {
    let request = CheckRequest {
        block,
        ancestors: Vec::new(),
    };
    thread.check(&request).unwrap()
}

fn decide(thread: &ChainExecutor, block: Arc<Block>) -> Decided {
    let validators = thread.genesis.validator_set().unwrap();
    let key = dev_validator_key();
    let certificate = Certificate::sign(
        &thread.genesis_hash,
        Proposal::solo(block.header.height, block.hash()),
        &validators,
        &[&key],
    );
    Decided {
        block,
        certificate: Some(certificate),
    }
}

fn transfer(thread: &ChainExecutor, nonce: u64, amount: u128) -> Transaction {
    Draft::new(&thread.genesis, &account(0), nonce)
        .transfer(&account(1).address, amount)
        .sign()
}

/// The next block with one transfer in it, as another node would make it.
fn foreign_block(thread: &mut ChainExecutor) -> Block {
    let transaction = transfer(thread, 0, 1);
    foreign_block_with(thread, transaction)
}

fn foreign_block_with(thread: &mut ChainExecutor, transaction: Transaction) -> Block {
    let outline = Outline {
        height: thread.tip.height + 1,
        time_ms: 2_000,
        proposer: dev_validator_key().public_key(),
    };
    let executed = thread
        .execute(
            &outline,
            vec![transaction],
            Selection::DropRejected,
            Signatures::Verify,
        )
        .unwrap();
    let parent = thread.tip.block_hash;
    let built = thread.finish(&outline, parent, executed);
    Arc::unwrap_or_clone(built.block)
}

#[test]
fn time_never_runs_backwards() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let block = thread.build(&request(&thread)).unwrap().unwrap();
    assert_eq!(block.header.time_ms, 1_000);
}

#[test]
fn nothing_to_put_in_makes_no_block_unless_an_empty_one_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let mut request = request(&thread);
    request.allow_empty = false;
    assert_eq!(thread.build(&request).unwrap(), None);
}

/// Hands `transaction` in while an admission thread runs.
fn submit(thread: &ChainExecutor, transaction: Transaction) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mempool = Arc::clone(&thread.mempool);
    std::thread::spawn(move || mempool.run_admission());
    runtime
        .block_on(thread.mempool.submit(transaction))
        .unwrap();
}

#[test]
fn what_the_executor_rejects_is_left_out_of_the_block_and_of_the_pool() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    // Its sender can pay it when it is handed in. Then a block from elsewhere has an earlier one that takes what
    // this one needs, and which this node's pool never saw.
    let late = transfer(&thread, 1, BALANCE / 2);
    submit(&thread, late.clone());
    let early = transfer(&thread, 0, BALANCE / 2 + 1);
    let block = Arc::new(foreign_block_with(&mut thread, early));
    let decided = decide(&thread, block);
    thread.commit(&decided).unwrap();
    assert!(
        thread.mempool.contains(&late.hash()),
        "it is next in the pool"
    );
    let mut wanted = request(&thread);
    wanted.allow_empty = false;
    assert_eq!(thread.build(&wanted).unwrap(), None);
    assert_eq!(thread.metrics.dropped.get(), 1);
    let removal = thread.mempool.removal(&late.hash());
    assert_eq!(
        removal,
        Some(Removal::Rejected(Rejection::InsufficientFunds))
    );
    // The sender's nonce is free again, and a block has what can be paid.
    let small = transfer(&thread, 1, 1);
    submit(&thread, small.clone());
    let block = thread.build(&wanted).unwrap().unwrap();
    assert_eq!(block.transactions, [small]);
    thread.mempool.close();
}

#[test]
fn a_block_made_elsewhere_is_checked_committed_and_served() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let block = Arc::new(foreign_block(&mut thread));
    assert!(checked(&mut thread, Arc::clone(&block)));
    let decided = decide(&thread, block);
    thread.commit(&decided).unwrap();
    assert_eq!(thread.tip.height, 1);
    assert_eq!(*thread.heads.borrow(), thread.storage.tip().unwrap());
    let (chain, ..) = thread.chain();
    let hash = decided.block.hash();
    assert_eq!(chain.decided(0).unwrap().certificate, None);
    assert_eq!(chain.decided(1), Some(decided));
    assert_eq!(chain.decided(2), None);
    assert_eq!(chain.height_of(&hash), Some(1));
    assert_eq!(chain.height_of(&Hash::ZERO), None);
}

#[test]
fn a_proposal_with_another_result_time_or_parent_is_not_voted_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let block = foreign_block(&mut thread);
    let changes: [fn(&mut Block); 5] = [
        |block| block.header.executed.state_root = Hash([1; 32]),
        |block| block.header.time_ms = 999,
        |block| block.header.parent = Hash([1; 32]),
        |block| block.header.height += 1,
        |block| block.transactions.clear(),
    ];
    for change in changes {
        let mut altered = block.clone();
        change(&mut altered);
        assert!(!checked(&mut thread, Arc::new(altered)));
    }
}

#[test]
fn a_decided_block_with_another_result_stops_the_node_with_both_results() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let mut block = foreign_block(&mut thread);
    let right = block.header.executed;
    block.header.executed.state_root = Hash([1; 32]);
    let decided = decide(&thread, Arc::new(block));
    match thread.commit(&decided).unwrap_err() {
        Fatal::WrongResult {
            decided, executed, ..
        } => {
            assert_eq!(decided.state_root, Hash([1; 32]));
            assert_eq!(*executed, right);
        }
        other => panic!("stopped for another reason: {other}"),
    }
    assert_eq!(thread.storage.tip().unwrap().height, 0);
}

#[test]
fn decided_heights_that_do_not_follow_stop_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let mut block = foreign_block(&mut thread);
    block.header.height = 9;
    let decided = decide(&thread, Arc::new(block));
    let error = thread.commit(&decided).unwrap_err();
    assert!(matches!(error, Fatal::NotNext { found: 9, tip: 0 }));
}

#[test]
fn a_decided_block_that_comes_again_is_acknowledged_and_another_at_its_height_stops_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = thread(dir.path());
    let block = foreign_block(&mut thread);
    let decided = decide(&thread, Arc::new(block.clone()));
    thread.commit(&decided).unwrap();
    thread.commit(&decided).unwrap();
    assert_eq!(thread.tip.height, 1);
    let mut other = block;
    other.header.time_ms += 1;
    let decided = decide(&thread, Arc::new(other));
    let error = thread.commit(&decided).unwrap_err();
    assert!(matches!(error, Fatal::NotNext { found: 1, tip: 1 }));
}
