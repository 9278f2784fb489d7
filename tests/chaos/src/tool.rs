//! Run a tool of the system, and read what it says.

use std::process::Command;

/// Runs a tool to its end and gives back its standard output.
///
/// # Errors
/// The command and what it says, where it cannot start or fails.
pub(crate) fn tool(command: &[&str]) -> Result<String, String> {
    let line = command.join(" ");
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{line}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{line}: {}, {}", output.status, said.trim()))
}

/// What a test that needs what this machine does not have does: says so and passes, but never in CI.
///
/// # Errors
/// In CI.
pub(crate) fn missing(what: &str, why: &str) -> Result<String, String> {
    let text = format!("skipped: needs {what}: {why}");
    if std::env::var_os("CI").is_some() {
        return Err(text);
    }
    Ok(text)
}
