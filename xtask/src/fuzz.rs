//! Build the fuzz targets, run them, and say in a table how far they came.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::{process, tool, workspace};

mod log;
mod options;

use log::Progress;
use options::Options;

const FUZZ_VERSION: &str = "0.13.2";
/// Where cargo-fuzz has its workspace.
const FOLDER: &str = "fuzz";
/// Inputs that are kept with the sources, a folder for each target.
const SAVED: &str = "tests/fuzz-bodies/corpus";
/// Bytes of an input: the structures that targets are about are smaller, and short inputs are quick.
const INPUT_BYTES_MAX: u32 = 8 * 1024;
/// Bytes of an input that is kept with the sources.
const SAVED_BYTES_MAX: u32 = 4 * 1024;
/// Inputs that [`keep`] takes of each target.
const TAKEN_MAX: usize = 48;
/// The most memory that a target may have. A node of its own runs in one of them.
const MEMORY_MIB_MAX: u32 = 3 * 1024;
/// The longest that one input may take. An honest one takes milliseconds; a compiler may take a second.
const INPUT_SECONDS_MAX: u32 = 120;

/// Fuzzes the targets that `arguments` name, or all, for their share of the time.
///
/// # Errors
/// When something does not build, or an input breaks a promise.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let options = Options::parse(arguments, &targets()?)?;
    build(&options.targets)?;
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let seconds = options.seconds_each(jobs);
    eprintln!("\n{seconds} s for each target, {jobs} of them at a time; logs are in {FOLDER}/logs");
    let waiting = Mutex::new(VecDeque::from(options.targets.clone()));
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(target) = next else { return };
            if let Err(message) = fuzz(&target, seconds) {
                eprintln!("error: {message}");
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(target);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    table()?;
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} found inputs that break a promise, in {FOLDER}/artifacts. `cargo xtask fuzz minimise TARGET FILE` makes one \
         small; mend what it found, and keep it in {SAVED}/TARGET as a regression",
        failed.join(", ")
    ))
}

/// Prints how far all runs have come that there are logs of.
///
/// # Errors
/// When there is none.
pub(crate) fn table() -> Result<(), String> {
    let mut sum = Progress::default();
    println!("\n{}", Progress::HEAD);
    for target in targets()? {
        let path = path(&["logs", &format!("{target}.log")]);
        let Ok(text) = fs::read(&path) else { continue };
        let progress = Progress::read(&String::from_utf8_lossy(&text));
        println!("{}", progress.row(&format!("`{target}`")));
        sum.add(&progress);
    }
    if sum.executions == 0 {
        return Err(format!(
            "no target has run yet: there is no log in {FOLDER}/logs"
        ));
    }
    println!("{}", sum.row("together"));
    Ok(())
}

/// Makes the input in `file`, which fails, as small as it can be, beside it.
///
/// # Errors
/// When it does not fail.
pub(crate) fn minimise(target: &str, file: &str) -> Result<(), String> {
    build(&[target.to_owned()])?;
    let temporary = Temporary::make(target)?;
    let mut command = program(target, &temporary)?;
    command
        .args(["-minimize_crash=1", "-max_total_time=60"])
        .arg(format!("-exact_artifact_path={file}.min"))
        .arg(file);
    process::run(command)?;
    eprintln!("\nthe smallest is {file}.min; once it passes, keep it: {SAVED}/{target}/NAME");
    Ok(())
}

/// Takes inputs that the runs found into the sources: of the fewest that reach all that was reached the longest, which
/// reach most each. All of them would be thousands, and each is run by every test run from then on.
///
/// # Errors
/// When a target does not build, or an input fails.
pub(crate) fn keep() -> Result<(), String> {
    let targets = targets()?;
    build(&targets)?;
    for target in targets {
        let saved = workspace::root().join(SAVED).join(&target);
        make(&saved)?;
        let temporary = Temporary::make(&target)?;
        let covering = temporary.0.join("covering");
        make(&covering)?;
        let mut command = program(&target, &temporary)?;
        command
            .arg("-set_cover_merge=1")
            .arg(format!("-max_len={SAVED_BYTES_MAX}"))
            .args([&covering, &saved, &path(&["corpus", &target])]);
        process::run(command)?;
        take_longest(&covering, &saved).map_err(|error| format!("{}: {error}", saved.display()))?;
    }
    Ok(())
}

