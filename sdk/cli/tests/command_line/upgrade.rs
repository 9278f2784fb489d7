//! Hold `kumiki upgrade` and the upgrades of `kumiki dev` to the state: kept, migrated, begun anew, or left alone.

use serde_json::{Value, json};

use crate::machine::{Machine, check_golden};

const SOURCE: &str = "src/lib.rs";

/// The number gets a wider type.
const WIDEN: [(&str, &str); 4] = [
    ("value: Item<u64>", "value: Item<u128>"),
    (
        "self.value.set(&start)",
        "self.value.set(&u128::from(start))",
    ),
    (
        "self.value.set(&value)",
        "self.value.set(&u128::from(value))",
    ),
    (
        "self.value.get_or_default()",
        "u64::try_from(self.value.get_or_default()).unwrap_or_default()",
    ),
];

/// A migration to the wider type, which fails after it has written.
const MIGRATION: (&str, &str) = (
    "        /// The number.\n",
    "        /// Widens the number, times `factor`.
        #[migrate]
        pub fn widen(&mut self, factor: u64) -> Result<(), Error> {
            let value = Narrow::open(self).value.get_or_default();
            self.value.set(&(u128::from(value) * u128::from(factor)));
            if factor == 0 { Err(Error::Overflow) } else { Ok(()) }
        }

        /// The number.
",
);

const OLD_STORAGE: (&str, &str) = (
    "    /// The number changed.\n",
    "    #[old_storage]\n    struct Narrow {\n        value: Item<u64>,\n    }\n\n    /// The number changed.\n",
);

fn value(machine: &Machine, contract: &str) -> Value {
    machine.json(&["view", contract, "value"])["returns"].clone()
}

fn changes(answer: &Value) -> Vec<(&str, &str, bool)> {
    let layout = answer["layout"].as_array().unwrap();
    layout
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap();
            (
                text("field"),
                text("change"),
                one["safe"].as_bool().unwrap(),
            )
        })
        .collect()
}

#[test]
fn an_upgrade_keeps_or_migrates_the_state_or_is_refused_and_changes_nothing() {
    let mut machine = Machine::with_project_called("kept", "counter");
    let ready = machine.start_chain();
    let address = ready["contracts"]["counter"].clone();
    machine.json(&["call", "counter", "increase", "amount=42", "--from", "bob"]);
    machine.json(&["deploy", "counter", "--immutable", "--salt", "fixed"]);

    adds_a_field(&machine, &address);
    is_refused_what_it_may_not(&machine);
    migrates_once(&machine);
    loses_what_is_accepted_and_nothing_more(&machine);
    let last = machine.json(&["upgrade", "counter", "--plan"]);
    assert_eq!(last["address"], address);
    replays_and_resets(&machine, &address);
    machine.paste_next_steps();
    machine.stop_chain();
}

