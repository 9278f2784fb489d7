//! Make the command that a failure suggests work when it is pasted: quoted, and with this run's options.

use std::path::Path;

use clap::CommandFactory as _;

use crate::arguments::{Arguments, NodeArguments};

/// `text` as one word of a POSIX shell.
pub(crate) fn shell_word(text: impl AsRef<Path>) -> String {
    let text = text.as_ref().display().to_string();
    let plain = |one: char| one.is_alphanumeric() || "_-+./:,=@%…".contains(one);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The command that `words` begin with, as far as they name one: `kumiki account fund`.
pub(crate) fn command_named<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    find_command(words).1
}

fn find_command<'w>(words: impl IntoIterator<Item = &'w str>) -> (clap::Command, String) {
    let mut command = Arguments::command();
    let mut name = command.get_name().to_owned();
    for word in words {
        let Some(inner) = command.find_subcommand(word).cloned() else {
            break;
        };
        name = format!("{name} {word}");
        command = inner;
    }
    (command, name)
}

/// The command line of `words` without `option` and its value; `None` where it does not have the option.
pub(crate) fn command_without(words: &[String], option: &str) -> Option<String> {
    let at = words.iter().position(|word| word == option);
    let joined = words
        .iter()
        .position(|word| word.starts_with(&format!("{option}=")));
    let left_out = match (at, joined) {
        (Some(at), _) => at..at + 2,
        (None, Some(at)) => at..at + 1,
        (None, None) => return None,
    };
    let kept = words
        .iter()
        .enumerate()
        .filter(|(index, _)| !left_out.contains(index))
        .map(|(_, word)| format!(" {}", shell_word(word)));
    Some(format!("kumiki{}", kept.collect::<String>()))
}

/// The suggestion, with the options by which this run chose node and project, where its command takes them.
pub(crate) fn with_options(next: &str, chosen: &NodeArguments) -> String {
    let Some(words) = next.strip_prefix("kumiki ") else {
        return next.to_owned();
    };
    if ["&&", "#", "|", ">"].iter().any(|part| next.contains(part)) {
        return next.to_owned();
    }
    let (command, name) = find_command(words.split(' '));
    let takes = |option: &str| {
        command.get_arguments().any(|one| one.get_id() == option)
            && !next.contains(&format!(" --{option}"))
    };
    let mut text = next.to_owned();
    if chosen.project != Path::new(".") {
        let project = shell_word(&chosen.project);
        if takes("project") {
            text.push_str(&format!(" --project {project}"));
        } else if name == "kumiki dev" {
            text = next.replacen(&name, &format!("{name} {project}"), 1);
        }
    }
    if takes("rpc") && takes("network") {
        if let Some(network) = &chosen.network {
            text.push_str(&format!(" --network {}", shell_word(network)));
        } else if let Some(rpc) = &chosen.rpc {
            text.push_str(&format!(" --rpc {}", shell_word(rpc)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(shell_word("/home/me/app-2"), "/home/me/app-2");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn options_of_this_run_are_kept_where_the_command_takes_them() {
        let mut chosen = NodeArguments {
            rpc: Some("http://127.0.0.1:9000".to_owned()),
            network: None,
            project: "my app".into(),
        };
        for (next, expected) in [
            (
                "kumiki view counter",
                "kumiki view counter --project 'my app' --rpc http://127.0.0.1:9000",
            ),
            (
                "kumiki chain info --rpc http://localhost",
                "kumiki chain info --rpc http://localhost --project 'my app'",
            ),
            ("kumiki build", "kumiki build --project 'my app'"),
            ("kumiki dev --port 1", "kumiki dev 'my app' --port 1"),
            ("kumiki account new mine", "kumiki account new mine"),
            ("kumiki new a && cd a", "kumiki new a && cd a"),
            ("rm x", "rm x"),
        ] {
            assert_eq!(with_options(next, &chosen), expected);
        }
        chosen.network = Some("test".to_owned());
        chosen.project = ".".into();
        assert_eq!(
            with_options("kumiki account show alice", &chosen),
            "kumiki account show alice --network test"
        );
    }

    #[test]
    fn a_command_is_repeated_without_what_was_refused() {
        let without = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            command_without(&words, "--gas")
        };
        let plain = Some("kumiki call a b 'x=[1]'".to_owned());
        assert_eq!(without("call a --gas 10 b x=[1]"), plain);
        assert_eq!(without("call a b x=[1] --gas=10"), plain);
        assert_eq!(without("call a b --gas-price 1"), None);
    }

    #[test]
    fn commands_are_found_by_their_words() {
        assert_eq!(
            command_named(["account", "fund", "bob"]),
            "kumiki account fund"
        );
        assert_eq!(command_named(["depoy"]), "kumiki");
    }
}
