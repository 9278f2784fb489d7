//! What a block may ask of compilers, and when.

use kumiki_protocol::limits::BLOCK_CODE_GAS_MAX;

use super::lag::build_on;
use super::*;

fn code() -> Vec<u8> {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "init") (param i32))
        (func (export "call") (param i32)))"#;
    wat::parse_str(text).unwrap()
}

/// The next block, with deployments of these gas limits.
fn block(thread: &mut ChainExecutor, gas_limits: &[u64]) -> Arc<Block> {
    let mut wanted = request(thread);
    wanted.allow_empty = true;
    let mut block = Arc::unwrap_or_clone(thread.build(&wanted).unwrap().unwrap());
    let transactions = (0..).zip(gas_limits).map(|(nonce, gas_limit)| {
        Draft::new(&thread.genesis, &account(0), nonce)
            .deploy(&code(), &[])
            .gas_limit(*gas_limit)
            .sign()
    });
    block.transactions = transactions.collect();
    block.header.transactions_root = Block::transactions_root(&block.transactions);
    block.header.transactions_count = u32::try_from(gas_limits.len()).unwrap();
    Arc::new(block)
}

fn compiled(dir: &Path) -> usize {
    let files = std::fs::read_dir(dir.join("modules")).unwrap();
    let names = files.map(|file| file.unwrap().path());
    names
        .filter(|path| path.extension().is_some_and(|kind| kind == "cwasm"))
        .count()
}

#[test]
fn a_block_with_more_new_code_than_validators_can_compile_in_time_is_not_voted_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let half = BLOCK_CODE_GAS_MAX / 2;
    let most = block(&mut thread, &[half, half]);
    let more = block(&mut thread, &[half, half + 1]);
    assert!(checked(&mut thread, most));
    assert!(!checked(&mut thread, more));
}

#[test]
fn code_of_a_proposal_is_compiled_before_it_is_looked_at_and_not_where_it_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let (chain, mut queue, _evidence) = thread.chain();
    let ask = |block| {
        chain.check(CheckRequest {
            block,
            ancestors: Vec::new(),
        })
    };
    let unfitting = block(&mut thread, &[BLOCK_CODE_GAS_MAX + 1]);
    drop(ask(unfitting));
    assert!(matches!(queue.0.blocking_recv(), Some(Task::Check(..))));
    assert_eq!(compiled(dir.path()), 0);
    let fitting = block(&mut thread, &[BLOCK_CODE_GAS_MAX]);
    drop(ask(fitting));
    assert!(matches!(queue.0.blocking_recv(), Some(Task::Check(..))));
    assert_eq!(compiled(dir.path()), 1);
}

#[test]
fn deployments_that_wait_are_spread_over_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let two_thirds = BLOCK_CODE_GAS_MAX / 3 * 2;
    let proposed = block(&mut thread, &[two_thirds, two_thirds]);
    for transaction in &proposed.transactions {
        submit(&thread, transaction.clone());
    }
    let first = build_on(&mut thread, &[]).unwrap();
    let second = build_on(&mut thread, std::slice::from_ref(&first)).unwrap();
    assert_eq!(first.transactions, proposed.transactions[..1]);
    assert_eq!(second.transactions, proposed.transactions[1..]);
    thread.mempool.close();
}
