//! Run networks of real processes: start, faults, restart, a node that joins, and what is refused.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use kumiki_integration::localnet::Machine;
use serde_json::{Value, json};

/// The nodes of a status, each of which is `state`.
fn states(status: &Value) -> Vec<&str> {
    let nodes = status["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|node| node["state"].as_str().unwrap())
        .collect()
}

fn height(status: &Value, node: usize) -> u64 {
    status["nodes"][node]["height"].as_u64().unwrap_or(0)
}

fn rpc(up: &Value, node: usize) -> String {
    up["nodes"][node]["rpc"].as_str().unwrap().to_owned()
}

/// What the counter says at a node; nothing where it is not there yet.
fn counter_is<'a>(number: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |answer| answer["returns"] == json!(number)
}

#[test]
fn four_nodes_serve_contracts_survive_a_killed_node_and_take_it_back() {
    let machine = Machine::new();
    let up = machine.json(&["localnet", "up", "-n", "4"]);
    assert_eq!(up["nodes"].as_array().unwrap().len(), 4);
    let status = machine.json(&["localnet", "status"]);
    assert_eq!(states(&status), ["up"; 4]);
    assert_eq!(status["agree"], json!(true));
    assert!((0..4).all(|node| height(&status, node) >= 1));

    // Time and height are the validators' to agree on.
    let refused = machine.failure(&["chain", "warp", "1h"], 5);
    assert!(refused.contains("one node makes"), "{refused}");

    let _made = machine.text(&["new", "app"]);
    let project = ["--project", "app"];
    let at = |node| [rpc(&up, node)];
    // No node is named: the running network is found.
    let deployed = machine.json(&[&["deploy", "counter"][..], &project].concat());
    assert!(deployed["address"].as_str().unwrap().starts_with("kumi1"));
    let increase = ["call", "counter", "increase", "amount=3"];
    let called = machine.json(&[&increase[..], &project, &["--rpc", &at(0)[0]]].concat());
    assert_eq!(called["status"], json!("ok"));
    let view = ["view", "counter", "value"];
    let read = |node, number| {
        let rpc = at(node);
        let asked = [&view[..], &project, &["--rpc", &rpc[0]]].concat();
        machine.wait_for(&asked, counter_is(number));
    };
    read(2, "3");

    let _killed = machine.text(&["localnet", "fault", "kill", "3"]);
    let status = machine.json(&["localnet", "status"]);
    assert_eq!(states(&status), ["up", "up", "up", "down"]);
    let _called = machine.json(&[&increase[..], &project, &["--rpc", &at(1)[0]]].concat());
    read(0, "6");

    let _restarted = machine.text(&["localnet", "fault", "restart", "3"]);
    read(3, "6");
    let status = machine.json(&["localnet", "status"]);
    assert_eq!(states(&status), ["up"; 4]);
    assert_eq!(status["agree"], json!(true));

    let down = machine.json(&["localnet", "down"]);
    assert_eq!(down["killed"], json!(0), "each stops when it is asked to");
    assert_eq!(states(&machine.json(&["localnet", "status"])), ["down"; 4]);
    let _again = machine.json(&["localnet", "up"]);
    read(1, "6");
    let _wiped = machine.text(&["localnet", "down", "--wipe"]);
    let gone = machine.failure(&["localnet", "status"], 7);
    assert!(gone.contains("kumiki localnet up"), "{gone}");
}

#[test]
fn a_partition_stops_the_chain_and_ends_when_it_is_healed() {
    let machine = Machine::new();
    let _up = machine.json(&["localnet", "up", "-n", "4", "--block-time", "20"]);
    let heights = || {
        let status = machine.json(&["localnet", "status"]);
        (0..4).map(|node| height(&status, node)).collect::<Vec<_>>()
    };
    let cut = machine.json(&["localnet", "fault", "partition", "0,1", "2,3"]);
    assert_eq!(cut["faults"]["groups"], json!([[0, 1], [2, 3]]));
    // What was under way when the cut was made may still be decided; after that, nothing is.
    let mut before = heights();
    let stopped = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(2_500));
        let after = heights();
        std::mem::replace(&mut before, after) == before
    });
    assert!(stopped, "half a network goes on: {before:?}");
    let highest = before.iter().copied().max().unwrap();
    let _healed = machine.text(&["localnet", "fault", "heal"]);
    machine.wait_for(&["localnet", "status"], |status| {
        status["agree"] == json!(true) && (0..4).all(|node| height(status, node) > highest + 2)
    });

    // Three of four go on, and the one that was cut off catches up.
    let _cut = machine.text(&["localnet", "fault", "partition", "3"]);
    let before = heights();
    machine.wait_for(&["localnet", "status"], |status| {
        (0..3).all(|node| height(status, node) > before[node] + 5)
    });
    let _healed = machine.text(&["localnet", "fault", "heal"]);
    machine.wait_for(&["localnet", "status"], |status| {
        height(status, 3) > before[0] + 5
    });

    let _paused = machine.text(&["localnet", "fault", "pause", "1"]);
    let status = machine.json(&["localnet", "status"]);
    assert_eq!(states(&status), ["up", "paused", "up", "up"]);
    let _resumed = machine.text(&["localnet", "fault", "resume", "1"]);
    let before = heights();
    machine.wait_for(&["localnet", "status"], |status| {
        height(status, 1) > before[0] + 2
    });
    let unknown = machine.failure(&["localnet", "fault", "pause", "4"], 7);
    assert!(unknown.contains("0 to 3"), "{unknown}");
}

