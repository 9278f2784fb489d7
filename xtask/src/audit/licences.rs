//! Hold the licence of each crate that is built here to the list in `deny.toml`.

use std::collections::BTreeSet;

use cargo_metadata::MetadataCommand;
use serde::Deserialize;

use crate::{process, workspace};

#[derive(Debug, Deserialize)]
struct Config {
    licenses: Licences,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

/// Crates whose licence is not allowed, a line each. What is built on other systems only is cargo-deny's to look at:
/// here it would have to be downloaded.
///
/// # Errors
/// When the configuration is malformed, or cargo fails.
pub(super) fn check(config: &str) -> Result<Vec<String>, String> {
    let config: Config = toml::from_str(config).map_err(|error| format!("deny.toml: {error}"))?;
    let metadata = MetadataCommand::new()
        .manifest_path(workspace::root().join("Cargo.toml"))
        .other_options(["--locked".into(), format!("--filter-platform={}", host()?)])
        .exec()
        .map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for package in &metadata.packages {
        let mut allowed = config.licenses.allow.clone();
        for exception in &config.licenses.exceptions {
            if exception.name == package.name.as_str() {
                allowed.extend(exception.allow.iter().cloned());
            }
        }
        let licence = package.license.as_deref().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            found.push(format!(
                "{} {} has the licence '{licence}', which deny.toml does not allow",
                package.name, package.version
            ));
        }
    }
    Ok(found)
}

/// The system that this is built on and for.
fn host() -> Result<String, String> {
    let mut rustc = std::process::Command::new("rustc");
    rustc.arg("-vV").current_dir(workspace::root());
    let said = process::output(rustc)?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not name its host".to_owned())
}

/// Whether an SPDX expression can be met by allowed licences alone.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // `/` is what older manifests write for `OR`.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let Some(first) = words.next() else {
        return false;
    };
    if first == "(" {
        let met = any(words, allowed);
        return words.next_if_eq(&")").is_some() && met;
    }
    if words.next_if_eq(&"WITH").is_none() {
        return allowed.contains(first);
    }
    let exception = words.next().unwrap_or_default();
    allowed.contains(&format!("{first} WITH {exception}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_by_allowed_licences_only() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
        let allowed: BTreeSet<String> = allowed.map(str::to_owned).into();
        for met in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "ISC AND (GPL-3.0 OR MIT)",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "GPL-3.0 AND GPL-2.0 OR MIT AND ISC",
        ] {
            assert!(is_allowed(met, &allowed), "{met}");
        }
        for unmet in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "Apache-2.0",
            "GPL-3.0 WITH LLVM-exception",
            "(MIT",
            "MIT GPL-3.0",
            "ISC AND (GPL-3.0 OR GPL-2.0)",
        ] {
            assert!(!is_allowed(unmet, &allowed), "{unmet}");
        }
    }

    #[test]
    fn a_licence_that_is_not_listed_is_named_with_its_crate() {
        let found = check("[licenses]\nallow = [\"MIT\"]\n").unwrap();
        assert!(
            found.iter().any(|line| line.contains("'Apache-2.0'")),
            "{found:?}"
        );
    }
}
