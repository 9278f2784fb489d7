//! Let each write, sync and rename of a process fail, or kill it there, with strace, and look at what it left.
//!
//! The test starts itself as the process that fails.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::chain::TestChain;
use super::power_loss::open_on;
use crate::SimulatedDisk;
use crate::{OpenCheck, Storage, StorageError, StorageOptions};

/// The one test here that starts itself.
const TEST: &str = "tests::disk_faults::each_failing_call_is_told_and_loses_nothing_acknowledged";
/// Set for the process that is to fail: the folder of its store.
const DIR: &str = "KUMIKI_DISK_FAULT_DIR";
/// Where in it the store is. A new store has to make it.
const FOLDER: &str = "data/chain";
const SEED: u64 = 5;
/// Blocks that the chain may come to.
const BLOCKS: usize = 8;
/// Of them, those in a folder that is not new.
const BEFORE: u64 = 3;
/// Blocks that the process adds.
const ADDED: u64 = 2;
/// What makes something durable. Nothing else in the process does any of it.
const CALLS: [&str; 5] = ["pwrite64", "ftruncate", "fdatasync", "fsync", "rename"];
/// Held while a store is open here, and while a process starts: it has what is open here, locks too, until it runs.
static STARTING: Mutex<()> = Mutex::new(());
/// The exit code of a process that told of an error.
const TOLD: i32 = 3;

/// The chain with its blocks made; what they hold depends on the seed alone.
fn made_chain() -> TestChain {
    let storage = open_on(&SimulatedDisk::default(), OpenCheck::Quick).unwrap();
    let mut chain = TestChain::new(SEED);
    chain.initialise(&storage).unwrap();
    for _ in 0..BLOCKS {
        chain.commit_next(&storage).unwrap();
    }
    chain
}

fn open(dir: &Path) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        cache_bytes: 1 << 20,
        ..StorageOptions::default()
    };
    Storage::open(&dir.join(FOLDER), options)
}

/// Writes one line past the harness's capture.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The harness leaves its own line unfinished.
    out.write_all(b"\n").unwrap();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Opens the store and adds blocks, saying each thing that is certain.
