//! Look at what we depend on: known holes, licences, sources, versions.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{process, tool, workspace};

mod licences;
mod watchlist;

/// The version of cargo-deny that `deny.toml` is written for.
const DENY_VERSION: &str = "0.20.2";
/// What cargo-deny calls its clone of `https://github.com/RustSec/advisory-db`.
const DATABASE: &str = "advisory-db-3157b0e258782691";
/// What the fuzz targets are built with: a workspace of its own, which should fuzz what the other one ships.
const FUZZ_LOCK: &str = "fuzz/Cargo.lock";
/// What only the fuzz targets have.
const FUZZ_ONLY: [&str; 2] = ["kumiki-fuzz", "libfuzzer-sys"];
/// Where all crates come from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// What the process exits with where all checks that ran are clean, but the advisories could not be fetched.
const NOT_CHECKED: u8 = 2;

/// The checks that need no further program: holes that we know of, sources, licences.
///
/// # Errors
/// All findings, a line each.
pub(crate) fn quick() -> Result<(), String> {
    let lock = read("Cargo.lock")?;
    let watched = read("watchlist.toml")?;
    let mut found = watchlist::check(&lock, &watched)?;
    found.extend(foreign_sources(&lock)?);
    let fuzzed = read(FUZZ_LOCK)?;
    found.extend(watchlist::check(&fuzzed, &watched)?);
    found.extend(foreign_sources(&fuzzed)?);
    found.extend(differences(&lock, &fuzzed)?);
    found.extend(licences::check(&read("deny.toml")?)?);
    if found.is_empty() {
        eprintln!("audit: clean");
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(|one| format!("error: {one}")).collect();
    Err(lines.join("\n"))
}

/// All checks: those above, and cargo-deny's, which is installed where it is missing. `--advisory-db DIR` names a git
/// repository with a copy of RustSec's advisories, where theirs cannot be reached.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let advisories = match arguments {
        [] => None,
        ["--advisory-db", folder] => Some(PathBuf::from(folder)),
        other => {
            let found = other.join(" ");
            eprintln!("error: expected nothing or --advisory-db DIR, found '{found}'");
            return ExitCode::FAILURE;
        }
    };
    let checked = quick().and_then(|()| {
        let deny = tool::install("cargo-deny", DENY_VERSION)?;
        let check = ["check", "bans", "licenses", "sources"];
        process::run(deny_command(&deny, Path::new("deny.toml"), &check))?;
        Ok(deny)
    });
    let deny = match checked {
        Ok(deny) => deny,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::FAILURE;
        }
    };
    match check_advisories(&deny, advisories.as_deref()) {
        Ok(Advisories::Clean(date)) => {
            println!("audit: clean, also by RustSec's advisories up to {date}");
            ExitCode::SUCCESS
        }
        Ok(Advisories::NotChecked(why)) => {
            eprintln!("\n{why}");
            println!(
                "audit: NOT CHECKED for advisories: RustSec's database could not be fetched. Licences, bans, sources \
                 and our watch list are clean. Run it with a network, or with --advisory-db DIR; exit code {NOT_CHECKED}"
            );
            ExitCode::from(NOT_CHECKED)
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

enum Advisories {
    /// Those of so long ago, as git says it, name nothing that we use.
    Clean(String),
    NotChecked(String),
}

/// Checks against RustSec's advisories, fetched now or taken from the git repository `copy`.
fn check_advisories(deny: &Path, copy: Option<&Path>) -> Result<Advisories, String> {
    let databases = workspace::target()?.join("advisory-dbs");
    let config = config_with(&databases)?;
    let database = databases.join(DATABASE);
    let had = match copy {
        None => process::run(deny_command(deny, &config, &["fetch", "db"])),
        Some(copy) => clone(copy, &database),
    };
    if let Err(why) = had {
        return Ok(Advisories::NotChecked(why));
    }
    let check = ["--offline", "check", "advisories"];
    process::run(deny_command(deny, &config, &check))?;
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(&database)
        .args(["log", "-1", "--format=%cs"]);
    let date = process::output(git)?;
    Ok(Advisories::Clean(date.trim().to_owned()))
}

fn clone(from: &Path, to: &Path) -> Result<(), String> {
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    let mut git = Command::new("git");
    git.args(["clone", "--quiet"]).args([from, to]);
    process::run(git)
}

/// `deny.toml` with the databases kept in `folder`.
fn config_with(folder: &Path) -> Result<PathBuf, String> {
    let place = format!("[advisories]\ndb-path = \"{}\"\n", folder.display());
    let text = read("deny.toml")?.replacen("[advisories]\n", &place, 1);
    let config = workspace::target()?.join("deny.toml");
    std::fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
    Ok(config)
}

/// The program, built into the target folder where it is not there yet.
fn deny_command(program: &Path, config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["--locked", "--config"]).arg(config);
    command.args(arguments).current_dir(workspace::root());
    command
}

/// Packages that are fuzzed in another version than the one that is shipped.
fn differences(lock: &str, fuzzed: &str) -> Result<Vec<String>, String> {
    let shipped: Vec<(String, String)> = watchlist::packages(lock)?
        .into_iter()
        .map(|package| (package.name, package.version))
        .collect();
    let fuzzed = watchlist::packages(fuzzed)?.into_iter();
    let fuzzed = fuzzed.map(|package| (package.name, package.version));
    let other = fuzzed
        .filter(|package| !FUZZ_ONLY.contains(&package.0.as_str()) && !shipped.contains(package));
    let found = other.map(|(name, version)| {
        format!(
            "{FUZZ_LOCK}: {name} {version} is not in Cargo.lock; copy Cargo.lock to {FUZZ_LOCK} and run `cargo metadata \
             --manifest-path fuzz/Cargo.toml`"
        )
    });
    Ok(found.collect())
}

/// Packages that come from elsewhere than the registry or this repository.
fn foreign_sources(lock: &str) -> Result<Vec<String>, String> {
    let packages = watchlist::packages(lock)?;
    let foreign = packages.iter().filter(|package| {
        let source = package.source.as_deref();
        source.is_some_and(|source| source != CRATES_IO)
    });
    let found = foreign.map(|package| {
        let source = package.source.as_deref().unwrap_or_default();
        format!(
            "{} {} comes from {source}; only crates.io is allowed",
            package.name, package.version
        )
    });
    Ok(found.collect())
}

fn read(path: &str) -> Result<String, String> {
    workspace::read(path).ok_or_else(|| format!("{path} is missing or no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                    source = \"git+https://example.org/a#0\"\n\
                    [[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n";
        let found = foreign_sources(lock).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a 1.0.0 comes from git+https://example.org/a#0"));
    }

    #[test]
    fn what_we_depend_on_is_clean() {
        assert_eq!(quick(), Ok(()));
    }

    #[test]
    fn the_place_of_advisories_is_written_into_the_configuration() {
        let config = config_with(Path::new("/somewhere")).unwrap();
        let text = std::fs::read_to_string(config).unwrap();
        assert!(text.contains("db-path = \"/somewhere\""), "{text}");
    }
}
