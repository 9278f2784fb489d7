//! What the wallet promises, on native Rust and on its Wasm.

use counter::counter::CounterRef;
use kumiki_contract::{Address, Balance, CallError, Hash, ResultCode};
use kumiki_contract_testing::{Account, Property, TestChain};
use multisig::multisig::{
    Confirmed, Error, Executed, INPUT_BYTES_MAX, Multisig, MultisigRef, OPEN_MS, OWNERS_MAX,
    OwnersSet, Proposed, Withdrawn,
};
use multisig::proposal::{Action, Owners};

const FUNDS: Balance = 10_000;

/// A wallet of the first three accounts, with funds, of whom it takes two.
fn deploy(chain: &mut TestChain) -> MultisigRef {
    let owners: [Account; 3] = chain.accounts();
    let addresses = owners.clone().map(|owner| owner.address).to_vec();
    let wallet = chain
        .deploy(&owners[0], MultisigRef::init(addresses, 2))
        .expect("the wallet deploys");
    chain
        .transfer(&owners[0], wallet.address, FUNDS)
        .expect("the wallet is funded");
    wallet
}

fn pay(to: &Account, amount: Balance) -> Action {
    Action::Transfer {
        to: to.address,
        amount,
    }
}

fn propose(chain: &mut TestChain, wallet: MultisigRef, by: &Account, action: Action) -> u64 {
    chain
        .call(by, wallet.propose(action))
        .expect("an owner proposes")
}

fn confirm(
    chain: &mut TestChain,
    wallet: MultisigRef,
    by: &Account,
    id: u64,
) -> Result<(), CallError<Error>> {
    let digest = chain.view(wallet.digest(id)).expect("there is a digest");
    chain.call(by, wallet.confirm(id, digest))
}

fn refused<T>(error: Error) -> Result<T, CallError<Error>> {
    Err(CallError::Contract(error))
}

#[kumiki_contract_testing::test]
fn two_of_three_pay_once_and_one_alone_does_not(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob, _, dave] = chain.accounts();
    let id = propose(chain, wallet, &alice, pay(&dave, 400));
    let digest = chain.view(wallet.digest(id)).unwrap();
    let by = alice.address;
    let proposed = Proposed { id, by, digest };
    assert_eq!(chain.events(), [(wallet.address, proposed)]);
    assert_eq!(chain.events(), [(wallet.address, Confirmed { id, by })]);
    let too_few = Error::TooFewConfirmations {
        confirmed: 1,
        threshold: 2,
    };
    assert_eq!(chain.call(&alice, wallet.execute(id)), refused(too_few));
    // Confirming twice is not two owners.
    assert_eq!(
        confirm(chain, wallet, &alice, id),
        refused(Error::AlreadyConfirmed)
    );
    let before = chain.balance(dave.address);
    assert_eq!(confirm(chain, wallet, &bob, id), Ok(()));
    assert_eq!(chain.balance(dave.address), before);
    assert_eq!(chain.call(&bob, wallet.execute(id)), Ok(Vec::new()));
    let executed = Executed {
        id,
        by: bob.address,
    };
    assert_eq!(chain.events(), [(wallet.address, executed)]);
    assert_eq!(chain.balance(dave.address), before + 400);
    assert_eq!(chain.balance(wallet.address), FUNDS - 400);
    for call in [wallet.execute(id), wallet.execute(id)] {
        assert_eq!(chain.call(&alice, call), refused(Error::AlreadyExecuted));
    }
    assert_eq!(
        confirm(chain, wallet, &alice, id),
        refused(Error::AlreadyExecuted)
    );
    assert_eq!(chain.balance(wallet.address), FUNDS - 400);
}

