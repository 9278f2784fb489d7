//! What the registry promises, on native Rust and on its Wasm.

use kumiki_contract::{Address, Balance, CallError};
use kumiki_contract_testing::{Account, Property, TestChain};
use registry::registry::{
    Changed, Error, GRACE_MS, NAME_BYTES_MAX, NAME_BYTES_MIN, NOTE_BYTES_MAX, PriceSet, Registered,
    Registry, RegistryRef, Released, Renewed, Transferred, YEAR_MS, YEARS_MAX,
};

const PRICE: Balance = 1_000;

/// A registry of the first account.
fn deploy(chain: &mut TestChain) -> RegistryRef {
    let [owner] = chain.accounts();
    chain
        .deploy(&owner, RegistryRef::init(PRICE))
        .expect("the registry deploys")
}

fn register(
    chain: &mut TestChain,
    registry: RegistryRef,
    by: &Account,
    name: &str,
) -> Result<u64, CallError<Error>> {
    let call = registry.register(name.into(), 1).with_value(PRICE);
    chain.call(by, call)
}

fn advance_to(chain: &mut TestChain, time_ms: u64) {
    let by_ms = time_ms.checked_sub(chain.time_ms());
    chain.advance_time_ms(by_ms.expect("time goes forwards"));
}

fn refused<T>(error: Error) -> Result<T, CallError<Error>> {
    Err(CallError::Contract(error))
}

#[kumiki_contract_testing::test]
fn a_name_is_registered_once_and_leads_where_its_holder_says(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [_, bob, carol] = chain.accounts();
    assert_eq!(chain.view(registry.is_free("bob".into())), Ok(true));
    let now_ms = chain.time_ms();
    let expires_ms = now_ms + YEAR_MS;
    assert_eq!(register(chain, registry, &bob, "bob"), Ok(expires_ms));
    let registered = Registered {
        name: "bob".into(),
        holder: bob.address,
        expires_ms,
    };
    assert_eq!(chain.events(), [(registry.address, registered)]);
    assert_eq!(chain.view(registry.is_free("bob".into())), Ok(false));
    let free_at_ms = expires_ms + GRACE_MS;
    for account in [&bob, &carol] {
        assert_eq!(
            register(chain, registry, account, "bob"),
            refused(Error::Taken { free_at_ms })
        );
    }
    assert_eq!(chain.view(registry.resolve("bob".into())), Ok(None));
    let target = Some(carol.address);
    let set = registry.set("bob".into(), target, "hi".into());
    assert_eq!(chain.call(&carol, set.clone()), refused(Error::NotHolder));
    assert_eq!(chain.call(&bob, set), Ok(()));
    let changed = Changed {
        name: "bob".into(),
        target,
        note: "hi".into(),
    };
    assert_eq!(chain.events(), [(registry.address, changed)]);
    assert_eq!(chain.view(registry.resolve("bob".into())), Ok(target));
    assert_eq!(
        chain.view(registry.resolve("nobody".into())),
        refused(Error::NotRegistered)
    );
}

#[kumiki_contract_testing::test]
fn one_name_is_written_in_one_way(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [_, bob, carol] = chain.accounts();
    register(chain, registry, &bob, "Bobs-Shop-24").unwrap();
    for same in ["bobs-shop-24", "BOBS-SHOP-24"] {
        assert!(matches!(
            register(chain, registry, &carol, same),
            Err(CallError::Contract(Error::Taken { .. }))
        ));
        let record = chain.view(registry.record(same.into())).unwrap().unwrap();
        assert_eq!(record.holder, bob.address);
    }
    let bad = [
        ("-bob", 0),
        ("bob-", 3),
        ("b--b", 2),
        ("bo b", 2),
        ("bo.b", 2),
        ("bo_b", 2),
        ("bo\0b", 2),
        // A Cyrillic letter that looks like an o.
        ("b\u{43e}b", 1),
    ];
    for (name, at) in bad {
        assert_eq!(
            register(chain, registry, &carol, name),
            refused(Error::BadCharacter { at }),
            "{name}"
        );
    }
    let bad_length = Error::BadLength {
        bytes_min: NAME_BYTES_MIN,
        bytes_max: NAME_BYTES_MAX,
    };
    for length in [0, NAME_BYTES_MIN - 1, NAME_BYTES_MAX + 1, 5_000] {
        let name = "a".repeat(usize::try_from(length).unwrap());
        let answer = register(chain, registry, &carol, &name);
        assert_eq!(answer, refused(bad_length.clone()));
    }
    for length in [NAME_BYTES_MIN, NAME_BYTES_MAX] {
        let name = "a".repeat(usize::try_from(length).unwrap());
        assert!(register(chain, registry, &carol, &name).is_ok());
    }
    assert_eq!(chain.balance(registry.address), 3 * PRICE);
}

