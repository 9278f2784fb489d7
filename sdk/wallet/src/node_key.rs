//! Keep a node's key in a plain file that only its owner can read: a node starts when nobody is there to type.

use std::path::{Path, PathBuf};

use kumiki_protocol::SecretKey;
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

/// Two hex digits per byte of the seed, and room for white space.
const FILE_BYTES_MAX: u64 = 128;

/// Why a node's key was not read or made.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    /// The file is missing, there already, or open to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// It is not a seed. What it holds may be most of a secret and is not repeated.
    #[error("{path} must hold 64 hex digits, the seed of an ed25519 key")]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// The system has no randomness to give.
    #[error("the system gives no randomness, so no key was made")]
    NoRandomness,
}

/// Makes a new key and keeps its seed in a new file at `path`, of mode 0600, as hex digits.
///
/// # Errors
/// When there is a file already, which is left alone, or the system refuses.
pub fn create_node_key(path: &Path) -> Result<SecretKey, NodeKeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_unavailable| NodeKeyError::NoRandomness)?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(seed.as_slice())));
    private_file::write_new(path, text.as_bytes())?;
    Ok(SecretKey::from_seed(*seed))
}

/// Reads the key at `path`, which must be a plain file of mode 0600.
///
/// # Errors
/// When it is missing, malformed, or others may read it.
pub fn read_node_key(path: &Path) -> Result<SecretKey, NodeKeyError> {
    let text = Zeroizing::new(private_file::read(path, FILE_BYTES_MAX)?);
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), seed.as_mut_slice()).map_err(|_invalid| {
        NodeKeyError::Malformed {
            path: path.to_owned(),
        }
    })?;
    Ok(SecretKey::from_seed(*seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let made = create_node_key(&path).unwrap();
        assert_eq!(
            read_node_key(&path).unwrap().public_key(),
            made.public_key()
        );
        let again = create_node_key(&path).unwrap_err();
        assert!(matches!(
            again,
            NodeKeyError::File(PrivateFileError::Exists { .. })
        ));
        assert_eq!(
            read_node_key(&path).unwrap().public_key(),
            made.public_key()
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        create_node_key(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_node_key(&path).unwrap_err();
        assert!(matches!(
            refused,
            NodeKeyError::File(PrivateFileError::LooseMode { found: 0o640, .. })
        ));
    }

    #[test]
    fn what_is_no_seed_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        private_file::write_new(&path, b"correct horse").unwrap();
        let refused = read_node_key(&path).unwrap_err().to_string();
        assert!(refused.contains("64 hex digits") && !refused.contains("horse"));
    }
}
