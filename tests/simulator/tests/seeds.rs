//! Networks of four to seven nodes keep their promises under every seed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test panics"
)]

use kumiki_simulator::{Scenario, simulate};

#[test]
fn a_calm_network_orders_and_executes_and_all_agree() {
    let outcome = simulate(&Scenario::calm(1));
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert!(outcome.acknowledged > 100, "{outcome:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace_bit_for_bit() {
    let scenario = Scenario::drawn(7);
    let first = simulate(&scenario);
    assert_eq!(simulate(&scenario), first);
    let other = simulate(&Scenario { seed: 8, ..scenario });
    assert_ne!(other.trace, first.trace);
}
