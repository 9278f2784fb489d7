//! Kill a node under load, at random moments, and look at what is left: every acknowledged transaction exactly
//! once, and a state that executing all blocks again leads to.
//!
//! `cargo xtask kills --rounds N --seed S` sets how often and repeats a run.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up that fails should fail the test"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use kumiki_node::{Node, NodeConfig, NodeHandle, dev_genesis, verify_chain};
use kumiki_protocol::{Encode as _, Hash, TransactionHash, sha3_256};
use kumiki_storage::{Storage, StorageOptions};
use kumiki_testkit::{Draft, Random, account};
use kumiki_vm::{EngineKind, Vm, VmConfig};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The one test here. It starts itself as the process that it kills.
const TEST: &str = "killed_nodes_keep_every_acknowledged_transaction_exactly_once";
/// Set for the child process: the data folder of the node it runs.
const CHILD_DIR: &str = "KUMIKI_CRASH_CHILD_DIR";
/// How long nothing may be heard, of a sender by its node or of a node by the test.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Rounds in CI.
const ROUNDS: u64 = 20;
/// Every so many rounds, and after the last, all blocks are executed again.
const EXECUTED_EVERY: u64 = 10;
/// Accounts that send, each with its transactions in flight.
const SENDERS: u8 = 6;
const IN_FLIGHT: u64 = 5;

fn number_from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn data_dir(scratch: &Path) -> PathBuf {
    scratch.join("node")
}

/// Runs a node under load for ever, or until this process is killed.
async fn run_under_load(dir: PathBuf) {
    let accounts: Vec<_> = (0..SENDERS).map(|number| account(number).address).collect();
    let genesis = dev_genesis(&accounts, 1 << 80, 1_700_000_000_000);
    let node = Node::start(NodeConfig::dev(dir, genesis, 0)).await.unwrap();
    let node = Arc::new(node);
    let tip = *node.heads().borrow();
    say(&format!("start {} {}", tip.height, tip.state_root));
    let mut senders: JoinSet<()> = (0..SENDERS)
        .map(|number| send_for_ever(Arc::clone(&node), number))
        .collect();
    // None ends but by failing, and the first that does ends this process.
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
}

/// Writes one line to whoever started this process, past the test harness's capture.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

async fn send_for_ever(node: Arc<NodeHandle>, number: u8) {
    let sender = account(number);
    let receiver = account(number + 100).address;
    loop {
        let next = node.mempool().next_nonce(&sender.address).unwrap();
        let mut hashes = Vec::new();
        for nonce in next..next + IN_FLIGHT {
            let transaction = Draft::new(node.genesis(), &sender, nonce)
                .gas_limit(200_000)
                .valid_until(90_000)
                .transfer(&receiver, 1)
                .sign();
            hashes.push(node.mempool().submit(transaction).await.unwrap());
        }
        for hash in hashes {
            let final_in_time = timeout(SILENCE_MAX, wait_until_final(&node, &hash));
            let (height, receipt) = final_in_time
                .await
                .unwrap_or_else(|_elapsed| panic!("sender {number} waits for {hash} in vain"));
            say(&format!("ack {hash} {height} {receipt}"));
        }
    }
}

/// Where the transaction happened, and the hash of its receipt.
async fn wait_until_final(node: &NodeHandle, hash: &TransactionHash) -> (u64, Hash) {
    let mut heads = node.heads();
    loop {
        heads.borrow_and_update();
        if let Some((height, index)) = node.storage().transaction_location(hash).unwrap() {
            return (height, receipt_hash(node.storage(), height, index));
        }
        heads.changed().await.unwrap();
    }
}

fn receipt_hash(storage: &Storage, height: u64, index: u32) -> Hash {
    let receipt = storage.receipt(height, index).unwrap().unwrap();
    sha3_256(&[&receipt.encode()])
}

fn start_child(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A transaction, where it happened, and the hash of its receipt.
type Acknowledged = (TransactionHash, u64, Hash);

/// What a child said until it was killed.
#[derive(Default)]
struct Heard {
    start: Option<(u64, Hash)>,
    acknowledged: Vec<Acknowledged>,
}

/// The whole lines that come from `out`, read on a thread of its own so that waiting for one can end.
fn lines_of(out: ChildStdout) -> Receiver<String> {
    let (lines, read) = channel();
    std::thread::spawn(move || {
        let mut out = BufReader::new(out);
        let mut line = String::new();
        while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            // A line cut off by the kill says nothing.
            let whole = line.strip_suffix('\n').unwrap_or_default().to_owned();
            line.clear();
            if lines.send(whole).is_err() {
                return;
            }
        }
    });
    read
}