#[kumiki_contract_testing::test]
fn strangers_have_no_say(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob, _, dave] = chain.accounts();
    let id = propose(chain, wallet, &alice, pay(&dave, 1));
    let by_stranger = chain.call(&dave, wallet.propose(pay(&dave, 1)));
    assert_eq!(by_stranger, refused(Error::NotOwner));
    assert_eq!(confirm(chain, wallet, &dave, id), refused(Error::NotOwner));
    assert_eq!(
        chain.call(&dave, wallet.withdraw(id)),
        refused(Error::NotOwner)
    );
    confirm(chain, wallet, &bob, id).unwrap();
    assert_eq!(
        chain.call(&dave, wallet.execute(id)),
        refused(Error::NotOwner)
    );
    assert_eq!(
        chain.call(&alice, wallet.execute(7)),
        refused(Error::UnknownProposal { id: 7 })
    );
}

#[kumiki_contract_testing::test]
fn a_confirmation_is_for_one_action_of_one_proposal(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob, _, dave] = chain.accounts();
    let small = propose(chain, wallet, &alice, pay(&dave, 1));
    let large = propose(chain, wallet, &alice, pay(&dave, FUNDS));
    let again = propose(chain, wallet, &alice, pay(&dave, 1));
    let digest = |chain: &TestChain, id| chain.view(wallet.digest(id)).unwrap();
    let (of_small, of_large) = (digest(chain, small), digest(chain, large));
    for meant in [of_small, digest(chain, again), Hash::default()] {
        assert_eq!(
            chain.call(&bob, wallet.confirm(large, meant)),
            refused(Error::OtherProposal { digest: of_large })
        );
    }
    assert_eq!(chain.call(&bob, wallet.confirm(small, of_small)), Ok(()));
    assert_eq!(
        chain.view(wallet.proposal(large)).unwrap().confirmed_by,
        [alice.address]
    );
}

#[kumiki_contract_testing::test]
fn a_confirmation_taken_back_does_not_count(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob, carol, dave] = chain.accounts();
    let id = propose(chain, wallet, &alice, pay(&dave, 1));
    confirm(chain, wallet, &bob, id).unwrap();
    assert_eq!(chain.call(&alice, wallet.withdraw(id)), Ok(()));
    let withdrawn = Withdrawn {
        id,
        by: alice.address,
    };
    assert_eq!(chain.events(), [(wallet.address, withdrawn)]);
    let too_few = Error::TooFewConfirmations {
        confirmed: 1,
        threshold: 2,
    };
    assert_eq!(chain.call(&bob, wallet.execute(id)), refused(too_few));
    assert_eq!(
        chain.call(&carol, wallet.withdraw(id)),
        refused(Error::NotConfirmed)
    );
    confirm(chain, wallet, &carol, id).unwrap();
    assert!(chain.call(&alice, wallet.execute(id)).is_ok());
}

#[kumiki_contract_testing::test]
fn a_proposal_ends_exactly_at_its_time(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob, _, dave] = chain.accounts();
    let in_time = propose(chain, wallet, &alice, pay(&dave, 1));
    let late = propose(chain, wallet, &alice, pay(&dave, 1));
    for id in [in_time, late] {
        confirm(chain, wallet, &bob, id).unwrap();
    }
    let expires = |chain: &TestChain, id| chain.view(wallet.proposal(id)).unwrap().expires_ms;
    assert!(expires(chain, late) >= OPEN_MS);
    let last_ms = expires(chain, in_time) - 1;
    chain.advance_time_ms(last_ms - chain.time_ms());
    assert!(chain.call(&bob, wallet.execute(in_time)).is_ok());
    let expires_ms = expires(chain, late);
    chain.advance_time_ms(expires_ms - chain.time_ms());
    assert_eq!(
        chain.call(&bob, wallet.execute(late)),
        refused(Error::Expired { expires_ms })
    );
    assert_eq!(chain.balance(wallet.address), FUNDS - 1);
}

