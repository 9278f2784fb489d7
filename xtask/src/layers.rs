//! Check that dependencies between crates point the right way and that each foreign library has one home.

use std::collections::BTreeMap;

use crate::workspace::{Need, Package};

#[cfg(test)]
mod tests;

/// Folders in dependency order: a crate may depend on crates of its own folder and of those before it.
const ORDER: [&str; 6] = ["runtime", "node", "sdk", "contracts", "examples", "tests"];

/// The crate that only makes cargo build every third-party crate once; it is in nobody's product.
const DEPS: &str = "xtask/deps";

/// Set-up that tests of any crate may share.
const TESTKIT: &str = "tests/testkit";

/// Where a library may be named.
enum Home {
    /// Only in these folders.
    Only(&'static [&'static str]),
    /// Nowhere below this folder.
    NotBelow(&'static str),
}

const HOMES: &[(&str, Home)] = &[
    ("wasmtime", Home::Only(&["runtime/vm"])),
    ("wasmi", Home::Only(&["runtime/vm"])),
    ("wasm-smith", Home::Only(&["tests/hostile-contracts"])),
    ("redb", Home::Only(&["node/storage"])),
    // The second attacks the first from outside.
    ("libp2p", Home::Only(&["node/network", "tests/chaos"])),
    (
        "jsonrpsee",
        Home::Only(&["node/rpc-api", "node/rpc", "sdk/client"]),
    ),
    ("clap", Home::Only(&["sdk/cli", "xtask"])),
    ("clap_complete", Home::Only(&["sdk/cli", "xtask"])),
    ("tokio", Home::NotBelow("runtime")),
    ("axum", Home::NotBelow("runtime")),
    ("tempfile", Home::NotBelow("runtime/protocol")),
];

/// Crates that may depend on few others of the workspace.
const CONFINED: &[(&str, &[&str])] = &[
    ("runtime/protocol", &["runtime/abi"]),
    ("runtime/abi", &[]),
    ("runtime/state", &["runtime/protocol"]),
    (
        "runtime/vm",
        &["runtime/protocol", "runtime/abi", "runtime/state"],
    ),
    ("sdk/contract", &["runtime/abi", "sdk/contract-macros"]),
    ("sdk/contract-macros", &["runtime/abi"]),
    // So that any crate above the protocol can use it in tests without a circle.
    (TESTKIT, &["runtime/protocol"]),
];

/// Every broken rule, one line each.
pub(crate) fn check(packages: &[Package]) -> Vec<String> {
    let folders: BTreeMap<&str, &str> = packages
        .iter()
        .map(|one| (one.name.as_str(), one.folder.as_str()))
        .collect();
    let mut broken = Vec::new();
    for package in packages {
        broken.extend(check_place(package));
        for dependency in &package.dependencies {
            let problem = match folders.get(dependency.name.as_str()) {
                Some(target) => check_edge(&package.folder, target, dependency.need),
                None => check_home(&package.folder, &dependency.name),
            };
            broken.extend(
                problem.map(|why| format!("{} -> {}: {why}", package.folder, dependency.name)),
            );
        }
    }
    broken
}

fn top(folder: &str) -> &str {
    folder.split('/').next().unwrap_or(folder)
}

fn rank(folder: &str) -> Option<usize> {
    ORDER.iter().position(|one| *one == top(folder))
}

fn check_place(package: &Package) -> Option<String> {
    let folder = package.folder.as_str();
    if top(folder) == "xtask" {
        return None;
    }
    if rank(folder).is_none() {
        return Some(format!(
            "{folder}: a crate lies in one of {}",
            ORDER.join(", ")
        ));
    }
    if package.description.trim().is_empty() {
        return Some(format!("{folder}: Cargo.toml has no description"));
    }
    let last = folder.rsplit('/').next().unwrap_or(folder);
    let expected = format!("kumiki-{last}");
    let named = matches!(top(folder), "contracts" | "examples") || package.name == expected;
    (!named).then(|| {
        format!(
            "{folder}: the package is named {}, expected {expected}",
            package.name
        )
    })
}

/// Checks an arrow between two crates of the workspace.
fn check_edge(from: &str, to: &str, need: Need) -> Option<String> {
    if to == DEPS {
        return (from != "sdk/cli").then(|| "only sdk/cli depends on kumiki-deps".to_owned());
    }
    if top(from) == "xtask" {
        return Some("xtask depends on no crate of the workspace".to_owned());
    }
    if let (Some((_, allowed)), Need::Product) =
        (CONFINED.iter().find(|(crate_, _)| *crate_ == from), need)
        && !allowed.contains(&to)
    {
        return Some(format!("it may only depend on {allowed:?}"));
    }
    if to == TESTKIT && need == Need::Tests && from != "runtime/protocol" {
        return None;
    }
    match (rank(from), rank(to)) {
        (Some(from_rank), Some(to_rank)) if from_rank < to_rank => Some(format!(
            "points against the folder order {}",
            ORDER.join(" <- ")
        )),
        _ => None,
    }
}

/// Checks that a library from outside is named where it may be.
fn check_home(from: &str, library: &str) -> Option<String> {
    if from == DEPS {
        return None;
    }
    let (_, home) = HOMES.iter().find(|(name, _)| *name == library)?;
    match home {
        Home::Only(allowed) if !allowed.contains(&from) => {
            Some(format!("only {} may name it", allowed.join(", ")))
        }
        Home::NotBelow(folder) if from == *folder || from.starts_with(&format!("{folder}/")) => {
            Some(format!("nothing in {folder} may name it"))
        }
        Home::Only(_) | Home::NotBelow(_) => None,
    }
}
