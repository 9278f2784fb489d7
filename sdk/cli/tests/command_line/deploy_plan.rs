//! Hold plans of deployments to their promise: killed anywhere, then resumed, each contract is made once.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::machine::Machine;

/// Three instances of one crate. `init` of a contract that has a friend calls the friend, so order shows.
const CONTRACTS: &str = r#"
[contracts.first]
path = "."
init = { start = 10, friend = "third" }

[contracts.second]
path = "."
init = { start = 20, friend = "first" }

[contracts.third]
path = "."
init = { start = 30, friend = "null" }
"#;

/// The order in which they are deployed, and what each counts to when all are.
const EXPECTED: [(&str, &str); 3] = [("third", "31"), ("first", "11"), ("second", "20")];

/// The plan, and a line before and after each contract.
const LINES: usize = 1 + 2 * EXPECTED.len();

fn nonce(machine: &Machine) -> u64 {
    machine.json(&["account", "show", "alice"])["nonce"]
        .as_u64()
        .unwrap()
}

fn file(machine: &Machine, name: &str) -> PathBuf {
    machine.project().join(name)
}

fn lines(machine: &Machine, journal: &str) -> usize {
    let text = std::fs::read(file(machine, journal)).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn names(answer: &Value) -> Vec<&str> {
    let steps = answer["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect()
}

/// Each contract is there, has the state that comes of being begun once, and is known by its name.
fn check_deployed(machine: &Machine, salt: &str, answer: &Value) {
    let expected = EXPECTED.map(|(name, _)| format!("{name}-{salt}"));
    assert_eq!(names(answer), expected);
    for (name, value) in EXPECTED {
        let shown = machine.json(&["view", &format!("{name}-{salt}"), "value"]);
        assert_eq!(shown["returns"], json!(value), "{name}-{salt}");
    }
}

#[test]
fn a_plan_that_is_killed_anywhere_and_resumed_deploys_each_contract_once() {
    let mut machine = Machine::with_project_called("planned", "counter");
    machine.start_chain();
    machine.write("kumiki.toml", CONTRACTS.as_bytes());
    machine.edit_all(
        "src/lib.rs",
        &[
            ("init(&mut self, start: u64)", "init(&mut self, start: u64, friend: Option<Address>)"),
            (
                "self.value.set(&start);",
                "self.value.set(&start);\n            if let Some(friend) = friend {\n                CounterRef::at(friend).increase(1).send(self.env_mut());\n            }",
            ),
        ],
    );

    for kill_after in 0..=LINES {
        let salt = format!("k{kill_after}");
        let plan = format!("plan-{salt}.json");
        let planned = machine.json(&["deploy", "--plan", &plan, "--salt", &salt]);
        assert_eq!(
            names(&planned),
            EXPECTED.map(|(name, _)| format!("{name}-{salt}"))
        );
        let before = nonce(&machine);
        let journal = format!("{plan}.journal");
        let mut running = machine.start(&["deploy", "--apply", &plan]);
        while lines(&machine, &journal) < kill_after && running.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        running.kill().unwrap();
        running.wait().unwrap();
        assert!(lines(&machine, &journal) >= kill_after.min(LINES), "{salt}");
        let resumed = machine.json(&["deploy", "--resume", &plan]);
        check_deployed(&machine, &salt, &resumed);
        assert_eq!(nonce(&machine), before + 3, "{salt}");
    }
    a_journal_that_lost_its_end_sends_nothing_again(&machine);
    what_does_not_fit_is_refused(&machine);
    machine.stop_chain();
}

fn a_journal_that_lost_its_end_sends_nothing_again(machine: &Machine) {
    let (salt, plan) = ("k0", "plan-k0.json");
    let journal = file(machine, "plan-k0.json.journal");
    let whole = std::fs::read(&journal).unwrap();
    let before = nonce(machine);
    let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let ends: Vec<usize> = ends.map(|(index, _)| index).collect();
    assert!(ends.len() >= LINES);
    for end in ends.iter().flat_map(|end| [*end, end + 1]).chain([0]) {
        std::fs::write(&journal, &whole[..end]).unwrap();
        std::fs::remove_file(file(machine, ".kumiki/deployments.json")).unwrap();
        let resumed = machine.json(&["deploy", "--resume", plan]);
        check_deployed(machine, salt, &resumed);
        assert_eq!(nonce(machine), before, "{end}");
    }
    let again = machine.json(&["deploy", "--apply", plan]);
    check_deployed(machine, salt, &again);
    assert_eq!(nonce(machine), before);
}

fn what_does_not_fit_is_refused(machine: &Machine) {
    let refused = |arguments: &[&str], exit| machine.refused(arguments, exit)["name"].clone();
    let plan = "plan-k0.json";
    assert_eq!(
        refused(&["deploy", "--apply", plan, "--from", "bob"], 5),
        json!("notAllowed")
    );
    let journal = file(machine, "plan-k0.json.journal");
    let whole = std::fs::read(&journal).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap();
    std::fs::write(&journal, &whole[..=first]).unwrap();
    assert_eq!(
        refused(&["deploy", "--apply", plan], 5),
        json!("planUnfinished")
    );
    std::fs::copy(file(machine, "plan-k1.json"), file(machine, plan)).unwrap();
    assert_eq!(
        refused(&["deploy", "--resume", plan], 5),
        json!("planChanged")
    );
    let text = std::fs::read_to_string(file(machine, plan)).unwrap();
    let other = text.replacen("\"version\": 1", "\"version\": 2", 1);
    machine.write("other.json", other.as_bytes());
    assert_eq!(
        refused(&["deploy", "--apply", "other.json"], 2),
        json!("planMalformed")
    );
    let forged = text.replacen("\"code\": \"0x00", "\"code\": \"0x01", 1);
    assert_ne!(forged, text);
    machine.write("other.json", forged.as_bytes());
    assert_eq!(
        refused(&["deploy", "--apply", "other.json"], 2),
        json!("planMalformed")
    );
    machine.edit("kumiki.toml", "friend = \"null\"", "friend = \"second\"");
    assert_eq!(
        refused(&["deploy", "--plan", "other.json"], 2),
        json!("planCircular")
    );
}