fn run_until_failure(dir: &Path) -> Result<(), StorageError> {
    let mut chain = made_chain();
    let storage = open(dir)?;
    if storage.tip().is_none() {
        chain.initialise(&storage)?;
        say("ack 0");
    }
    for _ in 0..ADDED {
        let before = storage.tip().unwrap();
        if let Err(error) = chain.commit_next(&storage) {
            let again = chain.commit_next(&storage);
            assert!(matches!(again, Err(StorageError::Poisoned)), "{again:?}");
            assert_eq!(
                storage.tip(),
                Some(before),
                "it shows what it has not stored"
            );
            return Err(error);
        }
        say(&format!("ack {}", storage.tip().unwrap().height));
    }
    say("done");
    Ok(())
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    Nothing,
    Error(&'static str),
    Kill,
}

/// What a process did, and what strace saw of it.
struct Ran {
    code: Option<i32>,
    acknowledged: Option<u64>,
    told: String,
    trace: Vec<String>,
}

impl Ran {
    /// The place of the first line with `words` in the trace.
    fn at(&self, words: &str) -> Option<usize> {
        self.trace.iter().position(|line| line.contains(words))
    }
}

/// Runs the process in `dir` with harm done to the `nth` of `call`.
fn run(dir: &Path, call: &str, nth: usize, harm: Harm) -> Ran {
    let trace = TempDir::new().unwrap();
    let trace = trace.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-o"]).arg(&trace);
    strace.args(["-e", &format!("trace=write,{}", CALLS.join(","))]);
    let what = match harm {
        Harm::Nothing => None,
        Harm::Error(error) => Some(format!("error={error}")),
        Harm::Kill => Some("signal=KILL".to_owned()),
    };
    if let Some(what) = what {
        strace.args(["-e", &format!("inject={call}:{what}:when={nth}")]);
    }
    strace
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture", "--test-threads", "1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let starting = STARTING.lock().unwrap();
    let started = strace.spawn().expect(
        "strace is needed: 'apt-get install strace', or 'cargo xtask test' as root installs it",
    );
    drop(starting);
    let output = started.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let trace = std::fs::read_to_string(&trace).unwrap_or_default();
    assert!(
        trace.contains("write("),
        "strace sees nothing, so nothing was tested; may it trace (ptrace)? {errors}{said}"
    );
    let lines = said.lines();
    Ran {
        code: output.status.code(),
        acknowledged: lines
            .clone()
            .filter_map(|line| line.strip_prefix("ack ")?.parse().ok())
            .max(),
        told: lines
            .filter_map(|line| line.strip_prefix("told "))
            .collect(),
        trace: trace.lines().map(str::to_owned).collect(),
    }
}

fn copy_of(template: Option<&Path>) -> TempDir {
    let dir = TempDir::new().unwrap();
    if let Some(template) = template {
        let (from, to) = (template.join(FOLDER), dir.path().join(FOLDER));
        std::fs::create_dir_all(&to).unwrap();
        for name in ["chain.redb", "index.redb"] {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    dir
}

/// Everything that was acknowledged is there, at most one block more, and the store goes on.
fn check_left(dir: &Path, acknowledged: Option<u64>, before: Option<u64>) {
    let mut chain = made_chain();
    let _nobody_starts = STARTING.lock().unwrap();
    let storage = open(dir).unwrap();
    let told = acknowledged.max(before).map_or(0, |height| height + 1);
    let stored = storage.tip().map_or(0, |tip| tip.height + 1);
    assert!(
        told <= stored && stored <= told + 1,
        "{told} told, {stored} there"
    );
    if storage.tip().is_none() {
        chain.initialise(&storage).unwrap();
    }
    chain.check_all(&storage);
    chain.commit_next(&storage).unwrap();
    drop(storage);
    chain.check_all(&open(dir).unwrap());
}

/// Does one harm, and says in which file and how it ended.
fn strike(template: Option<&Path>, (call, nth, harm): (&str, usize, Harm)) -> (String, bool) {
    let dir = copy_of(template);
    let ran = run(dir.path(), call, nth, harm);
    let (hit, file) = match harm {
        Harm::Kill => (ran.at("killed by SIGKILL"), String::new()),
        _ => {
            let hit = ran.at("(INJECTED)");
            let line = hit.map(|at| ran.trace[at].as_str()).unwrap_or_default();
            (hit, file_of(line))
        }
    };
    let hit = hit.expect("strace did it");
    let done = ran.at("\"done\\n\"").is_some_and(|done| done < hit);
    match harm {
        Harm::Kill => assert_ne!(ran.code, Some(0)),
        Harm::Nothing => {}
        // The index can be made again, and after all is done only the end is left to write.
        Harm::Error(_) if done || file == "index.redb" => {}
        Harm::Error(error) => {
            let reason = match error {
                "EIO" => "Input/output error",
                _ => "No space left on device",
            };
            assert_eq!(
                ran.code,
                Some(TOLD),
                "an error at {call} of {file} is hidden"
            );
            assert!(ran.told.contains(reason), "{call} of {file}: {}", ran.told);
        }
    }
    let before = template.map(|_| BEFORE);
    check_left(dir.path(), ran.acknowledged, before);
    (file, done)
}

/// The name of the file that a line of a trace is about.
fn file_of(line: &str) -> String {
    let path = match line.split_once("<") {
        Some((_, rest)) if !line.contains("rename(") => rest.split('>').next(),
        _ => line.split('"').nth(1),
    };
    let name = path.and_then(|path| path.rsplit('/').next());
    name.unwrap_or_default().to_owned()
}

/// Every harm at every call of the process, as long as there are such calls.
fn strike_everywhere(template: Option<&Path>) -> (usize, BTreeSet<(String, String)>) {
    let dir = copy_of(template);
    let whole = run(dir.path(), "", 0, Harm::Nothing);
    assert_eq!(whole.code, Some(0), "{}", whole.told);
    let mut strikes = Vec::new();
    for call in CALLS {
        let opening = format!(" {call}(");
        let count = whole
            .trace
            .iter()
            .filter(|line| line.contains(&opening))
            .count();
        for nth in 1..=count {
            for harm in [Harm::Error("EIO"), Harm::Error("ENOSPC"), Harm::Kill] {
                strikes.push((call, nth, harm));
            }
        }
    }
    let total = strikes.len();
    let left = Mutex::new(strikes);
    let hit = Mutex::new(BTreeSet::new());
    let strike_on = || {
        loop {
            let next = left.lock().unwrap().pop();
            let Some(next) = next else { return };
            let (file, _) = strike(template, next);
            hit.lock().unwrap().insert((next.0.to_owned(), file));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(strike_on);
        }
    });
    (total, hit.into_inner().unwrap())
}

#[test]
fn each_failing_call_is_told_and_loses_nothing_acknowledged() {
    if let Some(dir) = std::env::var_os(DIR) {
        let ended = run_until_failure(Path::new(&dir));
        if let Err(error) = ended {
            say(&format!("told {error}"));
            std::process::exit(TOLD);
        }
        return;
    }
    let (made, hit) = strike_everywhere(None);
    for (call, file) in [
        ("pwrite64", "chain.redb.new"),
        ("fdatasync", "chain.redb.new"),
        ("fsync", "data"),
        ("fsync", "chain"),
        ("fsync", "chain.redb.new"),
        ("rename", "chain.redb.new"),
        ("pwrite64", "chain.redb"),
        ("fdatasync", "chain.redb"),
        ("pwrite64", "index.redb"),
    ] {
        assert!(
            hit.contains(&(call.to_owned(), file.to_owned())),
            "{call} {file}: {hit:?}"
        );
    }
    let template = TempDir::new().unwrap();
    {
        let mut chain = made_chain();
        let storage = open(template.path()).unwrap();
        chain.initialise(&storage).unwrap();
        for _ in 0..BEFORE {
            chain.commit_next(&storage).unwrap();
        }
    }
    let (added, _) = strike_everywhere(Some(template.path()));
    println!("{made} failures of a new store, {added} of one that is there");
    assert!(made > 100 && added > 50, "{made} {added}");
}
