//! Start cargo and other programs in the workspace root, showing what is started.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::workspace;

/// The cargo that started this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    forget_this_package(&mut command);
    command
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null());
    command
}

/// Takes out of the command's environment what the outer `cargo run` says about this package: it would make build scripts
/// run again, in turns.
pub(crate) fn forget_this_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let about_this_package = [
            "CARGO_MANIFEST_",
            "CARGO_PKG_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        if name
            .to_str()
            .is_some_and(|name| about_this_package.iter().any(|part| name.starts_with(part)))
        {
            command.env_remove(name);
        }
    }
}

/// Prints the command line on stderr, as a person would type it.
pub(crate) fn announce(command: &Command) {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    eprintln!("\n$ {line}");
}

/// Runs the command to its end with its output shown.
///
/// # Errors
/// A message that names the command when it cannot start or does not succeed.
pub(crate) fn run(mut command: Command) -> Result<(), String> {
    announce(&command);
    let status = command
        .status()
        .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{:?} ended with {status}", command.get_program()))
    }
}

/// Runs the command and hands back its standard output.
///
/// # Errors
/// A message with its standard error when it cannot start or does not succeed.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!(
            "{:?} ended with {}: {}",
            command.get_program(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}
