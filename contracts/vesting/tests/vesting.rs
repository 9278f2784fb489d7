//! What vesting promises, on native Rust and on its Wasm.

use kumiki_contract::{Address, Balance, CallError};
use kumiki_contract_testing::{Account, Property, TestChain};
use vesting::vesting::{
    BeneficiarySet, DURATION_MS_MAX, Error, Granted, Released, Revoked, Vesting, VestingRef,
};

/// Not divisible by the duration, so that rounding shows.
const TOTAL: Balance = 1_000_003;
const CLIFF_MS: u64 = 100_000;
const DURATION_MS: u64 = 400_000;

fn deploy(chain: &mut TestChain) -> VestingRef {
    let [_, _, other] = chain.accounts();
    chain
        .deploy(&other, VestingRef::init())
        .expect("the contract deploys")
}

/// A grant of the first account to the second that begins with the next block: its id and start.
fn grant(chain: &mut TestChain, vesting: VestingRef, revocable: bool) -> (u64, u64) {
    let [alice, bob] = chain.accounts();
    let start_ms = chain.time_ms();
    let call = vesting
        .grant(bob.address, start_ms, CLIFF_MS, DURATION_MS, revocable)
        .with_value(TOTAL);
    let id = chain.call(&alice, call).expect("the grant is made");
    (id, start_ms)
}

/// Lets the next block have this time.
fn advance_to(chain: &mut TestChain, time_ms: u64) {
    let by_ms = time_ms.checked_sub(chain.time_ms());
    chain.advance_time_ms(by_ms.expect("time goes forwards"));
}

fn refused<T>(error: Error) -> Result<T, CallError<Error>> {
    Err(CallError::Contract(error))
}

#[kumiki_contract_testing::test]
fn nothing_is_paid_a_millisecond_before_the_cliff_and_the_share_at_it(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [alice, bob] = chain.accounts();
    let (id, start_ms) = grant(chain, vesting, true);
    let granted = Granted {
        id,
        funder: alice.address,
        beneficiary: bob.address,
        amount: TOTAL,
    };
    assert_eq!(chain.events(), [(vesting.address, granted)]);
    assert_eq!(chain.balance(vesting.address), TOTAL);
    let cliff_at_ms = start_ms + CLIFF_MS;
    advance_to(chain, cliff_at_ms - 1);
    assert_eq!(chain.view(vesting.vested(id, cliff_at_ms - 1)), Ok(0));
    assert_eq!(
        chain.call(&bob, vesting.release(id)),
        refused(Error::NothingToRelease { cliff_at_ms })
    );
    let (id, start_ms) = grant(chain, vesting, true);
    advance_to(chain, start_ms + CLIFF_MS);
    assert_eq!(chain.view(vesting.releasable(id)), Ok(250_000));
    let before = chain.balance(bob.address);
    // A quarter of the time; 1,000,003 / 4 is rounded down.
    assert_eq!(chain.call(&bob, vesting.release(id)), Ok(250_000));
    let released = Released {
        id,
        beneficiary: bob.address,
        amount: 250_000,
    };
    assert_eq!(chain.events(), [(vesting.address, released)]);
    assert_eq!(chain.balance(bob.address), before + 250_000);
}

#[kumiki_contract_testing::test]
fn all_of_it_is_paid_over_the_whole_life_and_nothing_more(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [_, bob, carol] = chain.accounts();
    let before = chain.balance(bob.address);
    let (id, start_ms) = grant(chain, vesting, false);
    let mut paid = 0;
    advance_to(chain, start_ms + CLIFF_MS);
    while chain.time_ms() < start_ms + DURATION_MS {
        let vested = chain.view(vesting.vested(id, chain.time_ms())).unwrap();
        // A stranger may ask; the tokens are the beneficiary's.
        paid += chain.call(&carol, vesting.release(id)).unwrap();
        assert_eq!(paid, vested);
        assert!(paid < TOTAL);
        assert_eq!(chain.view(vesting.held()), Ok(TOTAL - paid));
        assert_eq!(chain.balance(vesting.address), TOTAL - paid);
        chain.advance_time_ms(36_123);
    }
    paid += chain.call(&bob, vesting.release(id)).unwrap();
    assert_eq!(paid, TOTAL);
    assert_eq!(chain.balance(bob.address), before + TOTAL);
    assert_eq!(chain.balance(vesting.address), 0);
    let cliff_at_ms = start_ms + CLIFF_MS;
    assert_eq!(
        chain.call(&bob, vesting.release(id)),
        refused(Error::NothingToRelease { cliff_at_ms })
    );
}

