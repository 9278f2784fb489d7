//! Hold the one recipe that makes a contract crate a Wasm file, for `kumiki build` and for contract tests.
//!
//! The recipe: stable cargo, target `wasm32v1-none`, a profile given on the command line (so that no `Cargo.toml` can
//! change it), flags of our own instead of the user's `RUSTFLAGS`, then [`compact`].

mod compact;
mod debug_file;
mod strip;
mod toolchain;

pub use compact::{compact, original_offset};
pub use debug_file::{DebugFile, FunctionSize, SourceLine, own_lines};
pub use strip::{MalformedWasm, strip};
pub use toolchain::{ToolchainError, ensure_target};

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compilation target. Its set of Wasm features is frozen: a new Rust release cannot make a contract invalid.
pub const TARGET: &str = "wasm32v1-none";
/// The cargo profile, and the folder in the target folder that it builds into.
pub const PROFILE: &str = "contract";

/// What stands in line tables for the folder of the package.
const PACKAGE: &str = "/contract";
/// What stands in line tables for the folder of its workspace.
const WORKSPACE: &str = "/workspace";

/// Bytes of stack in a contract's memory: one page holds stack and data of most contracts, and fresh pages cost time.
const STACK_BYTES: u32 = 32 * 1024;

/// Settings of [`PROFILE`], complete: nothing is inherited that a workspace could change.
const PROFILE_SETTINGS: &[(&str, &str)] = &[
    ("inherits", "\"dev\""),
    // Speed is gas, and after inlining this is also the smallest for what the SDK generates.
    ("opt-level", "2"),
    ("lto", "\"fat\""),
    ("codegen-units", "1"),
    ("panic", "\"abort\""),
    ("overflow-checks", "true"),
    ("debug-assertions", "false"),
    ("incremental", "false"),
    // The line table stays on the developer's disk: `strip` takes it out of what is deployed.
    ("debug", "\"line-tables-only\""),
    ("strip", "\"none\""),
];

/// One contract crate to build.
#[derive(Clone, Debug)]
pub struct ContractBuild {
    /// Folder of its `Cargo.toml`.
    pub package_dir: PathBuf,
    /// Name of the package.
    pub package: String,
    /// Where cargo builds; the Wasm is at [`Self::wasm_path`].
    pub target_dir: PathBuf,
    /// More arguments for cargo, such as `--offline` or `--config`.
    pub cargo_arguments: Vec<OsString>,
}

impl ContractBuild {
    /// The cargo command, ready to run. Its working folder is the package, so that the project's `.cargo/config.toml`
    /// counts.
    #[must_use]
    pub fn command(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(&self.package_dir)
            .args(["build", "--lib", "--target", TARGET, "--profile", PROFILE])
            .args(["--package", &self.package])
            .arg("--target-dir")
            .arg(&self.target_dir);
        for (name, value) in PROFILE_SETTINGS {
            command.args(["--config", &format!("profile.{PROFILE}.{name}={value}")]);
        }
        command.args(&self.cargo_arguments);
        command.env("CARGO_ENCODED_RUSTFLAGS", self.rustflags());
        // What an outer `cargo test` or `cargo run` sets for its own build must not leak into this one.
        for name in ["RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
            command.env_remove(name);
        }
        command
    }

    /// Where the command leaves the Wasm, with line table and names.
    #[must_use]
    pub fn wasm_path(&self) -> PathBuf {
        let file = format!("{}.wasm", self.package.replace('-', "_"));
        self.target_dir.join(TARGET).join(PROFILE).join(file)
    }

    /// Flags for rustc, separated as cargo wants them.
    fn rustflags(&self) -> OsString {
        let mut flags = OsString::from(format!("-Clink-arg=-zstack-size={STACK_BYTES}"));
        let mut add = |flag: &str| {
            flags.push("\u{1f}");
            flags.push(flag);
        };
        // Bulk memory is in every engine and in the chain's rules; without it each contract carries its own memcpy.
        add("-Ctarget-feature=+bulk-memory,+sign-ext,+mutable-globals");
        for (from, to) in self.remapped_paths() {
            if let Some(from) = from.to_str() {
                add(&format!("--remap-path-prefix={from}={to}"));
            }
        }
        flags
    }

    /// Paths of this machine and what stands in the Wasm for them.
    fn remapped_paths(&self) -> Vec<(PathBuf, &'static str)> {
        let mut paths = Vec::new();
        let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
        let cargo_home = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| home.map(|home| Path::new(&home).join(".cargo")));
        paths.extend(cargo_home.map(|path| (path, "/cargo")));
        // rustc takes the last prefix that matches.
        paths.extend(self.workspace_dir().map(|path| (path, WORKSPACE)));
        paths.push((self.package_dir.clone(), PACKAGE));
        paths
    }

    /// The cargo workspace that the package belongs to.
    fn workspace_dir(&self) -> Option<PathBuf> {
        let has_workspace = |folder: &&Path| {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            manifest.lines().any(|line| line.starts_with("[workspace"))
        };
        let found = self.package_dir.ancestors().find(has_workspace);
        found.map(Path::to_owned)
    }
}
