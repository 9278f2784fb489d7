//! What the escrow promises, on native Rust and on its Wasm.

use escrow::escrow::{
    Deal, Error, Escrow, EscrowRef, OPEN_MS_MAX, Opened, Refunded, Released, State,
};
use kumiki_contract::{Address, Balance, CallError, SdkError};
use kumiki_contract_testing::{Account, Property, TestChain};

const PRICE: Balance = 5_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn deploy(chain: &mut TestChain) -> EscrowRef {
    let [_, _, _, other] = chain.accounts();
    chain
        .deploy(&other, EscrowRef::init())
        .expect("the escrow deploys")
}

/// A deal of the first three accounts that ends in a day.
fn open(chain: &mut TestChain, escrow: EscrowRef) -> ([Account; 3], u64) {
    let [buyer, seller, arbiter] = chain.accounts();
    let deadline_ms = chain.time_ms() + DAY_MS;
    let call = escrow
        .open(seller.address, arbiter.address, deadline_ms)
        .with_value(PRICE);
    let id = chain.call(&buyer, call).expect("the deal opens");
    ([buyer, seller, arbiter], id)
}

fn refused<T>(error: Error) -> Result<T, CallError<Error>> {
    Err(CallError::Contract(error))
}

/// Nothing is held for a settled deal, nothing more comes out of it, and no token got lost or made.
fn assert_settled(chain: &mut TestChain, escrow: EscrowRef, id: u64, state: State) {
    let deal = chain.view(escrow.deal(id)).expect("the deal was opened");
    assert_eq!(deal.state, state);
    let accounts: [Account; 4] = chain.accounts();
    for account in &accounts {
        for call in [escrow.release(id), escrow.refund(id)] {
            assert_eq!(chain.call(account, call), refused(Error::Settled { state }));
        }
    }
    assert_eq!(chain.balance(escrow.address), 0);
    assert_eq!(chain.view(escrow.held()), Ok(0));
}

#[kumiki_contract_testing::test]
fn opening_takes_the_tokens_and_says_what_for(chain: &mut TestChain) {
    let escrow = deploy(chain);
    let [buyer, seller, arbiter] = chain.accounts();
    let before = chain.balance(buyer.address);
    let (_, id) = open(chain, escrow);
    let opened = Opened {
        id,
        buyer: buyer.address,
        seller: seller.address,
        amount: PRICE,
    };
    assert_eq!(chain.events(), [(escrow.address, opened)]);
    assert_eq!(chain.balance(buyer.address), before - PRICE);
    assert_eq!(chain.balance(escrow.address), PRICE);
    let deal = chain.view(escrow.deal(id)).unwrap();
    let expected = Deal {
        buyer: buyer.address,
        seller: seller.address,
        arbiter: arbiter.address,
        amount: PRICE,
        deadline_ms: deal.deadline_ms,
        state: State::Open,
    };
    assert_eq!(deal, expected);
    assert_eq!(
        chain.view(escrow.deal(id + 1)),
        refused(Error::UnknownDeal { id: id + 1 })
    );
}

#[kumiki_contract_testing::test]
fn buyer_and_arbiter_pay_the_seller(chain: &mut TestChain) {
    for decider in [0, 2] {
        let escrow = deploy(chain);
        let (parties, id) = open(chain, escrow);
        let before = chain.balance(parties[1].address);
        let by = &parties[decider];
        assert_eq!(chain.call(by, escrow.release(id)), Ok(()));
        let released = Released {
            id,
            by: by.address,
            amount: PRICE,
        };
        assert_eq!(chain.events(), [(escrow.address, released)]);
        assert_eq!(chain.balance(parties[1].address), before + PRICE);
        assert_settled(chain, escrow, id, State::Released);
    }
}

#[kumiki_contract_testing::test]
fn seller_and_arbiter_pay_the_buyer_back(chain: &mut TestChain) {
    for decider in [1, 2] {
        let escrow = deploy(chain);
        let (parties, id) = open(chain, escrow);
        let before = chain.balance(parties[0].address);
        let by = &parties[decider];
        assert_eq!(chain.call(by, escrow.refund(id)), Ok(()));
        let refunded = Refunded {
            id,
            by: by.address,
            amount: PRICE,
        };
        assert_eq!(chain.events(), [(escrow.address, refunded)]);
        assert_eq!(chain.balance(parties[0].address), before + PRICE);
        assert_settled(chain, escrow, id, State::Refunded);
    }
}

#[kumiki_contract_testing::test]
fn nobody_decides_for_themselves_and_strangers_decide_nothing(chain: &mut TestChain) {
    let escrow = deploy(chain);
    let ([buyer, seller, _], id) = open(chain, escrow);
    let [_, _, _, stranger] = chain.accounts();
    let deadline_ms = chain.view(escrow.deal(id)).unwrap().deadline_ms;
    assert_eq!(
        chain.call(&seller, escrow.release(id)),
        refused(Error::NotAllowed)
    );
    assert_eq!(
        chain.call(&buyer, escrow.refund(id)),
        refused(Error::TooEarly { deadline_ms })
    );
    chain.advance_time_ms(2 * DAY_MS);
    for call in [escrow.release(id), escrow.refund(id)] {
        assert_eq!(chain.call(&stranger, call), refused(Error::NotAllowed));
    }
    // The deadline gives the seller nothing.
    assert_eq!(
        chain.call(&seller, escrow.release(id)),
        refused(Error::NotAllowed)
    );
    assert_eq!(chain.balance(escrow.address), PRICE);
}

