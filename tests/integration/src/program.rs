//! Find the `kumiki` program that was built with these tests, and give each test a machine of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the workspace's `Cargo.toml`.
///
/// # Panics
/// Never: this crate lies two folders below it.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/integration lies two folders below the root")
}

/// The `kumiki` program: `KUMIKI_BIN`, which `cargo xtask test` sets, or the one beside this test program.
///
/// # Panics
/// When it was not built, with the command that does.
#[must_use]
pub fn kumiki() -> PathBuf {
    let named = std::env::var_os("KUMIKI_BIN").map(PathBuf::from);
    let beside = || {
        let test = std::env::current_exe().ok()?;
        Some(test.ancestors().nth(2)?.join("kumiki"))
    };
    let program = named.or_else(beside).unwrap_or_default();
    assert!(
        program.is_file(),
        "{} is not there; build it with: cargo build --release",
        program.display()
    );
    program
}

/// The target folder these tests were built in.
fn target_folder() -> PathBuf {
    let program = kumiki();
    let folder = program.ancestors().nth(2).map(Path::to_owned);
    folder.unwrap_or_else(|| workspace_root().join("target"))
}

/// A port that nobody listens on now.
///
/// # Panics
/// When the machine has no loopback.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("loopback has a free port")
        .port()
}

/// A home folder nobody has used, with everything of `kumiki` in it.
#[derive(Debug)]
pub struct Home {
    folder: tempfile::TempDir,
    /// Where a dev chain of this home listens.
    pub port: u16,
}

impl Home {
    /// An empty home.
    ///
    /// # Panics
    /// When the disk refuses a folder.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("kumiki-test-")
            .tempdir()
            .expect("the temporary folder is writable");
        Self {
            folder,
            port: free_port(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes `command` run as if on a machine that knows nothing of `kumiki` but has Rust.
    pub fn prepare(&self, command: &mut Command) {
        let home = self.path();
        let real = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        let keep = |name: &str, default: &str| {
            std::env::var_os(name).map_or_else(|| real.join(default), PathBuf::from)
        };
        let inherited: Vec<String> = std::env::vars()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("KUMIKI_") || name.starts_with("CARGO_"))
            .collect();
        for name in inherited {
            command.env_remove(name);
        }
        command
            .env("CARGO_HOME", keep("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", keep("RUSTUP_HOME", ".rustup"))
            // Kept between runs: compiling the same third-party crates each time would show nothing.
            .env("CARGO_TARGET_DIR", target_folder().join("walkthrough"))
            .env("HOME", home)
            .env("KUMIKI_HOME", home.join("kumiki"))
            .env("KUMIKI_PORT", self.port.to_string())
            // Whatever is free: networks of other tests run beside.
            .env("KUMIKI_LOCALNET_PORT", "0");
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}
