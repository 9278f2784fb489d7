//! Hold every part of the SDK to the same results on native Rust and on Wasm.

use counter::counter::CounterRef;
use kumiki_contract::{CallError, ResultCode, SdkError};
use kumiki_contract_testing::{Account, TestChain};
use kumiki_probe_contract::probe::{Entry, Error, Order, ProbeRef, Seen, Side};

fn deploy(chain: &mut TestChain, owner: &Account) -> ProbeRef {
    chain
        .deploy(owner, ProbeRef::init(None))
        .expect("it deploys")
}

fn order(maker: &Account, note: &str) -> Order {
    Order {
        maker: maker.address,
        side: Side::Buy,
        note: Some(note.into()),
    }
}

#[kumiki_contract_testing::test]
fn a_contract_that_refuses_to_be_made_is_not_made(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let init = ProbeRef::init(Some("no".into())).with_value(5);
    let before = chain.balance(alice.address);
    assert_eq!(
        chain.deploy(&alice, init).unwrap_err(),
        CallError::Contract(Error::Because("no".into()))
    );
    assert_eq!(chain.balance(alice.address), before);
}

#[kumiki_contract_testing::test]
fn arguments_and_results_of_every_shape_pass(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    for side in [Side::Buy, Side::Sell { limit: u64::MAX }] {
        let order = Order {
            side,
            ..order(&alice, "ｅxämple 🦀")
        };
        let asked = probe.echo(order.clone(), (1 << 100, -3), [4, 5, 6]);
        assert_eq!(chain.view(asked), Ok((order, (1 << 100) + 7)));
    }
}

#[kumiki_contract_testing::test]
fn maps_keep_values_of_any_length(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    for length in [0, 1, 127, 128, 129, 5000] {
        let bytes = vec![7; length];
        let set = probe.set_name("a".into(), Some(bytes.clone()));
        chain.call(&alice, set).unwrap();
        assert_eq!(chain.view(probe.name("a".into())), Ok(Some(bytes)));
    }
    chain
        .call(&alice, probe.set_name("a".into(), None))
        .unwrap();
    assert_eq!(chain.view(probe.name("a".into())), Ok(None));
}

#[kumiki_contract_testing::test]
fn a_map_of_nothing_is_a_set(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    assert_eq!(chain.call(&alice, probe.flag(3)), Ok(false));
    assert_eq!(chain.call(&alice, probe.flag(3)), Ok(true));
    assert_eq!(chain.call(&alice, probe.flag(4)), Ok(false));
}

#[kumiki_contract_testing::test]
fn lists_stay_without_gaps(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    let line = |number: u8| Entry(number, format!("line {number}"));
    for number in 0..5 {
        let appended = chain.call(&alice, probe.append(line(number)));
        assert_eq!(appended, Ok(u32::from(number)));
    }
    assert_eq!(
        chain.call(&alice, probe.drop_lines(1)),
        Ok((Some(line(1)), Some(line(3))))
    );
    let left = vec![line(0), line(4), line(2)];
    assert_eq!(chain.view(probe.log_from(0)), Ok(left));
    assert_eq!(chain.view(probe.log_from(3)), Ok(Vec::new()));
    assert_eq!(
        chain.call(&alice, probe.drop_lines(9)),
        Ok((None, Some(line(2))))
    );
}

