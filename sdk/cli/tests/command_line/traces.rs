//! Hold errors to the lines of source they come from, over two contracts, and traces to what was executed.

use serde_json::{Value, json};

use crate::machine::Machine;

const FRONT: &str = include_str!("two_contracts/front.rs");
const BACK: &str = include_str!("two_contracts/back.rs");
const TEST: &str = include_str!("two_contracts/test.rs");

/// A project with two contracts, of which the front one calls the one at the back.
fn two_contracts() -> Machine {
    let machine = Machine::with_project("empty");
    let manifest = |name: &str, more: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\n[dependencies]\nkumiki-contract = \"0.1.0\"\n\n[dev-dependencies]\nkumiki-contract-testing = \"0.1.0\"\n{more}"
        )
    };
    machine.write(
        "Cargo.toml",
        b"[workspace]\nresolver = \"3\"\nmembers = [\"front\", \"back\"]\n",
    );
    machine.write("back/Cargo.toml", manifest("back", "").as_bytes());
    let of_back = "back = { path = \"../back\" }\n";
    machine.write("front/Cargo.toml", manifest("front", of_back).as_bytes());
    machine.write("back/src/lib.rs", BACK.as_bytes());
    machine.write("front/src/lib.rs", FRONT.as_bytes());
    machine.write("front/tests/front.rs", TEST.as_bytes());
    machine.configure(
        "[project]\nname = \"two\"\n\n[contracts.back]\npath = \"back\"\n\n[contracts.front]\npath = \"front\"\ninit = { back = \"back\" }\n",
    );
    machine
}

/// `FILE:LINE` of the first line with `part` in it.
fn place(file: &str, source: &str, part: &str) -> String {
    let index = source.lines().position(|line| line.contains(part)).unwrap();
    format!("{file}/src/lib.rs:{}", index + 1)
}

fn in_back(part: &str) -> String {
    place("back", BACK, part)
}

fn in_front(part: &str) -> String {
    place("front", FRONT, part)
}

#[track_caller]
fn assert_all(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no '{part}' where it is due in:\n{text}");
        };
        rest = after;
    }
}

#[test]
fn failures_have_lines_of_both_contracts_and_traces_add_up() {
    let mut machine = two_contracts();
    machine.start_chain();
    failures(&machine);
    traces(&machine);
    hostile_texts(&machine);
    builds(&machine);
    machine.stop_chain();
}

fn failures(machine: &Machine) {
    let (divided, asked) = (in_back("/ among"), in_front("back.share(among)"));
    let panicked = [
        "back panicked: attempt to divide by zero",
        &divided,
        "front called back",
        &asked,
    ];
    for verb in ["call", "simulate"] {
        let (text, code) = machine.printed(&[verb, "front", "ask", "among=0"]);
        assert_eq!(code, Some(6), "{text}");
        assert_all(&text, &panicked);
    }
    let (text, code) = machine.printed(&["simulate", "front", "ask", "among=0", "--trace"]);
    assert_eq!(code, Some(0), "{text}");
    assert_all(
        &text,
        &[
            "failed: reverted",
            "front.ask {\"among\":\"0\"}: reverted, a contract that it called failed",
            "back.share {\"among\":\"0\"}: reverted, the contract panicked",
        ],
    );
    assert_all(&text, &panicked);

    let (text, code) = machine.printed(&["call", "front", "beg"]);
    assert_eq!(code, Some(6), "{text}");
    let (refused, begged) = (in_back("pub fn give"), in_front("give().send"));
    assert_all(
        &text,
        &[
            "back returned an error",
            &refused,
            "front called back",
            &begged,
        ],
    );

    let spin = ["call", "front", "nag", "--gas", "2000000"];
    let (text, code) = machine.printed(&spin);
    assert_eq!(code, Some(6), "{text}");
    assert_all(
        &text,
        &[
            "back ran out of gas",
            &in_back("wrapping_add"),
            &in_front("spin().send"),
        ],
    );

    let failed = machine.run(&["call", "front", "ask", "among=0", "--json"]);
    let failed: Value = serde_json::from_slice(&failed.stdout).unwrap();
    let said = &failed["error"]["diagnostics"];
    assert_eq!(said[0]["kind"], json!("panic"));
    assert_eq!(said[0]["name"], json!("back"));
    assert_eq!(said[0]["lines"][0]["file"], json!("back/src/lib.rs"));
    assert_eq!(said[1]["kind"], json!("callFailed"));
    assert_eq!(said[1]["lines"][0]["function"], json!("ask"));
}

