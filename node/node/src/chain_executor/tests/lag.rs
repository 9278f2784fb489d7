//! What changes where a header holds the result of the block two before it.

use super::*;

/// A block on `ancestors`, or on the tip where there are none.
pub(super) fn build_on(thread: &mut ChainExecutor, ancestors: &[Arc<Block>]) -> Option<Arc<Block>> {
    let mut wanted = request(thread);
    if let Some(parent) = ancestors.last() {
        wanted.height = parent.header.height + 1;
        wanted.parent = parent.hash();
    }
    wanted.ancestors = ancestors.to_vec();
    wanted.allow_empty = false;
    thread.build(&wanted).unwrap()
}

fn check_on(thread: &mut ChainExecutor, ancestors: &[Arc<Block>], block: &Arc<Block>) -> bool {
    let request = CheckRequest {
        block: Arc::clone(block),
        ancestors: ancestors.to_vec(),
    };
    thread.check(&request).unwrap()
}

fn commit(thread: &mut ChainExecutor, block: &Arc<Block>) {
    let decided = decide(thread, Arc::clone(block));
    thread.commit(&decided).unwrap();
}

#[test]
fn a_header_holds_the_result_of_the_block_two_before_and_two_empty_blocks_settle_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let genesis = thread.storage.header(0).unwrap().unwrap().executed;
    assert_eq!(build_on(&mut thread, &[]), None, "nothing waits");
    let sent = transfer(&thread, 0, 1);
    submit(&thread, sent);
    let mut blocks = Vec::new();
    while let Some(block) = build_on(&mut thread, &[]) {
        commit(&mut thread, &block);
        blocks.push(block);
        assert!(blocks.len() <= 3, "an idle chain comes to rest");
    }
    let counts: Vec<usize> = blocks.iter().map(|one| one.transactions.len()).collect();
    assert_eq!(counts, [1, 0, 0]);
    assert_eq!(blocks[0].header.executed, genesis);
    assert_eq!(blocks[1].header.executed, genesis);
    let settled = blocks[2].header.executed;
    assert_eq!(settled.height, 1);
    let state = thread.storage.snapshot_at(1).unwrap();
    assert_eq!(settled.state_root, state.state_root());
    thread.mempool.close();
}

#[test]
fn undecided_ancestors_are_built_on_and_executed_where_a_header_needs_their_result() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    for nonce in 0..2 {
        let sent = transfer(&thread, nonce, 1);
        submit(&thread, sent);
    }
    let mut chain: Vec<Arc<Block>> = Vec::new();
    for _ in 0..5 {
        let block = build_on(&mut thread, &chain).unwrap();
        assert!(check_on(&mut thread, &chain, &block));
        chain.push(block);
    }
    // What an ancestor has is not taken again.
    let counts: Vec<usize> = chain.iter().map(|one| one.transactions.len()).collect();
    assert_eq!(counts, [2, 0, 0, 0, 0]);
    assert_eq!(thread.tip.height, 0, "nothing is decided");
    let heights: Vec<Height> = chain.iter().map(|one| one.header.executed.height).collect();
    assert_eq!(heights, [0, 0, 1, 2, 3]);
    // Deciding them executes nothing twice and finds the results that were promised.
    assert_eq!(thread.ahead.len(), 3);
    for block in &chain {
        commit(&mut thread, block);
    }
    assert_eq!(thread.tip.height, 5);
    let first = thread.storage.snapshot_at(1).unwrap();
    assert_eq!(chain[2].header.executed.state_root, first.state_root());
    thread.mempool.close();
}

#[test]
fn another_branch_than_the_executed_one_may_be_decided() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 1);
    let sent = transfer(&thread, 0, 1);
    submit(&thread, sent.clone());
    let first = build_on(&mut thread, &[]).unwrap();
    let second = build_on(&mut thread, std::slice::from_ref(&first)).unwrap();
    assert_eq!(second.header.executed.height, 1, "executed ahead");
    let mut other = Block::clone(&first);
    other.header.time_ms += 1;
    let other = Arc::new(other);
    commit(&mut thread, &other);
    // The branch that lost can be neither built on nor voted for any more.
    assert!(!check_on(
        &mut thread,
        std::slice::from_ref(&first),
        &second
    ));
    assert_eq!(build_on(&mut thread, &[first, second]), None);
    let next = build_on(&mut thread, std::slice::from_ref(&other)).unwrap();
    assert_eq!(next.header.executed.height, 1);
    commit(&mut thread, &next);
    thread.mempool.close();
}

