//! Hold the command line to this: no option takes a secret. Others can see what a process is started with.

use clap::{Command, CommandFactory as _};

use super::Arguments;

/// Words that would name a secret.
const SECRET: [&str; 8] = [
    "pass", "secret", "seed", "private", "mnemonic", "phrase", "token", "key",
];
/// Those options among them that take no secret: a key of the state, and what random calls begin with.
const PUBLIC: [(&str, &str); 2] = [("key", "KEY"), ("fuzz_seed", "SEED")];

/// Every option and argument of `command` and of those below it, with the command's path.
fn options(command: &Command, path: &str, found: &mut Vec<(String, String, String)>) {
    let path = format!("{path} {}", command.get_name());
    for argument in command.get_arguments() {
        let values = argument.get_value_names().unwrap_or_default();
        let values: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
        found.push((
            path.clone(),
            argument.get_id().to_string(),
            values.join(" "),
        ));
    }
    for below in command.get_subcommands() {
        options(below, &path, found);
    }
}

#[test]
fn no_option_takes_a_secret() {
    let mut command = Arguments::command();
    command.build();
    let mut all = Vec::new();
    options(&command, "", &mut all);
    assert!(all.len() > 100, "{}", all.len());
    let suspects: Vec<_> = all
        .iter()
        .filter(|(_, name, _)| SECRET.iter().any(|word| name.contains(word)))
        .filter(|(_, name, value)| {
            // The secret is in a file.
            let file = value.contains("FILE") && !value.contains("KEY");
            !file && !PUBLIC.contains(&(name.as_str(), value.as_str()))
        })
        .collect();
    assert!(suspects.is_empty(), "{suspects:#?}");
}
