//! Build once, run every test, and count what passed.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use crate::{process, workspace};

mod fault_tools;
mod lanes;
mod lint_beside;
mod tally;

use tally::Tally;

const WASM_TARGET: &str = "wasm32v1-none";

/// Which tests to run; all of them unless something is named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    packages: Vec<String>,
    filter: Option<String>,
    /// Also the lints, beside the tests.
    lint: bool,
}

impl Selection {
    /// Reads `[--lint] [-p CRATE]... [FILTER]`.
    ///
    /// # Errors
    /// A message when an argument is none of these.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut selection = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "-p" | "--package" => {
                    let name = rest.next().ok_or("-p needs the name of a crate")?;
                    selection.packages.push((*name).to_owned());
                }
                "--lint" => selection.lint = true,
                flag if flag.starts_with('-') => return Err(format!("unknown option '{flag}'")),
                filter if selection.filter.is_none() => selection.filter = Some(filter.to_owned()),
                second => return Err(format!("one filter at a time, '{second}' is the second")),
            }
        }
        match selection.lint && !selection.is_everything() {
            true => Err("--lint goes with all tests".to_owned()),
            false => Ok(selection),
        }
    }

    const fn is_everything(&self) -> bool {
        self.packages.is_empty() && self.filter.is_none()
    }

    /// The packages as cargo takes them. `kumiki-deps` comes along so that dependencies keep their features.
    fn cargo_arguments(&self) -> Vec<String> {
        if self.packages.is_empty() {
            return vec!["--workspace".to_owned()];
        }
        let deps = std::iter::once("kumiki-deps");
        self.packages
            .iter()
            .map(String::as_str)
            .chain(deps)
            .flat_map(|name| ["-p".to_owned(), name.to_owned()])
            .collect()
    }
}