#[kumiki_contract_testing::test]
fn a_name_leads_nowhere_exactly_from_its_end_on_and_waits_for_its_holder(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [_, bob, carol] = chain.accounts();
    let expires_ms = register(chain, registry, &bob, "bob").unwrap();
    let set = registry.set("bob".into(), Some(bob.address), "note".into());
    chain.call(&bob, set.clone()).unwrap();
    advance_to(chain, expires_ms - 1);
    let resolve = || registry.resolve("bob".into());
    assert_eq!(chain.view(resolve()), Ok(Some(bob.address)));
    advance_to(chain, expires_ms);
    assert_eq!(chain.view(resolve()), refused(Error::NotRegistered));
    assert_eq!(chain.call(&bob, set), refused(Error::NotRegistered));
    let give = registry.transfer("bob".into(), carol.address);
    assert_eq!(chain.call(&bob, give), refused(Error::NotRegistered));
    let free_at_ms = expires_ms + GRACE_MS;
    advance_to(chain, free_at_ms - 1);
    assert_eq!(
        register(chain, registry, &carol, "bob"),
        refused(Error::Taken { free_at_ms })
    );
    // From here on it is anybody's, and nothing of the old record is left.
    advance_to(chain, free_at_ms + 1_000);
    let renew = registry.renew("bob".into(), 1).with_value(PRICE);
    assert_eq!(chain.call(&bob, renew), refused(Error::NotRegistered));
    register(chain, registry, &carol, "bob").unwrap();
    let record = chain.view(registry.record("bob".into())).unwrap().unwrap();
    assert_eq!(record.holder, carol.address);
    assert_eq!((record.target, record.note), (None, String::new()));
}

#[kumiki_contract_testing::test]
fn a_free_name_is_free_exactly_after_its_grace(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [_, bob, carol] = chain.accounts();
    let expires_ms = register(chain, registry, &bob, "bob").unwrap();
    advance_to(chain, expires_ms + GRACE_MS - 1);
    assert_eq!(chain.view(registry.is_free("bob".into())), Ok(false));
    advance_to(chain, expires_ms + GRACE_MS);
    assert_eq!(chain.view(registry.is_free("bob".into())), Ok(true));
    assert!(register(chain, registry, &carol, "bob").is_ok());
}

#[kumiki_contract_testing::test]
fn renewing_adds_to_the_end_and_never_beyond_ten_years(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [_, bob, carol] = chain.accounts();
    let expires_ms = register(chain, registry, &bob, "bob").unwrap();
    let renew = |years: u8| {
        let price = PRICE * Balance::from(years);
        registry.renew("bob".into(), years).with_value(price)
    };
    let years_max = YEARS_MAX;
    let bad_years = Error::BadYears { years_max };
    for years in [0, YEARS_MAX, u8::MAX] {
        let answer = chain.call(&bob, renew(years));
        assert_eq!(answer, refused(bad_years.clone()));
    }
    // A stranger may pay for it; that does not make it the stranger's.
    let later_ms = expires_ms + 9 * YEAR_MS;
    assert_eq!(chain.call(&carol, renew(9)), Ok(later_ms));
    let renewed = Renewed {
        name: "bob".into(),
        expires_ms: later_ms,
    };
    assert_eq!(chain.events(), [(registry.address, renewed)]);
    let record = chain.view(registry.record("bob".into())).unwrap().unwrap();
    assert_eq!(record.holder, bob.address);
    // In the grace time it counts from the end on, too.
    advance_to(chain, later_ms + GRACE_MS - 1);
    assert_eq!(chain.call(&bob, renew(1)), Ok(later_ms + YEAR_MS));
    assert_eq!(chain.view(registry.resolve("bob".into())), Ok(None));
    let unknown = registry.renew("carol".into(), 1).with_value(PRICE);
    assert_eq!(chain.call(&bob, unknown), refused(Error::NotRegistered));
}

#[kumiki_contract_testing::test]
fn exactly_the_price_is_paid(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [alice, bob] = chain.accounts();
    let expected = 3 * PRICE;
    for paid in [0, PRICE, expected - 1, expected + 1] {
        let call = registry.register("bob".into(), 3).with_value(paid);
        let answer = chain.call(&bob, call);
        assert_eq!(answer, refused(Error::WrongPrice { expected }));
    }
    let too_long = registry.register("bob".into(), YEARS_MAX + 1);
    assert_eq!(
        chain.call(&bob, too_long.with_value(11 * PRICE)),
        refused(Error::BadYears {
            years_max: YEARS_MAX
        })
    );
    let longest = registry.register("bob".into(), YEARS_MAX);
    let until_ms = chain.time_ms() + 10 * YEAR_MS;
    assert_eq!(
        chain.call(&bob, longest.with_value(10 * PRICE)),
        Ok(until_ms)
    );
    let set_price = registry.set_price(Balance::MAX);
    assert_eq!(
        chain.call(&bob, set_price.clone()),
        refused(Error::NotOwner)
    );
    assert_eq!(chain.call(&alice, set_price), Ok(()));
    let set = PriceSet {
        price: Balance::MAX,
    };
    assert_eq!(chain.events(), [(registry.address, set)]);
    let call = registry.register("other".into(), 2);
    assert_eq!(chain.call(&bob, call), refused(Error::PriceOverflow));
    chain.call(&alice, registry.set_price(0)).unwrap();
    let free = registry.register("other".into(), 1);
    assert!(chain.call(&bob, free).is_ok());
}

