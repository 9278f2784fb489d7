//! Keep encrypted keys as files in one private folder, one per account.

use std::fs;
use std::path::{Path, PathBuf};

use kumiki_protocol::{Address, PublicKey, SecretKey};
use serde::Serialize;

use crate::private_file::{self, PrivateFileError};
use crate::sealed_key::{SealError, SealedKey};
use crate::{Passphrase, dev_account};

/// A key file has under 1 KiB.
const FILE_BYTES_MAX: u64 = 16 * 1024;
const NAME_BYTES_MAX: usize = 32;

/// A folder of key files: mode 0700, its files 0600, both refused when looser.
#[derive(Debug)]
pub struct Keystore {
    folder: PathBuf,
}

/// What a key file says in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountSummary {
    /// The name it is used by.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// Its public key.
    pub public_key: PublicKey,
}

/// Why a keystore did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The name cannot be one of an account.
    #[error(
        "account name '{found}' must be 1 to {NAME_BYTES_MAX} of a-z, 0-9, '-' and '_', beginning with a letter"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// The name or key is that of a published dev account.
    #[error("'{name}' is a published dev account and never goes into a keystore")]
    Published {
        /// The published account.
        name: &'static str,
    },
    /// There is an account of this name.
    #[error("there is an account '{name}' already")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is no account of this name.
    #[error("there is no account '{name}'")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The file is not JSON of the right form, or names another account.
    #[error("{path} is not a key file of this account: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Encryption or decryption failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A file or folder is not private, or the system refused.
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

impl Keystore {
    /// Opens the keystore in `folder`, making the folder where it is missing.
    ///
    /// # Errors
    /// `File` when the folder's mode is looser than 0700, when it is a link, or cannot be made.
    pub fn open(folder: &Path) -> Result<Self, KeystoreError> {
        private_file::create_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Makes a new account from the system's randomness.
    ///
    /// # Errors
    /// As [`Self::import`].
    pub fn create(
        &self,
        name: &str,
        passphrase: &Passphrase,
    ) -> Result<AccountSummary, KeystoreError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_unavailable| SealError::NoRandomness)?;
        self.import(name, &SecretKey::from_seed(*seed), passphrase)
    }

    /// Stores `key` under `name`, durable on return.
    ///
    /// # Errors
    /// `Name`, `Exists`, `Published` for a dev account's name or key, `Seal`, `File`.
    pub fn import(
        &self,
        name: &str,
        key: &SecretKey,
        passphrase: &Passphrase,
    ) -> Result<AccountSummary, KeystoreError> {
        check_account_name(name)?;
        if let Some(name) = dev_account::published_name(&key.public_key()) {
            return Err(KeystoreError::Published { name });
        }
        let path = self.path(name);
        if path.exists() {
            return Err(KeystoreError::Exists {
                name: name.to_owned(),
            });
        }
        let sealed = SealedKey::seal(name, key, passphrase)?;
        let json =
            serde_json::to_vec_pretty(&sealed).map_err(|error| KeystoreError::Malformed {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        private_file::write_new(&path, &json).map_err(|error| match error {
            PrivateFileError::Exists { .. } => KeystoreError::Exists {
                name: name.to_owned(),
            },
            other => KeystoreError::File(other),
        })?;
        Ok(summary(&sealed))
    }

    /// Decrypts the key of `name`.
    ///
    /// # Errors
    /// `Unknown`, `Seal` for a wrong passphrase, `Malformed`, `File`.
    pub fn unlock(&self, name: &str, passphrase: &Passphrase) -> Result<SecretKey, KeystoreError> {
        Ok(self.load(name)?.open(passphrase)?)
    }

    /// What the file of `name` says in the clear.
    ///
    /// # Errors
    /// `Unknown`, `Malformed`, `File`.
    pub fn find(&self, name: &str) -> Result<AccountSummary, KeystoreError> {
        self.load(name).map(|sealed| summary(&sealed))
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// `File` when the folder or a file in it is not private or unreadable, `Malformed`.
    pub fn list(&self) -> Result<Vec<AccountSummary>, KeystoreError> {
        let io_error = |source| PrivateFileError::Io {
            path: self.folder.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io_error)? {
            let file = PathBuf::from(entry.map_err(io_error)?.file_name());
            let stem = file.file_stem().and_then(|stem| stem.to_str());
            let is_key = file
                .extension()
                .is_some_and(|extension| extension == "json");
            if let (true, Some(stem)) = (is_key, stem) {
                names.push(stem.to_owned());
            }
        }
        names.sort_unstable();
        names.iter().map(|name| self.find(name)).collect()
    }

    fn load(&self, name: &str) -> Result<SealedKey, KeystoreError> {
        check_account_name(name)?;
        private_file::check_folder(&self.folder)?;
        let path = self.path(name);
        if fs::symlink_metadata(&path).is_err() {
            return Err(KeystoreError::Unknown {
                name: name.to_owned(),
            });
        }
        let bytes = private_file::read(&path, FILE_BYTES_MAX)?;
        let malformed = |reason: String| KeystoreError::Malformed {
            path: path.clone(),
            reason,
        };
        let sealed: SealedKey =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        sealed.check_version()?;
        if sealed.name != name || sealed.address != Address::of_account(&sealed.public_key) {
            return Err(malformed(format!(
                "it says name '{}', address {}",
                sealed.name, sealed.address
            )));
        }
        Ok(sealed)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

/// Checks that an account of one's own may be called `name`.
///
/// # Errors
/// `Name`, or `Published` for the name of a dev account.
pub fn check_account_name(name: &str) -> Result<(), KeystoreError> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if !starts_well || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(KeystoreError::Name {
            found: name.to_owned(),
        });
    }
    match dev_account::find(name) {
        Some(account) => Err(KeystoreError::Published { name: account.name }),
        None => Ok(()),
    }
}

fn summary(sealed: &SealedKey) -> AccountSummary {
    AccountSummary {
        name: sealed.name.clone(),
        address: sealed.address,
        public_key: sealed.public_key,
    }
}

#[cfg(test)]
mod tests;
