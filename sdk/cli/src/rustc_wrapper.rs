//! Stand before rustc when a contract is built, so that its bytes do not depend on where sources lie.
//!
//! Cargo tells crates apart by a hash into which the absolute paths of crates outside the workspace go, the SDK's among
//! them, and those of all that they are used by. The hash is in the names of functions, and the linker puts functions in
//! an order that follows from their names. So this program, as cargo's `RUSTC_WRAPPER`, gives rustc another hash.

use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitCode};

use kumiki_protocol::sha3_256;

/// Set where this program is to stand before rustc: to the wrapper that the user has, or empty.
const MARKER: &str = "KUMIKI_BEFORE_RUSTC";
/// How cargo names the hash to rustc, after `-C`.
const METADATA: &str = "metadata=";

/// Has `cargo` call this program instead of rustc.
pub(crate) fn install(cargo: &mut Command) {
    // The file is gone when a newer program took its place while this one runs. Then bytes depend on paths.
    let Some(program) = std::env::current_exe().ok().filter(|path| path.is_file()) else {
        return;
    };
    let users = std::env::var_os("RUSTC_WRAPPER").unwrap_or_default();
    cargo.env("RUSTC_WRAPPER", program).env(MARKER, users);
}

/// Runs rustc where cargo has called this program for it; else `None`.
pub(crate) fn run() -> Option<ExitCode> {
    let users = std::env::var_os(MARKER)?;
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let words = match is_of_registry(&variable("CARGO_MANIFEST_DIR")) {
        // Its hash comes from the registry's address and its version.
        true => words,
        false => renamed(words, &variable("CARGO_PKG_VERSION")),
    };
    let mut all = words.into_iter();
    let program = match users.is_empty() {
        true => all.next()?,
        false => users,
    };
    let status = Command::new(program).args(all).status();
    let code = status.ok().and_then(|status| status.code()).unwrap_or(1);
    Some(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn is_of_registry(manifest_dir: &str) -> bool {
    let folder = manifest_dir.replace('\\', "/");
    folder.contains("/registry/src/") || folder.contains("/git/checkouts/")
}

/// rustc's arguments with a hash of what the crate is, where they build one for the chain.
fn renamed(words: Vec<OsString>, version: &str) -> Vec<OsString> {
    let after = |name: &str| {
        let position = words.iter().position(|word| word == OsStr::new(name))?;
        words.get(position + 1)
    };
    let (Some(name), Some(_target)) = (after("--crate-name"), after("--target")) else {
        return words;
    };
    let mut parts = vec![name.to_string_lossy().into_owned(), version.to_owned()];
    let features = words.iter().filter_map(|word| word.to_str());
    let mut features: Vec<String> = features
        .filter(|word| word.starts_with("feature="))
        .map(str::to_owned)
        .collect();
    features.sort();
    parts.append(&mut features);
    let digest = sha3_256(&[parts.join("\n").as_bytes()]).to_string();
    let hash = digest.get(2..18).unwrap_or_default();
    let is_hash = |word: &OsString| word.to_str().is_some_and(|text| text.starts_with(METADATA));
    words
        .iter()
        .map(|word| match is_hash(word) {
            true => format!("{METADATA}{hash}").into(),
            false => word.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_hash_is_of_name_version_and_features_alone() {
        let one = "rustc --crate-name a /x/lib.rs --cfg feature=\"f\" -C metadata=1 --target wasm";
        let other =
            "rustc --crate-name a /x/lib.rs --cfg feature=\"f\" -C metadata=2 --target wasm";
        assert_eq!(renamed(words(one), "1.0"), renamed(words(other), "1.0"));
        assert_ne!(renamed(words(one), "1.0"), renamed(words(one), "1.1"));
        let plain = one.replace(" --cfg feature=\"f\"", "");
        let hash = |text: &str| {
            let found = renamed(words(text), "1.0");
            found
                .into_iter()
                .find(|word| word.to_string_lossy().starts_with(METADATA))
        };
        assert_ne!(hash(one), hash(&plain));
    }

    #[test]
    fn what_is_no_crate_of_a_contract_stays_as_it_is() {
        for text in [
            "rustc -vV",
            "rustc --crate-name macros -C metadata=1 --crate-type proc-macro",
        ] {
            assert_eq!(renamed(words(text), "1.0"), words(text));
        }
        assert!(is_of_registry(
            "/home/a/.cargo/registry/src/index-1/serde-1.0"
        ));
        assert!(!is_of_registry("/home/a/project"));
    }
}
