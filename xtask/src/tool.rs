//! Have cargo programs that commands need, in their exact version, beside what is built and not in the user's home.

use std::path::PathBuf;
use std::process::Command;

use crate::{process, workspace};

/// The program `name`, which is built and kept under `target/tools` where this version is not there yet.
///
/// # Errors
/// When it cannot be had.
pub(crate) fn install(name: &str, version: &str) -> Result<PathBuf, String> {
    let root = workspace::target()?.join("tools");
    let program = root.join(format!("bin/{name}{}", std::env::consts::EXE_SUFFIX));
    let mut said = Command::new(&program);
    said.arg("--version");
    let wanted = format!("{name} {version}");
    if process::output(said).is_ok_and(|found| found.trim() == wanted) {
        return Ok(program);
    }
    let package = format!("{name}@{version}");
    let mut install = process::cargo(&["install", "--locked", "--force", &package, "--root"]);
    install.arg(root);
    process::run(install)?;
    Ok(program)
}
