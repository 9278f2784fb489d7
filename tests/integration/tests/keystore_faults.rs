//! Let each step of making a key fail, or kill the program there, with strace: the key is there whole, or not at all.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kumiki_integration::localnet::Machine;
use kumiki_integration::program::kumiki;
use kumiki_wallet::{Keystore, Passphrase};

const PASSPHRASE: &str = "a passphrase";
const CALLS: &str = "trace=write,fsync,link,linkat,rename,renameat,renameat2";

const ACCOUNT_NEW: [&str; 4] = ["account", "new", "mine", "--json"];

/// The trace of `kumiki account new mine`, and whether it said that the key is kept.
struct Ran {
    done: bool,
    trace: Vec<String>,
}

/// `program`, to be told to run `kumiki account new mine` with what is set here.
fn runner(machine: &Machine, program: &str) -> Command {
    let passphrase = machine.path().join("passphrase");
    std::fs::write(&passphrase, PASSPHRASE).unwrap();
    let mut runner = Command::new(program);
    for (name, value) in machine.command(&[]).get_envs() {
        match value {
            Some(value) => runner.env(name, value),
            None => runner.env_remove(name),
        };
    }
    runner.env("KUMIKI_PASSPHRASE_FILE", passphrase);
    runner.stdin(Stdio::null());
    runner
}

fn make_key(machine: &Machine, injection: Option<&str>) -> Ran {
    let trace = machine.path().join("trace");
    let mut strace = runner(machine, "strace");
    strace
        .args(["-f", "-y", "-o"])
        .arg(&trace)
        .args(["-e", CALLS]);
    if let Some(injection) = injection {
        strace.args(["-e", &format!("inject={injection}")]);
    }
    let output = strace.arg(kumiki()).args(ACCOUNT_NEW).output().expect(
        "strace is needed: 'apt-get install strace', or 'cargo xtask test' as root installs it",
    );
    let trace = std::fs::read_to_string(trace).unwrap_or_default();
    assert!(
        trace.contains("write("),
        "strace sees nothing; may it trace (ptrace)? {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ran {
        done: output.status.success(),
        trace: trace.lines().map(str::to_owned).collect(),
    }
}

fn keys(machine: &Machine) -> PathBuf {
    machine.path().join("kumiki/keys")
}

/// The key's file is whole or not there, and the keystore is of use.
fn check_left(machine: &Machine, done: bool, what: &str) {
    let keystore = Keystore::open(&keys(machine)).unwrap();
    let listed = keystore.list().unwrap();
    assert!(
        !done || !listed.is_empty(),
        "{what}: told of a key that is not kept"
    );
    let passphrase = || Passphrase::new(PASSPHRASE.to_owned());
    if let [account] = listed.as_slice() {
        let key = keystore.unlock("mine", &passphrase()).unwrap();
        assert_eq!(key.public_key(), account.public_key, "{what}");
    } else {
        assert!(listed.is_empty(), "{what}: {listed:?}");
        keystore.create("mine", &passphrase()).unwrap();
    }
}

/// Each call but writes that touches the keystore, by name and count among its like. Every thread writes, and strace
/// counts for each.
fn steps(trace: &[String], keys: &Path) -> Vec<(String, usize)> {
    let mut steps = Vec::new();
    let keys = keys.display().to_string();
    for (at, line) in trace.iter().enumerate() {
        let Some((call, _)) = line
            .split_once(' ')
            .and_then(|(_, rest)| rest.trim().split_once('('))
        else {
            continue;
        };
        let same = format!(" {call}(");
        if line.contains(&keys) && call != "write" {
            let nth = trace
                .iter()
                .take(at + 1)
                .filter(|one| one.contains(&same))
                .count();
            steps.push((call.to_owned(), nth));
        }
    }
    steps
}

#[test]
fn a_key_is_kept_whole_or_not_at_all_wherever_making_it_fails() {
    let whole = {
        let machine = Machine::new();
        let ran = make_key(&machine, None);
        assert!(ran.done);
        steps(&ran.trace, &keys(&machine))
    };
    let made_of = |call: &str| whole.iter().any(|(name, _)| name.starts_with(call));
    assert!(made_of("fsync"), "{whole:?}");
    assert!(made_of("link") || made_of("rename"), "{whole:?}");
    for (call, nth) in &whole {
        for harm in ["error=EIO", "error=ENOSPC", "signal=KILL"] {
            let machine = Machine::new();
            let injection = format!("{call}:{harm}:when={nth}");
            let ran = make_key(&machine, Some(&injection));
            let struck = ["(INJECTED)", "killed by SIGKILL"];
            let hit = ran
                .trace
                .iter()
                .any(|line| struck.iter().any(|one| line.contains(one)));
            assert!(hit, "{injection} did not happen");
            check_left(&machine, ran.done, &injection);
        }
    }
    println!("{} steps, each failed three ways: {whole:?}", whole.len());
}

#[test]
fn a_key_whose_file_cannot_be_written_leaves_nothing() {
    let machine = Machine::new();
    let mut shell = runner(&machine, "sh");
    // The system ends whoever writes to a file longer than nothing.
    shell
        .args(["-c", "ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(kumiki());
    let output = shell.args(ACCOUNT_NEW).output().unwrap();
    assert!(!output.status.success());
    assert!(std::fs::read_dir(keys(&machine)).unwrap().count() <= 1);
    check_left(&machine, false, "the write");
}
