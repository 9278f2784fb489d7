//! What the counter promises, on native Rust and on its Wasm.

use counter::counter::{Changed, Counter, CounterRef, Error};
use kumiki_contract::CallError;
use kumiki_contract_testing::{Property, TestChain};

#[kumiki_contract_testing::test]
fn increasing_returns_and_stores_the_sum(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let counter = chain.deploy(&alice, CounterRef::init(40)).unwrap();
    assert_eq!(chain.call(&bob, counter.increase(2)), Ok(42));
    assert_eq!(chain.view(counter.value()), Ok(42));
    let changed = Changed {
        by: bob.address,
        value: 42,
    };
    assert_eq!(chain.events(), [(counter.address, changed)]);
}

#[kumiki_contract_testing::test]
fn an_overflow_is_refused_and_changes_nothing(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let counter = chain.deploy(&alice, CounterRef::init(u64::MAX)).unwrap();
    assert_eq!(
        chain.call(&alice, counter.increase(1)),
        Err(CallError::Contract(Error::Overflow))
    );
    assert!(chain.raw_events().is_empty());
    assert_eq!(chain.view(counter.value()), Ok(u64::MAX));
}

#[kumiki_contract_testing::test]
fn only_the_owner_resets(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let counter = chain.deploy(&alice, CounterRef::init(7)).unwrap();
    assert_eq!(
        chain.call(&bob, counter.reset()),
        Err(CallError::Contract(Error::NotOwner))
    );
    assert_eq!(chain.call(&alice, counter.reset()), Ok(()));
    assert_eq!(chain.view(counter.value()), Ok(0));
}

/// Whatever is called by whomever: see `kumiki_contract_testing::property`.
#[kumiki_contract_testing::property]
fn the_last_change_tells_the_value(chain: &mut TestChain) -> Property {
    let [alice] = chain.accounts();
    let counter = chain.deploy(&alice, CounterRef::init(40)).unwrap();
    Property::of::<Counter>(counter.address).invariant(
        "an event tells the value",
        move |chain, _| {
            let value = chain.view(counter.value()).unwrap();
            for (_, changed) in chain.events::<Changed>() {
                assert_eq!(changed.value, value);
            }
        },
    )
}
