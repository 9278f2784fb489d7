//! What the governor promises, on native Rust and on its Wasm.

mod rules_and_actions;

use kumiki_contract::{Balance, CallError};
use kumiki_contract_testing::{Account, Property, TestChain};
use token::token::{Token, TokenRef};
use token_governor::governor::{
    Canceled, Error, Executed, Governor, GovernorRef, LockChanged, Proposed, Voted,
};
use token_governor::proposal::{Action, Choice, Content, Rules, State};

const VOTING_MS: u64 = 100_000;
const DELAY_MS: u64 = 50_000;
const GRACE_MS: u64 = 70_000;
const QUORUM: Balance = 500;
const EACH: Balance = 300;
const FUNDS: Balance = 10_000;

const RULES: Rules = Rules {
    quorum: QUORUM,
    proposal_min: 100,
    voting_ms: VOTING_MS,
    delay_ms: DELAY_MS,
    grace_ms: GRACE_MS,
    guardian: None,
};

/// A token of which the first three accounts have locked `EACH` in the governor, which has `FUNDS` of the native one.
/// The fifth account is the guardian and has no tokens.
fn deploy(chain: &mut TestChain) -> (TokenRef, GovernorRef) {
    let accounts: [Account; 5] = chain.accounts();
    let init = TokenRef::init("Vote".into(), "VOTE".into(), 0, 1_000_000);
    let token = chain.deploy(&accounts[0], init).expect("deploys");
    let mut rules = RULES;
    rules.guardian = Some(accounts[4].address);
    let init = GovernorRef::init(token.address, rules);
    let governor = chain.deploy(&accounts[0], init).expect("deploys");
    for voter in accounts.iter().take(3) {
        let give = token.transfer(voter.address, EACH);
        chain.call(&accounts[0], give).expect("alice has tokens");
        lock(chain, token, governor, voter, EACH).expect("voters lock");
    }
    chain
        .transfer(&accounts[0], governor.address, FUNDS)
        .expect("alice has funds");
    (token, governor)
}

fn lock(
    chain: &mut TestChain,
    token: TokenRef,
    governor: GovernorRef,
    voter: &Account,
    amount: Balance,
) -> Result<(), CallError<Error>> {
    let approve = token.approve(governor.address, amount);
    chain.call(voter, approve).expect("anybody approves");
    chain.call(voter, governor.lock(amount))
}

fn pay(to: &Account, amount: Balance) -> Action {
    Action::Transfer {
        to: to.address,
        amount,
    }
}

fn propose(chain: &mut TestChain, governor: GovernorRef, actions: Vec<Action>) -> u64 {
    let [alice] = chain.accounts();
    chain
        .call(&alice, governor.propose(actions, "because".into()))
        .expect("alice proposes")
}

fn advance_to(chain: &mut TestChain, time_ms: u64) {
    let by_ms = time_ms.checked_sub(chain.time_ms());
    chain.advance_time_ms(by_ms.expect("time goes forwards"));
}

/// Has alice and bob vote for a proposal, and lets time pass until it is ready.
fn decide(chain: &mut TestChain, governor: GovernorRef, id: u64) {
    let voters: [Account; 2] = chain.accounts();
    for voter in &voters {
        let vote = governor.vote(id, Choice::For);
        chain.call(voter, vote).expect("the vote is on");
    }
    let proposal = chain.view(governor.proposal(id));
    let ready_ms = proposal.expect("it is proposed").ready_ms;
    advance_to(chain, ready_ms);
    assert_eq!(chain.view(governor.state(id)), Ok(State::Ready));
}

fn refused<T>(error: Error) -> Result<T, CallError<Error>> {
    Err(CallError::Contract(error))
}