#[kumiki_contract_testing::test]
fn a_name_that_changes_hands_leads_nowhere_and_obeys_the_new_holder_only(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [_, bob, carol] = chain.accounts();
    register(chain, registry, &bob, "shop").unwrap();
    let to_bob = registry.set("shop".into(), Some(bob.address), "mine".into());
    chain.call(&bob, to_bob.clone()).unwrap();
    let give = registry.transfer("shop".into(), carol.address);
    assert_eq!(chain.call(&carol, give.clone()), refused(Error::NotHolder));
    let lose = registry.transfer("shop".into(), Address::default());
    assert_eq!(chain.call(&bob, lose), refused(Error::ZeroAddress));
    assert_eq!(chain.call(&bob, give), Ok(()));
    let transferred = Transferred {
        name: "shop".into(),
        from: bob.address,
        to: carol.address,
    };
    assert_eq!(chain.events(), [(registry.address, transferred)]);
    assert_eq!(chain.view(registry.resolve("shop".into())), Ok(None));
    assert_eq!(chain.call(&bob, to_bob), refused(Error::NotHolder));
    assert_eq!(
        chain.call(&bob, registry.release("shop".into())),
        refused(Error::NotHolder)
    );
    assert_eq!(chain.call(&carol, registry.release("shop".into())), Ok(()));
    let released = Released {
        name: "shop".into(),
    };
    assert_eq!(chain.events(), [(registry.address, released)]);
    assert!(register(chain, registry, &bob, "shop").is_ok());
}

#[kumiki_contract_testing::test]
fn a_note_has_a_limit_to_the_byte(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [_, bob] = chain.accounts();
    register(chain, registry, &bob, "bob").unwrap();
    let set = |bytes: u32| {
        let note = "n".repeat(usize::try_from(bytes).unwrap());
        registry.set("bob".into(), None, note)
    };
    assert_eq!(
        chain.call(&bob, set(NOTE_BYTES_MAX + 1)),
        refused(Error::NoteTooLong {
            bytes_max: NOTE_BYTES_MAX
        })
    );
    assert_eq!(chain.call(&bob, set(NOTE_BYTES_MAX)), Ok(()));
}

#[kumiki_contract_testing::test]
fn the_income_is_the_owners(chain: &mut TestChain) {
    let registry = deploy(chain);
    let [alice, bob, carol] = chain.accounts();
    register(chain, registry, &bob, "bob").unwrap();
    register(chain, registry, &bob, "bobs-shop").unwrap();
    assert_eq!(chain.balance(registry.address), 2 * PRICE);
    let take = registry.withdraw(carol.address, 2 * PRICE);
    assert_eq!(chain.call(&bob, take.clone()), refused(Error::NotOwner));
    let too_much = registry.withdraw(carol.address, 2 * PRICE + 1);
    assert_eq!(
        chain.call(&alice, too_much),
        refused(Error::TransferFailed {
            available: 2 * PRICE
        })
    );
    let before = chain.balance(carol.address);
    assert_eq!(chain.call(&alice, take), Ok(()));
    assert_eq!(chain.balance(carol.address), before + 2 * PRICE);
    assert_eq!(chain.balance(registry.address), 0);
    // Taking the income touches no name.
    assert_eq!(chain.view(registry.is_free("bob".into())), Ok(false));
}

#[kumiki_contract_testing::property]
fn a_name_leads_nowhere_unless_somebody_holds_it(chain: &mut TestChain) -> Property {
    let [alice, bob] = chain.accounts();
    let registry = deploy(chain);
    register(chain, registry, &bob, "bob").expect("the name is free");
    Property::of::<Registry>(registry.address)
        .invariant("a free name leads nowhere", move |chain, _| {
            if chain.view(registry.is_free("bob".into())) == Ok(true) {
                let led = chain.view(registry.resolve("bob".into()));
                assert_eq!(led, refused(Error::NotRegistered));
            }
        })
        .invariant("the owner stays", move |chain, _| {
            assert_eq!(chain.view(registry.owner()), Ok(alice.address));
        })
}
