//! What changes where validators do: who signs which block, and what headers say of it.

use kumiki_protocol::{SecretKey, ValidatorsCall};

use super::lag::build_on;
use super::*;
use crate::validators::KnownValidators;
use crate::{VerifyError, verify_chain};

const EPOCH: u64 = 8;
const LAG: u8 = 2;

fn changing_thread(dir: &Path) -> ChainExecutor {
    thread_of(dir, |genesis| {
        genesis.parameters.execution_lag = LAG;
        genesis.parameters.epoch_blocks = u32::try_from(EPOCH).unwrap();
    })
}

fn joining_key() -> SecretKey {
    kumiki_testkit::validator(1)
}

/// Block 1 has a validator join, all others are empty.
fn next_block(thread: &mut ChainExecutor) -> Arc<Block> {
    if thread.tip.height == 0 {
        let call = ValidatorsCall::join(&thread.genesis_hash, &account(0).address, &joining_key());
        let stake = thread.genesis.parameters.validator_stake;
        let draft = Draft::new(&thread.genesis, &account(0), 0);
        submit(thread, draft.action(call.action(stake)).sign());
        return build_on(thread, &[]).unwrap();
    }
    let wanted = request(thread);
    thread.build(&wanted).unwrap().unwrap()
}

/// Decides `block` with whoever signs it of the two keys, in `epoch`.
fn commit_in(thread: &mut ChainExecutor, block: &Arc<Block>, epoch: u64) {
    let height = block.header.height;
    let signers = thread.validators.borrow().at(height).unwrap();
    let proposal = Proposal {
        epoch,
        ..Proposal::solo(height, block.hash())
    };
    let keys = [&dev_validator_key(), &joining_key()];
    let certificate = Certificate::sign(&thread.genesis_hash, proposal, &signers, &keys);
    let decided = Decided {
        block: Arc::clone(block),
        certificate: Some(certificate),
    };
    thread.commit(&decided).unwrap();
}

fn known(thread: &ChainExecutor, height: Height) -> Option<usize> {
    let set = thread.validators.borrow().at(height)?;
    Some(set.keys().len())
}

#[test]
fn the_last_header_of_an_epoch_names_the_next_set_and_a_restart_knows_who_signs_at_every_height() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = changing_thread(dir.path());
    let mut named = Vec::new();
    for height in 1..=2 * EPOCH {
        let block = next_block(&mut thread);
        named.push(block.header.executed.next_validators_hash);
        commit_in(&mut thread, &block, height / EPOCH);
        let state = thread.storage.snapshot().unwrap();
        let read = KnownValidators::read(thread.genesis.parameters, height, &state).unwrap();
        for asked in 0..4 * EPOCH {
            let published = thread.validators.borrow().at(asked);
            assert_eq!(read.at(asked), published, "tip {height}, asked for {asked}");
        }
        // Those of the block after the tip are always known.
        let signs = if height + 1 < EPOCH { 1 } else { 2 };
        assert_eq!(known(&thread, height + 1), Some(signs));
    }
    let genesis = thread.genesis.validator_set().unwrap().hash();
    let last = usize::try_from(EPOCH).unwrap() - 1;
    assert!(named[..last - 1].iter().all(|hash| *hash == genesis));
    let joined = thread.validators.borrow().at(EPOCH).unwrap().hash();
    assert!(named[last - 1..].iter().all(|hash| *hash == joined));
    thread.mempool.close();
}

#[test]
fn sets_are_known_once_they_are_fixed_and_forgotten_two_epochs_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut thread = changing_thread(dir.path());
    let fixing = EPOCH - 1 - u64::from(LAG);
    for height in 1..=2 * EPOCH {
        let block = next_block(&mut thread);
        commit_in(&mut thread, &block, height / EPOCH);
        let expected = (height >= fixing).then_some(2);
        assert_eq!(known(&thread, EPOCH), expected, "tip {height}");
        let oldest = (height < fixing + EPOCH).then_some(1);
        assert_eq!(known(&thread, EPOCH - 1), oldest, "tip {height}");
    }
    thread.mempool.close();
}

#[test]
fn a_whole_chain_verifies_with_the_set_of_each_epoch_and_not_with_another_epochs_certificates() {
    for wrong_epoch in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut thread = changing_thread(dir.path());
        for height in 1..=2 * EPOCH + 3 {
            let block = next_block(&mut thread);
            let epoch = if wrong_epoch { 0 } else { height / EPOCH };
            commit_in(&mut thread, &block, epoch);
        }
        let scratch = tempfile::tempdir().unwrap();
        let vm = thread.executor.vm().clone();
        let verified = verify_chain(&thread.storage, vm, scratch.path());
        match (wrong_epoch, verified) {
            (false, Ok(verified)) => assert_eq!(verified.blocks, 2 * EPOCH + 3),
            (true, Err(VerifyError::Epoch { height, .. })) => assert_eq!(height, EPOCH),
            (_, other) => panic!("{other:?}"),
        }
        thread.mempool.close();
    }
}