/// Runs a node under load, kills it right after it acknowledged `acks` transactions, and returns all it said.
fn run_and_kill(dir: &Path, acks: usize) -> Heard {
    let mut child = start_child(dir);
    let lines = lines_of(child.stdout.take().unwrap());
    let mut heard = Heard::default();
    let mut seen = 0;
    loop {
        let whole = match lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                panic!("the node said nothing for {SILENCE_MAX:?}, after {seen} acknowledgements");
            }
        };
        let words: Vec<&str> = whole.split(' ').collect();
        match words.as_slice() {
            ["start", height, root] => {
                heard.start = Some((height.parse().unwrap(), root.parse().unwrap()));
            }
            ["ack", hash, height, receipt] => {
                let (hash, height) = (hash.parse().unwrap(), height.parse().unwrap());
                let receipt = receipt.parse().unwrap();
                heard.acknowledged.push((hash, height, receipt));
                seen += 1;
                if seen == acks {
                    child.kill().unwrap();
                }
            }
            _ => {}
        }
    }
    child.wait().unwrap();
    assert!(
        seen >= acks,
        "the node ended by itself after {seen} acknowledgements"
    );
    heard
}

/// The store that a killed node left, after checking that what it acknowledged is in it, once.
fn examine(dir: &Path, acknowledged: &[Acknowledged]) -> Storage {
    let storage = Storage::open(&dir.join("chain"), StorageOptions::default()).unwrap();
    let tip = storage.tip().unwrap();
    let mut found = BTreeSet::new();
    for height in 1..=tip.height {
        for transaction in storage.block(height).unwrap().unwrap().transactions {
            assert!(found.insert(transaction.hash()), "one transaction twice");
        }
    }
    for (hash, height, receipt) in acknowledged {
        assert!(found.contains(hash), "an acknowledged transaction is lost");
        let (at, index) = storage.transaction_location(hash).unwrap().unwrap();
        assert_eq!(at, *height);
        assert_eq!(
            receipt_hash(&storage, at, index),
            *receipt,
            "another receipt"
        );
    }
    storage
}

/// Executes all blocks again from genesis, and compares what each height comes to.
fn execute_again(storage: &Storage, scratch: &Path) {
    let vm = Vm::new(VmConfig::new(EngineKind::Wasmtime)).unwrap();
    let verified = verify_chain(storage, vm, scratch).unwrap();
    let tip = storage.tip().unwrap();
    assert_eq!(verified.blocks, tip.height);
    assert_eq!(verified.state_root, tip.state_root);
}

#[test]
fn killed_nodes_keep_every_acknowledged_transaction_exactly_once() {
    if let Ok(dir) = std::env::var(CHILD_DIR) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(run_under_load(PathBuf::from(dir)));
    }
    let seed = number_from_env("KUMIKI_CRASH_SEED", u64::from(std::process::id()));
    println!("KUMIKI_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let scratch = tempfile::tempdir().unwrap();
    let dir = data_dir(scratch.path());
    let mut acknowledged = Vec::new();
    let mut left = None;
    let rounds = number_from_env("KUMIKI_CRASH_ROUNDS", ROUNDS);
    for round in 1..=rounds {
        let heard = run_and_kill(&dir, 1 + random.below(300));
        if left.is_some() {
            assert_eq!(
                heard.start, left,
                "the next start is at another height or root"
            );
        }
        acknowledged.extend(heard.acknowledged);
        let storage = examine(&dir, &acknowledged);
        let tip = storage.tip().unwrap();
        if round % EXECUTED_EVERY == 0 || round == rounds {
            execute_again(&storage, &scratch.path().join(format!("replay-{round}")));
        }
        println!(
            "kill {round} of {rounds}: {} acknowledged so far, all there; height {}, root {}",
            acknowledged.len(),
            tip.height,
            tip.state_root
        );
        left = Some((tip.height, tip.state_root));
    }
}