#[test]
fn a_header_with_another_lagged_result_is_refused_and_stops_the_node_when_decided() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let sent = transfer(&thread, 0, 1);
    submit(&thread, sent);
    for _ in 0..2 {
        let block = build_on(&mut thread, &[]).unwrap();
        commit(&mut thread, &block);
    }
    let mut block = Block::clone(&build_on(&mut thread, &[]).unwrap());
    block.header.executed.receipts_root = Hash([1; 32]);
    let block = Arc::new(block);
    assert!(!check_on(&mut thread, &[], &block));
    let error = thread.commit(&decide(&thread, block)).unwrap_err();
    assert!(matches!(error, Fatal::WrongResult { height: 3, .. }));
    assert_eq!(thread.tip.height, 2);
    thread.mempool.close();
}

#[test]
fn what_cannot_pay_stays_in_a_decided_block_as_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let all = transfer(&thread, 0, BALANCE / 2 + 1);
    submit(&thread, all);
    let mut block = Block::clone(&build_on(&mut thread, &[]).unwrap());
    let too_much = transfer(&thread, 1, BALANCE / 2);
    block.transactions.push(too_much.clone());
    block.header.transactions_count = 2;
    block.header.transactions_root = Block::transactions_root(&block.transactions);
    let block = Arc::new(block);
    assert!(check_on(&mut thread, &[], &block));
    commit(&mut thread, &block);
    let receipts = thread.storage.receipts(1).unwrap().unwrap();
    let rejected = kumiki_protocol::Status::Rejected(Rejection::InsufficientFunds);
    assert_eq!(receipts[1].status, rejected);
    thread.mempool.close();
}

#[test]
fn a_restart_goes_on_with_the_same_results() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let sent = transfer(&thread, 0, 1);
    submit(&thread, sent);
    let first = build_on(&mut thread, &[]).unwrap();
    commit(&mut thread, &first);
    let second = build_on(&mut thread, &[]).unwrap();
    commit(&mut thread, &second);
    let third = build_on(&mut thread, &[]).unwrap();
    let before = std::mem::take(&mut thread.settled);
    let again = settled(&thread.storage, thread.tip.height, 2).unwrap();
    assert_eq!(again, before);
    thread.settled = again;
    assert!(check_on(&mut thread, &[], &third));
    thread.mempool.close();
}

/// `transaction` with a signature that does not verify. Its id is the same.
fn forged(mut transaction: Transaction) -> Transaction {
    transaction.signature.0[0] ^= 1;
    transaction
}

#[test]
fn a_bad_signature_in_a_decided_block_is_refused_though_the_right_one_waits_here() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = lagging_thread(dir.path(), 2);
    let (held, held_too) = (transfer(&thread, 0, 1), transfer(&thread, 1, 1));
    submit(&thread, held.clone());
    submit(&thread, held_too.clone());
    let never_seen = transfer(&thread, 2, 1);
    let transactions = vec![
        forged(held.clone()),
        forged(never_seen.clone()),
        held,
        held_too,
        never_seen,
    ];
    let known = thread.mempool.has_verified(&transactions);
    assert_eq!(known, [false, false, true, true, false]);
    assert_eq!(transactions[0].hash(), transactions[2].hash());
    let mut block = Block::clone(&build_on(&mut thread, &[]).unwrap());
    block.header.transactions_count = 5;
    block.header.transactions_root = Block::transactions_root(&transactions);
    block.transactions = transactions;
    commit(&mut thread, &Arc::new(block));
    let receipts = thread.storage.receipts(1).unwrap().unwrap();
    let bad = receipts
        .iter()
        .map(|one| one.status == kumiki_protocol::Status::Rejected(Rejection::BadSignature));
    assert_eq!(bad.collect::<Vec<_>>(), [true, true, false, false, false]);
    let unpaid = receipts.iter().map(|one| one.fee == 0);
    assert_eq!(
        unpaid.collect::<Vec<_>>(),
        [true, true, false, false, false]
    );
    thread.mempool.close();
}