#[kumiki_contract_testing::test]
fn owners_change_through_the_wallet_only_and_void_what_was_confirmed_before(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob, carol, dave] = chain.accounts();
    let old = propose(chain, wallet, &carol, pay(&carol, FUNDS));
    confirm(chain, wallet, &alice, old).unwrap();
    let owners = Owners {
        addresses: vec![alice.address, dave.address],
        threshold: 1,
    };
    let change = Action::SetOwners {
        owners: owners.clone(),
    };
    let id = propose(chain, wallet, &alice, change);
    confirm(chain, wallet, &bob, id).unwrap();
    assert_eq!(chain.call(&alice, wallet.execute(id)), Ok(Vec::new()));
    let set = OwnersSet {
        owners: owners.clone(),
    };
    assert_eq!(chain.events(), [(wallet.address, set)]);
    assert_eq!(chain.view(wallet.owners()), Ok(owners));
    assert_eq!(
        chain.call(&carol, wallet.execute(old)),
        refused(Error::NotOwner)
    );
    assert_eq!(
        chain.call(&alice, wallet.execute(old)),
        refused(Error::OwnersChanged)
    );
    assert_eq!(chain.balance(wallet.address), FUNDS);
    // The new threshold holds at once.
    let id = propose(chain, wallet, &dave, pay(&dave, 1));
    assert!(chain.call(&dave, wallet.execute(id)).is_ok());
}

#[kumiki_contract_testing::test]
fn a_wallet_never_gets_owners_that_could_not_use_it(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob] = chain.accounts();
    let (a, b) = (alice.address, bob.address);
    let numbered = |count: u32| -> Vec<Address> {
        let address = |number: u32| {
            let mut bytes = [9; 32];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            Address(bytes)
        };
        (0..count).map(address).collect()
    };
    let owners_max = OWNERS_MAX;
    let bad = Error::BadOwners { owners_max };
    let cases = [
        (vec![], 1, bad.clone()),
        (vec![a, b, a], 2, bad.clone()),
        (vec![a, Address::default()], 1, bad.clone()),
        (numbered(OWNERS_MAX + 1), 1, bad.clone()),
        (vec![a, b], 0, Error::BadThreshold { owners: 2 }),
        (vec![a, b], 3, Error::BadThreshold { owners: 2 }),
    ];
    for (addresses, threshold, error) in cases {
        let deployed = chain.deploy(&alice, MultisigRef::init(addresses.clone(), threshold));
        assert_eq!(deployed.map(|_| ()), refused(error.clone()));
        let owners = Owners {
            addresses,
            threshold,
        };
        let call = wallet.propose(Action::SetOwners { owners });
        assert_eq!(chain.call(&alice, call), refused(error));
    }
    let of_itself = Owners {
        addresses: vec![a, wallet.address],
        threshold: 1,
    };
    let call = wallet.propose(Action::SetOwners { owners: of_itself });
    assert_eq!(chain.call(&alice, call), refused(bad));
    let largest = MultisigRef::init(numbered(OWNERS_MAX), OWNERS_MAX);
    assert!(chain.deploy(&alice, largest).is_ok());
}

#[kumiki_contract_testing::test]
fn a_call_reaches_the_contract_and_its_answer_comes_back(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob] = chain.accounts();
    let counter = chain.deploy(&alice, CounterRef::init(40)).unwrap();
    let call = |input: &[u8]| Action::Call {
        contract: counter.address,
        input: input.to_vec(),
        amount: 0,
    };
    let id = propose(chain, wallet, &alice, call(counter.increase(2).input()));
    confirm(chain, wallet, &bob, id).unwrap();
    let answer = chain.call(&alice, wallet.execute(id));
    assert_eq!(answer, Ok(42_u64.to_le_bytes().to_vec()));
    assert_eq!(chain.view(counter.value()), Ok(42));
    // The counter's owner is alice, not the wallet: it refuses, and the proposal stays as it was.
    let id = propose(chain, wallet, &alice, call(counter.reset().input()));
    confirm(chain, wallet, &bob, id).unwrap();
    let not_owner = Error::CallFailed {
        code: ResultCode::Reverted as u8,
        data: vec![1, 1],
    };
    assert_eq!(chain.call(&alice, wallet.execute(id)), refused(not_owner));
    assert!(!chain.view(wallet.proposal(id)).unwrap().executed);
    assert_eq!(chain.view(counter.value()), Ok(42));
}

