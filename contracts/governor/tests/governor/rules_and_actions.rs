//! What can be decided and what cannot.

use counter::counter::CounterRef;
use kumiki_contract::{Address, CallError, ResultCode};
use kumiki_contract_testing::{Account, TestChain};
use token_governor::governor::{Error, GovernorRef};
use token_governor::proposal::{
    ACTIONS_MAX, Action, Choice, INPUT_BYTES_MAX, NOTE_BYTES_MAX, PERIOD_MS_MAX, Rules, State,
};

use super::{EACH, FUNDS, RULES, advance_to, decide, deploy, lock, pay, propose, refused};

fn call(contract: Address, input: &[u8]) -> Action {
    Action::Call {
        contract,
        input: input.to_vec(),
        amount: 0,
    }
}

#[kumiki_contract_testing::test]
fn actions_are_done_in_order_all_or_none(chain: &mut TestChain) {
    let (_, governor) = deploy(chain);
    let [alice, _, _, dave] = chain.accounts();
    let counter = chain.deploy(&alice, CounterRef::init(40)).unwrap();
    let increase = call(counter.address, counter.increase(2).input());
    // The counter's owner is alice, so it refuses the governor.
    let reset = call(counter.address, counter.reset().input());
    let id = propose(
        chain,
        governor,
        vec![pay(&dave, 7), increase.clone(), reset],
    );
    decide(chain, governor, id);
    let before = chain.balance(dave.address);
    let failed = Error::ActionFailed {
        index: 2,
        code: ResultCode::Reverted as u8,
        data: vec![1, 1],
    };
    assert_eq!(chain.call(&alice, governor.execute(id)), refused(failed));
    assert_eq!(chain.balance(dave.address), before);
    assert_eq!(chain.view(counter.value()), Ok(40));
    assert_eq!(chain.view(governor.state(id)), Ok(State::Ready));
    let id = propose(chain, governor, vec![pay(&dave, 7), increase]);
    decide(chain, governor, id);
    assert_eq!(chain.call(&alice, governor.execute(id)), Ok(()));
    assert_eq!(chain.balance(dave.address), before + 7);
    assert_eq!(chain.view(counter.value()), Ok(42));
    let id = propose(chain, governor, vec![pay(&dave, FUNDS)]);
    decide(chain, governor, id);
    let failed = Error::ActionFailed {
        index: 0,
        code: ResultCode::InsufficientBalance as u8,
        data: Vec::new(),
    };
    assert_eq!(chain.call(&alice, governor.execute(id)), refused(failed));
    assert_eq!(chain.balance(governor.address), FUNDS - 7);
}

#[kumiki_contract_testing::test]
fn no_decision_touches_what_voters_locked_or_the_governor_from_within(chain: &mut TestChain) {
    let (token, governor) = deploy(chain);
    let [alice] = chain.accounts();
    let steal = call(token.address, token.transfer(alice.address, EACH).input());
    let approve = call(token.address, token.approve(alice.address, EACH).input());
    let inside = call(governor.address, governor.execute(0).input());
    for action in [steal, approve, inside] {
        let hidden = vec![pay(&alice, 1), action];
        let proposed = chain.call(&alice, governor.propose(hidden, String::new()));
        assert_eq!(proposed, refused(Error::CallForbidden));
    }
}

#[kumiki_contract_testing::test]
fn rules_change_by_decision_and_not_for_what_was_proposed_before(chain: &mut TestChain) {
    let (token, governor) = deploy(chain);
    let [alice, bob, carol, dave, guardian] = chain.accounts();
    let rules = Rules {
        quorum: 1,
        proposal_min: EACH + 1,
        ..RULES
    };
    let set = Action::SetRules {
        rules: rules.clone(),
    };
    let change = propose(chain, governor, vec![set]);
    let before = propose(chain, governor, vec![pay(&dave, 1)]);
    chain
        .call(&carol, governor.vote(before, Choice::For))
        .unwrap();
    decide(chain, governor, change);
    assert_eq!(chain.call(&bob, governor.execute(change)), Ok(()));
    assert_eq!(chain.view(governor.rules()), Ok(rules));
    // 300 votes were too few when it was proposed.
    let ends_ms = chain.view(governor.proposal(before)).unwrap().ends_ms;
    assert!(chain.time_ms() >= ends_ms);
    assert_eq!(chain.view(governor.state(before)), Ok(State::Defeated));
    let too_little = governor.propose(vec![pay(&dave, 1)], String::new());
    assert_eq!(
        chain.call(&alice, too_little),
        refused(Error::InsufficientLock { available: EACH })
    );
    // With one more it is enough, and the new rules have no guardian.
    lock(chain, token, governor, &alice, 1).unwrap();
    let id = propose(chain, governor, vec![pay(&dave, 1)]);
    assert_eq!(
        chain.call(&guardian, governor.cancel(id)),
        refused(Error::NotAllowed)
    );
    advance_to(chain, ends_ms + PERIOD_MS_MAX);
    assert_eq!(chain.call(&alice, governor.unlock(EACH)), Ok(()));
}

