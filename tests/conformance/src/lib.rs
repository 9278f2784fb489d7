//! Hold values against committed golden files, and rewrite those only when told to.
//!
//! A golden file has one `name = value` line per value, in the order in which the test gives them. A
//! difference is a change of what peers agree on: it is a mistake, or a new protocol version. When it is
//! meant, `cargo xtask bless` (or `KUMIKI_BLESS=1`) rewrites the files, and the diff is reviewed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Set to `1` to rewrite the golden files instead of comparing with them.
pub const BLESS_VARIABLE: &str = "KUMIKI_BLESS";

/// Named values of one area, in order.
#[derive(Debug)]
pub struct Golden {
    file: &'static str,
    values: Vec<(String, String)>,
}

/// One way in which values and golden file differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The value is another.
    #[error("{name}\n    golden {golden}\n    found  {found}")]
    Changed {
        /// The value's name.
        name: String,
        /// What the file says.
        golden: String,
        /// What the code says.
        found: String,
    },
    /// The file does not know the value.
    #[error("{name} is not in the file; found {found}")]
    New {
        /// The value's name.
        name: String,
        /// What the code says.
        found: String,
    },
    /// The code does not know the value.
    #[error("{name} is in the file and no longer made")]
    Gone {
        /// The value's name.
        name: String,
    },
}

impl Golden {
    /// No values yet, to be held against `golden/<file>`.
    #[must_use]
    pub const fn new(file: &'static str) -> Self {
        Self {
            file,
            values: Vec::new(),
        }
    }

    /// Adds a value.
    ///
    /// # Panics
    /// When the name was given before or does not fit a line: the test is wrong.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        assert!(
            !name.contains(['\n', '=']) && !value.contains('\n'),
            "{name}: name and value must fit one line"
        );
        assert!(
            self.values.iter().all(|(known, _)| *known != name),
            "{name} is given twice"
        );
        self.values.push((name, value));
    }

    /// The differences to `golden`, the text of a golden file.
    #[must_use]
    pub fn differences(&self, golden: &str) -> Vec<Difference> {
        let mut expected: BTreeMap<&str, &str> = golden
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .collect();
        let mut differences = Vec::new();
        for (name, found) in &self.values {
            match expected.remove(name.as_str()) {
                Some(golden) if golden == found => {}
                Some(golden) => differences.push(Difference::Changed {
                    name: name.clone(),
                    golden: golden.to_owned(),
                    found: found.clone(),
                }),
                None => differences.push(Difference::New {
                    name: name.clone(),
                    found: found.clone(),
                }),
            }
        }
        differences.extend(expected.keys().map(|name| Difference::Gone {
            name: (*name).to_owned(),
        }));
        differences
    }

    /// Compares with the golden file, or rewrites it where [`BLESS_VARIABLE`] is `1`.
    ///
    /// # Panics
    /// With file and names when something differs.
    pub fn compare(&self) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("golden")
            .join(self.file);
        if std::env::var(BLESS_VARIABLE).as_deref() == Ok("1") {
            std::fs::write(&path, self.text()).expect("golden files are writable when blessing");
            return;
        }
        self.hold_against(&std::fs::read_to_string(&path).unwrap_or_default());
    }

    fn hold_against(&self, golden: &str) {
        let mut report = String::new();
        for difference in self.differences(golden) {
            let _infallible = writeln!(report, "  {difference}");
        }
        assert!(
            report.is_empty(),
            "tests/conformance/golden/{} differs:\n{report}\nPeers agree on these values. If the change is \
             meant, run `cargo xtask bless` and say in CHANGELOG.md what breaks.",
            self.file
        );
    }

    fn text(&self) -> String {
        self.values
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Golden {
        let mut golden = Golden::new("sample.txt");
        golden.add("action.transfer", "00aa");
        golden.add("action.call", "01bb");
        golden
    }

    #[test]
    fn equal_values_differ_nowhere() {
        assert_eq!(golden().differences(&golden().text()), []);
    }

    #[test]
    fn changed_new_and_gone_values_are_named() {
        let found = golden().differences("action.transfer = 00ab\naction.deploy = 02cc\n");
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3);
        assert!(names[0].starts_with("action.transfer\n    golden 00ab\n    found  00aa"));
        assert!(names[1].starts_with("action.call is not in the file"));
        assert!(names[2].starts_with("action.deploy is in the file"));
        assert_eq!(golden().differences("").len(), 2);
    }

    #[test]
    #[should_panic(expected = "golden/sample.txt differs:\n  action.transfer is not in the file")]
    fn a_missing_file_fails_and_names_itself() {
        golden().hold_against("");
    }
}
