//! Hold property tests to what they promise: each planted fault is found, shrunk, saved and found again.

use std::path::Path;

use kumiki_contract_testing::property::{Counterexample, Search, check};
use kumiki_contract_testing::{Property, TestChain};
use kumiki_planted_contract::planted::{Fault, Planted, PlantedRef};

/// Enough for each fault here by far; the seeds are fixed, so each run finds the same.
const RUNS: u64 = 400;

fn search(folder: &Path, runs: u64) -> Search {
    Search {
        name: "planted".to_owned(),
        runs,
        seed: 1,
        saved: folder.join("regressions/planted.txt"),
    }
}

fn deploy(chain: &mut TestChain, fault: Fault) -> PlantedRef {
    let [alice] = chain.accounts();
    let init = PlantedRef::init(fault);
    chain.deploy(&alice, init).expect("it deploys")
}

fn property(chain: &mut TestChain, fault: Fault) -> Property {
    let planted = deploy(chain, fault);
    Property::of::<Planted>(planted.address).invariant("nothing is forgotten", move |chain, _| {
        assert_eq!(
            chain.view(planted.paid()),
            Ok(chain.balance(planted.address))
        );
    })
}

/// What is found, and that it is found again from the file alone.
fn found(set_up: fn(&mut TestChain) -> Property) -> Box<Counterexample> {
    let folder = tempfile::tempdir().expect("a folder");
    let first = check(&search(folder.path(), RUNS), set_up).expect_err("the fault is found");
    assert!(first.seed.is_some());
    assert!(first.kept.is_ok(), "{first}");
    let again = check(&search(folder.path(), 0), set_up).expect_err("it is found again");
    assert_eq!(again.statements, first.statements);
    assert_eq!(again.what, first.what);
    assert_eq!(again.seed, None);
    // Without the fault the saved sequence is run too, and passes.
    let mended = check(&search(folder.path(), 3), |chain| {
        property(chain, Fault::None)
    });
    let mended = mended.expect("nothing is wrong");
    assert_eq!((mended.replayed, mended.runs), (1, 3));
    first
}

const ARMED: &str = "let _ = chain.call(&alice, planted.arm());  // Ok";
const ADDED: &str = "let _ = chain.call(&alice, planted.add(Part { amount: 100, of: None }));";

#[test]
fn a_different_result_is_found_and_shrunk() {
    let found = found(|chain| property(chain, Fault::Returned));
    assert_eq!(
        found.statements,
        [ARMED.to_owned(), format!("{ADDED}  // this one")]
    );
    assert!(
        found
            .what
            .contains("native returned 0x6400000000000000, Wasm 0x6300000000000000"),
        "{}",
        found.what
    );
}

#[test]
fn a_different_end_is_found_and_shrunk() {
    let found = found(|chain| property(chain, Fault::Refused));
    assert_eq!(
        found.statements,
        [ARMED.to_owned(), format!("{ADDED}  // this one")]
    );
    assert!(
        found
            .what
            .contains("native ended well, Wasm reverted 0x0100"),
        "{}",
        found.what
    );
}

#[test]
fn a_different_event_is_found_and_shrunk() {
    let found = found(|chain| property(chain, Fault::Event));
    assert_eq!(
        found.statements,
        [ARMED.to_owned(), format!("{ADDED}  // this one")]
    );
    assert!(found.what.contains("native emitted"), "{}", found.what);
}

#[test]
fn different_storage_is_found_and_shrunk() {
    let found = found(|chain| property(chain, Fault::Storage));
    assert_eq!(
        found.statements,
        [ARMED.to_owned(), format!("{ADDED}  // this one")]
    );
    assert!(found.what.contains("of state entry 0x10"), "{}", found.what);
}

#[test]
fn a_different_view_is_found_and_shrunk() {
    let found = found(|chain| property(chain, Fault::View));
    assert_eq!(found.statements.len(), 3);
    assert!(found.statements.contains(&format!("{ADDED}  // Ok")));
    assert_eq!(
        found.statements[2],
        "let _ = chain.view(planted.sum());  // this one"
    );
}

#[test]
fn time_passes_and_is_shrunk_to_the_millisecond() {
    let found = found(|chain| property(chain, Fault::Time));
    assert_eq!(
        found.statements,
        [
            ARMED,
            // A block is a second, and one lies between.
            "chain.advance_time_ms(3_599_000);",
            "let _ = chain.call(&alice, planted.add(Part { amount: 0, of: None }));  // this one",
        ]
    );
}

#[test]
fn a_broken_invariant_is_found_and_told_as_the_author_states_it() {
    let found = found(|chain| property(chain, Fault::Forgotten));
    assert_eq!(
        found.statements,
        ["let _ = chain.call(&alice, planted.pay().with_value(8));  // this one"]
    );
    let told = found.to_string();
    assert!(
        told.starts_with("the invariant \"nothing is forgotten\" does not hold\n"),
        "{told}"
    );
    assert!(told.contains("planted.rs:"), "{told}");
    assert!(told.contains("left: Ok(7)"), "{told}");
    let seed = found.seed.expect("a random run found it");
    assert!(
        told.contains(&format!("kumiki test planted --fuzz-seed {seed}")),
        "{told}"
    );
}

#[test]
fn a_seed_repeats_its_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let set_up: fn(&mut TestChain) -> Property = |chain| property(chain, Fault::Returned);
    let first = check(&search(folder.path(), RUNS), set_up).expect_err("the fault is found");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let replay = Search {
        seed: first.seed.expect("a random run found it"),
        ..search(elsewhere.path(), 1)
    };
    let again = check(&replay, set_up).expect_err("its seed finds it again");
    assert_eq!(again.statements, first.statements);
}

#[test]
fn a_saved_sequence_that_fits_nothing_is_not_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let search = search(folder.path(), 1);
    std::fs::create_dir_all(search.saved.parent().expect("a file has a folder")).expect("made");
    std::fs::write(&search.saved, "> alice planted.gone 0x 0\n").expect("written");
    let set_up: fn(&mut TestChain) -> Property = |chain| property(chain, Fault::None);
    let ended = std::panic::catch_unwind(|| check(&search, set_up).map(|_| ()));
    assert!(ended.is_err());
}
