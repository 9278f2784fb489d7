//! Run every command of the README, of the example's walk-through and of the contracts' READMEs, and hold what they show to what happens.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up that fails should fail the test"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kumiki_integration::program::workspace_root;
use kumiki_integration::walkthrough::{self, Shell};

/// Documents whose commands are run here.
const EXECUTED: [&str; 9] = [
    "README.md",
    "examples/token/README.md",
    "docs/upgrades.md",
    "contracts/nft/README.md",
    "contracts/escrow/README.md",
    "contracts/vesting/README.md",
    "contracts/multisig/README.md",
    "contracts/registry/README.md",
    "contracts/governor/README.md",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace_root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn run(path: &str, folder: &str, at_least: usize) {
    let mut shell = Shell::in_fresh_clone().unwrap();
    shell.enter(folder).unwrap();
    match walkthrough::run(&read(path), &mut shell) {
        Ok(count) => assert!(count >= at_least, "{path} has only {count} commands"),
        Err(message) => panic!("{path}\n{message}"),
    }
}

#[test]
fn the_readme_does_what_it_shows() {
    run("README.md", ".", 10);
}

#[test]
fn the_token_example_does_what_it_shows() {
    run("examples/token/README.md", "examples/token", 5);
}

#[test]
fn the_guide_to_upgrades_does_what_it_shows() {
    run("docs/upgrades.md", ".", 20);
}

/// One clone for all of them, which builds the SDK for contracts once.
#[test]
fn the_contracts_do_what_their_readmes_show() {
    let mut shell = Shell::in_fresh_clone().unwrap();
    let install = "```console\n$ cargo install --locked --path sdk/cli\n$ cd contracts\n```\n";
    walkthrough::run(install, &mut shell).unwrap();
    for path in EXECUTED
        .iter()
        .filter(|path| path.starts_with("contracts/"))
    {
        let folder = Path::new(path).parent().unwrap().file_name().unwrap();
        shell.enter(folder.to_str().unwrap()).unwrap();
        match walkthrough::run(&read(path), &mut shell) {
            Ok(count) => assert!(count >= 5, "{path} has only {count} commands"),
            Err(message) => panic!("{path}\n{message}"),
        }
        shell.enter("..").unwrap();
    }
}

/// Whoever compares our contract with the one they know compares with what is tested.
#[test]
fn the_guide_for_newcomers_shows_the_counter_as_it_is() {
    let guide = read("docs/coming-from.md");
    let shown: Vec<&str> = guide
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(shown.len(), 1, "one block of Rust is ours");
    let source: String = read("contracts/counter/src/lib.rs")
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect();
    for one in shown {
        assert!(
            source.contains(one),
            "contracts/counter has changed:\n{one}"
        );
    }
}

/// A command in another kind of block would look the same and never be run.
#[test]
fn no_command_hides_in_a_block_that_is_not_run() {
    for path in EXECUTED {
        let document = read(path);
        let typed = document
            .lines()
            .filter(|line| line.trim_start().starts_with("$ "))
            .count();
        let run: usize = walkthrough::parse(&document)
            .iter()
            .map(|block| block.steps.len())
            .sum();
        assert_eq!(
            typed, run,
            "{path}: a line that begins with $ lies outside console blocks"
        );
        for fence in ["```sh", "```bash", "```shell", "```zsh"] {
            assert!(
                !document.contains(fence),
                "{path}: use ```console, which is run"
            );
        }
    }
}

/// Files of a folder, by path, without what a build or a run leaves there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            let made = [".kumiki", ".cargo", "target", "README.md", "Cargo.lock"];
            if made.iter().any(|one| name == Path::new(one)) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_token_example_is_what_kumiki_new_makes() {
    let mut shell = Shell::in_empty_folder().unwrap();
    let made = "```console\n$ cargo install --locked --path sdk/cli\n$ kumiki new token --template token\n```\n";
    walkthrough::run(made, &mut shell).unwrap();
    let made = files(&shell.folder().join("token"));
    let example = files(&workspace_root().join("examples/token"));
    assert!(made.contains_key(Path::new("src/lib.rs")));
    for (name, content) in &made {
        assert!(
            example.get(name) == Some(content),
            "examples/token/{} differs",
            name.display()
        );
    }
    assert!(
        example.keys().eq(made.keys()),
        "{:?} and {:?}",
        example.keys(),
        made.keys()
    );
}
