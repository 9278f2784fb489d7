//! Hold nodes to what they acknowledged for longer than the tests do: power losses, and kills under load.

use crate::process;

/// Simulated power losses of the store: `--crashes N` of them, from the life with `--seed S` on.
///
/// # Errors
/// When something does not build, or anything acknowledged is lost.
pub(crate) fn power_loss(arguments: &[&str]) -> Result<(), String> {
    let names = [
        ("--crashes", "KUMIKI_POWER_LOSSES"),
        ("--seed", "KUMIKI_POWER_LOSS_SEED"),
    ];
    let mut settings = settings(arguments, &names)?;
    if !settings
        .iter()
        .any(|(name, _)| *name == "KUMIKI_POWER_LOSSES")
    {
        settings.push(("KUMIKI_POWER_LOSSES", 100_000));
    }
    // With `kumiki-deps` dependencies keep their features.
    let store = ["-p", "kumiki-storage", "-p", "kumiki-deps", "--lib"];
    run(&store, "no_power_loss_loses", &settings)
}

/// A node under load that is killed `--rounds N` times, at moments that `--seed S` fixes.
///
/// # Errors
/// When something does not build, or anything acknowledged is lost.
pub(crate) fn kills(arguments: &[&str]) -> Result<(), String> {
    let names = [
        ("--rounds", "KUMIKI_CRASH_ROUNDS"),
        ("--seed", "KUMIKI_CRASH_SEED"),
    ];
    let mut settings = settings(arguments, &names)?;
    if !settings
        .iter()
        .any(|(name, _)| *name == "KUMIKI_CRASH_ROUNDS")
    {
        settings.push(("KUMIKI_CRASH_ROUNDS", 200));
    }
    let node = ["--workspace", "--test", "crash"];
    run(&node, "killed_nodes_keep", &settings)
}

/// Reads options that each have a number, as the variables that tests take them from.
fn settings(
    arguments: &[&str],
    names: &[(&str, &'static str)],
) -> Result<Vec<(&'static str, u64)>, String> {
    let mut found = Vec::new();
    for pair in arguments.chunks(2) {
        let named = names
            .iter()
            .find(|(option, _)| pair.first() == Some(option));
        let number = pair.get(1).and_then(|text| text.parse().ok());
        let (Some((_, variable)), Some(number)) = (named, number) else {
            let options: Vec<String> = names.iter().map(|(name, _)| format!("{name} N")).collect();
            return Err(format!(
                "expected {}, found {}",
                options.join(" or "),
                arguments.join(" ")
            ));
        };
        found.push((*variable, number));
    }
    Ok(found)
}

/// Runs the one test of `selection` that is called like `test`.
fn run(selection: &[&str], test: &str, settings: &[(&str, u64)]) -> Result<(), String> {
    let mut command = process::cargo(&["test", "--release"]);
    command.args(selection).args(["--", test, "--nocapture"]);
    for (name, value) in settings {
        command.env(name, value.to_string());
    }
    process::run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_are_refused() {
        let names = [("--crashes", "CRASHES"), ("--seed", "SEED")];
        let read = |arguments: &[&str]| settings(arguments, &names);
        assert_eq!(
            read(&["--seed", "7", "--crashes", "9"]),
            Ok(vec![("SEED", 7), ("CRASHES", 9)])
        );
        assert_eq!(read(&[]), Ok(Vec::new()));
        for wrong in [&["--seed"][..], &["--seed", "x"], &["--minutes", "1"]] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("--crashes N or --seed N"), "{error}");
        }
    }
}