#[kumiki_contract_testing::test]
fn a_decision_is_done_once_after_vote_and_delay(chain: &mut TestChain) {
    let (_, governor) = deploy(chain);
    let [alice, bob, carol, dave] = chain.accounts();
    let id = propose(chain, governor, vec![pay(&dave, 400)]);
    let content = Content {
        actions: vec![pay(&dave, 400)],
        note: "because".into(),
    };
    assert_eq!(chain.view(governor.content(id)), Ok(content));
    let proposal = chain.view(governor.proposal(id)).unwrap();
    let proposed = Proposed {
        id,
        proposer: alice.address,
        ends_ms: proposal.ends_ms,
    };
    assert_eq!(chain.events(), [(governor.address, proposed)]);
    assert_eq!(chain.call(&alice, governor.vote(id, Choice::For)), Ok(EACH));
    let voted = Voted {
        id,
        voter: alice.address,
        choice: Choice::For,
        weight: EACH,
    };
    assert_eq!(chain.events(), [(governor.address, voted)]);
    let abstain = governor.vote(id, Choice::Abstain);
    assert_eq!(chain.call(&bob, abstain), Ok(EACH));
    let wrong = |state| refused(Error::WrongState { state });
    assert_eq!(
        chain.call(&dave, governor.execute(id)),
        wrong(State::Active)
    );
    // The last millisecond of the delay is not after it.
    assert_eq!(proposal.ready_ms - proposal.ends_ms, DELAY_MS);
    advance_to(chain, proposal.ends_ms);
    let late = governor.vote(id, Choice::Against);
    let queued = Error::WrongState {
        state: State::Queued,
    };
    assert_eq!(chain.call(&carol, late), refused(queued));
    advance_to(chain, proposal.ready_ms - 1);
    assert_eq!(
        chain.call(&dave, governor.execute(id)),
        wrong(State::Queued)
    );
    let before = chain.balance(dave.address);
    assert_eq!(chain.call(&dave, governor.execute(id)), Ok(()));
    assert_eq!(chain.events(), [(governor.address, Executed { id })]);
    assert_eq!(chain.balance(dave.address), before + 400);
    assert_eq!(
        chain.call(&dave, governor.execute(id)),
        wrong(State::Executed)
    );
    assert_eq!(chain.balance(governor.address), FUNDS - 400);
}

#[kumiki_contract_testing::test]
fn a_decision_can_be_done_exactly_until_its_grace_ends(chain: &mut TestChain) {
    let (_, governor) = deploy(chain);
    let [alice, _, _, dave] = chain.accounts();
    let first = propose(chain, governor, vec![pay(&dave, 1)]);
    let second = propose(chain, governor, vec![pay(&dave, 1)]);
    for id in [first, second] {
        for voter in &chain.accounts::<2>() {
            chain.call(voter, governor.vote(id, Choice::For)).unwrap();
        }
    }
    let expires = |chain: &TestChain, id| chain.view(governor.proposal(id)).unwrap().expires_ms;
    let last_ms = expires(chain, first) - 1;
    advance_to(chain, last_ms);
    assert_eq!(chain.call(&alice, governor.execute(first)), Ok(()));
    let end_ms = expires(chain, second);
    advance_to(chain, end_ms);
    let state = State::Expired;
    for call in [governor.execute(second), governor.cancel(second)] {
        assert_eq!(
            chain.call(&alice, call),
            refused(Error::WrongState { state })
        );
    }
    assert_eq!(chain.balance(governor.address), FUNDS - 1);
}

