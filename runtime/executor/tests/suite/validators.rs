//! Holds the validators' contract to `docs/spec/validators.md`: who may do what, when it counts, where the stake goes.

mod reports;
mod rotation;

use kumiki_executor::{ValidatorsError, validators_at};
use kumiki_protocol::{
    Action, Address, Amount, Decode, Encode, Hash, PublicKey, Receipt, ResultCode, Status,
    TransactionBody, UNBONDING_EPOCHS, VALIDATORS_CONTRACT, ValidatorRecord, ValidatorSet,
    ValidatorStatus, join_sign_bytes, sha3_256, state_key,
};
use kumiki_vm::gas;

use crate::chain::{Chain, FUNDS, VALIDATOR_STAKE, account, address, key, supply};

const EPOCH: u32 = 8;

/// A chain whose genesis validators are keys 9, 10, ….
fn chain_of(validators: u8, lag: u8, epoch_blocks: u32) -> Chain {
    Chain::with(|genesis| {
        genesis.parameters.execution_lag = lag;
        genesis.parameters.epoch_blocks = epoch_blocks;
        genesis.validators = (9..9 + validators).map(public).collect();
        // Owners of genesis validators pay for their own transactions.
        for number in 9..9 + validators {
            genesis.accounts.push(kumiki_protocol::GenesisAccount {
                address: address(number),
                balance: FUNDS,
            });
        }
    })
}

fn public(number: u8) -> PublicKey {
    key(number).public_key()
}

fn method(signature: &str, arguments: &impl Encode) -> Vec<u8> {
    let mut input = sha3_256(&[signature.as_bytes()]).0[..4].to_vec();
    arguments.encode_to(&mut input);
    input
}

fn send(chain: &mut Chain, from: u8, input: Vec<u8>, value: Amount) -> Receipt {
    let nonce = account(&chain.state, &address(from)).nonce;
    let action = Action::Call {
        contract: VALIDATORS_CONTRACT,
        input,
        value,
    };
    let transaction = chain.body(from, nonce, vec![action]).sign(&key(from));
    chain.run_one(transaction)
}

/// Account `from` joins with validator key `number`.
fn join(chain: &mut Chain, from: u8, number: u8) -> Receipt {
    let input = join_input(&chain.genesis.hash(), &address(from), number);
    send(chain, from, input, VALIDATOR_STAKE)
}

fn join_input(genesis_hash: &Hash, owner: &Address, number: u8) -> Vec<u8> {
    let proof = key(number).sign(&join_sign_bytes(genesis_hash, owner));
    method("join([u8; 32],[u8; 64])", &(public(number), proof))
}

fn leave(chain: &mut Chain, from: u8, number: u8) -> Receipt {
    send(chain, from, method("leave([u8; 32])", &public(number)), 0)
}

fn withdraw(chain: &mut Chain, from: u8, number: u8) -> Receipt {
    let input = method("withdraw([u8; 32])", &public(number));
    send(chain, from, input, 0)
}

#[track_caller]
fn refused(receipt: &Receipt, error: ValidatorsError) {
    let data = [vec![1], error.encode()].concat();
    let expected = Status::Failed {
        action: 0,
        code: ResultCode::Reverted,
        data,
    };
    assert_eq!(receipt.status, expected);
    assert_eq!(receipt.events, []);
}

fn record(chain: &Chain, number: u8) -> Option<ValidatorRecord> {
    let bytes = chain
        .state
        .entries
        .get(&state_key::validator(&public(number)))?;
    Some(ValidatorRecord::decode(&mut bytes.as_slice()).unwrap())
}

fn status(chain: &Chain, number: u8) -> ValidatorStatus {
    record(chain, number).unwrap().status
}

/// The set that signs the block at `height`, as the state names it now.
fn set_at(chain: &Chain, height: u64) -> Option<Vec<PublicKey>> {
    let parameters = &chain.genesis.parameters;
    validators_at(&chain.state, parameters, chain.height, height)
        .unwrap()
        .map(|set| set.keys().to_vec())
}

fn keys(numbers: &[u8]) -> Option<Vec<PublicKey>> {
    let keys = numbers.iter().map(|number| public(*number)).collect();
    Some(ValidatorSet::new(keys).unwrap().keys().to_vec())
}

fn viewed(chain: &Chain, signature: &str) -> Option<Vec<PublicKey>> {
    let outcome = chain.view(method(signature, &()));
    assert_eq!(outcome.code, ResultCode::Ok);
    Some(Vec::decode(&mut outcome.data.as_slice()).unwrap())
}

