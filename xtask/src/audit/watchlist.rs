//! Compare `Cargo.lock` with our own list of holes, for those that RustSec's database lacks.

use cargo_metadata::semver::{Version, VersionReq};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    watched: Vec<Watched>,
}

/// Versions of a crate that have a hole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Watched {
    #[serde(rename = "crate")]
    name: String,
    affected: String,
    why: String,
    source: String,
    date: String,
}

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

/// A package of `Cargo.lock`.
#[derive(Debug, Deserialize)]
pub(super) struct Locked {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) source: Option<String>,
}

/// The packages of a `Cargo.lock`.
///
/// # Errors
/// When it is none.
pub(super) fn packages(lock: &str) -> Result<Vec<Locked>, String> {
    let lock: Lock = toml::from_str(lock).map_err(|error| format!("Cargo.lock: {error}"))?;
    Ok(lock.package)
}

/// The locked packages that the list watches, a line each.
///
/// # Errors
/// When one of the two is malformed.
pub(super) fn check(lock: &str, list: &str) -> Result<Vec<String>, String> {
    let list: List = toml::from_str(list).map_err(|error| format!("watchlist.toml: {error}"))?;
    let locked = packages(lock)?;
    let mut found = Vec::new();
    for watched in &list.watched {
        let malformed = |error| format!("watchlist.toml: {}: {error}", watched.name);
        let affected = VersionReq::parse(&watched.affected).map_err(malformed)?;
        for package in locked.iter().filter(|package| package.name == watched.name) {
            let version = Version::parse(&package.version);
            let version = version.map_err(|error| format!("Cargo.lock: {error}"))?;
            // A requirement never matches 1.0.0-alpha by itself, a hole does.
            let released = Version::new(version.major, version.minor, version.patch);
            if affected.matches(&version) || affected.matches(&released) {
                found.push(format!(
                    "{} {version} is affected ({}) by {}: {} (entered {})",
                    watched.name, watched.affected, watched.source, watched.why, watched.date
                ));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn lock(name: &str, version: &str) -> String {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
    }

    #[test]
    fn planted_versions_with_a_hole_are_found_and_others_are_not() {
        let list = workspace::read("watchlist.toml").unwrap();
        for (name, version, holes) in [
            ("yamux", "0.12.1", 1),
            ("yamux", "0.13.8", 2),
            ("yamux", "0.13.10", 0),
            ("libp2p-gossipsub", "0.49.2", 4),
            ("libp2p-gossipsub", "0.50.0", 1),
            ("libp2p-gossipsub", "0.50.1", 0),
            ("libp2p-quic", "0.13.0-alpha", 1),
            ("libp2p-rendezvous", "0.19.0", 1),
            ("serde", "1.0.0", 0),
        ] {
            let found = check(&lock(name, version), &list).unwrap();
            assert_eq!(found.len(), holes, "{name} {version}: {found:?}");
        }
    }

    #[test]
    fn a_malformed_list_is_refused() {
        for list in [
            "[[watched]]\ncrate = \"a\"\naffected = \"<1\"\n",
            "[[watched]]\ncrate=\"a\"\naffected=\"old\"\nwhy=\"\"\nsource=\"\"\ndate=\"\"\n",
        ] {
            let refused = check(&lock("a", "0.1.0"), list).unwrap_err();
            assert!(refused.starts_with("watchlist.toml"), "{refused}");
        }
    }
}
