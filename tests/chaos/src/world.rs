//! Run a test in namespaces of its own: its networks, processes and mounts are gone when it ends, however it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::tool::{missing, tool};

/// Set for the test that is inside.
const INSIDE: &str = "KUMIKI_CHAOS_INSIDE";
/// What unshare(1) makes new. Its child is the first process of the new process namespace: when it ends, or its parent
/// does, the kernel ends all others there, and with the last one the networks are gone.
const NEW: [&str; 6] = [
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// Where a test is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum World {
    /// In a world of its own: it shall do its work.
    Inside,
    /// Outside, and its work was done inside.
    Done,
    /// Outside of a machine that has no such worlds, with what to print.
    Missing(String),
}

/// Runs the test `name` of this program again in a world of its own, where it is told that it is inside.
///
/// # Errors
/// When the test fails inside, or a world cannot be made in CI.
pub fn enter(name: &str) -> Result<World, String> {
    if std::env::var_os(INSIDE).is_some() {
        end_with_parent();
        // Names of network namespaces are mounts below it.
        tool(&["mount", "-t", "tmpfs", "tmpfs", "/run"])?;
        tool(&["ip", "link", "set", "lo", "up"])?;
        return Ok(World::Inside);
    }
    let mut new: Vec<&str> = NEW.into();
    let probe = |new: &[&str]| tool(&[&["unshare"], new, &["true"]].concat());
    if let Err(error) = probe(&new) {
        // Some systems let everybody do this who is root only inside.
        new.push("--map-root-user");
        if probe(&new).is_err() {
            return missing("root and network namespaces", &error).map(World::Missing);
        }
    }
    for program in ["ip", "nft"] {
        tool(&[program, "-V"]).map_err(|error| {
            format!("{error}; 'apt-get install iproute2 nftables' or 'cargo xtask test' as root installs it")
        })?;
    }
    run_inside(&new, name)?;
    Ok(World::Done)
}

fn run_inside(new: &[&str], name: &str) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new("unshare")
        .args(new)
        .arg(program)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("unshare: {error}"))?;
    // Closed when this process ends, which ends the one inside.
    let held = child.stdin.take();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Marked, so that nobody counts the test twice.
            println!("| {line}");
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    drop(held);
    if status.success() {
        return Ok(());
    }
    Err(format!("{name} ended with {status} inside"))
}

/// Ends this process when the one that holds its standard input does.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // An error is an end too.
        let _ended = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(1);
    });
}
