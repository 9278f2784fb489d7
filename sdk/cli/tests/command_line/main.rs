//! Hold the program, against a real dev chain, to its answers: shapes of `--json`, mistakes, exit codes.
//!
//! One chain and one built project serve all claims here. `KUMIKI_BLESS=1` rewrites `tests/golden`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its set-up fails"
)]

mod ci_file;
mod deploy_plan;
mod development;
mod gas_and_chance;
mod machine;
mod traces;
mod upgrade;

use development::{goes_back, moves_on};
use machine::{Machine, check_golden, shape};
use serde_json::{Value, json};

#[test]
fn a_new_project_builds_runs_answers_and_survives_a_restart() {
    let mut machine = Machine::with_project("counter");
    let ready = machine.start_chain();
    assert_eq!(ready["ready"], json!(true));
    let address = ready["contracts"]["counter"].clone();
    assert!(address.as_str().unwrap().starts_with("kumi1"));

    let first = machine.json(&["call", "counter", "increase", "amount=2"]);
    assert_eq!(first["status"], json!("ok"));
    assert_eq!(first["returns"], json!("2"));
    assert_eq!(first["events"][0]["name"], json!("Changed"));
    assert_eq!(first["events"][0]["fields"]["value"], json!("2"));
    let by_name = machine.json(&["call", "counter", "increase", "amount=40", "--from", "bob"]);
    assert_eq!(by_name["returns"], json!("42"));
    let kept = machine.json(&["test", "--gas-snapshot"])["gas"]["file"].clone();
    check_shapes(&machine, &first);
    std::fs::remove_file(kept.as_str().unwrap()).unwrap();
    let second = machine.json(&["view", "counter-second", "value"]);
    assert_eq!(second["returns"], json!("7"));
    check_mistakes(&machine);
    let moved = moves_on(&machine);
    // A contract holds native tokens too, and is known by its name.
    machine.json(&["account", "fund", "counter", "5"]);
    let held = machine.json(&["account", "show", "counter"]);
    assert_eq!(held["address"], address);
    assert_eq!(held["balance"], json!("5"));

    machine.stop_chain();
    let again = machine.start_chain();
    // Time goes on from where it was moved to.
    let mined = machine.json(&["chain", "mine"]);
    assert!(mined["head"]["timeMs"].as_u64() >= moved);
    assert_eq!(again["contracts"]["counter"], address);
    let kept = machine.json(&["view", "counter", "value"]);
    assert_eq!(kept["returns"], json!("42"));
    let cursor = first["events"][0]["cursor"].as_str().unwrap();
    let later = machine.lines(&["events", "counter", "--from", cursor]);
    assert_eq!(later.len(), 1, "only the event after the cursor");
    assert_eq!(later[0]["fields"]["value"], json!("42"));
    machine.paste_next_steps();
    goes_back(&machine);
    plans_without_passphrase(&machine);
    machine.stop_chain();
}

#[test]
fn dev_loses_no_save_and_follows_kumiki_toml_and_what_others_deploy() {
    let mut machine = Machine::with_project("token");
    let lines = machine.start_watching();
    lines.wait_for("building token");
    // While the first build runs.
    machine.edit("src/lib.rs", "/// Makes the token;", "/// Mints the token;");
    lines.wait_for_all(&["ready", "a file was saved"]);
    lines.wait_for("state");

    machine.json(&["deploy", "token", "--salt", "second"]);
    machine.edit("kumiki.toml", "KEX", "NEW");
    lines.wait_for("a file was saved");
    machine.edit(
        "src/lib.rs",
        "/// Mints the token;",
        "/// Begins the token;",
    );
    lines.wait_for("(new code, state kept)");
    let symbol = |name| machine.json(&["view", name, "symbol"])["returns"].clone();
    // A state that is kept was not begun with what kumiki.toml says now; a fresh one is.
    assert_eq!(symbol("token"), json!("KEX"));
    machine.json(&["upgrade", "token", "--reset"]);
    assert_eq!(symbol("token"), json!("NEW"));
    assert_eq!(symbol("token-second"), json!("KEX"));
    // What a reset takes away is placed again.
    machine.json(&["chain", "reset"]);
    lines.wait_for_all(&["the chain was taken back", "(deployed, fresh state)"]);
    assert_eq!(symbol("token"), json!("NEW"));
    machine.stop_chain();
}

/// Nothing is signed, so no passphrase is asked for.
fn plans_without_passphrase(machine: &Machine) {
    machine.add_account("quiet");
    machine.json(&["account", "fund", "quiet", "1000000000000"]);
    let increase = ["simulate", "counter", "increase", "amount=1"];
    let quiet = ["--from", "quiet"];
    machine.json(&[&increase[..], &quiet].concat());
    machine.json(&[&["deploy", "--plan", "quiet.json"][..], &quiet].concat());
    let deploy = ["deploy", "counter", "--salt", "quiet"];
    let signed = ["--passphrase-file", "passphrase"];
    machine.json(&[&deploy[..], &quiet, &signed].concat());
    let upgrade = ["upgrade", "counter-quiet", "--plan"];
    machine.json(&[&upgrade[..], &quiet].concat());
}

