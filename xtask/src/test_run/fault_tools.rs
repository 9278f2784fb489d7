//! Install the system's tools with which tests cut wires and kill processes at exact places.

use std::process::{Command, Stdio};

use crate::process;

/// Each tool with an argument that makes it do nothing, and the Debian package that has it.
const TOOLS: [(&str, &str, &str); 3] = [
    ("ip", "-V", "iproute2"),
    ("nft", "-V", "nftables"),
    ("strace", "-V", "strace"),
];

/// Installs what is missing, where this is root's Debian. Elsewhere the tests say that they are skipped, and why.
///
/// # Errors
/// When apt-get fails.
pub(crate) fn install() -> Result<(), String> {
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, argument, _)| !works(tool, argument))
        .map(|(_, _, package)| *package)
        .collect();
    let root = || {
        let mut id = Command::new("id");
        id.arg("-u");
        process::output(id).is_ok_and(|user| user.trim() == "0")
    };
    if missing.is_empty() || !works("apt-get", "--version") || !root() {
        return Ok(());
    }
    let mut install = Command::new("apt-get");
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing);
    process::run(install).or_else(|_no_lists| {
        let mut update = Command::new("apt-get");
        update.arg("update");
        process::run(update)?;
        let mut again = Command::new("apt-get");
        again
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing);
        process::run(again)
    })
}

fn works(tool: &str, argument: &str) -> bool {
    let ran = Command::new(tool)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ran.is_ok_and(|status| status.success())
}
