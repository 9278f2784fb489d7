//! Read `node.toml`, with what environment and flags say instead, and remember where each value came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Spanned, Value};

use crate::failure::{Exit, Failure, Outcome, closest};
use crate::next_step::shell_word;
use crate::project::toml_failure;
use keys::{KEYS, Key, Kind, VARIABLES};

pub(crate) mod keys;
mod settings;
#[cfg(test)]
mod tests;

/// The file's name in a node's folder.
pub(crate) const FILE: &str = "node.toml";
/// Names of variables that begin like those of keys and are none.
const OTHER_VARIABLES: [&str; 1] = ["KUMIKI_NODE_HOME"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value for a key, given on the command line.
pub(crate) type Override = (&'static str, &'static str, Value, &'static str);

/// Every key's value in effect, and its origin.
#[derive(Clone, Debug)]
pub(crate) struct NodeSettings {
    /// The node's folder, which paths are seen from.
    pub(crate) home: PathBuf,
    values: BTreeMap<(&'static str, &'static str), (Value, Origin)>,
}

impl NodeSettings {
    /// What holds for the node in `home`: flags before variables before the file before defaults.
    pub(crate) fn load(
        home: &Path,
        variables: impl Iterator<Item = (String, String)>,
        flags: Vec<Override>,
    ) -> Outcome<Self> {
        let mut settings = Self {
            home: home.to_owned(),
            values: BTreeMap::new(),
        };
        for key in KEYS {
            settings.set(key, literal(key.default), Origin::Default)?;
        }
        settings.read_file(&home.join(FILE))?;
        settings.read_variables(variables)?;
        for (section, name, value, flag) in flags {
            let key = keys::find(section, name).expect("flags name keys of the table");
            settings.set(key, value, Origin::Flag(flag))?;
        }
        Ok(settings)
    }

    /// Every key with its value in effect.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Key, &Value, &Origin)> {
        KEYS.iter().map(|key| {
            let (value, origin) = self.entry(key.section, key.name);
            (key, value, origin)
        })
    }

    fn entry(&self, section: &'static str, name: &'static str) -> &(Value, Origin) {
        self.values
            .get(&(section, name))
            .expect("every key of the table has a value")
    }

    fn set(&mut self, key: &'static Key, value: Value, origin: Origin) -> Outcome<()> {
        if !fits(key.kind, &value) {
            return Err(Failure::new(
                Exit::Usage,
                "configValue",
                format!("{} cannot be this", key.path()),
            )
            .at(origin.to_string())
            .expected(expected(key.kind))
            .found(value.to_string())
            .next("kumiki node config show"));
        }
        self.values.insert((key.section, key.name), (value, origin));
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> Outcome<()> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::io(path, &error)
                .expected("a folder made by 'kumiki node init'")
                .next("kumiki node init --help")
        })?;
        type Sections = BTreeMap<Spanned<String>, Spanned<Value>>;
        let sections: Sections =
            toml::from_str(&text).map_err(|error| toml_failure(path, &text, &error))?;
        let line_of = |offset: usize| {
            let before = text.get(..offset).unwrap_or_default();
            before.matches('\n').count() + 1
        };
        for (section, content) in sections {
            let line = line_of(section.span().start);
            let section = section.into_inner();
            if !keys::sections().contains(&section.as_str()) {
                return Err(unknown_section(path, line, &section));
            }
            let span = content.span();
            let Value::Table(table) = content.into_inner() else {
                return Err(unknown_section(path, line, &section));
            };
            for (name, value) in table {
                // A header's span is that of its line: the key comes after it.
                let line = line_of_key(&text, span.start, &section, &name);
                let Some(key) = keys::find(&section, &name) else {
                    return Err(unknown_key(path, line, &section, &name));
                };
                let path = path.to_owned();
                self.set(key, value, Origin::File { path, line })?;
            }
        }
        Ok(())
    }

    fn read_variables(&mut self, variables: impl Iterator<Item = (String, String)>) -> Outcome<()> {
        for (name, text) in variables {
            if !name.starts_with(VARIABLES) || OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                return Err(unknown_variable(&name));
            };
            let value = parse(key.kind, &text);
            self.set(key, value, Origin::Variable(name))?;
        }
        Ok(())
    }
}

