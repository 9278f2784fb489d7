//! One validator of four may break the rules in any way: the others neither fork nor stall.

use std::time::Duration;

use kumiki_simulator::{Faults, Scenario, Villain, simulate};

#[test]
fn no_villain_makes_the_others_fork_or_stall() {
    for (seed, villain) in (0..).zip(Villain::ALL) {
        let scenario = Scenario {
            villain: Some(villain),
            duration: Duration::from_secs(20),
            ..Scenario::calm(seed)
        };
        let outcome = simulate(&scenario);
        println!("{villain:?}: {outcome:?}");
        assert_eq!(outcome.broken, Vec::<String>::new(), "{villain:?}");
        assert!(outcome.acknowledged > 50, "{villain:?}: {outcome:?}");
        // Each side sees one twin only, so nobody sees both votes.
        let seen = matches!(villain, Villain::Conflict | Villain::Nullify);
        assert_eq!(outcome.accused.contains(&0), seen, "{villain:?}");
    }
}

#[test]
fn whoever_misses_the_end_of_an_epoch_is_told_again() {
    // The three others are just enough, so all of them wait for the one that has not heard.
    for seed in 0..20 {
        let scenario = Scenario {
            villain: Some(Villain::Silent),
            epoch_blocks: 8,
            faults: Faults {
                partitions: true,
                one_way: true,
                ..Faults::default()
            },
            ..Scenario::calm(seed)
        };
        let outcome = simulate(&scenario);
        assert_eq!(outcome.broken, Vec::<String>::new(), "seed {seed}");
    }
}