#[kumiki_contract_testing::test]
fn the_buyer_takes_back_from_the_deadline_on_and_not_a_millisecond_before(chain: &mut TestChain) {
    let escrow = deploy(chain);
    let ([buyer, ..], id) = open(chain, escrow);
    let before = chain.balance(buyer.address);
    let deadline_ms = chain.view(escrow.deal(id)).unwrap().deadline_ms;
    chain.advance_time_ms(deadline_ms - 1 - chain.time_ms());
    assert_eq!(
        chain.call(&buyer, escrow.refund(id)),
        refused(Error::TooEarly { deadline_ms })
    );
    // A second has passed with that block: another deal, to stand exactly at its deadline.
    let ([buyer, ..], id) = open(chain, escrow);
    let deadline_ms = chain.view(escrow.deal(id)).unwrap().deadline_ms;
    chain.advance_time_ms(deadline_ms - chain.time_ms());
    assert_eq!(chain.time_ms(), deadline_ms);
    assert_eq!(chain.call(&buyer, escrow.refund(id)), Ok(()));
    assert_eq!(chain.balance(buyer.address), before);
    assert_eq!(chain.balance(escrow.address), PRICE);
}

#[kumiki_contract_testing::test]
fn a_late_seller_can_still_be_paid(chain: &mut TestChain) {
    let escrow = deploy(chain);
    let ([_, seller, arbiter], id) = open(chain, escrow);
    chain.advance_time_ms(30 * DAY_MS);
    let before = chain.balance(seller.address);
    assert_eq!(chain.call(&arbiter, escrow.release(id)), Ok(()));
    assert_eq!(chain.balance(seller.address), before + PRICE);
}

#[kumiki_contract_testing::test]
fn deals_do_not_touch_each_other(chain: &mut TestChain) {
    let escrow = deploy(chain);
    let ([buyer, seller, arbiter], first) = open(chain, escrow);
    let (_, second) = open(chain, escrow);
    assert_ne!(first, second);
    let all = chain.balance(buyer.address) + chain.balance(seller.address) + 2 * PRICE;
    chain.call(&seller, escrow.refund(first)).unwrap();
    assert_eq!(chain.balance(escrow.address), PRICE);
    assert_eq!(chain.view(escrow.held()), Ok(PRICE));
    assert_eq!(chain.view(escrow.deal(second)).unwrap().state, State::Open);
    chain.call(&arbiter, escrow.release(second)).unwrap();
    let paid_out = chain.balance(buyer.address) + chain.balance(seller.address);
    assert_eq!(paid_out, all);
    assert_settled(chain, escrow, first, State::Refunded);
    assert_settled(chain, escrow, second, State::Released);
}

#[kumiki_contract_testing::test]
fn a_deal_needs_tokens_three_parties_and_a_deadline(chain: &mut TestChain) {
    let escrow = deploy(chain);
    let [buyer, seller, arbiter] = chain.accounts();
    let (b, s, a) = (buyer.address, seller.address, arbiter.address);
    let deadline_ms = chain.time_ms() + DAY_MS;
    let unpaid = escrow.open(s, a, deadline_ms);
    assert_eq!(chain.call(&buyer, unpaid), refused(Error::NothingPaid));
    for (seller, arbiter) in [(b, a), (s, b), (s, s)] {
        let call = escrow.open(seller, arbiter, deadline_ms).with_value(PRICE);
        assert_eq!(chain.call(&buyer, call), refused(Error::RolesOverlap));
    }
    for offset in [0, OPEN_MS_MAX + 1] {
        let after_ms = chain.time_ms();
        let call = escrow.open(s, a, after_ms + offset).with_value(PRICE);
        let latest_ms = after_ms + OPEN_MS_MAX;
        assert_eq!(
            chain.call(&buyer, call),
            refused(Error::BadDeadline {
                after_ms,
                latest_ms
            })
        );
    }
    assert_eq!(chain.balance(escrow.address), 0);
    for offset in [1, OPEN_MS_MAX] {
        let call = escrow.open(s, a, chain.time_ms() + offset).with_value(1);
        assert!(chain.call(&buyer, call).is_ok());
    }
}

#[kumiki_contract_testing::test]
fn tokens_that_no_deal_is_about_are_refused_or_left_alone(chain: &mut TestChain) {
    let escrow = deploy(chain);
    let ([buyer, seller, _], id) = open(chain, escrow);
    let with_value = escrow.release(id).with_value(1);
    assert_eq!(
        chain.call(&buyer, with_value),
        Err(CallError::Sdk(SdkError::NotPayable))
    );
    // A plain transfer runs no code here; it adds to no deal.
    chain.transfer(&buyer, escrow.address, 7).unwrap();
    let before = chain.balance(seller.address);
    chain.call(&buyer, escrow.release(id)).unwrap();
    assert_eq!(chain.balance(seller.address), before + PRICE);
    assert_eq!(chain.view(escrow.held()), Ok(0));
    let nobody = Address::default();
    assert_eq!(chain.balance(nobody), 0);
}

#[kumiki_contract_testing::property]
fn what_is_held_is_owed(chain: &mut TestChain) -> Property {
    let escrow = deploy(chain);
    open(chain, escrow);
    Property::of::<Escrow>(escrow.address).invariant("held is owed", move |chain, _| {
        let held = chain.view(escrow.held());
        assert_eq!(held, Ok(chain.balance(escrow.address)));
        let deals = 0..chain.view(escrow.opened()).expect("a view");
        let deals = deals.map(|id| chain.view(escrow.deal(id)).expect("it was opened"));
        let open = deals.filter(|deal| deal.state == State::Open);
        assert_eq!(held, Ok(open.map(|deal| deal.amount).sum()));
    })
}
