//! Keep the gas of a project's tests in a file, and compare with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::arguments::test::Percent;
use crate::failure::{Exit, Failure, Outcome};
use crate::project::Project;
use crate::sdk_sources::write_if_changed;

/// The file in the project's folder.
const FILE: &str = "gas-snapshot.txt";
const HEADER: &str = "\
# Gas of each message that the project's tests send on the Wasm. `kumiki test --gas-snapshot` writes this file,
# `kumiki test --gas-check` compares. Keep it under version control.
";
const COMPILER: &str = "# Compiled by ";

/// A message: the test that sends it, its name, and which of that name in the test it is.
type Place = (String, String, u32);

/// The gas of each message of the tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gas {
    messages: BTreeMap<Place, u64>,
    /// What compiled the Wasm, as `rustc --version` says.
    compiler: String,
}

/// How the gas of a message differs from the snapshot.
#[derive(Debug, PartialEq, Eq)]
struct Change<'a> {
    place: &'a Place,
    before: Option<u64>,
    now: Option<u64>,
}

pub(super) fn snapshot_file(project: &Project) -> PathBuf {
    project.folder.join(FILE)
}

impl Gas {
    /// What tests left in `folder`: a file each, so that neither order nor threads matter.
    pub(super) fn left_in(folder: &Path, compiler: &str) -> Outcome<Self> {
        let failed = |error: std::io::Error| Failure::io(folder, &error);
        let mut gas = Self {
            compiler: compiler.to_owned(),
            ..Self::default()
        };
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let text = fs::read_to_string(&path).map_err(|error| Failure::io(&path, &error))?;
            gas.add(&path, &text)?;
        }
        Ok(gas)
    }

    /// What the project's snapshot says.
    pub(super) fn snapshot(project: &Project) -> Outcome<Self> {
        let path = snapshot_file(project);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(
                Exit::NotFound,
                "noGasSnapshot",
                "there is no gas snapshot to compare with",
            )
            .at(path.display().to_string())
            .next("kumiki test --gas-snapshot"),
            _ => Failure::io(&path, &error),
        })?;
        let compiler = text.lines().find_map(|line| line.strip_prefix(COMPILER));
        let mut gas = Self {
            compiler: compiler.unwrap_or_default().to_owned(),
            ..Self::default()
        };
        gas.add(&path, &text)?;
        Ok(gas)
    }

    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    /// Reads lines `TEST Contract.message#N GAS`.
    fn add(&mut self, path: &Path, text: &str) -> Outcome<()> {
        for (line, number) in text.lines().zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let known = parse(line).filter(|(place, _)| !self.messages.contains_key(place));
            let (place, gas) = known.ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    "gasSnapshotFormat",
                    "this line is no gas of a message, or comes twice",
                )
                .at(format!("{}:{number}", path.display()))
                .expected("TEST CONTRACT.MESSAGE#NUMBER GAS")
                .found(line)
                .next("kumiki test --gas-snapshot")
            })?;
            self.messages.insert(place, gas);
        }
        Ok(())
    }

    /// Writes the project's snapshot.
    pub(super) fn write(&self, project: &Project) -> Outcome<()> {
        let mut text = format!("{HEADER}{COMPILER}{}\n", self.compiler);
        for ((test, message, number), gas) in &self.messages {
            text.push_str(&format!("{test} {message}#{number} {gas}\n"));
        }
        write_if_changed(&snapshot_file(project), text.as_bytes())
    }

    /// Fails where this differs from `snapshot` by more than `tolerance`. With `some_only`, not all tests ran, and those
    /// that did not are passed over.
    pub(super) fn check(
        &self,
        snapshot: &Self,
        tolerance: Percent,
        some_only: bool,
        project: &Project,
    ) -> Outcome<()> {
        let changes = self.changes(snapshot, tolerance, some_only);
        if changes.is_empty() {
            return Ok(());
        }
        let count = |kind: &str| changes.iter().filter(|one| one.kind() == kind).count();
        let counts = ["dearer", "cheaper", "new", "gone"]
            .map(|kind| (count(kind), kind))
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"));
        let found: Vec<String> = counts.collect();
        let mut failure = Failure::new(
            Exit::Execution,
            "gasChanged",
            "the tests use other gas than their snapshot says",
        )
        .at(snapshot_file(project).display().to_string())
        .expected(format!(
            "{} messages, each within {tolerance}",
            snapshot.count()
        ))
        .found(found.join(", "))
        .next("kumiki test --gas-snapshot")
        .fact("changes", changes.iter().map(Change::json).collect());
        for line in table(&changes) {
            failure = failure.detail(line);
        }
        if self.compiler != snapshot.compiler {
            failure = failure.detail(format!(
                "the snapshot is of {}, this is {}: another compiler makes other Wasm",
                snapshot.compiler, self.compiler
            ));
        }
        Err(failure)
    }

    fn changes<'a>(
        &'a self,
        snapshot: &'a Self,
        tolerance: Percent,
        some_only: bool,
    ) -> Vec<Change<'a>> {
        let ran: BTreeSet<&str> = self.messages.keys().map(|(test, _, _)| &**test).collect();
        let missing = snapshot.messages.keys().filter(|place| {
            !self.messages.contains_key(*place) && (!some_only || ran.contains(&*place.0))
        });
        let places: BTreeSet<&Place> = self.messages.keys().chain(missing).collect();
        let change = |place| Change {
            place,
            before: snapshot.messages.get(place).copied(),
            now: self.messages.get(place).copied(),
        };
        let changes = places.into_iter().map(change);
        changes.filter(|change| change.exceeds(tolerance)).collect()
    }
}