/// The line on which `name` of `section` is set: the first that sets it after the section begins at `from`.
fn line_of_key(text: &str, from: usize, section: &str, name: &str) -> usize {
    let first = text.get(..from).unwrap_or_default().matches('\n').count();
    let sets = |line: &str| {
        let line = line.trim_start();
        let short = line.strip_prefix(name);
        let dotted = line.strip_prefix(&format!("{section}.{name}"));
        short
            .or(dotted)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let place = text.lines().skip(first).position(sets);
    first + place.unwrap_or(0) + 1
}

fn unknown_section(path: &Path, line: usize, found: &str) -> Failure {
    unknown(path, line, found, &keys::sections(), "section")
}

fn unknown_key(path: &Path, line: usize, section: &str, found: &str) -> Failure {
    let in_section = KEYS.iter().filter(|key| key.section == section);
    let names: Vec<&str> = in_section.map(|key| key.name).collect();
    let failure = unknown(path, line, found, &names, "key");
    // Somebody may have had the right key in the wrong section.
    match KEYS.iter().find(|key| key.name == found) {
        Some(other) => failure.detail(format!("there is {found} in [{}]", other.section)),
        None => failure,
    }
}

fn unknown(path: &Path, line: usize, found: &str, known: &[&str], what: &str) -> Failure {
    let failure = Failure::new(
        Exit::Usage,
        "configKeyUnknown",
        format!("unknown {what} '{found}'"),
    )
    .at(format!("{}:{line}", path.display()))
    .expected(format!("one of {}", known.join(", ")))
    .found(found);
    match closest(found, known.iter().copied()) {
        Some(meant) => failure
            .detail(format!("did you mean '{meant}'?"))
            .next(format!(
                "sed -i.bak '{line}s/{found}/{meant}/' {}",
                shell_word(path)
            )),
        None => failure.next(format!("sed -i.bak '{line}d' {}", shell_word(path))),
    }
}

fn unknown_variable(found: &str) -> Failure {
    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let failure = Failure::new(
        Exit::Usage,
        "configKeyUnknown",
        format!("unknown variable '{found}'"),
    )
    .at("the environment")
    .expected(format!("{VARIABLES}SECTION_KEY, for a key of node.toml"))
    .found(found)
    .next(format!("unset {found}"));
    match closest(found, known.iter().map(String::as_str)) {
        Some(meant) => failure.detail(format!("did you mean '{meant}'?")),
        None => failure,
    }
}

/// `text` of the table above as a value.
fn literal(text: &str) -> Value {
    let line = format!("value = {text}");
    let table: toml::Table = toml::from_str(&line).expect("defaults of the table are TOML");
    table
        .into_iter()
        .map(|(_, value)| value)
        .next()
        .expect("one line is one value")
}

/// A value from a variable or a flag. What does not fit is handed on as text, and refused where it is set.
pub(crate) fn parse(kind: Kind, text: &str) -> Value {
    let text = text.trim();
    let as_text = || Value::String(text.to_owned());
    match kind {
        Kind::Text | Kind::Word(_) => as_text(),
        Kind::Texts => {
            let parts = text.split(',').map(str::trim).filter(|one| !one.is_empty());
            Value::Array(parts.map(|one| Value::String(one.to_owned())).collect())
        }
        Kind::Number(..) => text
            .parse()
            .map_or_else(|_no_number| as_text(), Value::Integer),
        Kind::Switch => text
            .parse()
            .map_or_else(|_no_switch| as_text(), Value::Boolean),
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Switch, Value::Boolean(_)) => true,
        (Kind::Word(words), Value::String(word)) => words.contains(&word.as_str()),
        (Kind::Texts, Value::Array(items)) => items.iter().all(Value::is_str),
        (Kind::Number(least, most), Value::Integer(number)) => {
            u64::try_from(*number).is_ok_and(|number| (least..=most).contains(&number))
        }
        _ => false,
    }
}

fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text in quotes".to_owned(),
        Kind::Word(words) => format!("one of {}", words.join(", ")),
        Kind::Texts => "a list of texts: [\"…\", \"…\"]".to_owned(),
        Kind::Number(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Switch => "true or false".to_owned(),
    }
}

/// A `node.toml` with every key and what it does; those of `set` have values, the rest their defaults in comments.
pub(crate) fn template(set: &[(&str, &str, Value)]) -> String {
    let mut text = format!(
        "# A Kumiki node. Keys that are commented out have the value shown.\n\
         # Variables ({VARIABLES}SECTION_KEY) and flags come before this file; 'kumiki node config show --origin' says\n\
         # what holds and why.\n"
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            text.push_str(&format!("\n[{section}]\n"));
        }
        for line in key.about {
            text.push_str(&format!("# {line}\n"));
        }
        let own = set
            .iter()
            .find(|(section, name, _)| *section == key.section && *name == key.name);
        match own {
            Some((_, name, value)) => text.push_str(&format!("{name} = {value}\n")),
            None => text.push_str(&format!("#{} = {}\n", key.name, key.default)),
        }
    }
    text
}