#[kumiki_contract_testing::test]
fn a_payment_beyond_the_funds_can_be_tried_again(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob, _, dave] = chain.accounts();
    let id = propose(chain, wallet, &alice, pay(&dave, FUNDS + 1));
    confirm(chain, wallet, &bob, id).unwrap();
    assert_eq!(
        chain.call(&bob, wallet.execute(id)),
        refused(Error::TransferFailed { available: FUNDS })
    );
    chain.transfer(&alice, wallet.address, 1).unwrap();
    assert!(chain.call(&bob, wallet.execute(id)).is_ok());
    assert_eq!(chain.balance(wallet.address), 0);
}

#[kumiki_contract_testing::test]
fn a_wallet_neither_calls_itself_nor_is_called_back(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let outer = chain
        .deploy(&alice, MultisigRef::init(vec![alice.address], 1))
        .unwrap();
    let inner = chain
        .deploy(&alice, MultisigRef::init(vec![outer.address], 1))
        .unwrap();
    let call = |contract: Address, input: &[u8]| Action::Call {
        contract,
        input: input.to_vec(),
        amount: 0,
    };
    let to_itself = call(outer.address, outer.execute(0).input());
    assert_eq!(
        chain.call(&alice, outer.propose(to_itself)),
        refused(Error::CallsItself)
    );
    // The inner wallet, which the outer one owns, is to have the outer one pay while that waits for it.
    chain.transfer(&alice, outer.address, FUNDS).unwrap();
    let payment = propose(chain, outer, &alice, pay(&alice, FUNDS));
    let back = call(outer.address, outer.execute(payment).input());
    let setup = call(inner.address, inner.propose(back).input());
    let id = propose(chain, outer, &alice, setup);
    chain.call(&alice, outer.execute(id)).unwrap();
    let go = call(inner.address, inner.execute(0).input());
    let id = propose(chain, outer, &alice, go);
    let reentrancy = Error::CallFailed {
        code: ResultCode::Reentrancy as u8,
        data: Vec::new(),
    };
    // The outer wallet repeats what the inner one reverted with: that its call was a re-entry.
    let mut data = vec![1];
    data.extend(kumiki_contract::Encode::encode(&reentrancy));
    let failed = Error::CallFailed {
        code: ResultCode::Reverted as u8,
        data,
    };
    assert_eq!(chain.call(&alice, outer.execute(id)), refused(failed));
    assert_eq!(chain.balance(outer.address), FUNDS);
}

#[kumiki_contract_testing::test]
fn an_input_has_a_limit_to_the_byte(chain: &mut TestChain) {
    let wallet = deploy(chain);
    let [alice, bob] = chain.accounts();
    let call = |bytes: u32| Action::Call {
        contract: bob.address,
        input: vec![0; usize::try_from(bytes).unwrap()],
        amount: 0,
    };
    assert_eq!(
        chain.call(&alice, wallet.propose(call(INPUT_BYTES_MAX + 1))),
        refused(Error::InputTooLong {
            bytes_max: INPUT_BYTES_MAX
        })
    );
    let id = propose(chain, wallet, &alice, call(INPUT_BYTES_MAX));
    confirm(chain, wallet, &bob, id).unwrap();
    // There is no contract at that address.
    let failed = Error::CallFailed {
        code: ResultCode::UnknownContract as u8,
        data: Vec::new(),
    };
    assert_eq!(chain.call(&alice, wallet.execute(id)), refused(failed));
}

#[kumiki_contract_testing::property]
fn the_owners_can_always_act(chain: &mut TestChain) -> Property {
    let wallet = deploy(chain);
    Property::of::<Multisig>(wallet.address).invariant("enough owners", move |chain, _| {
        let owners = chain.view(wallet.owners()).expect("a view");
        let count = u32::try_from(owners.addresses.len()).expect("they are few");
        assert!((1..=count).contains(&owners.threshold), "{owners:?}");
    })
}