#[kumiki_contract_testing::test]
fn ordered_maps_walk_in_key_order_both_ways(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    assert_eq!(chain.view(probe.ends()), Ok((None, None)));
    let keys = [(10, -2), (10, 5), (7, 0), (300, 1), (256, -1), (11, 0)];
    for (price, rank) in keys {
        let placed = probe.place(price, rank, order(&alice, &"x".repeat(400)));
        chain.call(&alice, placed).unwrap();
    }
    let rising = vec![(7, 0), (10, -2), (10, 5), (11, 0), (256, -1), (300, 1)];
    let falling: Vec<_> = rising.iter().rev().copied().collect();
    let all = |dearest_first| probe.between(0, 1000, dearest_first);
    assert_eq!(chain.view(all(false)), Ok(rising.clone()));
    assert_eq!(chain.view(all(true)), Ok(falling.clone()));
    // The lower bound is in, the upper one is not.
    let some = |dearest_first| probe.between(10, 256, dearest_first);
    assert_eq!(chain.view(some(false)), Ok(rising[1..4].to_vec()));
    assert_eq!(chain.view(some(true)), Ok(falling[2..5].to_vec()));
    assert_eq!(chain.view(probe.ranks(10)), Ok(vec![-2, 5]));
    assert_eq!(chain.view(probe.ranks(8)), Ok(Vec::new()));
    let ends = (Some((7, 0)), Some((300, 1)));
    assert_eq!(chain.view(probe.ends()), Ok(ends));
    chain.call(&alice, probe.withdraw(7, 0)).unwrap();
    let ends = (Some((10, -2)), Some((300, 1)));
    assert_eq!(chain.view(probe.ends()), Ok(ends));
}

#[kumiki_contract_testing::test]
fn more_entries_than_a_page_come_in_order(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    let mut words: Vec<String> = (0..50).map(|n| format!("{}", n * 37 % 50)).collect();
    words.push("a\0b".into());
    words.push("a".into());
    let mut sorted = words.clone();
    sorted.sort();
    assert_eq!(chain.call(&alice, probe.sort(words)), Ok(sorted));
}

#[kumiki_contract_testing::test]
fn events_carry_fields_and_topics(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    let text = "longer than the thirty-two bytes of a topic";
    chain.call(&alice, probe.see(-2, text.into())).unwrap();
    let seen = Seen {
        number: -2,
        text: text.into(),
        side: Side::Sell { limit: 7 },
    };
    assert_eq!(chain.events(), [(probe.address, seen)]);
    let [event] = chain.raw_events() else {
        panic!("one event");
    };
    let mut number = [0; 32];
    number[..8].copy_from_slice(&(-2_i64).to_le_bytes());
    assert_eq!(event.topics[1].0, number);
    let hashes = chain.view(probe.hashes({
        let mut scale = vec![u8::try_from(text.len() << 2).unwrap()];
        scale.extend_from_slice(text.as_bytes());
        scale
    }));
    assert_eq!(event.topics[2].0, hashes.unwrap().0.0);
}

#[kumiki_contract_testing::test]
fn time_and_height_are_the_tests_to_choose(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let probe = deploy(chain, &alice);
    chain.transfer(&bob, probe.address, 9).unwrap();
    chain.advance_blocks(100);
    chain.advance_time_ms(5_000);
    let expected = (
        probe.address,
        chain.height(),
        chain.time_ms(),
        "test".into(),
        9,
    );
    assert_eq!(chain.view(probe.context()), Ok(expected));
    assert!(chain.height() > 100);
}

#[kumiki_contract_testing::test]
fn signatures_verify(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let probe = deploy(chain, &alice);
    let signature = bob.sign(b"message");
    let ask = |key, message: &[u8]| probe.verify(key, signature, message.to_vec());
    assert_eq!(chain.view(ask(bob.public_key(), b"message")), Ok(true));
    assert_eq!(chain.view(ask(bob.public_key(), b"other")), Ok(false));
    assert_eq!(chain.view(ask(alice.public_key(), b"message")), Ok(false));
}

#[kumiki_contract_testing::test]
fn native_tokens_go_only_where_they_are_taken(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let probe = deploy(chain, &alice);
    let before = chain.balance(bob.address);
    let split = probe.split(bob.address).with_value(11);
    assert_eq!(chain.call(&alice, split), Ok(5));
    assert_eq!(chain.balance(bob.address), before + 5);
    assert_eq!(chain.balance(probe.address), 6);
    assert_eq!(
        chain.call(&alice, probe.flag(1).with_value(1)),
        Err(CallError::Sdk(SdkError::NotPayable))
    );
    assert_eq!(chain.balance(probe.address), 6);
    assert_eq!(
        chain.call(&alice, probe.split(bob.address).with_value(u128::MAX / 2)),
        Err(CallError::Chain(ResultCode::InsufficientBalance))
    );
}

