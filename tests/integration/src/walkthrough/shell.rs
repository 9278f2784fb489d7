//! Run commands as typed into a shell, in one folder and one home.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::document::Step;
use super::running::Running;
use crate::program::{self, Home};

/// What `cargo` does in a document: what is built already is not built again in the copy of the repository.
///
/// `cargo run --release -- …` runs, and `cargo install` installs, the program these tests were built with.
/// `cargo xtask test` is what runs these tests. Everything else is the real cargo.
const CARGO: &str = r#"#!/usr/bin/env bash
case "$1 $2 $3" in
  "run --release --") shift 3; exec "$KUMIKI_UNDER_TEST" "$@" ;;
  "install --locked --path") mkdir -p "$HOME/bin"; exec cp "$KUMIKI_UNDER_TEST" "$HOME/bin/kumiki" ;;
  "xtask test "|"xtask lint ") exit 0 ;;
esac
exec "$REAL_CARGO" "$@"
"#;

/// A shell in a folder, on a machine that knows nothing of `kumiki`.
#[derive(Debug)]
pub struct Shell {
    home: Home,
    folder: PathBuf,
}

impl Shell {
    /// A shell in a copy of the repository as it is now, with a new home.
    ///
    /// # Errors
    /// What git or the disk says.
    pub fn in_fresh_clone() -> Result<Self, String> {
        let home = Home::new();
        let folder = home.path().join("kumiki-source");
        super::clone_as_is(program::workspace_root(), &folder)?;
        let shell = Self { home, folder };
        shell.write_cargo().map_err(|error| error.to_string())?;
        Ok(shell)
    }

    /// A shell in an empty folder, with a new home.
    ///
    /// # Errors
    /// What the disk says.
    pub fn in_empty_folder() -> Result<Self, String> {
        let home = Home::new();
        let folder = home.path().join("empty");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let shell = Self { home, folder };
        shell.write_cargo().map_err(|error| error.to_string())?;
        Ok(shell)
    }

    /// The port that a dev chain in this shell listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.home.port
    }

    /// The folder that commands run in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Changes the folder that the next commands run in, as `cd` does.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn enter(&mut self, folder: &str) -> Result<(), String> {
        let entered = self.folder.join(folder.trim());
        self.folder = entered
            .canonicalize()
            .map_err(|error| format!("$ cd {folder}\n{}: {error}", entered.display()))?;
        Ok(())
    }

    fn write_cargo(&self) -> std::io::Result<()> {
        let bin = self.home.path().join("bin");
        std::fs::create_dir_all(&bin)?;
        let path = bin.join("cargo");
        std::fs::File::create(&path)?.write_all(CARGO.as_bytes())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
    }

    fn command(&self, step: &Step) -> Command {
        let mut command = Command::new("bash");
        self.home.prepare(&mut command);
        let path = std::env::var("PATH").unwrap_or_default();
        let real_cargo = std::env::var("CARGO").unwrap_or_else(|_unset| "cargo".to_owned());
        command
            .args(["-c", &format!("set -o pipefail; {}", step.command)])
            .current_dir(&self.folder)
            .env(
                "PATH",
                format!("{}:{path}", self.home.path().join("bin").display()),
            )
            .env("REAL_CARGO", real_cargo)
            .env("KUMIKI_UNDER_TEST", program::kumiki())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When its exit status or output is not what the document says.
    pub fn run(&self, step: &Step) -> Result<String, String> {
        let output = self
            .command(step)
            .output()
            .map_err(|error| format!("bash: {error}"))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        let failed = |why: String| Err(format!("$ {}\n{text}\n{why}", step.command));
        if output.status.code() != Some(step.exit_status()) {
            return failed(format!(
                "ended with {}, expected exit {}",
                output.status,
                step.exit_status()
            ));
        }
        match step.first_missing(&text) {
            Some(line) => failed(format!("did not print the line: {line}")),
            None => Ok(text),
        }
    }

    /// Starts a command and waits for the last line that the document shows.
    ///
    /// # Errors
    /// When it ends before, or never prints the line.
    pub fn start(&self, step: &Step) -> Result<Running, String> {
        Running::start(self.command(step), step)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // A document that failed half-way leaves no network behind.
        if self.home.path().join("kumiki/localnet").exists() {
            let mut command = Command::new(program::kumiki());
            self.home.prepare(&mut command);
            let _nothing_ran = command
                .args(["localnet", "down", "--quiet"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walkthrough;

    fn run(document: &str) -> Result<usize, String> {
        walkthrough::run(document, &mut Shell::in_empty_folder().unwrap())
    }

    #[test]
    fn a_true_document_passes() {
        let document = "```console\n$ echo one; echo two\none\ntwo\n$ false # exit 1\n```\n";
        assert_eq!(run(document), Ok(2));
    }

    #[test]
    fn untrue_documents_fail_and_say_where() {
        let wrong_line = run("```console\n$ echo one\ntwo\n```\n").unwrap_err();
        assert!(
            wrong_line.contains("did not print the line: two"),
            "{wrong_line}"
        );
        let wrong_exit = run("```console\n$ exit 4\n```\n").unwrap_err();
        assert!(wrong_exit.contains("expected exit 0"), "{wrong_exit}");
        let no_failure = run("```console\n$ true # exit 4\n```\n").unwrap_err();
        assert!(no_failure.contains("expected exit 4"), "{no_failure}");
        assert!(run("```console\n$ false | cat\n```\n").is_err());
    }

    #[test]
    fn a_background_command_is_ready_before_the_next_and_gone_at_the_end() {
        let mut shell = Shell::in_empty_folder().unwrap();
        let document = "```console background\n\
            $ echo $$ > pid; echo starting; echo ready at 7; sleep 1000\nready at …\n```\n\
            ```console\n$ kill -0 $(cat pid)\n```\n";
        assert_eq!(walkthrough::run(document, &mut shell), Ok(2));
        let after = "```console\n$ kill -0 $(cat pid) # exit 1\n```\n";
        assert_eq!(walkthrough::run(after, &mut shell), Ok(1));
    }

    #[test]
    fn a_background_command_that_ends_early_fails() {
        let early = run("```console background\n$ echo on fire; exit 3\nready\n```\n").unwrap_err();
        assert!(early.contains("on fire"), "{early}");
    }

    #[test]
    fn a_changed_folder_holds_for_what_follows() {
        let document = "```console\n$ mkdir -p a/b\n$ cd a\n$ cd b\n$ pwd\n…/empty/a/b\n```\n";
        assert_eq!(run(document), Ok(4));
        assert!(
            run("```console\n$ cd nowhere\n```\n")
                .unwrap_err()
                .contains("nowhere")
        );
    }

    #[test]
    fn homes_are_fresh() {
        let document = "```console\n$ ls \"$KUMIKI_HOME\" # exit 2\n$ echo 127.0.0.1:$KUMIKI_PORT\n127.0.0.1:8650\n```\n";
        assert_eq!(run(document), Ok(2));
    }
}
