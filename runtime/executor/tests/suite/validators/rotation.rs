//! When a change of the set counts, and how much of it may change at once.

use kumiki_executor::ValidatorsError;
use kumiki_protocol::{GenesisAccount, Status, limits, state_key};

use super::*;

#[test]
fn the_set_of_the_next_epoch_is_fixed_by_the_last_block_whose_result_a_header_of_this_epoch_holds()
{
    for (lag, epoch_blocks) in [(0, EPOCH), (2, EPOCH), (2, 11)] {
        let epoch = u64::from(epoch_blocks);
        let fixing = epoch - 1 - u64::from(lag);
        // The last join that counts is in the fixing block itself.
        for (joins_at, counts) in [(1, true), (fixing, true), (fixing + 1, false)] {
            let mut chain = chain_of(3, lag, epoch_blocks);
            chain.run_to(joins_at - 1);
            assert_eq!(join(&mut chain, 1, 20).status, Status::Ok);
            chain.run_to(fixing - 1);
            let old = keys(&[9, 10, 11]);
            let stored = |chain: &Chain| chain.state.entries[&state_key::validators()].clone();
            if joins_at < fixing {
                assert_eq!(stored(&chain), old.clone().unwrap().encode());
            }
            chain.run_to(fixing);
            let new = if counts {
                keys(&[9, 10, 11, 20])
            } else {
                old.clone()
            };
            assert_eq!(stored(&chain), new.clone().unwrap().encode());
            // Through the whole of the next epoch, whichever state it is read from.
            for height in fixing..fixing + epoch {
                chain.run_to(height);
                assert_eq!(set_at(&chain, epoch - 1), old, "lag {lag}, from {height}");
                assert_eq!(set_at(&chain, epoch), new, "lag {lag}, from {height}");
                assert_eq!(set_at(&chain, 2 * epoch - 1), new);
                assert_eq!(set_at(&chain, 2 * epoch), None);
            }
        }
    }
}

#[test]
fn a_third_of_the_seats_may_change_in_one_epoch_and_the_rest_waits_in_order() {
    let mut chain = chain_of(6, 0, EPOCH);
    for (from, number) in [(1, 20), (2, 21), (3, 22)] {
        assert_eq!(join(&mut chain, from, number).status, Status::Ok);
    }
    assert_eq!(leave(&mut chain, 9, 9).status, Status::Ok);
    chain.run_to(8);
    assert_eq!(set_at(&chain, 8), keys(&[9, 10, 11, 12, 13, 14, 20, 21]));
    assert!(matches!(status(&chain, 22), ValidatorStatus::Queued { .. }));
    chain.run_to(16);
    assert_eq!(set_at(&chain, 16), keys(&[10, 11, 12, 13, 14, 20, 21, 22]));
    assert_eq!(status(&chain, 9), ValidatorStatus::Left { from: 0, to: 2 });
    let changes = state_key::validator_changes();
    let waits = chain
        .state
        .entries
        .keys()
        .any(|key| key.starts_with(&changes));
    assert!(!waits);
}

#[test]
fn the_last_validator_leaves_when_another_has_come() {
    let mut chain = chain_of(1, 0, EPOCH);
    assert_eq!(leave(&mut chain, 9, 9).status, Status::Ok);
    chain.run_to(16);
    assert_eq!(set_at(&chain, 16), keys(&[9]));
    assert!(matches!(status(&chain, 9), ValidatorStatus::Leaving { .. }));
    assert_eq!(join(&mut chain, 1, 20).status, Status::Ok);
    chain.run_to(32);
    assert_eq!(set_at(&chain, 24), keys(&[9, 20]));
    assert_eq!(set_at(&chain, 32), keys(&[20]));
    assert_eq!(status(&chain, 9), ValidatorStatus::Left { from: 0, to: 4 });
}

#[test]
fn no_more_than_the_limit_wait_for_a_seat() {
    let mut chain = Chain::with(|genesis| {
        genesis.parameters.epoch_blocks = 1_000;
        genesis.accounts = vec![GenesisAccount {
            address: address(1),
            balance: FUNDS * 1_000,
        }];
    });
    let genesis_hash = chain.genesis.hash();
    let action = |number: u32| {
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let key = kumiki_protocol::SecretKey::from_seed(seed);
        let proof = key.sign(&join_sign_bytes(&genesis_hash, &address(1)));
        Action::Call {
            contract: VALIDATORS_CONTRACT,
            input: method("join([u8; 32],[u8; 64])", &(key.public_key(), proof)),
            value: VALIDATOR_STAKE,
        }
    };
    let per_block = 32;
    for block in 0..limits::VALIDATORS_QUEUED_MAX / per_block {
        let actions = (0..per_block).map(|one| action(block * per_block + one));
        let mut body = chain.body(1, u64::from(block), actions.collect());
        body.gas_limit = 200_000_000;
        assert_eq!(chain.run_one(body.sign(&key(1))).status, Status::Ok);
    }
    let over = action(limits::VALIDATORS_QUEUED_MAX);
    let body = chain.body(1, 8, vec![over.clone()]);
    refused(
        &chain.run_one(body.sign(&key(1))),
        ValidatorsError::QueueFull,
    );
    // Each seat that is taken makes a place.
    chain.run_to(999);
    let body = chain.body(1, 9, vec![over]);
    assert_eq!(chain.run_one(body.sign(&key(1))).status, Status::Ok);
}
