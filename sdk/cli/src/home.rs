//! Find the folder that holds keys, caches and networks: `KUMIKI_HOME`, else the platform's.

use std::path::{Path, PathBuf};

use kumiki_wallet::Keystore;

use crate::failure::{Exit, Failure, Outcome};

/// The user's folder.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// `KUMIKI_HOME` made absolute, or the platform's folder for application data.
    pub(crate) fn find() -> Outcome<Self> {
        if let Some(folder) = std::env::var_os("KUMIKI_HOME").filter(|value| !value.is_empty()) {
            let folder = PathBuf::from(folder);
            return std::path::absolute(&folder)
                .map(Self)
                .map_err(|error| Failure::io(&folder, &error));
        }
        directories::ProjectDirs::from("", "", "kumiki")
            .map(|folders| Self(folders.data_dir().to_owned()))
            .ok_or_else(|| {
                Failure::new(
                    Exit::System,
                    "noHome",
                    "there is no home folder to keep keys and caches in",
                )
                .next("export KUMIKI_HOME=\"$PWD/.kumiki-home\"")
            })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where SDK sources are unpacked.
    pub(crate) fn sdk(&self) -> PathBuf {
        self.0.join("sdk")
    }

    /// The user's own networks.
    pub(crate) fn networks(&self) -> PathBuf {
        self.0.join("networks.toml")
    }

    pub(crate) fn keystore(&self) -> Outcome<Keystore> {
        Ok(Keystore::open(&self.0.join("keys"))?)
    }
}
