//! Plant known bugs one at a time, each a patch, and see that the simulator finds every one of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{process, workspace};

/// Where the patches lie. The first line of each says what is wrong with it applied.
const PATCHES: &str = "tests/simulator/bugs";
/// Networks that a bug may need to show.
const SEEDS: &str = "400";
/// What takes long to compile, and need not be fast to find a bug; the network and the RPC server are not even run.
const QUICK_TO_BUILD: [&str; 4] = [
    "profile.release.package.kumiki-simulator.opt-level=1",
    "profile.release.package.kumiki-node.opt-level=0",
    "profile.release.package.kumiki-network.opt-level=0",
    "profile.release.package.kumiki-rpc.opt-level=0",
];
/// What a run says of the lowest seed that broke a promise.
const FOUND: &str = "found by seed ";

/// A bug and what became of it.
struct Planted {
    name: String,
    found: Option<Found>,
    took: Duration,
}

/// How a bug showed.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    seed: String,
    said: String,
}

/// Plants the bugs whose name contains `filter` in a working tree of its own, at the commit that is checked out here.
///
/// # Errors
/// When a patch does not apply or build, or when no seed finds a bug.
pub(crate) fn run(filter: &str) -> Result<(), String> {
    let mut patches = patches()?;
    patches.retain(|patch| name_of(patch).contains(filter));
    if patches.is_empty() {
        return Err(format!("no patch in {PATCHES} is named like '{filter}'"));
    }
    let target = borrow_dependencies()?;
    let tree = Tree::make(target.join("tree"))?;
    let mut all = Vec::new();
    for patch in &patches {
        let planted = tree.plant(patch, &target)?;
        println!("{}", row(&planted));
        all.push(planted);
    }
    println!("\n| bug | found by seed | what the checker said | seconds |\n|---|---|---|---|");
    for planted in &all {
        println!("{}", row(planted));
    }
    let missed: Vec<&str> = all
        .iter()
        .filter(|planted| planted.found.is_none())
        .map(|planted| planted.name.as_str())
        .collect();
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!("none of {SEEDS} seeds finds {}", missed.join(", ")))
}

/// The patches, by name.
fn patches() -> Result<Vec<PathBuf>, String> {
    let folder = workspace::root().join(PATCHES);
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut patches: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "patch"))
        .collect();
    patches.sort();
    Ok(patches)
}

fn name_of(patch: &Path) -> String {
    let stem = patch.file_stem().unwrap_or(patch.as_os_str());
    stem.to_string_lossy().into_owned()
}

fn row(planted: &Planted) -> String {
    let (seed, said) = match &planted.found {
        Some(found) => (found.seed.as_str(), found.said.as_str()),
        None => ("none", "nothing"),
    };
    let said: String = said.replace('|', "/").chars().take(160).collect();
    let seconds = planted.took.as_secs();
    format!("| {} | {seed} | {said} | {seconds} |", planted.name)
}

/// A folder for what is built with bugs in it. It begins with a copy of what is built already, so that only the crates
/// of the workspace are built again; sharing the folder itself would leave bugs in what is built next.
fn borrow_dependencies() -> Result<PathBuf, String> {
    let target = workspace::target()?;
    let planted = target.join("planted");
    let release = planted.join("release");
    if !release.is_dir() {
        std::fs::create_dir_all(&release).map_err(|error| format!("{planted:?}: {error}"))?;
        let mut copy = Command::new("cp");
        copy.arg("-a");
        for part in [".fingerprint", "build", "deps"] {
            copy.arg(target.join("release").join(part));
        }
        copy.arg(&release);
        process::run(copy)?;
    }
    Ok(planted)
}

/// A working tree that is gone when it is dropped.
struct Tree(PathBuf);

impl Tree {
    /// Always at the same place: then the compiler finds again what it knows of it.
    fn make(folder: PathBuf) -> Result<Self, String> {
        let tree = Self(folder);
        // A run that was stopped has left one.
        if tree.0.exists() {
            tree.remove()?;
        }
        let mut add = git(workspace::root());
        add.args(["worktree", "add", "--force", "--detach"])
            .arg(&tree.0);
        add.arg("HEAD");
        process::run(add)?;
        Ok(tree)
    }

    fn remove(&self) -> Result<(), String> {
        let mut remove = git(workspace::root());
        remove.args(["worktree", "remove", "--force"]).arg(&self.0);
        process::run(remove)
    }

    /// Applies the patch, runs seeds until one finds the bug, and takes the patch back.
    fn plant(&self, patch: &Path, target: &Path) -> Result<Planted, String> {
        let mut apply = git(&self.0);
        process::run({
            apply.arg("apply").arg(patch);
            apply
        })?;
        process::run({
            let mut build = self.simulator(target);
            build.arg("--no-run");
            build
        })?;
        let mut simulate = self.simulator(target);
        simulate.args(["--", "networks_with_faults", "--nocapture"]);
        let start = Instant::now();
        let output = simulate
            .output()
            .map_err(|error| format!("cannot start the simulator: {error}"))?;
        let took = start.elapsed();
        process::run({
            let mut reset = git(&self.0);
            reset.args(["checkout", "--quiet", "--", "."]);
            reset
        })?;
        let found = found(&String::from_utf8_lossy(&output.stdout));
        if found.is_none() && !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "the simulator ended with {}: {said}",
                output.status
            ));
        }
        Ok(Planted {
            name: name_of(patch),
            found,
            took,
        })
    }

    fn simulator(&self, target: &Path) -> Command {
        let mut command = process::cargo(&["test", "--release", "--workspace", "--test", "seeds"]);
        for setting in QUICK_TO_BUILD {
            command.args(["--config", setting]);
        }
        command
            .current_dir(&self.0)
            .env("CARGO_TARGET_DIR", target)
            .env("RUST_BACKTRACE", "0")
            .env("KUMIKI_FIRST_ONLY", "1")
            .env("KUMIKI_SEEDS", SEEDS);
        command
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(message) = self.remove() {
            eprintln!("{message}");
        }
    }
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder);
    git
}

/// The first find that a run of the simulator printed.
fn found(output: &str) -> Option<Found> {
    let line = output.lines().find_map(|line| line.strip_prefix(FOUND))?;
    let (seed, said) = line.split_once(": ")?;
    Some(Found {
        seed: seed.to_owned(),
        said: said.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_applies_and_says_what_is_wrong() {
        let patches = patches().unwrap();
        assert!(patches.len() >= 10);
        for patch in patches {
            let text = std::fs::read_to_string(&patch).unwrap();
            let first = text.lines().next().unwrap();
            assert!(first.ends_with('.'), "{patch:?} begins with {first:?}");
            let mut check = git(workspace::root());
            check.args(["apply", "--check"]).arg(&patch);
            assert_eq!(process::output(check), Ok(String::new()), "{patch:?}");
        }
    }

    #[test]
    fn the_first_find_is_read_from_what_the_simulator_prints() {
        let output = "test a ... ok\nfound by seed 7: node 1: gone\nfound by seed 9: more\n";
        let first = Found {
            seed: "7".to_owned(),
            said: "node 1: gone".to_owned(),
        };
        assert_eq!(found(output), Some(first));
        assert_eq!(found("test result: ok. 1 passed\n"), None);
    }
}
