//! Hold `kumiki test` to what it says about gas and about random calls, in a project whose contract changes.

use serde_json::{Value, json};

use crate::machine::Machine;

const SOURCE: &str = "src/lib.rs";
const TESTS: &str = "tests/counter.rs";

fn snapshot(machine: &Machine) -> String {
    std::fs::read_to_string(machine.project().join("gas-snapshot.txt")).unwrap()
}

/// `test message#number: change` of each change that a refusal tells.
fn changes(refusal: &Value) -> Vec<String> {
    let told = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        let test = text("test").replace("counter::", "");
        format!(
            "{test} {}#{}: {}",
            text("message"),
            one["number"],
            text("change")
        )
    };
    refusal["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(told)
        .collect()
}

#[test]
fn gas_and_random_calls_are_held_to_what_a_project_keeps() {
    let machine = Machine::with_project_called("chanced", "counter");
    // A crate of its own name, so that no other test builds the same Wasm.
    machine.edit("Cargo.toml", "name = \"counter\"", "name = \"chanced\"");
    machine.edit("kumiki.toml", "[contracts.counter]", "[contracts.chanced]");
    machine.edit(TESTS, "use counter::counter::", "use chanced::counter::");
    gas_is_compared_with_the_snapshot(&machine);
    a_planted_fault_is_found_and_replayed(&machine);
}

fn gas_is_compared_with_the_snapshot(machine: &Machine) {
    assert_eq!(
        machine.refused(&["test", "--gas-check"], 7)["name"],
        json!("noGasSnapshot")
    );
    let made = machine.json(&["test", "--gas-snapshot"]);
    let first = snapshot(machine);
    let lines: Vec<&str> = first
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(lines.is_sorted(), "{first}");
    assert_eq!(made["gas"]["messages"], json!(lines.len()));
    assert!(
        first.contains("only_the_owner_resets Counter.reset#2 "),
        "{first}"
    );
    assert!(
        !first.contains("the_last_change_tells_the_value"),
        "{first}"
    );
    for flag in ["--gas-check", "--gas-snapshot"] {
        let (text, code) = machine.printed(&["test", flag, "--", "--test-threads=1"]);
        assert_eq!(code, Some(0), "{text}");
    }
    assert_eq!(snapshot(machine), first, "order and threads do not matter");

    let reset = "counter.reset()), Ok(()));";
    machine.edit(TESTS, reset, &format!("{reset}\n    chain.call(&alice, counter.increase(1)).unwrap();\n    assert_eq!(chain.call(&alice, {reset}"));
    machine.edit(
        SOURCE,
        "            self.value.set(&value);\n            let by",
        "            self.value.set(&0);\n            self.value.set(&value);\n            let by",
    );
    let refusal = machine.refused(&["test", "--gas-check"], 6);
    assert_eq!(refusal["name"], json!("gasChanged"));
    assert_eq!(refusal["next"], json!("kumiki test --gas-snapshot"));
    let told = changes(&refusal);
    for expected in [
        "increasing_returns_and_stores_the_sum Counter.increase#1: dearer",
        "only_the_owner_resets Counter.reset#2: dearer",
        "only_the_owner_resets Counter.increase#1: new",
        "only_the_owner_resets Counter.reset#3: new",
    ] {
        assert!(
            told.iter().any(|one| one.ends_with(expected)),
            "{expected}: {told:#?}"
        );
    }
    // What is new is told at any tolerance, and the rest is left out.
    let refusal = machine.refused(&["test", "--gas-check", "--tolerance", "100"], 6);
    assert!(
        changes(&refusal).iter().all(|one| one.ends_with("new")),
        "{refusal:#}"
    );
    // Only the tests that ran are compared.
    let some = ["test", "increasing", "--gas-check", "--tolerance", "100"];
    assert_eq!(machine.json(&some)["passed"], json!(true));
    let (text, code) = machine.printed(&["test", "--gas-check"]);
    assert_eq!(code, Some(6));
    assert!(
        text.contains("new  ") && text.contains("Counter.reset#3"),
        "{text}"
    );
    machine.json(&["test", "--gas-snapshot"]);
    machine.json(&["test", "--gas-check"]);
}

/// On the Wasm, the number of the fault is not added.
fn a_planted_fault_is_found_and_replayed(machine: &Machine) {
    let right = "self.value().checked_add(amount)";
    let wrong = "self.value().checked_add(if cfg!(target_family = \"wasm\") && amount == u64::from(u16::MAX) { 0 } else { amount })";
    machine.edit(SOURCE, right, wrong);
    machine.json(&["test", "increasing"]);
    let (found, code) = machine.printed(&[
        "test",
        "property",
        "--fuzz-runs",
        "3000",
        "--fuzz-seed",
        "1",
    ]);
    assert_eq!(code, Some(6), "{found}");
    assert!(
        found.contains("native code and Wasm disagree: native returned"),
        "{found}"
    );
    let statement = "let _ = chain.call(&alice, counter.increase(65_535));  // this one";
    assert!(found.contains(statement), "{found}");
    assert!(found.contains("after this step"), "{found}");
    let seed = found.split("--fuzz-seed ").nth(1).unwrap();
    let seed = seed.split_whitespace().next().unwrap();

    let kept = machine
        .project()
        .join("tests/regressions/counter-the_last_change_tells_the_value.txt");
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(
        text.contains("\n> alice counter.increase 0xffff000000000000 0\n"),
        "{text}"
    );
    // Every later run begins with it.
    let (again, code) = machine.printed(&["test", "property"]);
    assert_eq!(code, Some(6), "{again}");
    assert!(
        again.contains(statement) && again.contains("from "),
        "{again}"
    );
    // The seed finds it without the file.
    std::fs::rename(&kept, kept.with_extension("away")).unwrap();
    let (replayed, code) = machine.printed(&["test", "property", "--fuzz-seed", seed]);
    assert_eq!(code, Some(6), "{replayed}");
    assert!(replayed.contains(statement), "{replayed}");
    // And a contract that is mended passes it.
    machine.edit(SOURCE, wrong, right);
    machine.json(&["test", "property"]);
}