#[test]
fn a_full_node_joins_from_one_address_and_its_folder_runs_once() {
    let machine = Machine::new();
    let up = machine.json(&["localnet", "up", "-n", "4"]);
    let genesis = machine.path().join("kumiki/localnet/node-0/genesis.json");
    let home = ["--home", "full"];
    let p2p = up["nodes"][1]["p2p"].as_str().unwrap();
    let init = [
        "node",
        "init",
        "--chain",
        genesis.to_str().unwrap(),
        "--full",
        "--bootstrap",
        p2p,
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--rpc-port",
        "0",
    ];
    let made = machine.json(&[&init[..], &home].concat());
    assert_eq!(made["validator"], json!(false));
    let shown = machine.json(&[&["node", "keys"][..], &home].concat());
    assert_eq!(shown["peerId"], made["peerId"]);
    let again = machine.failure(&[&["node", "keys", "--new"][..], &home].concat(), 2);
    assert!(again.contains("it was not touched"), "{again}");

    // Without a peer that answers, it cannot know how far the chain is.
    let run = ["node", "run", "--json"];
    let nobody = ["--bootstrap", "/ip4/127.0.0.1/tcp/1"];
    let mut lonely = machine.start(&[&run[..], &home, &nobody].concat());
    let _ready = lonely.first_line();
    let status = machine.json(&[&["node", "status"][..], &home].concat());
    assert_eq!(status["health"]["status"], json!("starting"));
    assert_eq!(lonely.stop(), Some(0));

    let before = height(&machine.json(&["localnet", "status"]), 0);
    let mut node = machine.start(&[&run[..], &home].concat());
    let ready: Value = serde_json::from_str(&node.first_line()).unwrap();
    assert_eq!(ready["role"], json!("fullNode"));
    assert_eq!(ready["peerId"], made["peerId"]);
    let own_rpc = ready["rpc"].as_str().unwrap();
    let caught_up = machine.wait_for(&["node", "status", "--rpc", own_rpc], |status| {
        status["health"]["status"] == json!("ready")
    });
    assert!(caught_up["health"]["height"].as_u64().unwrap() + 10 >= before);
    let sent = machine.json(&["account", "fund", "bob", "5", "--rpc", &rpc(&up, 0)]);
    machine.wait_for(&["node", "status", "--rpc", own_rpc], |status| {
        status["status"]["height"].as_u64() >= sent["height"].as_u64()
    });
    let hash = sent["hash"].as_str().unwrap();
    let found = machine.json(&["tx", hash, "--rpc", own_rpc]);
    assert_eq!(found["state"], json!("final"));
    // What is shown of peers is a moment old.
    machine.wait_for(&[&["node", "peers"][..], &home].concat(), |answer| {
        answer["peers"][0]["validator"] == json!(true)
    });

    let second = machine.failure(&[&["node", "run"][..], &home].concat(), 4);
    assert!(
        second.contains("another process runs the node of this folder"),
        "{second}"
    );
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_wrong_key_in_node_toml_is_refused_with_the_one_that_was_meant() {
    let machine = Machine::new();
    let made = machine.json(&["node", "keys", "--new", "--home", "one"]);
    let key = made["publicKey"].as_str().unwrap();
    let genesis = [
        "node",
        "genesis",
        "--chain-id",
        "test-chain",
        "--validator",
        key,
    ];
    let written = machine.json(&genesis);
    assert!(written["hash"].as_str().unwrap().starts_with("0x"));
    let taken = machine.failure(&genesis, 1);
    assert!(taken.contains("genesis.json"), "{taken}");
    let init = ["node", "init", "--chain", "genesis.json", "--validator"];
    let stranger = machine.failure(&[&init[..], &["--home", "two"]].concat(), 2);
    assert!(stranger.contains("no seat"), "{stranger}");
    let _made = machine.text(&[&init[..], &["--home", "one"]].concat());

    let path = machine.path().join("one/node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("#heartbeat_ms", "hartbeat_ms")).unwrap();
    let refused = machine.failure(&["node", "run", "--home", "one"], 2);
    assert!(refused.contains("unknown key 'hartbeat_ms'"), "{refused}");
    assert!(
        refused.contains("did you mean 'heartbeat_ms'?"),
        "{refused}"
    );
    std::fs::write(
        &path,
        text.replace("#heartbeat_ms = 1000", "heartbeat_ms = 250"),
    )
    .unwrap();
    let shown = machine.json(&["node", "config", "show", "--origin", "--home", "one"]);
    let heartbeat = &shown["ordering.heartbeat_ms"];
    assert_eq!(heartbeat["value"], json!(250));
    assert!(heartbeat["origin"].as_str().unwrap().contains("node.toml:"));
    assert_eq!(shown["rpc.port"]["origin"], json!("default"));
}
