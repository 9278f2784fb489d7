//! Run the lints beside the tests, on the processor time that tests leave while they wait.

use std::io::Write as _;
use std::process::Command;
use std::sync::mpsc::Receiver;

use crate::process;

/// Waits until tests run in each of `lanes`, because cargo lets only one of its kind build at a time, then runs the lints
/// below the priority of tests. What they print is shown at their end.
///
/// # Errors
/// When a lint fails.
pub(super) fn run(started: &Receiver<()>, lanes: usize) -> Result<(), String> {
    for _ in 0..lanes {
        // A lane that ended before its first test has nothing to wait for.
        if started.recv().is_err() {
            break;
        }
    }
    let lint = process::cargo(&["xtask", "lint"]);
    let mut command = match cfg!(unix) {
        true => below(&lint),
        false => lint,
    };
    process::announce(&command);
    let output = command
        .output()
        .map_err(|error| format!("cannot start the lints: {error}"))?;
    let mut shown = std::io::stderr().lock();
    let written = shown
        .write_all(&output.stdout)
        .and_then(|()| shown.write_all(&output.stderr));
    written.map_err(|error| format!("cannot show what the lints say: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err("lint failed; see its output above".to_owned()),
    }
}

/// The same command at the lowest priority.
fn below(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    nice.stdin(std::process::Stdio::null());
    nice
}