/// The keys and types of every command's answer.
fn check_shapes(machine: &Machine, call: &Value) {
    let hash = call["hash"].as_str().unwrap();
    let mut shapes = vec![("call", shape(call))];
    let mut add = |name, arguments: &[&str]| shapes.push((name, shape(&machine.json(arguments))));
    add("view", &["view", "counter", "value"]);
    add("simulate", &["simulate", "counter", "increase", "amount=1"]);
    add("tx", &["tx", hash]);
    add("trace", &["trace", hash]);
    add("verify", &["verify", "counter"]);
    add("account show", &["account", "show", "alice"]);
    add("account fund", &["account", "fund", "bob", "5"]);
    add("account list", &["account", "list"]);
    add("chain info", &["chain", "info"]);
    add("chain mine", &["chain", "mine", "2"]);
    add("chain warp", &["chain", "warp", "1s"]);
    add("chain snapshot", &["chain", "snapshot"]);
    add("chain set-balance", &["chain", "set-balance", "frank", "5"]);
    let as_frank = ["chain", "impersonate", "frank", "counter", "increase"];
    add(
        "chain impersonate",
        &[&as_frank[..], &["amount=0"]].concat(),
    );
    add("chain undo", &["chain", "undo"]);
    add("proof account", &["proof", "account", "alice"]);
    add("proof contract", &["proof", "contract", "counter"]);
    // On a dev chain a header commits to the state after its own block.
    let proven = machine.json(&["proof", "account", "alice"]);
    let hash = proven["blockHash"].as_str().unwrap();
    let trusted = format!("{}:{hash}", proven["height"]);
    let trusting = ["proof", "account", "alice", "--trust", &trusted];
    add("proof --trust", &trusting);
    add(
        "deploy",
        &["deploy", "counter", "start=7", "--salt", "second"],
    );
    add(
        "deploy again",
        &["deploy", "counter", "start=7", "--salt", "second"],
    );
    machine.write("passphrase", b"secret");
    machine.write("seed", "5e".repeat(32).as_bytes());
    let passphrase = ["--passphrase-file", "passphrase"];
    add(
        "account new",
        &[&["account", "new", "fresh"][..], &passphrase].concat(),
    );
    let import = ["account", "import", "old", "--seed-file", "seed"];
    add("account import", &[&import[..], &passphrase].concat());
    machine.json(&["node", "keys", "--new", "--home", "node"]);
    add("validator join", &["validator", "join", "--home", "node"]);
    add("validator show", &["validator", "show", "--home", "node"]);
    add("validator leave", &["validator", "leave", "--home", "node"]);
    add("validator list", &["validator", "list"]);
    add("proof storage", &["proof", "storage", "counter", "0x00"]);
    add("call without a method", &["call", "counter"]);
    add("new", &["new", "another"]);
    add("build", &["build"]);
    add(
        "build --check",
        &["build", "--check", ".kumiki/build/counter.wasm"],
    );
    add("doctor", &["doctor"]);
    add("test --gas-check", &["test", "--gas-check"]);
    shapes.push((
        "events",
        shape(&machine.lines(&["events", "--limit", "1"])[0]),
    ));
    let text: Vec<String> = shapes
        .iter()
        .map(|(name, shape)| format!("{name}: {shape:#}"))
        .collect();
    check_golden("shapes", &text.join("\n"));
}

fn proof_mistakes(machine: &Machine) -> String {
    let other = format!("1:0x{}", "ab".repeat(32));
    ["1", &other]
        .map(|trusted| machine.answer(&["proof", "account", "alice", "--trust", trusted]))
        .concat()
}

fn validator_mistakes(machine: &Machine) -> String {
    let stranger = format!("0x{}", "11".repeat(32));
    [
        &["validator", "show", &stranger][..],
        &["validator", "leave", &stranger],
        &["validator", "join", "--home", "node", "--value", "5"],
        &["validator", "join", "--home", "nowhere"],
    ]
    .map(|arguments| machine.answer(arguments))
    .concat()
}

const ABOUT_TESTS: &[&[&str]] = &[
    &["test", "--gas-check"],
    &["test", "--tolerance", "1"],
    &["test", "--gas-check", "--tolerance", "little"],
    &["test", "reset", "--gas-snapshot"],
];

const ABOUT_FILES: &[&[&str]] = &[
    &["build", "--check", "bad.wasm"],
    &["deploy", "--wasm", "text.wasm"],
    &["build", "--check", "dear.wasm"],
];