#[kumiki_contract_testing::test]
fn it_takes_a_quorum_and_more_for_than_against(chain: &mut TestChain) {
    let (token, governor) = deploy(chain);
    let voters: [Account; 3] = chain.accounts();
    let [alice, _, _, dave] = chain.accounts();
    for (choices, dave_locks, state) in [
        ([Some(Choice::For), None, None], 0, State::Defeated),
        ([Some(Choice::For), None, None], 199, State::Defeated),
        ([Some(Choice::For), None, None], 1, State::Queued),
        (
            [Some(Choice::For), Some(Choice::Against), None],
            0,
            State::Defeated,
        ),
        (
            [Some(Choice::For), Some(Choice::Abstain), None],
            0,
            State::Queued,
        ),
        (
            [Some(Choice::Abstain), Some(Choice::Abstain), None],
            0,
            State::Defeated,
        ),
        (
            [Some(Choice::For), Some(Choice::For), Some(Choice::Against)],
            0,
            State::Queued,
        ),
        ([None, None, None], 0, State::Defeated),
    ] {
        let id = propose(chain, governor, vec![pay(&dave, 1)]);
        for (voter, choice) in voters.iter().zip(choices) {
            if let Some(choice) = choice {
                chain.call(voter, governor.vote(id, choice)).unwrap();
            }
        }
        if dave_locks > 0 {
            // What dave locks adds up: 199, then 200, which makes the quorum.
            chain
                .call(&alice, token.transfer(dave.address, dave_locks))
                .unwrap();
            lock(chain, token, governor, &dave, dave_locks).unwrap();
            let vote = governor.vote(id, Choice::Abstain);
            chain.call(&dave, vote).unwrap();
        }
        let ends_ms = chain.view(governor.proposal(id)).unwrap().ends_ms;
        advance_to(chain, ends_ms);
        assert_eq!(chain.view(governor.state(id)), Ok(state), "{choices:?}");
        assert_eq!(
            chain.call(&alice, governor.execute(id)),
            refused(Error::WrongState { state })
        );
    }
    assert_eq!(chain.balance(governor.address), FUNDS);
}

#[kumiki_contract_testing::test]
fn no_token_votes_twice(chain: &mut TestChain) {
    let (token, governor) = deploy(chain);
    let [alice, bob, carol, dave] = chain.accounts();
    let id = propose(chain, governor, vec![pay(&dave, 1)]);
    chain.call(&bob, governor.vote(id, Choice::For)).unwrap();
    for choice in [Choice::For, Choice::Against] {
        assert_eq!(
            chain.call(&bob, governor.vote(id, choice)),
            refused(Error::AlreadyVoted)
        );
    }
    // Nor do they come out to be sent to somebody who has not voted; a proposer's do not either.
    let until_ms = chain.view(governor.proposal(id)).unwrap().ends_ms;
    for voter in [&bob, &alice] {
        assert_eq!(
            chain.call(voter, governor.unlock(1)),
            refused(Error::Locked { until_ms })
        );
    }
    // Carol did not vote: hers are free, and have no vote once they are out.
    assert_eq!(chain.call(&carol, governor.unlock(EACH)), Ok(()));
    assert_eq!(
        chain.call(&carol, governor.vote(id, Choice::For)),
        refused(Error::InsufficientLock { available: 0 })
    );
    // Tokens that were in a vote and are locked on top afterwards add nothing to it.
    lock(chain, token, governor, &carol, EACH).unwrap();
    chain.call(&carol, governor.vote(id, Choice::For)).unwrap();
    let proposal = chain.view(governor.proposal(id)).unwrap();
    assert_eq!(proposal.votes_for, 2 * EACH);
    advance_to(chain, until_ms - 1);
    assert_eq!(
        chain.call(&bob, governor.unlock(EACH)),
        refused(Error::Locked { until_ms })
    );
    // That block took the time to the end.
    assert!(chain.time_ms() >= until_ms);
    assert_eq!(chain.call(&bob, governor.unlock(EACH)), Ok(()));
    assert_eq!(chain.view(token.balance_of(bob.address)), Ok(EACH));
}

