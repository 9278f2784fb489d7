//! Unpack the SDK sources that this binary carries and point a project's cargo at them.

use std::fs;
use std::path::{Path, PathBuf};

use kumiki_protocol::sha3_256;

use crate::archive;
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::project::Project;

static ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sdk.archive"));
/// Crates that a project's manifest may name, by folder in the archive.
const CRATES: [(&str, &str); 9] = [
    ("kumiki-protocol", "runtime/protocol"),
    ("kumiki-abi", "runtime/abi"),
    ("kumiki-state", "runtime/state"),
    ("kumiki-vm", "runtime/vm"),
    ("kumiki-executor", "runtime/executor"),
    ("kumiki-contract", "sdk/contract"),
    ("kumiki-contract-build", "sdk/contract-build"),
    ("kumiki-contract-macros", "sdk/contract-macros"),
    ("kumiki-contract-testing", "sdk/contract-testing"),
];
const MARKER: &str = "# Written by kumiki on every run; not for version control.";

/// The sources, unpacked.
#[derive(Clone, Debug)]
pub(crate) struct SdkSources(PathBuf);

impl SdkSources {
    /// Unpacks the sources below `home`, unless they are there.
    pub(crate) fn unpack(home: &Home) -> Outcome<Self> {
        let digest = sha3_256(&[ARCHIVE]).to_string();
        let name = format!("{}-{}", env!("CARGO_PKG_VERSION"), &digest[2..14]);
        let folder = home.sdk().join(name);
        if !folder.is_dir() {
            unpack_to(&folder)?;
        }
        Ok(Self(folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Lets cargo find the SDK in `project`: writes `.cargo/config.toml`, and a `Cargo.lock` with the versions that
    /// this binary was built with where there is none. Returns arguments for cargo, needed where the
    /// project has a cargo configuration of its own.
    pub(crate) fn attach(&self, project: &Project) -> Outcome<Vec<String>> {
        let root = &project.cargo_root;
        // In Kumiki's own repository the crates are members of the workspace.
        if root.join("sdk/contract-macros/Cargo.toml").exists() {
            return Ok(Vec::new());
        }
        let lock = root.join("Cargo.lock");
        if !lock.exists() {
            let text = fs::read(self.0.join("Cargo.lock"))
                .map_err(|error| Failure::io(&self.0.join("Cargo.lock"), &error))?;
            write_if_changed(&lock, &text)?;
        }
        let config = root.join(".cargo").join("config.toml");
        let text = self.cargo_config();
        let foreign = fs::read_to_string(&config).is_ok_and(|text| !text.starts_with(MARKER));
        if foreign {
            let own = project.private_folder().join("cargo-config.toml");
            write_if_changed(&own, text.as_bytes())?;
            return Ok(vec!["--config".to_owned(), own.display().to_string()]);
        }
        write_if_changed(&config, text.as_bytes())?;
        Ok(Vec::new())
    }

    fn cargo_config(&self) -> String {
        let mut text = format!("{MARKER}\n[patch.crates-io]\n");
        for (name, folder) in CRATES {
            let path = self.0.join(folder).display().to_string();
            // TOML's basic strings escape as JSON's do.
            let quoted = serde_json::Value::String(path).to_string();
            text.push_str(&format!("{name} = {{ path = {quoted} }}\n"));
        }
        text
    }
}

/// Writes `content` whole or not at all, and only where it differs, so that cargo sees no change.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> Outcome<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
    let failed = |error: std::io::Error| Failure::io(path, &error);
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    fs::write(temporary.path(), content).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    temporary
        .persist(path)
        .map(|_file| ())
        .map_err(|error| Failure::io(path, &error.error))
}

/// Unpacks beside `folder`, then renames, so that a half-written copy is never used.
fn unpack_to(folder: &Path) -> Outcome<()> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(|error| Failure::io(parent, &error))?;
    let temporary = tempfile::tempdir_in(parent).map_err(|error| Failure::io(parent, &error))?;
    for (name, content) in archive::files(ARCHIVE) {
        let path = temporary.path().join(name);
        let inner = path.parent().unwrap_or(&path);
        fs::create_dir_all(inner)
            .and_then(|()| fs::write(&path, content))
            .map_err(|error| Failure::io(&path, &error))?;
    }
    match fs::rename(temporary.path(), folder) {
        Ok(()) => Ok(()),
        // Another kumiki was faster with the same bytes.
        Err(_raced) if folder.is_dir() => Ok(()),
        Err(error) => Err(Failure::io(folder, &error)),
    }
}