const ABOUT_THE_CHAIN: &[&[&str]] = &[
    &["chain", "warp", "2001-01-01"],
    &["chain", "warp", "soon"],
    &["chain", "mine", "0"],
    &["chain", "revert", "99999"],
    &["chain", "revert", "yesterday"],
    &["chain", "undo", "1000"],
    &["chain", "set-balance", "bob", "lots"],
    &[
        "chain",
        "set-balance",
        "bob",
        "340282366920938463463374607431768211455",
    ],
    &[
        "chain",
        "impersonate",
        "nobody",
        "counter",
        "increase",
        "amount=1",
    ],
    &["chain", "impersonate", "bob", "counter", "reset"],
    &["chain", "info", "--rpc", "http://127.0.0.1:1"],
    &["chain", "info", "--rpc", "localhost"],
];

/// A contract that does nothing, with 300,000 bytes of data.
fn contract_of_300_kb() -> Vec<u8> {
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    wasm.extend(b"\x01\x05\x01\x60\x01\x7f\0\x03\x02\x01\0\x05\x03\x01\0\x05");
    wasm.extend(b"\x07\x18\x03\x06memory\x02\0\x04init\0\0\x04call\0\0\x0a\x04\x01\x02\0\x0b");
    // 300,000 as a LEB128 number, and the section that holds so many bytes with what stands before them.
    wasm.extend(b"\x0b\xe8\xa7\x12\x01\0\x41\0\x0b\xe0\xa7\x12");
    wasm.resize(wasm.len() + 300_000, 0);
    wasm
}

/// What each mistake is answered with.
fn check_mistakes(machine: &Machine) {
    machine.add_account("poor");
    machine.write("bad.wasm", b"\0asm\x01\0\0\0\x05\x03\x01\0\x11");
    machine.write("text.wasm", b"hello");
    machine.write("dear.wasm", &contract_of_300_kb());
    let alice = machine.json(&["account", "show", "alice"])["address"].clone();
    let alice = alice.as_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let mut answers = String::new();
    let mut ask = |arguments: &[&str]| answers.push_str(&machine.answer(arguments));
    ask(&["call", "countr", "increase", "amount=1"]);
    ask(&["view", alice, "value"]);
    ask(&["call", "counter", "increse", "amount=1"]);
    ask(&["call", "counter", "increase", "amount=lots"]);
    ask(&["call", "counter", "increase", "amount=-1"]);
    ask(&["call", "counter", "increase"]);
    ask(&["call", "counter", "increase", "amount=1", "amont=2"]);
    ask(&["call", "counter", "increase", "amount=1", "--value", "5"]);
    ask(&["view", "counter", "increase", "amount=1"]);
    ask(&["call", "counter", "value"]);
    ask(&["simulate", "counter", "value"]);
    ask(&["deploy", "counter", "--immutable", "--quiet"]);
    ask(&["view", "counter", "value", "--at", "99999"]);
    let increase = ["call", "counter", "increase", "amount=1"];
    ask(&[&increase[..], &["--nonce", "99"]].concat());
    ask(&[&increase[..], &["--gas", "10"]].concat());
    ask(&[&increase[..], &["--gas-price", "0"]].concat());
    ask(&["call", "counter", "reset", "--from", "bob"]);
    ask(&["call", "counter", "increase", "amount=18446744073709551615"]);
    let poor = ["--from", "poor", "--passphrase-file", "passphrase"];
    ask(&[&increase[..], &poor].concat());
    ask(&[&increase[..], &["--from", "poor"]].concat());
    ask(&[
        "call", "counter", "increase", "amount=1", "--from", "nobody",
    ]);
    let about = ABOUT_TESTS.iter().chain(ABOUT_THE_CHAIN);
    about.for_each(|one| ask(one));
    ask(&["account", "fund", "bob", "five"]);
    ask(&["depoy"]);
    ask(&["account", "fund", "--json"]);
    ask(&["chain", "info", "--network", "other"]);
    ask(&["chain", "info", "--network", "othr"]);
    ABOUT_FILES.iter().for_each(|one| ask(one));
    ask(&["deploy", "counter", "start=x", "--quiet"]);
    ask(&["dev", "--port", &taken]);
    ask(&["tx", &format!("0x{}", "ab".repeat(32))]);
    ask(&["events", "counter", "--event", "Chaged"]);
    ask(&["events", "--from", "1.2"]);
    ask(&["account", "new", "alice"]);
    ask(&["account", "show", "nobody"]);
    ask(&["new", "src"]);
    ask(&["view", "countr", "value", "--project", "../counter"]);
    ask(&["new", "it's"]);
    ask(&[
        "view",
        "counter",
        "value",
        "--json",
        "--rpc",
        "http://127.0.0.1:1",
    ]);
    machine.write(
        "kumiki.toml",
        b"[project]\nname = \"x\"\n\n[dev]\nblok_time_ms = 5\n",
    );
    ask(&["build"]);
    machine.restore_config();
    answers.push_str(&validator_mistakes(machine));
    answers.push_str(&proof_mistakes(machine));
    check_golden("mistakes", &answers);
}
