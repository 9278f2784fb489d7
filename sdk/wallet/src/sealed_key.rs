//! Encrypt a key's seed under a passphrase: Argon2id, then XChaCha20-Poly1305 over seed with the header as
//! associated data.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use kumiki_protocol::{Address, PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Passphrase;

const VERSION: u32 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
/// What new files use: above the second recommended option of RFC 9106 (64 MiB, 3 passes).
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// What a file may ask for, so that a planted one cannot exhaust the machine.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;

/// The file of one key. All but `ciphertext` is in the clear and authenticated.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SealedKey {
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) public_key: PublicKey,
    pub(crate) address: Address,
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kdf {
    name: KdfName,
    memory_kib: u32,
    passes: u32,
    salt: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KdfName {
    Argon2id,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cipher {
    name: CipherName,
    nonce: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CipherName {
    XChaCha20Poly1305,
}

/// Why a key was not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The passphrase is wrong, or the file was changed.
    #[error("the passphrase is wrong, or the file was changed")]
    WrongPassphrase,
    /// The file is of a version that this program does not know.
    #[error("key file version {found}, this program knows {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// A field is not what it should be.
    #[error("key file: {field} is malformed or out of range")]
    Field {
        /// Its name.
        field: &'static str,
    },
    /// The system has no randomness to give.
    #[error("the system gave no randomness")]
    NoRandomness,
}

impl SealedKey {
    pub(crate) fn seal(
        name: &str,
        key: &SecretKey,
        passphrase: &Passphrase,
    ) -> Result<Self, SealError> {
        let mut random = [0; SALT_BYTES + NONCE_BYTES];
        getrandom::fill(&mut random).map_err(|_unavailable| SealError::NoRandomness)?;
        let (salt, nonce) = random.split_at(SALT_BYTES);
        let public_key = key.public_key();
        let mut sealed = Self {
            version: VERSION,
            name: name.to_owned(),
            public_key,
            address: Address::of_account(&public_key),
            kdf: Kdf {
                name: KdfName::Argon2id,
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                salt: hex::encode(salt),
            },
            cipher: Cipher {
                name: CipherName::XChaCha20Poly1305,
                nonce: hex::encode(nonce),
            },
            ciphertext: String::new(),
        };
        let seed = Zeroizing::new(key.to_seed());
        let header = sealed.header();
        let payload = Payload {
            msg: seed.as_slice(),
            aad: &header,
        };
        let ciphertext = sealed
            .cipher(passphrase)?
            .encrypt(&sealed.nonce()?, payload)
            .map_err(|_too_long| SealError::Field { field: "seed" })?;
        sealed.ciphertext = hex::encode(ciphertext);
        Ok(sealed)
    }

    pub(crate) fn open(&self, passphrase: &Passphrase) -> Result<SecretKey, SealError> {
        self.check_version()?;
        let ciphertext = hex::decode(&self.ciphertext).map_err(|_invalid| SealError::Field {
            field: "ciphertext",
        })?;
        let payload = Payload {
            msg: &ciphertext,
            aad: &self.header(),
        };
        let plain = self
            .cipher(passphrase)?
            .decrypt(&self.nonce()?, payload)
            .map(Zeroizing::new)
            .map_err(|_mismatch| SealError::WrongPassphrase)?;
        let seed: Zeroizing<[u8; 32]> =
            plain
                .as_slice()
                .try_into()
                .map(Zeroizing::new)
                .map_err(|_length| SealError::Field {
                    field: "ciphertext",
                })?;
        let key = SecretKey::from_seed(*seed);
        if key.public_key() != self.public_key {
            return Err(SealError::Field { field: "publicKey" });
        }
        Ok(key)
    }

    pub(crate) fn check_version(&self) -> Result<(), SealError> {
        if self.version == VERSION {
            Ok(())
        } else {
            Err(SealError::Version {
                found: self.version,
            })
        }
    }

    /// Everything in the clear, in one unambiguous spelling.
    fn header(&self) -> Vec<u8> {
        format!(
            "kumiki/key-file/v{}\n{}\n{}\n{}\nargon2id {} {} {}\nxchacha20poly1305 {}",
            self.version,
            self.name,
            self.public_key,
            self.address,
            self.kdf.memory_kib,
            self.kdf.passes,
            self.kdf.salt,
            self.cipher.nonce
        )
        .into_bytes()
    }

    fn nonce(&self) -> Result<XNonce, SealError> {
        let mut bytes = [0; NONCE_BYTES];
        hex::decode_to_slice(&self.cipher.nonce, &mut bytes)
            .map_err(|_invalid| SealError::Field { field: "nonce" })?;
        Ok(XNonce::from(bytes))
    }

    fn cipher(&self, passphrase: &Passphrase) -> Result<XChaCha20Poly1305, SealError> {
        if self.kdf.memory_kib > MEMORY_KIB_MAX || self.kdf.passes > PASSES_MAX {
            return Err(SealError::Field { field: "kdf" });
        }
        let mut salt = [0; SALT_BYTES];
        hex::decode_to_slice(&self.kdf.salt, &mut salt)
            .map_err(|_invalid| SealError::Field { field: "salt" })?;
        let params = Params::new(self.kdf.memory_kib, self.kdf.passes, 1, Some(32))
            .map_err(|_out_of_range| SealError::Field { field: "kdf" })?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
            .map_err(|_out_of_range| SealError::Field { field: "kdf" })?;
        Ok(XChaCha20Poly1305::new(&Key::from(*key)))
    }
}