/// Copies the longest files of a folder to another.
fn take_longest(from: &Path, to: &Path) -> io::Result<()> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        inputs.push((entry.metadata()?.len(), entry.file_name()));
    }
    inputs.sort_unstable();
    for (_, name) in inputs.iter().rev().take(TAKEN_MAX) {
        fs::copy(from.join(name), to.join(name))?;
    }
    Ok(())
}

/// One target for so long, on what is kept with the sources and what earlier runs found.
fn fuzz(target: &str, seconds: u64) -> Result<(), String> {
    let [corpus, artifacts, logs] = ["corpus", "artifacts", "logs"].map(|folder| path(&[folder]));
    let (corpus, artifacts) = (corpus.join(target), artifacts.join(target));
    for folder in [&corpus, &artifacts, &logs] {
        make(folder)?;
    }
    let log = log_file(&logs.join(format!("{target}.log")))?;
    let temporary = Temporary::make(target)?;
    let mut command = program(target, &temporary)?;
    command
        .args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
            format!("-timeout={INPUT_SECONDS_MAX}"),
            format!("-artifact_prefix={}/", artifacts.display()),
            "-print_final_stats=1".to_owned(),
            "-reload=0".to_owned(),
        ])
        .arg(corpus)
        .arg(workspace::root().join(SAVED).join(target))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let status = command
        .status()
        .map_err(|error| format!("cannot start {target}: {error}"))?;
    if status.success() {
        eprintln!("{target}: done");
        return Ok(());
    }
    Err(format!(
        "{target} ended with {status}; see {FOLDER}/logs/{target}.log"
    ))
}

/// The built program of a target. What it writes goes to `temporary`, which is its own.
fn program(target: &str, temporary: &Temporary) -> Result<Command, String> {
    let release = path(&["target", &triple()?, "release"]);
    let mut command = Command::new(release.join(target));
    command.env("TMPDIR", &temporary.0);
    Ok(command)
}

/// A folder of this process for one target, gone with this: a fuzzer never returns to clean up.
struct Temporary(PathBuf);

impl Temporary {
    fn make(target: &str) -> Result<Self, String> {
        let name = format!("{target}-{}", std::process::id());
        let folder = path(&["target", "tmp", &name]);
        make(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Builds with the instrumentation of libFuzzer. It needs no other compiler than ours: the flags are stable, and
/// AddressSanitizer, which is not, would not see into what wasmtime compiles.
fn build(targets: &[String]) -> Result<(), String> {
    let cargo_fuzz = tool::install("cargo-fuzz", FUZZ_VERSION)?;
    let all = targets.len() > 1;
    let mut command = Command::new(cargo_fuzz);
    process::forget_this_package(&mut command);
    // `cfg(fuzzing)` would make libraries other than those that are shipped.
    command
        .args(["build", "--release", "--sanitizer", "none"])
        .args(["--no-cfg-fuzzing", "--codegen-units", "16"])
        .args(targets.iter().filter(|_| !all))
        .current_dir(workspace::root().join(FOLDER));
    process::run(command)
}

fn triple() -> Result<String, String> {
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--version", "--verbose"])
        .current_dir(workspace::root());
    let said = process::output(rustc)?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say what it is for".to_owned())
}

/// Every target, by name: the sources of their programs.
fn targets() -> Result<Vec<String>, String> {
    let folder = path(&["fuzz_targets"]);
    let files = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> = files
        .filter_map(|file| {
            let path = file.ok()?.path();
            Some(path.file_stem()?.to_str()?.to_owned())
        })
        .collect();
    names.sort_unstable();
    Ok(names)
}

fn path(parts: &[&str]) -> PathBuf {
    let root = workspace::root().join(FOLDER);
    parts.iter().fold(root, |path, part| path.join(part))
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn log_file(path: &Path) -> Result<File, String> {
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).open(path);
    opened.map_err(|error| format!("{}: {error}", path.display()))
}