#[kumiki_contract_testing::test]
fn contracts_call_each_other(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    let counter = chain
        .deploy(&alice, CounterRef::init(u64::MAX - 5))
        .unwrap();
    let address = counter.address;
    assert_eq!(
        chain.call(&alice, probe.count(address, 3)),
        Ok(u64::MAX - 2)
    );
    assert_eq!(
        chain.call(&alice, probe.count(address, 3)),
        Err(CallError::Contract(Error::CounterRefused))
    );
    assert_eq!(
        chain.call(&alice, probe.count_or_fail(address, 3)),
        Err(CallError::Sdk(SdkError::CallFailed))
    );
    assert_eq!(chain.view(counter.value()), Ok(u64::MAX - 2));
    // Nobody is there.
    let nobody = probe.count_or_fail(alice.address, 1);
    assert_eq!(
        chain.call(&alice, nobody),
        Err(CallError::Sdk(SdkError::CallFailed))
    );
}

#[kumiki_contract_testing::test]
fn panics_undo_the_call_and_tell_the_developer(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    assert_eq!(
        chain.call(&alice, probe.panic(true)),
        Err(CallError::Sdk(SdkError::Panic))
    );
    let said = format!("{:?}", chain.diagnostics());
    assert!(said.contains("asked to panic"), "{said}");
    assert_eq!(chain.view(probe.value()), Ok(0));
    assert_eq!(chain.call(&alice, probe.panic(false)), Ok(()));
    assert_eq!(chain.view(probe.value()), Ok(1));
}

/// Native panics have their lines from Rust itself.
#[test]
fn a_failure_of_the_wasm_has_lines_of_its_source() {
    kumiki_contract_testing::run_wasm(|chain| {
        let [alice] = chain.accounts();
        let probe = deploy(chain, &alice);
        let failed = chain.call(&alice, probe.panic(true));
        assert_eq!(failed, Err(CallError::Sdk(SdkError::Panic)));
        let said = chain.failure();
        assert!(said[0].ends_with("panicked: asked to panic"), "{said:?}");
        let source = include_str!("../src/lib.rs").lines();
        let line = source
            .zip(1..)
            .find(|(text, _)| text.contains("asked to panic"));
        let place = format!("  at tests/probe-contract/src/lib.rs:{}", line.unwrap().1);
        assert!(said[1].starts_with(&place), "{said:?} {place}");
    });
}

#[kumiki_contract_testing::test]
fn arithmetic_is_checked(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let probe = deploy(chain, &alice);
    let panicked = Err(CallError::Sdk(SdkError::Panic));
    assert_eq!(chain.view(probe.less(1, 1)), Ok(0));
    assert_eq!(chain.view(probe.less(1, 2)), panicked);
    let wide = probe.scale(u128::MAX, 6, 9);
    assert_eq!(chain.view(wide), Ok(u128::MAX / 3 * 2));
    assert_eq!(
        chain.view(probe.scale(1, 1, 0)),
        Err(CallError::Sdk(SdkError::Panic))
    );
}

#[kumiki_contract_testing::test]
fn an_upgrade_keeps_the_state_and_runs_migrate(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let counter = chain.deploy(&alice, CounterRef::init(40)).unwrap();
    let migrate = || ProbeRef::migrate(2);
    assert_eq!(
        chain.upgrade(&bob, counter.address, migrate()).unwrap_err(),
        CallError::Chain(ResultCode::NotAllowed)
    );
    let probe = chain.upgrade(&alice, counter.address, migrate()).unwrap();
    assert_eq!(chain.view(probe.value()), Ok(42));
    // The counter's messages are gone.
    assert_eq!(
        chain.call(&alice, counter.increase(1)),
        Err(CallError::Sdk(SdkError::UnknownSelector))
    );
}
