//! What a developer does with a chain: moves height and time, goes back, sets balances, acts for others.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use crate::machine::Machine;

/// Moves height and time of the chain, and answers the time.
pub(crate) fn moves_on(machine: &Machine) -> Option<u64> {
    let height = |answer: &Value| answer["head"]["height"].as_u64().unwrap();
    let before = machine.json(&["chain", "info"])["chain"].clone();
    // More than are asked for at a time.
    let mined = machine.json(&["chain", "mine", "1200"]);
    assert_eq!(height(&mined), height(&before) + 1_200);
    let later = machine.json(&["chain", "warp", "2100-01-01"]);
    let moment: u64 = 4_102_444_800_000;
    let shown = later["head"]["timeMs"].as_u64().unwrap();
    assert!((moment..moment + 60_000).contains(&shown), "{later}");
    let last = machine.json(&["chain", "warp", "30days"]);
    let shown = last["head"]["timeMs"].as_u64().unwrap();
    assert!(shown >= moment + 30 * 86_400_000, "{last}");
    Some(shown)
}

/// Takes blocks of the chain back until none is left.
pub(crate) fn goes_back(machine: &Machine) {
    let value = || machine.json(&["view", "counter", "value"])["returns"].clone();
    let balance = |name| machine.json(&["account", "show", name])["balance"].clone();
    let increase = || machine.json(&["call", "counter", "increase", "amount=1", "--from", "bob"]);
    let (before, owned) = (value(), balance("bob"));

    let snapshot = machine.json(&["chain", "snapshot"])["head"].clone();
    let undone = increase();
    increase();
    machine.json(&["chain", "warp", "365days"]);
    assert_ne!((value(), balance("bob")), (before.clone(), owned.clone()));
    let hash = snapshot["hash"].as_str().unwrap();
    let reverted = machine.json(&["chain", "revert", hash])["head"].clone();
    assert_eq!(reverted, snapshot);
    assert_eq!((value(), balance("bob")), (before.clone(), owned.clone()));
    let asked = machine.answer(&["tx", undone["hash"].as_str().unwrap()]);
    assert!(asked.contains("knows no such transaction"), "{asked}");
    // The time went back too, and blocks go on from there, to be taken back one by one.
    let next = increase();
    assert_eq!(
        next["height"].as_u64(),
        snapshot["height"].as_u64().map(|height| height + 1)
    );
    let mined = machine.json(&["chain", "mine"])["head"]["timeMs"].as_u64();
    let year_ms = 365 * 86_400_000;
    assert!(mined < snapshot["timeMs"].as_u64().map(|time| time + year_ms));
    increase();
    machine.json(&["chain", "undo", "2"]);
    assert_eq!((value(), balance("bob")), (before, owned));

    machine.json(&["chain", "set-balance", "bob", "12345"]);
    assert_eq!(balance("bob"), json!("12345"));
    // Alice pays, and the counter sees bob.
    let as_bob = [
        "chain",
        "impersonate",
        "bob",
        "counter",
        "increase",
        "amount=1",
    ];
    let called = machine.json(&as_bob);
    assert_eq!(called["events"][0]["name"], json!("Changed"));
    assert_eq!(balance("bob"), json!("12345"));
    let owner_only = [
        "chain",
        "impersonate",
        "alice",
        "counter",
        "reset",
        "--from",
        "bob",
    ];
    machine.json(&["chain", "set-balance", "bob", "1000000000000"]);
    machine.json(&owner_only);
    assert_eq!(value(), json!("0"));

    let mut follower = machine.spawn(&["events", "--follow", "--from", "0.0.0", "--json"]);
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("cursor"));
    let first = machine.json(&["chain", "reset"])["head"].clone();
    assert_eq!(first["height"], json!(0));
    let last = lines.last().unwrap().unwrap();
    let failure: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(
        failure["error"]["name"],
        json!("chainRewound"),
        "{failure:#}"
    );
    assert!(!follower.wait().unwrap().success());
    let gone = machine.answer(&["view", "counter", "value"]);
    assert!(gone.contains("exit"), "{gone}");
    let again = machine.json(&["deploy", "counter", "start=3"]);
    assert_eq!(again["reused"], json!(false));
    assert_eq!(value(), json!("3"));
}
