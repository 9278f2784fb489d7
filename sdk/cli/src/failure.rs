//! Say what failed, where, what was expected and found, and what to do next, for people and for programs.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::NodeArguments;
use crate::next_step::with_options;
use crate::said::Said;

/// What the process exits with. `docs/cli.md` lists these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The system refused something: a file, a port, a program.
    System = 1,
    /// The command line or a configuration file is wrong.
    Usage = 2,
    /// A contract does not build, or its Wasm breaks a rule of the chain.
    Build = 3,
    /// No node answers, or it cannot serve now.
    Node = 4,
    /// The chain or the node refuses the transaction; nothing changed, nothing is paid.
    Refused = 5,
    /// A contract or the chain ended the execution with an error.
    Execution = 6,
    /// There is no such contract, account, transaction, block.
    NotFound = 7,
    /// An answer of the node does not prove what it claims.
    Proof = 8,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    exit: Exit,
    /// Stable, for programs.
    name: String,
    what: String,
    place: Option<String>,
    expected: Option<String>,
    found: Option<String>,
    next: Option<String>,
    details: Vec<String>,
    diagnostics: Vec<Value>,
    /// What only programs read, beside the details.
    facts: Vec<(&'static str, Value)>,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, name: impl Into<String>, what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            exit,
            name: name.into(),
            what: what.into(),
            place: None,
            expected: None,
            found: None,
            next: None,
            details: Vec::new(),
            diagnostics: Vec::new(),
            facts: Vec::new(),
        }))
    }

    /// A failure of the system at `path`.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::new(Exit::System, "io", error.to_string()).at(path.display().to_string())
    }

    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    pub(crate) fn found(mut self, found: impl Into<String>) -> Self {
        self.0.found = Some(found.into());
        self
    }

    /// One command or edit that brings the user on.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next = Some(next.into());
        self
    }

    /// Keeps, in the next step, the options by which this run chose node and project.
    pub(crate) fn with_options(mut self, chosen: &NodeArguments) -> Self {
        let next = self.0.next.take();
        self.0.next = next.map(|next| with_options(&next, chosen));
        self
    }

    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.0.details.push(line.into());
        self
    }

    /// Adds, for programs, what the details say to people.
    pub(crate) fn fact(mut self, key: &'static str, value: Value) -> Self {
        self.0.facts.push((key, value));
        self
    }

    /// Adds what contracts and their engine said.
    pub(crate) fn said(mut self, said: Said) -> Self {
        self.0.details.extend(said.lines);
        self.0.diagnostics = said.json;
        self
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.0.exit
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// What was found, where that is said.
    pub(crate) fn found_text(&self) -> Option<&str> {
        self.0.found.as_deref()
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let mut error = serde_json::Map::new();
        error.insert("name".to_owned(), json!(self.0.name));
        error.insert("exitCode".to_owned(), json!(self.0.exit as u8));
        error.insert("what".to_owned(), json!(self.0.what));
        for (key, value) in self.parts() {
            error.insert(key.to_owned(), json!(value));
        }
        if !self.0.details.is_empty() {
            error.insert("details".to_owned(), json!(self.0.details));
        }
        if !self.0.diagnostics.is_empty() {
            error.insert("diagnostics".to_owned(), json!(self.0.diagnostics));
        }
        for (key, value) in &self.0.facts {
            error.insert((*key).to_owned(), value.clone());
        }
        json!({ "error": error })
    }

    fn parts(&self) -> impl Iterator<Item = (&'static str, &String)> {
        [
            ("where", &self.0.place),
            ("expected", &self.0.expected),
            ("found", &self.0.found),
            ("next", &self.0.next),
        ]
        .into_iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", printable(&self.0.what))?;
        for (key, value) in self.parts() {
            let label = format!("{key}:");
            write!(f, "\n  {label:<10}{}", printable(value))?;
        }
        for line in &self.0.details {
            write!(f, "\n  {}", printable(line))?;
        }
        Ok(())
    }
}

/// Text from contracts, nodes and files, without characters that would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let kept = |one: char| one == '\n' || one == '\t' || !steers(one);
    text.chars()
        .map(|one| if kept(one) { one } else { '\u{fffd}' })
        .collect()
}

/// The same of a name, which has no second line: it could be taken for a line of ours.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|one| if steers(one) { '\u{fffd}' } else { one })
        .collect()
}

/// JSON that means the same, without characters that would steer a terminal.
pub(crate) fn printable_json(json: &str) -> String {
    let mut printable = String::with_capacity(json.len());
    for one in json.chars() {
        // JSON has them inside of strings only, so that an escape means the same.
        if steers(one) {
            printable.push_str(&format!("\\u{:04x}", u32::from(one)));
        } else {
            printable.push(one);
        }
    }
    printable
}

/// Whether a terminal obeys a character, ends a line with it, or shows what follows in another order.
pub(crate) fn steers(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The one of `known` that `found` was most likely meant to be.
pub(crate) fn closest<'k>(
    found: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    known
        .into_iter()
        .map(|one| (distance(found, one), letters(one) != letters(found), one))
        .filter(|(distance, _, one)| *distance <= 1 + one.len() / 3)
        .min()
        .map(|(_, _, one)| one)
}

/// The letters of a name in order: the same for names in which two are swapped.
fn letters(name: &str) -> Vec<char> {
    let mut letters: Vec<char> = name.chars().take(64).collect();
    letters.sort_unstable();
    letters
}

/// Edits (insert, delete, replace) between two names.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, one) in left.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(one != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_close_or_absent() {
        let known = ["path", "init", "block_time_ms"];
        assert_eq!(closest("blok_time", known), Some("block_time_ms"));
        assert_eq!(closest("pth", known), Some("path"));
        assert_eq!(closest("something_else", known), None);
    }

    #[test]
    fn hostile_text_cannot_steer_the_terminal() {
        let failure = Failure::new(Exit::Execution, "reverted", "no\u{1b}[2J\u{202e}");
        assert_eq!(failure.to_string(), "error: no\u{fffd}[2J\u{fffd}");
        assert_eq!(one_line("a\n\u{9b}b\u{200f}"), "a\u{fffd}\u{fffd}b\u{fffd}");
    }

    #[test]
    fn json_is_as_exact_as_it_is_harmless() {
        let text = "a\u{1b}[31m\u{9b}31m\u{202e}\u{2028}ü";
        let json = json!({ text: text }).to_string();
        let shown = printable_json(&json);
        assert!(!shown.chars().any(steers), "{shown}");
        let read: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, json!({ text: text }));
    }
}
