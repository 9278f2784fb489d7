//! Run every check of form and say at the end which ones failed.

use crate::{audit, crate_table, layers, process, tidy, workspace};

/// How much to check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All there is.
    Everything,
    /// What takes a second.
    WithoutCompiler,
}

/// Runs the checks, quickest first, all of them even when one fails.
///
/// # Errors
/// The names of the checks that failed; what they found is printed before.
pub(crate) fn run(scope: Scope) -> Result<(), String> {
    let mut failed = Vec::new();
    let mut record = |name: &'static str, result: Result<(), String>| {
        if let Err(message) = result {
            eprintln!("{message}");
            failed.push(name);
        }
    };
    record("layers", check_layers());
    record("tidy", check_tidy());
    record("audit", audit::quick());
    record(
        "fmt",
        process::run(process::cargo(&["fmt", "--all", "--check"])),
    );
    // A workspace of its own, so that `--all` does not mean it.
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    record("fmt of fuzz", process::run(process::cargo(&fuzz)));
    if scope == Scope::Everything {
        record("clippy", process::run(clippy()));
        record("docs", process::run(docs()));
    }
    if failed.is_empty() {
        eprintln!("\nlint: clean");
        Ok(())
    } else {
        Err(format!("lint: {} failed", failed.join(", ")))
    }
}

/// Release, because then build scripts and macros are those of the build and not compiled again.
fn clippy() -> std::process::Command {
    process::cargo(&[
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--keep-going",
        "--",
        "-D",
        "warnings",
    ])
}

fn docs() -> std::process::Command {
    let mut command = process::cargo(&["doc", "--release", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn check_layers() -> Result<(), String> {
    let packages = workspace::packages()?;
    let mut broken = layers::check(&packages);
    let architecture = workspace::read("ARCHITECTURE.md").unwrap_or_default();
    broken.extend(crate_table::check(&architecture, &packages));
    report("layers", &broken)
}

fn check_tidy() -> Result<(), String> {
    let findings = tidy::check()?;
    for warning in &findings.warnings {
        eprintln!("warning: {warning}");
    }
    report("tidy", &findings.errors)
}

fn report(name: &str, broken: &[String]) -> Result<(), String> {
    if broken.is_empty() {
        eprintln!("{name}: clean");
        return Ok(());
    }
    let lines: Vec<String> = broken.iter().map(|one| format!("error: {one}")).collect();
    Err(lines.join("\n"))
}
