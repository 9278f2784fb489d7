//! Check one source file: its name, length, first line, unfinished work and, in `runtime`, determinism.

use super::Findings;

const LINES_MAX: usize = 800;
const LINES_GOOD: usize = 400;

/// Names that tell nobody what may enter.
const VAGUE: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "manager", "misc", "stuff", "types", "mod",
];

/// Spelled apart, so that this file passes its own rule.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("#[ign", "ore"),
];

/// Words that bring order, time or rounding of one machine into results.
const NONDETERMINISTIC: &[(&str, &str)] = &[
    ("HashMap", "use BTreeMap: its order is the same everywhere"),
    ("HashSet", "use BTreeSet: its order is the same everywhere"),
    ("SystemTime", "take the time from the block"),
    ("Instant", "take the time from the block"),
    ("f32", "use integers: rounding is not part of the protocol"),
    ("f64", "use integers: rounding is not part of the protocol"),
];

/// Whether the rules for sources hold for this file. Samples that must not compile are not ours to style.
pub(super) fn is_checked(path: &str) -> bool {
    let source = [".rs", ".ts", ".tsx"]
        .iter()
        .any(|ending| path.ends_with(ending));
    let sample = [
        "compile_fail/",
        "tests/errors/",
        "compile-fail/",
        "ui/",
        "templates/",
        "template/",
    ]
    .iter()
    .any(|folder| path.contains(folder));
    source && !sample
}

/// Adds what is wrong with the file to `findings`.
pub(super) fn check(path: &str, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.errors.push(format!(
            "{path}: {lines} lines, at most {LINES_MAX}; split it by what its parts own"
        ));
    } else if lines > LINES_GOOD {
        findings
            .warnings
            .push(format!("{path}: {lines} lines, better below {LINES_GOOD}"));
    }
    findings.errors.extend(check_name(path));
    if path.ends_with(".rs") {
        findings.errors.extend(check_first_line(path, text));
    }
    for (number, line) in (1..).zip(text.lines()) {
        for word in UNFINISHED {
            if has_word(line, word) {
                findings.errors.push(format!(
                    "{path}:{number}: '{word}'; finish it or open an issue"
                ));
            }
        }
    }
    if is_deterministic(path) {
        findings.errors.extend(check_determinism(path, text));
    }
}

fn check_name(path: &str) -> Option<String> {
    let vague = path
        .split('/')
        .map(|part| part.split('.').next().unwrap_or(part))
        .find(|part| VAGUE.contains(part))?;
    Some(format!(
        "{path}: '{vague}' does not say what the file owns; name it by that"
    ))
}

fn check_first_line(path: &str, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let sentence = first.strip_prefix("//! ").unwrap_or_default();
    let begins_well = sentence.starts_with(|c: char| c.is_uppercase() || c == '`');
    let says_something = sentence.split_whitespace().count() >= 3;
    (!(begins_well && says_something)).then(|| {
        format!(
            "{path}:1: begins with '{first}', expected '//! ' and a sentence on what the file owns"
        )
    })
}

/// Whether the file is part of what every node must compute alike.
fn is_deterministic(path: &str) -> bool {
    let beside = ["/tests/", "/benches/", "/examples/"]
        .iter()
        .any(|folder| path.contains(folder));
    path.starts_with("runtime/") && path.ends_with(".rs") && !beside && !path.ends_with("/tests.rs")
}

fn check_determinism(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut after_test_attribute = false;
    for (number, line) in (1..).zip(text.lines()) {
        // House style: a file's own tests are its last item.
        if after_test_attribute && line.trim_start().starts_with("mod ") && line.ends_with('{') {
            break;
        }
        after_test_attribute = line.trim() == "#[cfg(test)]";
        let code = without_text(line.split("//").next().unwrap_or(line));
        for (word, instead) in NONDETERMINISTIC {
            if has_word(&code, word) {
                broken.push(format!("{path}:{number}: '{word}' in runtime; {instead}"));
            }
        }
    }
    broken
}

/// A line of code without what stands between quotes.
fn without_text(line: &str) -> String {
    line.split('"')
        .step_by(2)
        .collect::<Vec<&str>>()
        .join("\"\"")
}

/// Whether `word` stands in `line` and is not part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}