fn adds_a_field(machine: &Machine, address: &Value) {
    machine.edit(
        SOURCE,
        "value: Item<u64>,",
        "value: Item<u64>,\n        _note: Item<String>,",
    );
    let plan = machine.json(&["upgrade", "counter", "--plan"]);
    assert_eq!(changes(&plan), [("_note", "fieldAdded", true)]);
    assert_eq!(
        (&plan["sent"], &plan["safe"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&plan["hash"], &plan["height"]),
        (&json!(null), &json!(null))
    );
    assert_ne!(plan["fee"], json!(null));
    let done = machine.json(&["upgrade", "counter"]);
    // The plan changed nothing.
    assert_eq!(done["oldCodeHash"], plan["oldCodeHash"]);
    assert_eq!((&done["sent"], &done["address"]), (&json!(true), address));
    assert_eq!(done["codeHash"], plan["codeHash"]);
    assert_eq!(done["gasUsed"], plan["gasUsed"]);
    assert_eq!(value(machine, "counter"), json!("42"));
    let again = machine.json(&["upgrade", "counter"]);
    assert_eq!(
        (&again["sent"], &again["hash"]),
        (&json!(false), &json!(null))
    );
    // A contract that has this code since it was upgraded is not deployed once more.
    let deployed = machine.json(&["deploy", "counter"]);
    assert_eq!(
        (&deployed["reused"], &deployed["address"]),
        (&json!(true), address)
    );
}

fn is_refused_what_it_may_not(machine: &Machine) {
    machine.edit(SOURCE, "/// The number.", "/// This number.");
    let mut answers = String::new();
    let mut ask = |arguments: &[&str]| answers.push_str(&machine.answer(arguments));
    ask(&["upgrade", "counter", "--from", "bob", "--quiet"]);
    ask(&["upgrade", "counter-fixed", "--quiet"]);
    ask(&["upgrade", "countr", "--quiet"]);
    ask(&["upgrade", "counter", "--value", "5", "--quiet"]);
    ask(&["upgrade", "counter", "--migrate", "widen", "--quiet"]);
    ask(&["upgrade", "counter", "--allow-unsafe", "value", "--quiet"]);
    machine.edit(SOURCE, "/// This number.", "/// The number.");
    machine.edit_all(SOURCE, &WIDEN);
    ask(&["upgrade", "counter", "--quiet"]);
    let refused = machine.refused(&["upgrade", "counter"], 5);
    assert_eq!(refused["name"], json!("layoutUnsafe"));
    let plan = machine.json(&["upgrade", "counter", "--plan"]);
    assert_eq!(changes(&plan), [("value", "typeChanged", false)]);
    assert_eq!((&plan["safe"], &plan["fee"]), (&json!(false), &json!(null)));
    machine.edit_all(SOURCE, &[MIGRATION, OLD_STORAGE]);
    ask(&["upgrade", "counter", "--quiet"]);
    ask(&["upgrade", "counter", "--migrate", "wide", "--quiet"]);
    ask(&["upgrade", "counter", "--migrate", "widen", "--quiet"]);
    ask(&[
        "upgrade",
        "counter",
        "--migrate",
        "widen",
        "factor=0",
        "--quiet",
    ]);
    assert_eq!(value(machine, "counter"), json!("42"));
    check_golden("upgrades", &answers);
}

/// Also where the command is killed at any time: the state is migrated once, or not at all with its old code.
fn migrates_once(machine: &Machine) {
    let upgrade = ["upgrade", "counter", "--migrate", "widen", "factor=2"];
    let mut killed = machine.start_until(&upgrade, "sending");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let planned = machine.json(&[
        "upgrade",
        "counter",
        "--migrate",
        "widen",
        "factor=2",
        "--plan",
    ]);
    let arrived = planned["oldCodeHash"] == planned["codeHash"];
    let expected = if arrived { "84" } else { "42" };
    assert_eq!(value(machine, "counter"), json!(expected));
    let again = machine.json(&upgrade);
    assert_eq!(again["codeHash"], planned["codeHash"]);
    assert_eq!(value(machine, "counter"), json!("84"));
    let third = machine.json(&upgrade);
    assert_eq!(third["sent"], json!(false));
    assert_eq!(value(machine, "counter"), json!("84"));
}

fn loses_what_is_accepted_and_nothing_more(machine: &Machine) {
    let rename = |from: &str, to: &str| {
        let edits = [
            (format!("{from}: Item<u128>"), format!("{to}: Item<u128>")),
            (format!("self.{from}."), format!("self.{to}.")),
        ];
        let edits = edits.iter().map(|(from, to)| (from.as_str(), to.as_str()));
        machine.edit_all(SOURCE, &edits.collect::<Vec<_>>());
    };
    rename("value", "count");
    machine.refused(&["upgrade", "counter"], 5);
    let lost = machine.json(&["upgrade", "counter", "--allow-unsafe", "value"]);
    let renamed = [
        ("value", "fieldRemoved", false),
        ("count", "fieldAdded", true),
    ];
    assert_eq!(changes(&lost), renamed);
    assert_eq!(value(machine, "counter"), json!("0"));
    machine.json(&["call", "counter", "increase", "amount=1"]);
    rename("count", "value");
    let back = machine.refused(&["upgrade", "counter", "--allow-unsafe", "count"], 5);
    let details = back["details"].to_string();
    assert!(
        details.contains("an earlier version left something"),
        "{back:#}"
    );
    let back = ["--allow-unsafe", "count", "--allow-unsafe", "value"];
    let back = machine.json(&[&["upgrade", "counter"][..], &back].concat());
    let returned = [
        ("count", "fieldRemoved", false),
        ("value", "fieldReturns", false),
    ];
    assert_eq!(changes(&back), returned);
    assert_eq!(value(machine, "counter"), json!("84"));
}

fn replays_and_resets(machine: &Machine, address: &Value) {
    let reset = machine.json(&["upgrade", "counter", "--reset"]);
    assert_eq!(reset["oldAddress"], *address);
    assert_ne!(reset["address"], *address);
    assert_eq!(value(machine, "counter"), json!("0"));
    let increase = |amount: &str, from: &str| {
        let amount = format!("amount={amount}");
        machine.json(&["call", "counter", "increase", &amount, "--from", from]);
    };
    increase("5", "bob");
    increase("5000000000", "bob");
    increase("1", "carol");
    machine.json(&["call", "counter", "reset"]);
    increase("7", "carol");
    machine.add_account("mine");
    machine.json(&["account", "fund", "mine", "1000000000000"]);
    let mine = ["--from", "mine", "--passphrase-file", "passphrase"];
    machine.json(&[&["call", "counter", "increase", "amount=1"][..], &mine].concat());

    // Another selector: the arguments go to the method of the same name.
    machine.edit_all(
        SOURCE,
        &[
            (
                "increase(&mut self, amount: u64)",
                "increase(&mut self, amount: u32)",
            ),
            ("checked_add(amount)", "checked_add(amount.into())"),
        ],
    );
    let replayed = machine.json(&["upgrade", "counter", "--replay"]);
    assert_eq!(replayed["oldAddress"], reset["address"]);
    assert_eq!(replayed["replayed"], json!(4));
    let failed = replayed["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 2, "{replayed:#}");
    let reason = |index: usize| failed[index]["reason"].as_str().unwrap();
    assert!(reason(0).contains("increase(amount: u32)"), "{replayed:#}");
    assert!(reason(1).contains("key is not published"), "{replayed:#}");
    assert_eq!(value(machine, "counter"), json!("7"));
}

#[test]
fn dev_upgrades_in_place_what_keeps_its_state_and_explains_what_does_not() {
    let mut machine = Machine::with_project_called("watched", "counter");
    let lines = machine.start_watching();
    lines.wait_for("ready");
    let ready = machine.json(&["call", "counter", "increase", "amount=7"]);
    assert_eq!(ready["returns"], json!("7"));
    let address = machine.json(&["call", "counter"])["address"].clone();

    machine.edit(
        SOURCE,
        "value: Item<u64>,",
        "value: Item<u64>,\n        _note: Item<String>,",
    );
    lines.wait_for("(new code, state kept)");
    assert_eq!(value(&machine, "counter"), json!("7"));
    assert_eq!(machine.json(&["call", "counter"])["address"], address);

    machine.edit_all(SOURCE, &WIDEN);
    lines.wait_for("choose what happens to the state");
    lines.wait_for("does not read what is stored");
    lines.wait_for("type changed, from u64 to u128");
    lines.wait_for("kumiki upgrade counter --migrate METHOD");
    lines.wait_for("kumiki upgrade counter --replay");
    lines.wait_for("kumiki upgrade counter --reset");
    // The old code goes on.
    let more = machine.json(&["call", "counter", "increase", "amount=1"]);
    assert_eq!(more["returns"], json!("8"));

    // A migration that takes arguments waits for the command that gives them.
    machine.edit_all(SOURCE, &[MIGRATION, OLD_STORAGE]);
    lines.wait_for("kumiki upgrade counter --migrate widen factor=1");
    // One without is written for this upgrade. Where it fails, nothing has changed.
    machine.edit_all(
        SOURCE,
        &[
            ("widen(&mut self, factor: u64)", "widen(&mut self)"),
            (
                "            let value = Narrow",
                "            let factor = 0_u64;\n            let value = Narrow",
            ),
        ],
    );
    lines.wait_for("counter.widen refused: Overflow; nothing changed");
    assert_eq!(value(&machine, "counter"), json!("8"));
    machine.edit(SOURCE, "let factor = 0_u64;", "let factor = 2_u64;");
    lines.wait_for("(new code, state migrated)");
    assert_eq!(value(&machine, "counter"), json!("16"));
    // It has run: the next save does not run it again.
    machine.edit(SOURCE, "/// The number.", "/// This number.");
    lines.wait_for("(new code, state kept)");
    assert_eq!(value(&machine, "counter"), json!("16"));
    assert_eq!(machine.json(&["call", "counter"])["address"], address);

    machine.edit(SOURCE, "_note: Item<String>", "_note: List<String>");
    lines.wait_for("handle changed");
    machine.json(&["upgrade", "counter", "--reset"]);
    assert_eq!(value(&machine, "counter"), json!("0"));
    machine.json(&["call", "counter", "increase", "amount=3"]);
    let fresh = machine.json(&["call", "counter"])["address"].clone();
    assert_ne!(fresh, address);
    machine.stop_chain();

    // A start finds all as it was, and goes on from there.
    machine.edit(SOURCE, "/// This number.", "/// The number.");
    let again = machine.start_chain();
    assert_eq!(again["contracts"]["counter"], fresh);
    assert_eq!(value(&machine, "counter"), json!("3"));
    machine.stop_chain();
}