/// Runs the tests; the last line on stdout is `N passed, N failed`.
///
/// # Errors
/// When something does not build, or a test fails.
pub(crate) fn run(selection: &Selection) -> Result<(), String> {
    install_wasm_target()?;
    fault_tools::install()?;
    if let Err(message) = build(selection) {
        eprintln!("error: the build failed, so no test ran");
        println!("0 passed, 1 failed");
        return Err(message);
    }
    let (tally, lint) = run_tests(selection)?;
    for name in &tally.failures {
        eprintln!("failed: {name}");
    }
    if tally.ignored > 0 {
        eprintln!("ignored: {}", tally.ignored);
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    match (tally.passed, tally.failed) {
        (0, 0) => Err("no test was selected".to_owned()),
        (_, 0) => lint,
        (_, _) => Err(String::new()),
    }
}

/// Everything runs in two lanes at once, because networks of processes mostly wait; a selection in one. Beside the tally is
/// what the lints came to.
fn run_tests(selection: &Selection) -> Result<(Tally, Result<(), String>), String> {
    if !selection.is_everything() {
        let mut command = test_command(&selection.cargo_arguments())?;
        if let Some(filter) = &selection.filter {
            command.args(["--", filter]);
        }
        return Ok((stream(command, None)?, Ok(())));
    }
    let [first, second] = lanes::of_everything()?;
    let (running, started) = channel();
    std::thread::scope(|scope| {
        let running_too = running.clone();
        let second = scope.spawn(|| run_lane("networks", &second, running_too));
        let lint = selection
            .lint
            .then(|| scope.spawn(move || lint_beside::run(&started, 2)));
        let tally = run_lane("all else", &first, running);
        let second = second
            .join()
            .map_err(|_| "the lane of networks was lost".to_owned());
        let lint = lint.map_or(Ok(Ok(())), |lint| {
            lint.join().map_err(|_| "the lints were lost".to_owned())
        });
        Ok((tally?.and(second??), lint?))
    })
}

/// Runs one after another; `running` hears of the first test.
fn run_lane(name: &str, runs: &[Vec<String>], running: Sender<()>) -> Result<Tally, String> {
    let mut running = Some(running);
    let start = Instant::now();
    let mut tally = Tally::default();
    for arguments in runs {
        tally = tally.and(stream(test_command(arguments)?, running.take())?);
    }
    eprintln!("the lane of {name} took {} s", start.elapsed().as_secs());
    Ok(tally)
}

fn test_command(arguments: &[String]) -> Result<Command, String> {
    let mut command = process::cargo(&["test", "--release", "--no-fail-fast"]);
    command.args(arguments);
    prepare_environment(&mut command)?;
    Ok(command)
}

/// Runs a network of real processes under load and faults for as long as `arguments` say.
///
/// # Errors
/// When something does not build, or a promise is broken.
pub(crate) fn chaos(arguments: &[&str]) -> Result<(), String> {
    // The whole workspace, as tests are built: any other selection would build third-party crates again.
    process::run(process::cargo(&[
        "build",
        "--release",
        "--workspace",
        "--bins",
    ]))?;
    // The environment names the built `kumiki`; the runner lies beside it.
    let mut environment = Command::new("kumiki-chaos");
    prepare_environment(&mut environment)?;
    let built = environment
        .get_envs()
        .find(|(name, _)| *name == "KUMIKI_BIN");
    let built = built.and_then(|(_, value)| value).map(PathBuf::from);
    let built = built.ok_or("cargo metadata names no target directory")?;
    let runner = format!("kumiki-chaos{}", std::env::consts::EXE_SUFFIX);
    let mut command = Command::new(built.with_file_name(runner));
    command.args(arguments);
    prepare_environment(&mut command)?;
    process::run(command)
}

/// Runs hostile and generated contracts as `arguments` say.
///
/// # Errors
/// When something does not build, or engines differ.
pub(crate) fn hostile(arguments: &[&str]) -> Result<(), String> {
    process::run(process::cargo(&[
        "build",
        "--release",
        "--workspace",
        "--bin",
        "kumiki-hostile-contracts",
    ]))?;
    let program = format!("kumiki-hostile-contracts{}", std::env::consts::EXE_SUFFIX);
    let mut command = Command::new(workspace::target()?.join("release").join(program));
    command.args(arguments);
    process::run(command)
}

/// Runs simulated networks: `--seeds N` of them, or the one of `--seed S`.
///
/// # Errors
/// When something does not build, or a promise is broken.
pub(crate) fn simulate(arguments: &[&str]) -> Result<(), String> {
    let mut command = process::cargo(&[
        "test",
        "--release",
        "--workspace",
        "--test",
        "seeds",
        "--",
        "networks_with_faults",
        "--nocapture",
    ]);
    match arguments {
        [] => {}
        ["--seeds", count] => {
            command.env("KUMIKI_SEEDS", count);
        }
        ["--seed", seed] => {
            command.env("KUMIKI_SEED", seed);
        }
        other => {
            return Err(format!(
                "expected --seeds N, --seed S or --planted [NAME], found {}",
                other.join(" ")
            ));
        }
    }
    process::run(command)
}

/// Rewrites the golden files of `tests/conformance`.
///
/// # Errors
/// When the conformance tests do not build or find something that no golden file can mend.
pub(crate) fn bless() -> Result<(), String> {
    let mut command = process::cargo(&[
        "test",
        "--release",
        "-p",
        "kumiki-conformance",
        "-p",
        "kumiki-deps",
    ]);
    command.env("KUMIKI_BLESS", "1");
    process::run(command)?;
    let mut diff = Command::new("git");
    diff.args(["status", "--short", "tests/conformance"])
        .current_dir(workspace::root());
    process::run(diff)
}

/// Contract tests compile contracts; a fresh rustup lacks their target.
fn install_wasm_target() -> Result<(), String> {
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--print", "sysroot"])
        .current_dir(workspace::root());
    let sysroot = PathBuf::from(process::output(rustc)?.trim());
    if sysroot.join("lib/rustlib").join(WASM_TARGET).is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup
        .args(["target", "add", WASM_TARGET])
        .current_dir(workspace::root());
    process::run(rustup).map_err(|error| {
        format!("{error}\nthe Rust target {WASM_TARGET} is missing; install it and run this again")
    })
}

/// Builds tests and programs in one go, so that features are settled once and nothing is built twice.
fn build(selection: &Selection) -> Result<(), String> {
    let mut command = process::cargo(&["build", "--release", "--lib", "--bins", "--tests"]);
    command.args(selection.cargo_arguments());
    if !selection.packages.is_empty() {
        command.args(["-p", "kumiki-cli"]);
    }
    process::run(command)
}

/// Tells tests where the `kumiki` program is, and keeps them from rewriting what they should compare with.
fn prepare_environment(command: &mut Command) -> Result<(), String> {
    let target = workspace::target()?;
    let program = format!("kumiki{}", std::env::consts::EXE_SUFFIX);
    command
        .env("KUMIKI_BIN", target.join("release").join(program))
        .env("INSTA_UPDATE", "no")
        .env_remove("KUMIKI_BLESS")
        .env_remove("TRYBUILD");
    Ok(())
}

/// Runs the tests and counts. Output is shown whenever a test program ends, so that lanes do not mix theirs.
fn stream(mut command: Command, mut running: Option<Sender<()>>) -> Result<Tally, String> {
    process::announce(&command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    let mut tally = Tally::default();
    let mut unshown = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|error| format!("cannot read the tests' output: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            if line.starts_with("running ")
                && let Some(running) = running.take()
            {
                let _nobody_may_listen = running.send(());
            }
            tally.read(&line);
            writeln!(unshown, "{line}").map_err(|error| error.to_string())?;
            if line.starts_with("test result: ") {
                show(&mut unshown)?;
            }
        }
    }
    show(&mut unshown)?;
    let status = child
        .wait()
        .map_err(|error| format!("cargo got lost: {error}"))?;
    tally.finish(status.success());
    Ok(tally)
}

fn show(unshown: &mut Vec<u8>) -> Result<(), String> {
    let shown = std::io::stdout().lock().write_all(unshown);
    unshown.clear();
    shown.map_err(|error| format!("cannot show the tests' output: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_reads_crates_and_a_filter() {
        let selection = Selection::parse(&["-p", "kumiki-vm", "gas"]).unwrap();
        assert_eq!(selection.filter.as_deref(), Some("gas"));
        assert_eq!(
            selection.cargo_arguments(),
            ["-p", "kumiki-vm", "-p", "kumiki-deps"]
        );
        assert_eq!(Selection::default().cargo_arguments(), ["--workspace"]);
    }

    #[test]
    fn selection_refuses_what_it_does_not_know() {
        assert!(Selection::parse(&["-p"]).is_err());
        assert!(Selection::parse(&["--fast"]).is_err());
        assert!(Selection::parse(&["one", "two"]).is_err());
    }
}