#[kumiki_contract_testing::test]
fn rules_by_which_nothing_could_be_decided_are_refused(chain: &mut TestChain) {
    let (token, governor) = deploy(chain);
    let [alice] = chain.accounts();
    let too_long = PERIOD_MS_MAX + 1;
    let period_ms_max = PERIOD_MS_MAX;
    let with = |voting_ms, delay_ms, grace_ms| Rules {
        voting_ms,
        delay_ms,
        grace_ms,
        ..RULES
    };
    for rules in [
        with(0, 1, 1),
        with(1, 1, 0),
        with(too_long, 1, 1),
        with(1, too_long, 1),
        with(1, 1, too_long),
        with(u64::MAX, u64::MAX, u64::MAX),
    ] {
        let init = GovernorRef::init(token.address, rules.clone());
        let deployed = chain.deploy(&alice, init).map(|_| ());
        assert_eq!(deployed, refused(Error::BadRules { period_ms_max }));
        let action = Action::SetRules { rules };
        let proposed = chain.call(&alice, governor.propose(vec![action], String::new()));
        assert_eq!(proposed, refused(Error::BadRules { period_ms_max }));
    }
    for rules in [
        with(1, 0, 1),
        with(PERIOD_MS_MAX, PERIOD_MS_MAX, PERIOD_MS_MAX),
    ] {
        let init = GovernorRef::init(token.address, rules);
        assert!(chain.deploy(&alice, init).is_ok());
    }
}

#[kumiki_contract_testing::test]
fn only_who_locked_enough_proposes_and_lists_and_texts_have_limits(chain: &mut TestChain) {
    let (_, governor) = deploy(chain);
    let [alice, bob, _, dave] = chain.accounts();
    let size = |count: u32| usize::try_from(count).unwrap();
    let actions = |count| vec![pay(&dave, 1); size(count)];
    let refuse = |chain: &mut TestChain, by: &Account, actions, note: String, error| {
        let answer: Result<u64, CallError<Error>> = chain.call(by, governor.propose(actions, note));
        assert_eq!(answer, refused(error));
    };
    let none = String::new;
    let available = 0;
    refuse(
        chain,
        &dave,
        actions(1),
        none(),
        Error::InsufficientLock { available },
    );
    // With 99 of the 100 that it takes, and then with all.
    chain.call(&bob, governor.unlock(EACH - 99)).unwrap();
    let available = 99;
    refuse(
        chain,
        &bob,
        actions(1),
        none(),
        Error::InsufficientLock { available },
    );
    let actions_max = ACTIONS_MAX;
    for count in [0, ACTIONS_MAX + 1] {
        let error = Error::BadActionCount { actions_max };
        refuse(chain, &alice, actions(count), none(), error);
    }
    let input = |bytes| vec![call(dave.address, &vec![0; size(bytes)])];
    let bytes_max = INPUT_BYTES_MAX;
    refuse(
        chain,
        &alice,
        input(INPUT_BYTES_MAX + 1),
        none(),
        Error::TooLong { bytes_max },
    );
    let bytes_max = NOTE_BYTES_MAX;
    let note = |bytes| "n".repeat(size(bytes));
    refuse(
        chain,
        &alice,
        actions(1),
        note(NOTE_BYTES_MAX + 1),
        Error::TooLong { bytes_max },
    );
    let most = governor.propose(actions(ACTIONS_MAX), note(NOTE_BYTES_MAX));
    assert_eq!(chain.call(&alice, most), Ok(0));
    let longest = vec![input(INPUT_BYTES_MAX); size(ACTIONS_MAX)].concat();
    let longest = governor.propose(longest, note(NOTE_BYTES_MAX));
    assert_eq!(chain.call(&alice, longest), Ok(1));
    // A long proposal makes voting no dearer.
    let mut gas = Vec::new();
    for id in [0, 1] {
        let vote = governor.vote(id, Choice::Against);
        assert_eq!(chain.call(&alice, vote), Ok(EACH));
        gas.push(chain.gas_used());
    }
    assert!(gas[1] <= gas[0], "{gas:?}");
    let unknown = governor.vote(2, Choice::For);
    assert_eq!(
        chain.call(&alice, unknown),
        refused(Error::UnknownProposal { id: 2 })
    );
}
