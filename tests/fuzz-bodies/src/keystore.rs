//! Read key files: as bytes come, and sound ones with changes. A changed file never gives another key.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use kumiki_protocol::{Address, SecretKey};
use kumiki_testkit::account;
use kumiki_wallet::{Keystore, Passphrase};
use serde_json::{Value, json};

use crate::Verdict;
use crate::choices::Choices;

/// The account of the file that is read.
const NAME: &str = "mine";
const PASSPHRASE: &str = "correct horse";
/// The least that Argon2 takes: thousands of files are opened in a second.
const MEMORY_KIB: u32 = 8;
const PASSES: u32 = 1;
/// Files that ask for more are read and not opened.
const MEMORY_KIB_MAX: u64 = 256;
const PASSES_MAX: u64 = 4;

/// Reads and opens a key file.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    match choices.byte() % 3 {
        0 => held(choices.rest()),
        1 => held(&choices.mutated(sound_file().as_bytes())),
        _ => changed_fields(choices),
    }
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// A folder of this process.
fn folder() -> &'static Path {
    FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new()
            .prefix("kumiki-fuzz-keys")
            .tempdir();
        folder.expect("a folder for keys").keep()
    })
}

/// Removes what was written.
pub(crate) fn clean_up() {
    if let Some(folder) = FOLDER.get() {
        std::fs::remove_dir_all(folder).expect("a folder that was made here");
    }
}

/// Reads the file, and opens it where that is cheap. It opens only with the right passphrase, and only as the key that
/// was sealed.
fn held(file: &[u8]) -> Verdict {
    // One file for each thread: tests run side by side.
    let thread = format!("{:?}", std::thread::current().id());
    let folder = folder().join(thread.replace(['(', ')'], ""));
    let keystore = Keystore::open(&folder).expect("a private folder");
    let path = folder.join(format!("{NAME}.json"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&path).and_then(|mut out| out.write_all(file));
    written.expect("a file system to write to");
    let found = keystore.find(NAME);
    let listed = keystore.list();
    assert_eq!(found.is_ok(), listed.is_ok());
    let Ok(summary) = found else {
        assert!(keystore.unlock(NAME, &passphrase(PASSPHRASE)).is_err());
        return Verdict::Refused;
    };
    assert_eq!(summary.name, NAME);
    assert_eq!(summary.address, Address::of_account(&summary.public_key));
    if !is_cheap(file) {
        return Verdict::Refused;
    }
    assert!(keystore.unlock(NAME, &passphrase("wrong")).is_err());
    match keystore.unlock(NAME, &passphrase(PASSPHRASE)) {
        Ok(key) => {
            assert_eq!(key.public_key(), summary.public_key);
            assert_eq!(key.to_seed(), sealed_key().to_seed(), "another key");
            Verdict::Accepted
        }
        Err(_refused) => Verdict::Refused,
    }
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn is_cheap(file: &[u8]) -> bool {
    let parsed: Value = serde_json::from_slice(file).unwrap_or_default();
    let within = |name: &str, max: u64| {
        let found = parsed.pointer(name).and_then(Value::as_u64);
        found.is_some_and(|found| found <= max)
    };
    within("/kdf/memoryKib", MEMORY_KIB_MAX) && within("/kdf/passes", PASSES_MAX)
}

fn sealed_key() -> SecretKey {
    account(3).key
}

/// A key file as its specification says, written here anew and cheap to open.
fn sound_file() -> &'static str {
    static FILE: OnceLock<String> = OnceLock::new();
    FILE.get_or_init(|| {
        let public_key = sealed_key().public_key();
        let address = Address::of_account(&public_key);
        let (salt, nonce) = ([5; 16], [6; 24]);
        let (salt_text, nonce_text) = (hex::encode(salt), hex::encode(nonce));
        let header = format!(
            "kumiki/key-file/v1\n{NAME}\n{public_key}\n{address}\nargon2id {MEMORY_KIB} {PASSES} {salt_text}\n\
             xchacha20poly1305 {nonce_text}"
        );
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("the least there is");
        let mut key = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(PASSPHRASE.as_bytes(), &salt, &mut key)
            .expect("a salt of the right length");
        let seed = sealed_key().to_seed();
        let payload = Payload {
            msg: &seed,
            aad: header.as_bytes(),
        };
        let ciphertext = XChaCha20Poly1305::new(&Key::from(key))
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a short message");
        let file = json!({
            "version": 1, "name": NAME, "publicKey": public_key, "address": address,
            "kdf": { "name": "argon2id", "memoryKib": MEMORY_KIB, "passes": PASSES, "salt": salt_text },
            "cipher": { "name": "xchacha20poly1305", "nonce": nonce_text },
            "ciphertext": hex::encode(ciphertext),
        });
        file.to_string()
    })
}

/// A sound file with values exchanged, which no change of single bytes would do.
fn changed_fields(mut choices: Choices<'_>) -> Verdict {
    const FIELDS: [&str; 12] = [
        "/version",
        "/name",
        "/publicKey",
        "/address",
        "/kdf",
        "/kdf/name",
        "/kdf/memoryKib",
        "/kdf/passes",
        "/kdf/salt",
        "/cipher",
        "/cipher/nonce",
        "/ciphertext",
    ];
    let mut file: Value = serde_json::from_str(sound_file()).expect("JSON");
    while choices.are_left() {
        let field = choices.one_of(&FIELDS);
        let other = choices.one_of(&FIELDS);
        let other = file.pointer(other).cloned().unwrap_or_default();
        let text = String::from_utf8_lossy(choices.bytes(8)).into_owned();
        if let Some(value) = file.pointer_mut(field) {
            *value = match choices.byte() % 6 {
                0 => Value::from(choices.number()),
                1 => Value::from(text),
                2 => other,
                3 => Value::Null,
                4 => Value::from(value.as_str().unwrap_or_default().to_uppercase()),
                _ => Value::from(value.as_str().unwrap_or_default().to_owned() + &text),
            };
        }
    }
    held(file.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_written_here_is_one_of_the_wallet() {
        assert_eq!(held(sound_file().as_bytes()), Verdict::Accepted);
        clean_up();
    }
}