#[kumiki_contract_testing::test]
fn the_last_unit_comes_exactly_at_the_end(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let (id, start_ms) = grant(chain, vesting, false);
    let end_ms = start_ms + DURATION_MS;
    let vested = |chain: &TestChain, time_ms| chain.view(vesting.vested(id, time_ms)).unwrap();
    assert_eq!(vested(chain, 0), 0);
    assert!(vested(chain, end_ms - 1) < TOTAL);
    assert_eq!(vested(chain, end_ms), TOTAL);
    assert_eq!(vested(chain, end_ms + 1), TOTAL);
    assert_eq!(vested(chain, u64::MAX), TOTAL);
}

#[kumiki_contract_testing::test]
fn revoking_returns_what_is_not_vested_and_leaves_the_rest(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [alice, bob] = chain.accounts();
    let (before_alice, before_bob) = (chain.balance(alice.address), chain.balance(bob.address));
    let (id, start_ms) = grant(chain, vesting, true);
    advance_to(chain, start_ms + DURATION_MS / 2);
    let vested = TOTAL / 2;
    assert_eq!(chain.call(&alice, vesting.revoke(id)), Ok(TOTAL - vested));
    let revoked = Revoked {
        id,
        returned: TOTAL - vested,
    };
    assert_eq!(chain.events(), [(vesting.address, revoked)]);
    assert_eq!(chain.balance(alice.address), before_alice - vested);
    // No more becomes vested, and none of it is lost to the beneficiary.
    advance_to(chain, start_ms + 3 * DURATION_MS);
    assert_eq!(chain.call(&bob, vesting.release(id)), Ok(vested));
    assert_eq!(chain.balance(bob.address), before_bob + vested);
    assert_eq!(chain.balance(vesting.address), 0);
    assert_eq!(
        chain.call(&alice, vesting.revoke(id)),
        refused(Error::AlreadyRevoked)
    );
}

#[kumiki_contract_testing::test]
fn revoking_before_the_cliff_returns_all_and_after_the_end_nothing(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [alice, bob] = chain.accounts();
    let (early, _) = grant(chain, vesting, true);
    assert_eq!(chain.call(&alice, vesting.revoke(early)), Ok(TOTAL));
    assert!(chain.call(&bob, vesting.release(early)).is_err());
    let (late, start_ms) = grant(chain, vesting, true);
    advance_to(chain, start_ms + DURATION_MS);
    assert_eq!(chain.call(&alice, vesting.revoke(late)), Ok(0));
    assert_eq!(chain.call(&bob, vesting.release(late)), Ok(TOTAL));
    assert_eq!(chain.balance(vesting.address), 0);
}

#[kumiki_contract_testing::test]
fn only_the_funder_of_a_revocable_grant_revokes(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [alice, bob, deployer] = chain.accounts();
    let (revocable, _) = grant(chain, vesting, true);
    for account in [&bob, &deployer] {
        let call = vesting.revoke(revocable);
        assert_eq!(chain.call(account, call), refused(Error::NotFunder));
    }
    let (for_good, _) = grant(chain, vesting, false);
    assert_eq!(
        chain.call(&alice, vesting.revoke(for_good)),
        refused(Error::NotRevocable)
    );
    assert_eq!(chain.balance(vesting.address), 2 * TOTAL);
    assert_eq!(
        chain.call(&alice, vesting.revoke(9)),
        refused(Error::UnknownGrant { id: 9 })
    );
}

#[kumiki_contract_testing::test]
fn a_grant_handed_on_pays_the_new_beneficiary_only(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [alice, bob, carol] = chain.accounts();
    let (id, start_ms) = grant(chain, vesting, true);
    for account in [&alice, &carol] {
        let call = vesting.set_beneficiary(id, carol.address);
        assert_eq!(chain.call(account, call), refused(Error::NotBeneficiary));
    }
    let nobody = vesting.set_beneficiary(id, Address::default());
    assert_eq!(chain.call(&bob, nobody), refused(Error::ZeroAddress));
    let call = vesting.set_beneficiary(id, carol.address);
    assert_eq!(chain.call(&bob, call), Ok(()));
    let set = BeneficiarySet {
        id,
        beneficiary: carol.address,
    };
    assert_eq!(chain.events(), [(vesting.address, set)]);
    advance_to(chain, start_ms + DURATION_MS);
    let before: [Account; 3] = chain.accounts();
    let before = before.map(|account| chain.balance(account.address));
    assert_eq!(chain.call(&bob, vesting.release(id)), Ok(TOTAL));
    assert_eq!(chain.balance(bob.address), before[1]);
    assert_eq!(chain.balance(carol.address), before[2] + TOTAL);
}