#[test]
fn a_validator_joins_signs_leaves_and_gets_its_stake_back_two_epochs_later() {
    let mut chain = chain_of(1, 0, EPOCH);
    let before = supply(&chain.state);
    let receipt = join(&mut chain, 1, 20);
    assert_eq!(receipt.status, Status::Ok);
    assert_eq!(receipt.outputs, [Vec::<u8>::new()]);
    let topic = sha3_256(&[b"Joined([u8; 32],Address,u128)"]);
    let event = &receipt.events[0];
    assert_eq!(event.contract, VALIDATORS_CONTRACT);
    assert_eq!(
        event.topics,
        [topic, Hash(public(20).0), Hash(address(1).0)]
    );
    assert_eq!(
        event.data,
        (public(20), address(1), VALIDATOR_STAKE).encode()
    );
    assert_eq!(
        account(&chain.state, &VALIDATORS_CONTRACT).balance,
        2 * VALIDATOR_STAKE
    );
    chain.run_to(7);
    assert_eq!(status(&chain, 20), ValidatorStatus::Seated { from: 1 });
    assert_eq!(set_at(&chain, 7), keys(&[9]));
    assert_eq!(set_at(&chain, 8), keys(&[9, 20]));

    refused(&leave(&mut chain, 2, 20), ValidatorsError::NotOwner);
    assert_eq!(leave(&mut chain, 1, 20).status, Status::Ok);
    refused(&leave(&mut chain, 1, 20), ValidatorsError::AlreadyLeaving);
    refused(
        &withdraw(&mut chain, 1, 20),
        ValidatorsError::NotWithdrawable,
    );
    chain.run_to(15);
    let left = ValidatorStatus::Left { from: 1, to: 2 };
    assert_eq!(status(&chain, 20), left);
    assert_eq!(set_at(&chain, 16), keys(&[9]));
    refused(&join(&mut chain, 1, 20), ValidatorsError::AlreadyValidator);

    let free = chain.genesis.parameters.first_height(2 + UNBONDING_EPOCHS);
    chain.run_to(free - 2);
    refused(
        &withdraw(&mut chain, 1, 20),
        ValidatorsError::NotWithdrawable,
    );
    refused(&withdraw(&mut chain, 2, 20), ValidatorsError::NotOwner);
    let held = account(&chain.state, &address(1)).balance;
    let receipt = withdraw(&mut chain, 1, 20);
    assert_eq!(receipt.status, Status::Ok);
    assert_eq!(
        account(&chain.state, &address(1)).balance,
        held + VALIDATOR_STAKE - receipt.fee
    );
    assert_eq!(record(&chain, 20), None);
    refused(
        &withdraw(&mut chain, 1, 20),
        ValidatorsError::UnknownValidator,
    );
    assert_eq!(supply(&chain.state), before);
    assert_eq!(join(&mut chain, 1, 20).status, Status::Ok);
}

#[test]
fn genesis_validators_own_their_seats_and_have_their_stakes() {
    let mut chain = chain_of(3, 0, EPOCH);
    let held = account(&chain.state, &VALIDATORS_CONTRACT).balance;
    assert_eq!(held, 3 * VALIDATOR_STAKE);
    assert_eq!(status(&chain, 10), ValidatorStatus::Seated { from: 0 });
    assert_eq!(leave(&mut chain, 10, 10).status, Status::Ok);
    chain.run_to(8);
    assert_eq!(set_at(&chain, 8), keys(&[9, 11]));
}

#[test]
fn who_waits_for_a_seat_gets_the_stake_back_at_once() {
    let mut chain = chain_of(1, 0, EPOCH);
    let before = account(&chain.state, &address(1)).balance;
    let joined = join(&mut chain, 1, 20);
    let left = leave(&mut chain, 1, 20);
    assert_eq!(left.status, Status::Ok);
    assert_eq!(
        left.events[0].topics[0],
        sha3_256(&[b"Withdrawn([u8; 32],Address,u128)"])
    );
    assert_eq!(
        account(&chain.state, &address(1)).balance,
        before - joined.fee - left.fee
    );
    chain.run_to(8);
    assert_eq!(set_at(&chain, 8), keys(&[9]));
}

#[test]
fn every_broken_rule_of_joining_has_its_name_and_keeps_the_stake() {
    let mut chain = chain_of(1, 0, EPOCH);
    let genesis_hash = chain.genesis.hash();
    let good = join_input(&genesis_hash, &address(1), 20);
    let of_other_chain = join_input(&Hash([1; 32]), &address(1), 20);
    let of_other_owner = join_input(&genesis_hash, &address(2), 20);
    let mut other_key = good.clone();
    other_key[4..36].copy_from_slice(&public(21).0);
    // Under the zero point, R = 0 and s = 0 sign anything.
    let mut anybody = [0_u8; 96];
    (anybody[0], anybody[32]) = (1, 1);
    let small_order = method("join([u8; 32],[u8; 64])", &anybody);
    for (input, value, error) in [
        (
            good.clone(),
            VALIDATOR_STAKE - 1,
            ValidatorsError::WrongStake,
        ),
        (
            good.clone(),
            VALIDATOR_STAKE + 1,
            ValidatorsError::WrongStake,
        ),
        (good.clone(), 0, ValidatorsError::WrongStake),
        (of_other_chain, VALIDATOR_STAKE, ValidatorsError::BadProof),
        (of_other_owner, VALIDATOR_STAKE, ValidatorsError::BadProof),
        (other_key, VALIDATOR_STAKE, ValidatorsError::BadProof),
        (small_order, VALIDATOR_STAKE, ValidatorsError::InvalidKey),
        (
            join_input(&genesis_hash, &address(1), 9),
            VALIDATOR_STAKE,
            ValidatorsError::AlreadyValidator,
        ),
    ] {
        let receipt = send(&mut chain, 1, input, value);
        refused(&receipt, error);
    }
    assert_eq!(
        account(&chain.state, &VALIDATORS_CONTRACT).balance,
        VALIDATOR_STAKE
    );
    assert_eq!(join(&mut chain, 1, 20).status, Status::Ok);
    refused(&join(&mut chain, 2, 20), ValidatorsError::AlreadyValidator);
}

