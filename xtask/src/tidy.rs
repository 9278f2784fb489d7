//! Check what no compiler checks: file sizes and names, first lines, unfinished work, determinism, doc links.

use crate::workspace;

mod links;
mod sources;
#[cfg(test)]
mod tests;

/// Files a repository of ours has.
const REQUIRED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "docs/glossary.md",
    ".ci/run",
];

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Broken rules, one line each.
    pub(crate) errors: Vec<String>,
    /// What will become one, one line each.
    pub(crate) warnings: Vec<String>,
}

/// Checks every file of the workspace.
///
/// # Errors
/// What git says when the files cannot be listed.
pub(crate) fn check() -> Result<Findings, String> {
    let paths = workspace::files()?;
    let mut findings = Findings::default();
    for path in &paths {
        let Some(text) = workspace::read(path) else {
            continue;
        };
        if sources::is_checked(path) {
            sources::check(path, &text, &mut findings);
        }
        if path.ends_with(".md") {
            let read = |target: &str| workspace::read(target);
            let exists = |target: &str| workspace::root().join(target).exists();
            findings
                .errors
                .extend(links::check(path, &text, &exists, &read));
        }
    }
    findings.errors.extend(missing(&paths));
    Ok(findings)
}

fn missing(paths: &[String]) -> Vec<String> {
    REQUIRED
        .iter()
        .filter(|required| !paths.iter().any(|path| path == *required))
        .map(|required| format!("{required}: is missing"))
        .collect()
}