fn parse(line: &str) -> Option<(Place, u64)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [test, message, gas] = *words else {
        return None;
    };
    let (message, number) = message.split_once('#')?;
    let place = (test.to_owned(), message.to_owned(), number.parse().ok()?);
    Some((place, gas.parse().ok()?))
}

impl Change<'_> {
    fn exceeds(&self, tolerance: Percent) -> bool {
        match (self.before, self.now) {
            (Some(before), Some(now)) => {
                let difference = u128::from(before.abs_diff(now));
                difference * 10_000 > u128::from(tolerance.hundredths()) * u128::from(before)
            }
            _ => true,
        }
    }

    fn kind(&self) -> &'static str {
        match (self.before, self.now) {
            (Some(before), Some(now)) if now > before => "dearer",
            (Some(_), Some(_)) => "cheaper",
            (None, _) => "new",
            (Some(_), None) => "gone",
        }
    }

    /// By how much, as a signed share of what it was.
    fn share(&self) -> Option<String> {
        let (before, now) = (self.before.filter(|gas| *gas > 0)?, self.now?);
        let hundredths = u128::from(before.abs_diff(now)) * 10_000 / u128::from(before);
        let sign = if now >= before { '+' } else { '-' };
        Some(format!(
            "{sign}{}.{:02} %",
            hundredths / 100,
            hundredths % 100
        ))
    }

    fn json(&self) -> Value {
        let (test, message, number) = self.place;
        json!({
            "test": test,
            "message": message,
            "number": number,
            "before": self.before,
            "now": self.now,
            "change": self.kind(),
        })
    }
}

fn table(changes: &[Change<'_>]) -> Vec<String> {
    let shown = |gas: Option<u64>| gas.map_or_else(|| "-".to_owned(), |gas| gas.to_string());
    let title = format!(
        "{:<8} {:>11} {:>11} {:>11}  message",
        "change", "before", "now", ""
    );
    let lines = changes.iter().map(|change| {
        let (test, message, number) = change.place;
        format!(
            "{:<8} {:>11} {:>11} {:>11}  {test} {message}#{number}",
            change.kind(),
            shown(change.before),
            shown(change.now),
            change.share().unwrap_or_default()
        )
    });
    std::iter::once(title).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gas(lines: &str) -> Gas {
        let mut gas = Gas::default();
        gas.add(Path::new("x"), lines).unwrap();
        gas
    }

    #[test]
    fn only_what_exceeds_the_tolerance_is_a_change() {
        let before = gas("t A.b#1 1000\nt A.b#2 1000\nt A.b#10 1000\n");
        let now = gas("t A.b#1 1010\nt A.b#2 1011\nt A.b#10 989\n");
        let kinds = |tolerance: &str| -> Vec<(u32, &str)> {
            let tolerance = tolerance.parse().unwrap();
            let changes = now.changes(&before, tolerance, false);
            changes
                .iter()
                .map(|one| (one.place.2, one.kind()))
                .collect()
        };
        assert_eq!(kinds("0"), [(1, "dearer"), (2, "dearer"), (10, "cheaper")]);
        assert_eq!(kinds("1"), [(2, "dearer"), (10, "cheaper")]);
        assert_eq!(kinds("1.1"), []);
        let shares = now.changes(&before, Percent::default(), false);
        let shares: Vec<String> = shares.iter().filter_map(Change::share).collect();
        assert_eq!(shares, ["+1.00 %", "+1.10 %", "-1.10 %"]);
    }

    #[test]
    fn new_and_gone_messages_are_changes_at_any_tolerance() {
        let before = gas("t A.b#1 1\nu A.b#1 1\n");
        let now = gas("t A.b#2 1\n");
        let kinds = |some_only| -> Vec<&str> {
            let changes = now.changes(&before, "1000".parse().unwrap(), some_only);
            changes.iter().map(Change::kind).collect()
        };
        assert_eq!(kinds(false), ["gone", "new", "gone"]);
        // Of tests that did not run nothing is known.
        assert_eq!(kinds(true), ["gone", "new"]);
    }

    #[test]
    fn a_line_that_is_none_or_comes_twice_is_refused() {
        for text in [
            "t A.b#1",
            "t A.b 5",
            "t A.b#x 5",
            "<<<<<<< HEAD",
            "t A.b#1 5\nt A.b#1 6",
        ] {
            assert!(Gas::default().add(Path::new("x"), text).is_err(), "{text}");
        }
    }
}
