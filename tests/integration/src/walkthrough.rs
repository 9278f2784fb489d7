//! Execute the commands of a document and hold what they print against what the document shows.
//!
//! A document's fenced blocks marked `console` are commands (lines that begin with `$ `, continued by a
//! trailing `\`) and what they print. Shown lines must appear in the output in this order; `…` stands for
//! anything, and lines in between may be left out. A command succeeds unless it ends with `# exit N`.
//! A block marked `console background` holds one command that stays running, until the next such block or the
//! end; its last shown line is what says that it is ready.
//!
//! Documents show the port that a dev chain has unless told otherwise; here it gets a free one.

use std::path::Path;

mod document;
mod running;
mod shell;

pub use document::{Block, Step, parse};
pub use shell::Shell;

/// Where a dev chain listens unless told otherwise.
const DEV_ADDRESS: &str = "127.0.0.1:8650";

/// Runs every command of `document` in order in `shell`; the number of commands is handed back.
///
/// # Errors
/// The command that did not do what the document says, with what it printed.
pub fn run(document: &str, shell: &mut Shell) -> Result<usize, String> {
    let document = document.replace(DEV_ADDRESS, &format!("127.0.0.1:{}", shell.port()));
    let mut background = None;
    let mut count = 0;
    for block in parse(&document) {
        for step in &block.steps {
            eprintln!("$ {}", step.command);
            if let Some(folder) = step.command.strip_prefix("cd ") {
                shell.enter(folder)?;
            } else if block.background {
                drop(background.take());
                background = Some(shell.start(step)?);
            } else {
                shell.run(step)?;
            }
            count += 1;
        }
    }
    Ok(count)
}

/// Copies the files that a fresh clone of the repository at `root` would have, as they are now, to `target`.
///
/// # Errors
/// What git or the disk says.
pub fn clone_as_is(root: &Path, target: &Path) -> Result<(), String> {
    let listed = std::process::Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split('\0') {
        let source = root.join(name);
        if name.is_empty() || !source.is_file() {
            continue;
        }
        let copy = target.join(name);
        let folder = copy.parent().unwrap_or(target);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::copy(&source, &copy))
            .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}
