//! Show that each layer rule catches its violation and lets the rule's own example pass.

use super::*;
use crate::workspace::Dependency;

fn package(folder: &str, needs: &[(&str, Need)]) -> Package {
    let last = folder.rsplit('/').next().unwrap();
    Package {
        name: if folder == DEPS {
            "kumiki-deps".to_owned()
        } else {
            format!("kumiki-{last}")
        },
        folder: folder.to_owned(),
        description: "Does one thing.".to_owned(),
        dependencies: needs
            .iter()
            .map(|(name, need)| Dependency {
                name: (*name).to_owned(),
                need: *need,
            })
            .collect(),
    }
}

/// A workspace with every crate the samples point at, and `extra`.
fn problems(extra: Package) -> Vec<String> {
    let mut packages: Vec<Package> = [
        "runtime/abi",
        "runtime/protocol",
        "runtime/vm",
        "node/storage",
        "sdk/cli",
        "sdk/wallet",
        "sdk/contract-macros",
        "tests/testkit",
        "tests/integration",
        "xtask/deps",
    ]
    .iter()
    .filter(|folder| **folder != extra.folder)
    .map(|folder| package(folder, &[]))
    .collect();
    packages.push(extra);
    check(&packages)
}

#[track_caller]
fn refused(folder: &str, name: &str, need: Need, expected: &str) {
    let found = problems(package(folder, &[(name, need)]));
    assert!(
        found.len() == 1 && found[0].contains(expected) && found[0].starts_with(folder),
        "{folder} -> {name} gave {found:?}"
    );
}

#[track_caller]
fn allowed(folder: &str, name: &str, need: Need) {
    assert_eq!(
        problems(package(folder, &[(name, need)])),
        Vec::<String>::new()
    );
}

#[test]
fn arrows_against_the_folder_order_are_refused() {
    refused(
        "runtime/executor",
        "kumiki-storage",
        Need::Product,
        "folder order",
    );
    refused(
        "runtime/executor",
        "kumiki-wallet",
        Need::Tests,
        "folder order",
    );
    refused("node/node", "kumiki-wallet", Need::Product, "folder order");
    refused("sdk/cli", "kumiki-testkit", Need::Product, "folder order");
    refused(
        "runtime/protocol",
        "kumiki-testkit",
        Need::Tests,
        "folder order",
    );
    refused("sdk/cli", "kumiki-integration", Need::Tests, "folder order");
    allowed("node/storage", "kumiki-testkit", Need::Tests);
    allowed("node/storage", "kumiki-protocol", Need::Product);
    allowed("sdk/cli", "kumiki-storage", Need::Product);
    allowed("tests/integration", "kumiki-testkit", Need::Product);
}

#[test]
fn contract_crates_stay_small() {
    refused(
        "sdk/contract",
        "kumiki-protocol",
        Need::Product,
        "may only depend on",
    );
    refused(
        "sdk/contract-macros",
        "kumiki-wallet",
        Need::Product,
        "may only depend on",
    );
    refused(
        "runtime/abi",
        "kumiki-protocol",
        Need::Product,
        "may only depend on",
    );
    allowed("sdk/contract", "kumiki-abi", Need::Product);
    allowed("sdk/contract", "kumiki-contract-macros", Need::Product);
}

#[test]
fn a_library_has_one_home() {
    refused("runtime/executor", "wasmtime", Need::Product, "runtime/vm");
    refused("sdk/contract-testing", "wasmi", Need::Product, "runtime/vm");
    refused("tests/integration", "redb", Need::Tests, "node/storage");
    refused("node/node", "jsonrpsee", Need::Product, "node/rpc-api");
    refused(
        "runtime/executor",
        "tokio",
        Need::Tests,
        "nothing in runtime",
    );
    refused("node/node", "clap", Need::Product, "sdk/cli");
    allowed("runtime/vm", "wasmtime", Need::Product);
    allowed("node/rpc", "jsonrpsee", Need::Product);
    allowed("node/node", "tokio", Need::Product);
    allowed("xtask/deps", "wasmtime", Need::Product);
    allowed("runtime/executor", "thiserror", Need::Product);
}

#[test]
fn only_the_command_line_selects_all_features() {
    refused("node/node", "kumiki-deps", Need::Product, "only sdk/cli");
    refused(
        "tests/integration",
        "kumiki-deps",
        Need::Tests,
        "only sdk/cli",
    );
    allowed("sdk/cli", "kumiki-deps", Need::Product);
}

#[test]
fn xtask_builds_without_the_product() {
    refused(
        "xtask",
        "kumiki-protocol",
        Need::Product,
        "no crate of the workspace",
    );
}

#[test]
fn every_crate_has_a_place_a_name_and_a_description() {
    let misplaced = problems(package("stuff/thing", &[]));
    assert!(misplaced[0].contains("lies in one of"), "{misplaced:?}");

    let mut misnamed = package("node/network", &[]);
    misnamed.name = "net".to_owned();
    assert!(problems(misnamed)[0].contains("expected kumiki-network"));

    let mut silent = package("node/network", &[]);
    silent.description = String::new();
    assert!(problems(silent)[0].contains("no description"));
}