#[test]
fn calls_that_are_none_revert_as_in_any_contract() {
    let mut chain = chain_of(1, 0, EPOCH);
    let reverted = |number| Status::Failed {
        action: 0,
        code: ResultCode::Reverted,
        data: vec![0, number],
    };
    let mut long = join_input(&chain.genesis.hash(), &address(1), 20);
    long.push(0);
    for (input, value, expected) in [
        (Vec::new(), 0, 1),
        (vec![1, 2, 3], 0, 1),
        (vec![1, 2, 3, 4], 0, 1),
        (method("validators()", &()), 0, 1),
        (method("leave([u8; 32])", &[0_u8; 31]), 0, 2),
        (long, VALIDATOR_STAKE, 2),
        (method("leave([u8; 32])", &public(9)), 1, 3),
    ] {
        let receipt = send(&mut chain, 1, input, value);
        assert_eq!(receipt.status, reverted(expected));
    }
    let unknown = chain.view(method("leave([u8; 32])", &public(9)));
    assert_eq!(
        (unknown.code, unknown.data),
        (ResultCode::Reverted, vec![0, 1])
    );
}

#[test]
fn gas_is_the_same_on_every_path_and_too_little_of_it_changes_nothing() {
    let mut chain = chain_of(1, 0, EPOCH);
    let good = join(&mut chain, 1, 20);
    let bad = join(&mut chain, 2, 20);
    refused(&bad, ValidatorsError::AlreadyValidator);
    // The receipt of the bad one keeps two bytes.
    assert_eq!(good.gas_used + 2 * gas::OUTPUT_PER_BYTE, bad.gas_used);
    assert!(good.gas_used > gas::VALIDATORS_JOIN);
    let action = Action::Call {
        contract: VALIDATORS_CONTRACT,
        input: join_input(&chain.genesis.hash(), &address(3), 21),
        value: VALIDATOR_STAKE,
    };
    let body = TransactionBody {
        gas_limit: good.gas_used - 1,
        ..chain.body(3, 0, vec![action])
    };
    let receipt = chain.run_one(body.sign(&key(3)));
    assert_eq!(receipt.gas_used, good.gas_used - 1);
    assert!(matches!(
        receipt.status,
        Status::Failed {
            code: ResultCode::OutOfGas,
            ..
        }
    ));
    assert_eq!(record(&chain, 21), None);
}

#[test]
fn one_failing_action_takes_the_seat_and_the_stake_back() {
    let mut chain = chain_of(1, 0, EPOCH);
    let before = chain.state.entries.clone();
    let input = join_input(&chain.genesis.hash(), &address(1), 20);
    let actions = [VALIDATOR_STAKE, VALIDATOR_STAKE].map(|value| Action::Call {
        contract: VALIDATORS_CONTRACT,
        input: input.clone(),
        value,
    });
    let body = chain.body(1, 0, actions.to_vec());
    let receipt = chain.run_one(body.sign(&key(1)));
    assert!(matches!(receipt.status, Status::Failed { action: 1, .. }));
    for (entry, value) in &before {
        let is_account = entry[0] == 0x01;
        assert!(is_account || chain.state.entries.get(entry) == Some(value));
    }
    assert_eq!(record(&chain, 20), None);
    assert_eq!(chain.state.entries.get(&state_key::validator_queue()), None);
}

#[test]
fn views_answer_what_the_state_says() {
    let mut chain = chain_of(2, 2, EPOCH);
    join(&mut chain, 1, 20);
    assert_eq!(viewed(&chain, "validators()"), keys(&[9, 10]));
    assert_eq!(viewed(&chain, "next_validators()"), keys(&[9, 10, 20]));
    // Block 5 has fixed the next set; what comes after it does not change it.
    chain.run_to(5);
    leave(&mut chain, 1, 20);
    assert_eq!(chain.height, 6);
    assert_eq!(viewed(&chain, "validators()"), keys(&[9, 10]));
    assert_eq!(viewed(&chain, "next_validators()"), keys(&[9, 10, 20]));
    chain.run_to(7);
    assert_eq!(viewed(&chain, "validators()"), keys(&[9, 10, 20]));
    assert_eq!(viewed(&chain, "next_validators()"), keys(&[9, 10]));
    let outcome = chain.view(method("validator([u8; 32])", &public(20)));
    let found = Option::<ValidatorRecord>::decode(&mut outcome.data.as_slice()).unwrap();
    assert_eq!(found, record(&chain, 20));
    let outcome = chain.view(method("validator([u8; 32])", &public(50)));
    assert_eq!(outcome.data, [0]);
}