fn traces(machine: &Machine) {
    let sent = machine.json(&["call", "front", "ask", "among=2"]);
    assert_eq!(sent["returns"], json!("42"));
    let hash = sent["hash"].as_str().unwrap();
    let trace = machine.json(&["trace", hash]);
    assert_eq!(trace["gasUsed"], sent["gasUsed"]);
    let number = |value: &Value| value.as_u64().unwrap();
    let actions = trace["actions"].as_array().unwrap();
    let of_actions: u64 = actions.iter().map(|one| number(&one["gasUsed"])).sum();
    assert_eq!(
        number(&trace["intrinsicGas"]) + of_actions,
        number(&trace["gasUsed"])
    );
    let front = &actions[0]["call"];
    assert_eq!(front["method"], json!("ask"));
    assert_eq!(front["arguments"], json!({ "among": "2" }));
    let steps = front["steps"].as_array().unwrap();
    let back = &steps.iter().find(|step| step["type"] == "call").unwrap()["call"];
    assert_eq!(
        (&back["name"], &back["method"]),
        (&json!("back"), &json!("share"))
    );
    let written = back["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(written["before"]["bytes"], json!("0x5400000000000000"));
    assert_eq!(written["after"]["bytes"], json!("0x2a00000000000000"));
    let (text, _) = machine.printed(&["trace", hash]);
    assert_all(
        &text,
        &["ok, height", "front.ask", "read", "back.share", "write"],
    );

    let (text, code) = machine.printed(&["trace", &format!("0x{}", "ab".repeat(32))]);
    assert_eq!(code, Some(7), "{text}");
    assert_all(&text, &["no transaction with this hash"]);
}

/// What a terminal obeys, what shows text in another order, what ends a line, and markup.
const HOSTILE: &str = "\u{1b}[31m\u{1b}]0;mine\u{7}\u{9b}2J\u{202e}gnp\u{2066}\u{200f}\u{2028}<script>alert(1)</script>";
/// Beyond what floats, 64 bits and people's patience hold.
const LARGE: &str = "340282366920938463463374607431768211455";

/// Whether a terminal shows a text as it is.
fn is_inert(text: &str) -> bool {
    let steers = |one: char| {
        (one.is_control() && one != '\n')
            || matches!(one, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.chars().any(steers)
}

/// Texts of callers and contracts come out of every command harmless, and exact where a program reads them.
fn hostile_texts(machine: &Machine) {
    let text = format!("text={HOSTILE}");
    let times = format!("times={LARGE}");
    let said = machine.json(&["call", "back", "say", &text, &times]);
    assert_eq!(said["returns"], json!(HOSTILE));
    let fields = json!({ "text": HOSTILE, "times": LARGE });
    assert_eq!(said["events"][0]["fields"], fields);
    let events = machine.lines(&["events", "back"]);
    assert_eq!(events[0]["fields"], fields);
    let hash = said["hash"].as_str().unwrap();
    let commands: [(&[&str], i32); 8] = [
        (&["call", "back", "say", &text, &times], 0),
        (&["simulate", "back", "say", &text, &times], 0),
        (&["events", "back"], 0),
        (&["trace", hash], 0),
        (&["call", "back", "refuse", &text], 6),
        (&["simulate", "back", "refuse", &text], 6),
        (&["call", "back", "scream", &text], 6),
        (&["call", "back", HOSTILE], 2),
    ];
    for (command, exit) in commands {
        for json in [&[][..], &["--json"]] {
            let (shown, code) = machine.printed(&[command, json].concat());
            assert_eq!(code, Some(exit), "{command:?}: {}", shown.escape_debug());
            assert!(is_inert(&shown), "{command:?}: {}", shown.escape_debug());
        }
        let (shown, _) = machine.printed(command);
        // A trace shows bytes, and a panic its place: the SDK keeps no text that is made while it runs.
        let shows_text = !command.contains(&"trace") && !command.contains(&"scream");
        let exact = shown.contains("<script>alert(1)</script>");
        assert!(
            exact || !shows_text,
            "{command:?}: {}",
            shown.escape_debug()
        );
    }
    let refused = machine.refused(&["call", "back", "refuse", &text], 6);
    assert!(refused["found"].as_str().unwrap().contains("<script>"));
}

/// What was built is what runs, and says which functions are large.
fn builds(machine: &Machine) {
    let built = machine.json(&["build", "back"]);
    let functions = built["contracts"][0]["functions"].as_array().unwrap();
    let sizes: Vec<u64> = functions
        .iter()
        .map(|one| one["bytes"].as_u64().unwrap())
        .collect();
    assert!(sizes.is_sorted_by(|left, right| left >= right), "{sizes:?}");
    assert!(
        functions
            .iter()
            .any(|one| one["name"].as_str().unwrap().contains("kumiki_contract::"))
    );
    let (text, _) = machine.printed(&["build", "back"]);
    assert_all(
        &text,
        &[
            "bytes of",
            "of 200000000 to deploy",
            "hash",
            "largest functions",
            "call",
        ],
    );

    let same = machine.json(&["verify", "front"]);
    assert_eq!(same["matches"], json!(true));
    machine.edit(
        "back/src/lib.rs",
        "self.value.set(&84)",
        "self.value.set(&85)",
    );
    let (text, code) = machine.printed(&["verify", "back"]);
    assert_eq!(code, Some(8), "{text}");
    assert_all(
        &text,
        &[
            "does not run what the source of 'back' gives",
            "the source or Cargo.lock is another",
        ],
    );
    // What was deployed is built no more, and its lines are still known.
    let (text, _) = machine.printed(&["call", "front", "ask", "among=0"]);
    assert_all(&text, &[&in_back("/ among")]);
    machine.edit(
        "back/src/lib.rs",
        "self.value.set(&85)",
        "self.value.set(&84)",
    );
    assert_eq!(machine.json(&["verify", "back"])["matches"], json!(true));
}

#[test]
fn two_clones_in_different_folders_build_the_same_bytes() {
    // One after the other: a machine is alone with its template.
    let hashes = [(), ()].map(|()| {
        let machine = two_contracts();
        let built = machine.json(&["build"]);
        let contracts = built["contracts"].as_array().unwrap();
        let hashes = contracts.iter().map(|one| one["codeHash"].clone());
        hashes.collect::<Vec<Value>>()
    });
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0].len(), 2);
}

#[test]
fn a_failing_test_shows_the_lines_of_both_contracts() {
    let machine = two_contracts();
    let (text, code) = machine.printed(&["test"]);
    assert_eq!(code, Some(6), "{text}");
    let (divided, asked) = (in_back("/ among"), in_front("back.share(among)"));
    assert_all(
        &text,
        &[
            "back panicked: attempt to divide by zero",
            &divided,
            "front called",
            &asked,
        ],
    );
}
