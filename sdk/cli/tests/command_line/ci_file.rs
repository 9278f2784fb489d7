//! Hold new projects to their own CI file: each command in it passes, and the file is read here, not repeated.

use serde_json::json;

use crate::machine::Machine;

/// Commands that get a machine its tools, which are here already.
const INSTALLS: [&str; 3] = [
    "rustup toolchain install ",
    "rustup default ",
    "cargo install ",
];

/// The steps of the CI file that run a command, in order.
fn commands(machine: &Machine) -> Vec<String> {
    let file = machine.project().join(".github/workflows/ci.yml");
    let text = std::fs::read_to_string(file).unwrap();
    let steps = text.split("\n    steps:\n").nth(1).unwrap();
    let run = |line: &str| {
        Some(
            line.trim()
                .trim_start_matches("- ")
                .strip_prefix("run: ")?
                .to_owned(),
        )
    };
    let commands: Vec<String> = steps.lines().filter_map(run).collect();
    let count = |start: &str| {
        let lines = steps.lines().map(str::trim_start);
        lines.filter(|line| line.starts_with(start)).count()
    };
    // A step in another form would be passed over.
    assert_eq!(count("- "), commands.len() + count("- uses: "), "{text}");
    assert!(commands.iter().all(|one| !one.starts_with(['|', '>'])));
    commands
}

/// What the file installs is what these tests run with.
fn check_installation(machine: &Machine, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let after = |option: &str| {
        let at = words.iter().position(|word| *word == option);
        words[at.unwrap_or_else(|| panic!("{command} has no {option}")) + 1]
    };
    if command.starts_with("rustup") {
        let version = if words[1] == "default" {
            words[2]
        } else {
            after("install")
        };
        let here = machine.shell_output("rustc --version");
        assert!(
            here.starts_with(&format!("rustc {version}.")),
            "{here}: {command}"
        );
    } else {
        assert!(
            command.ends_with(" kumiki-cli") && words.contains(&"--locked"),
            "{command}"
        );
        assert_eq!(after("--git"), env!("CARGO_PKG_REPOSITORY"));
    }
    if words.contains(&"--target") {
        let target = after("--target");
        let folder =
            machine.shell_output(&format!("rustc --print target-libdir --target {target}"));
        assert!(std::path::Path::new(folder.trim()).is_dir(), "{folder}");
    }
}

fn passes_its_ci_file(template: &str) {
    let machine = Machine::with_project(template);
    let commands = commands(&machine);
    let (installs, work): (Vec<&String>, Vec<&String>) = commands
        .iter()
        .partition(|one| INSTALLS.iter().any(|install| one.starts_with(install)));
    assert_eq!(installs.len(), INSTALLS.len());
    for command in installs {
        check_installation(&machine, command);
    }
    for needed in [
        "kumiki build",
        "cargo fmt",
        "cargo clippy",
        "kumiki test",
        "kumiki test --gas-check",
    ] {
        assert!(
            work.iter().any(|one| one.starts_with(needed)),
            "no {needed}"
        );
    }
    // The gas step is for projects that have a snapshot, and this makes it one.
    let snapshot = machine.json(&["test", "--gas-snapshot"]);
    assert_eq!(snapshot["passed"], json!(true));
    for command in work {
        machine.shell_output(command);
    }
}

#[test]
fn a_new_counter_passes_its_ci_file() {
    passes_its_ci_file("counter");
}

#[test]
fn a_new_token_passes_its_ci_file() {
    passes_its_ci_file("token");
}

#[test]
fn a_new_empty_project_passes_its_ci_file() {
    passes_its_ci_file("empty");
}
