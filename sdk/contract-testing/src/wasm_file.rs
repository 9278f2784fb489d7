//! Find or build the Wasm of a contract crate, once per process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kumiki_contract::Contract;
use kumiki_contract_build::{ContractBuild, compact, ensure_target};

/// Names a folder of Wasm files that are built already, `<package>.wasm` each.
const WASM_DIR: &str = "KUMIKI_WASM_DIR";

static FILES: Mutex<BTreeMap<String, Arc<[u8]>>> = Mutex::new(BTreeMap::new());

/// The deployable Wasm of `C`.
///
/// # Panics
/// With what cargo printed, when the crate does not build; that is the test's failure.
pub(crate) fn code<C: Contract>() -> Arc<[u8]> {
    // Held while building: tests of one process wait for one build instead of starting their own.
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = files.get(C::PACKAGE) {
        return Arc::clone(code);
    }
    let path = match std::env::var_os(WASM_DIR) {
        Some(folder) => Path::new(&folder).join(format!("{}.wasm", C::PACKAGE.replace('-', "_"))),
        None => build(C::PACKAGE, Path::new(C::MANIFEST_DIR)),
    };
    let wasm =
        std::fs::read(&path).unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())));
    let code: Arc<[u8]> = compact(&wasm)
        .unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())))
        .into();
    files.insert(C::PACKAGE.to_owned(), Arc::clone(&code));
    code
}

fn build(package: &str, package_dir: &Path) -> PathBuf {
    if let Err(error) = ensure_target() {
        fail(&error.to_string());
    }
    let build = ContractBuild {
        package_dir: package_dir.to_owned(),
        package: package.to_owned(),
        target_dir: target_dir(package_dir),
        cargo_arguments: Vec::new(),
    };
    let mut command = build.command();
    let output = command
        .output()
        .unwrap_or_else(|error| fail(&format!("cargo could not be started: {error}")));
    if !output.status.success() {
        fail(&format!(
            "building the Wasm of {package} failed\n$ {command:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    build.wasm_path()
}

/// A folder beside the target folder's profiles: the test binary lies in `<target>/…/deps`.
fn target_dir(package_dir: &Path) -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let target = executable
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(
        || package_dir.join("target/kumiki"),
        |target| target.join("kumiki"),
    )
}

/// Ends the test.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub(crate) fn fail(message: &str) -> ! {
    panic!("{message}")
}