#[kumiki_contract_testing::test]
fn everybody_gets_back_what_they_locked_and_no_more(chain: &mut TestChain) {
    let (token, governor) = deploy(chain);
    let [alice, bob, carol, dave] = chain.accounts();
    let held = |chain: &TestChain| chain.view(token.balance_of(governor.address)).unwrap();
    assert_eq!(held(chain), 3 * EACH);
    assert_eq!(chain.view(governor.locked()), Ok(3 * EACH));
    let too_much = governor.unlock(EACH + 1);
    assert_eq!(
        chain.call(&bob, too_much),
        refused(Error::InsufficientLock { available: EACH })
    );
    assert_eq!(
        chain.call(&dave, governor.unlock(1)),
        refused(Error::InsufficientLock { available: 0 })
    );
    for call in [governor.unlock(0), governor.lock(0)] {
        assert_eq!(chain.call(&bob, call), refused(Error::ZeroAmount));
    }
    // Without allowance or tokens nothing is locked.
    assert_eq!(
        chain.call(&bob, governor.lock(1)),
        refused(Error::TokenRefused)
    );
    assert_eq!(
        lock(chain, token, governor, &dave, 1),
        refused(Error::TokenRefused)
    );
    assert_eq!(
        chain.view(governor.lock_of(dave.address)).unwrap().amount,
        0
    );
    assert_eq!(chain.view(governor.locked()), Ok(3 * EACH));
    for (voter, amount) in [(&alice, EACH), (&bob, 1), (&carol, EACH), (&bob, EACH - 1)] {
        assert_eq!(chain.call(voter, governor.unlock(amount)), Ok(()));
        assert_eq!(chain.view(governor.locked()), Ok(held(chain)));
    }
    let changed = LockChanged {
        voter: bob.address,
        amount: 0,
    };
    assert_eq!(chain.events(), [(governor.address, changed)]);
    assert_eq!(held(chain), 0);
    assert_eq!(chain.view(token.balance_of(bob.address)), Ok(EACH));
    assert_eq!(chain.view(token.balance_of(carol.address)), Ok(EACH));
}

#[kumiki_contract_testing::test]
fn the_proposer_cancels_during_the_vote_and_the_guardian_until_it_is_done(chain: &mut TestChain) {
    let (_, governor) = deploy(chain);
    let [alice, bob, _, dave, guardian] = chain.accounts();
    let id = propose(chain, governor, vec![pay(&dave, 1)]);
    assert_eq!(
        chain.call(&bob, governor.cancel(id)),
        refused(Error::NotAllowed)
    );
    assert_eq!(chain.call(&alice, governor.cancel(id)), Ok(()));
    let canceled = Canceled {
        id,
        by: alice.address,
    };
    assert_eq!(chain.events(), [(governor.address, canceled)]);
    let state = State::Canceled;
    let vote = governor.vote(id, Choice::For);
    assert_eq!(
        chain.call(&alice, vote),
        refused(Error::WrongState { state })
    );
    let id = propose(chain, governor, vec![pay(&dave, 1)]);
    decide(chain, governor, id);
    // What was decided is no longer the proposer's to undo.
    assert_eq!(
        chain.call(&alice, governor.cancel(id)),
        refused(Error::NotAllowed)
    );
    assert_eq!(chain.call(&guardian, governor.cancel(id)), Ok(()));
    for call in [governor.execute(id), governor.cancel(id)] {
        assert_eq!(
            chain.call(&guardian, call),
            refused(Error::WrongState { state })
        );
    }
    assert_eq!(chain.balance(governor.address), FUNDS);
}

/// Proposals that pass call whatever they say, the token and the governor too.
#[kumiki_contract_testing::property]
fn locked_tokens_are_there(chain: &mut TestChain) -> Property {
    let (token, governor) = deploy(chain);
    Property::of::<Governor>(governor.address)
        .and::<Token>(token.address)
        .invariant("locks add up", move |chain, addresses| {
            let locks = addresses
                .iter()
                .map(|one| chain.view(governor.lock_of(*one)));
            let sum: Balance = locks.map(|lock| lock.expect("a view").amount).sum();
            assert_eq!(chain.view(governor.locked()), Ok(sum));
        })
        .invariant("locked tokens are there", move |chain, _| {
            let held = chain
                .view(token.balance_of(governor.address))
                .expect("a view");
            assert!(chain.view(governor.locked()).expect("a view") <= held);
        })
}