#[kumiki_contract_testing::test]
fn grants_do_not_pay_from_each_other(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [_, bob] = chain.accounts();
    let (first, start_ms) = grant(chain, vesting, true);
    advance_to(chain, start_ms + DURATION_MS);
    let (second, _) = grant(chain, vesting, true);
    assert_eq!(chain.call(&bob, vesting.release(first)), Ok(TOTAL));
    assert!(chain.call(&bob, vesting.release(first)).is_err());
    assert_eq!(chain.balance(vesting.address), TOTAL);
    assert_eq!(chain.view(vesting.held()), Ok(TOTAL));
    assert_eq!(chain.view(vesting.grant_of(second)).unwrap().released, 0);
}

#[kumiki_contract_testing::test]
fn a_schedule_must_make_sense(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [alice, bob] = chain.accounts();
    let unpaid = vesting.grant(bob.address, 0, 0, 1, true);
    assert_eq!(chain.call(&alice, unpaid), refused(Error::NothingGranted));
    let to_nobody = vesting.grant(Address::default(), 0, 0, 1, true);
    assert_eq!(
        chain.call(&alice, to_nobody.with_value(1)),
        refused(Error::ZeroAddress)
    );
    let duration_ms_max = DURATION_MS_MAX;
    let latest = |chain: &TestChain| chain.time_ms() + DURATION_MS_MAX;
    let too_short = Error::BadDuration { duration_ms_max };
    let cases = [
        ((0, 0, 0), too_short.clone()),
        ((0, 0, DURATION_MS_MAX + 1), too_short),
        ((0, 8, 7), Error::CliffAfterEnd { duration_ms: 7 }),
    ];
    for ((start_ms, cliff_ms, duration_ms), error) in cases {
        let call = vesting.grant(bob.address, start_ms, cliff_ms, duration_ms, true);
        assert_eq!(chain.call(&alice, call.with_value(1)), refused(error));
    }
    let latest_ms = latest(chain);
    for start_ms in [latest_ms + 1, u64::MAX] {
        let call = vesting.grant(bob.address, start_ms, 0, 1, true);
        let latest_ms = latest(chain);
        assert_eq!(
            chain.call(&alice, call.with_value(1)),
            refused(Error::BadStart { latest_ms })
        );
    }
    assert_eq!(chain.balance(vesting.address), 0);
    let longest = vesting.grant(
        bob.address,
        latest(chain),
        DURATION_MS_MAX,
        DURATION_MS_MAX,
        true,
    );
    assert!(chain.call(&alice, longest.with_value(1)).is_ok());
}

#[kumiki_contract_testing::test]
fn half_of_the_longest_grant_vests_in_half_of_its_time(chain: &mut TestChain) {
    let vesting = deploy(chain);
    let [alice, bob] = chain.accounts();
    let amount = chain.balance(alice.address);
    let start_ms = chain.time_ms();
    let call = vesting.grant(bob.address, start_ms, 0, DURATION_MS_MAX, true);
    let id = chain.call(&alice, call.with_value(amount)).unwrap();
    let half = chain.view(vesting.vested(id, start_ms + DURATION_MS_MAX / 2));
    assert_eq!(half, Ok(amount / 2));
    assert_eq!(chain.view(vesting.vested(id, start_ms)), Ok(0));
}

#[kumiki_contract_testing::property]
fn what_is_held_is_granted(chain: &mut TestChain) -> Property {
    let vesting = deploy(chain);
    grant(chain, vesting, true);
    Property::of::<Vesting>(vesting.address).invariant("held is granted", move |chain, _| {
        let held = chain.view(vesting.held());
        assert_eq!(held, Ok(chain.balance(vesting.address)));
        let ids = 0..chain.view(vesting.made()).expect("a view");
        let now_ms = chain.time_ms();
        for id in ids {
            let grant = chain.view(vesting.grant_of(id)).expect("it was made");
            let vested = chain.view(vesting.vested(id, now_ms)).expect("a view");
            assert!(
                grant.released <= vested && vested <= grant.total,
                "{grant:?}"
            );
        }
    })
}
