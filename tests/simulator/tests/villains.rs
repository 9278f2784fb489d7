//! One validator of four may break the rules in any way: the others neither fork nor stall.

use std::time::Duration;

use kumiki_simulator::{Scenario, Villain, simulate};

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
