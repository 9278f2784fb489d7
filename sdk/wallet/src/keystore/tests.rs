//! Hold the keystore to its promises: private files, no lost keys, no published ones.

use super::*;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn keystore() -> (tempfile::TempDir, Keystore) {
    let folder = tempfile::tempdir().unwrap();
    let keystore = Keystore::open(&folder.path().join("keys")).unwrap();
    (folder, keystore)
}

#[test]
fn stored_key_comes_back_with_its_passphrase_only() {
    let (_folder, keystore) = keystore();
    let key = SecretKey::from_seed([5; 32]);
    let made = keystore.import("mine", &key, &passphrase("right")).unwrap();
    assert_eq!(made.address, Address::of_account(&key.public_key()));
    assert_eq!(keystore.list().unwrap(), vec![made]);
    let opened = keystore.unlock("mine", &passphrase("right")).unwrap();
    assert_eq!(opened.to_seed(), key.to_seed());
    let wrong = keystore.unlock("mine", &passphrase("wrong")).unwrap_err();
    assert!(matches!(
        wrong,
        KeystoreError::Seal(SealError::WrongPassphrase)
    ));
}

#[test]
fn second_account_of_a_name_leaves_the_first_alone() {
    let (_folder, keystore) = keystore();
    let first = keystore.create("mine", &passphrase("a")).unwrap();
    let second = keystore.create("mine", &passphrase("b")).unwrap_err();
    assert!(matches!(second, KeystoreError::Exists { .. }));
    assert_eq!(keystore.find("mine").unwrap(), first);
}

#[test]
fn published_names_and_keys_never_enter() {
    let (_folder, keystore) = keystore();
    let alice = dev_account::find("alice").unwrap();
    for name in ["alice", "mine"] {
        let refused = keystore.import(name, &alice.key, &passphrase("a"));
        assert!(matches!(refused, Err(KeystoreError::Published { .. })));
    }
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let (_folder, keystore) = keystore();
    for name in ["", "../up", "a/b", "A", "1st", "a.json", &"a".repeat(33)] {
        let refused = keystore.create(name, &passphrase("a"));
        assert!(matches!(refused, Err(KeystoreError::Name { .. })), "{name}");
    }
}

#[test]
fn header_is_authenticated_and_hostile_files_are_bounded() {
    let (_folder, keystore) = keystore();
    keystore.create("mine", &passphrase("a")).unwrap();
    let path = keystore.path("mine");
    let text = fs::read_to_string(&path).unwrap();
    let changes = [
        ("\"passes\": 3", "\"passes\": 2"),
        ("\"memoryKib\": 65536", "\"memoryKib\": 4294967295"),
        ("\"version\": 1", "\"version\": 2"),
        ("\"name\": \"mine\"", "\"name\": \"other\""),
        ("\"salt\": \"", "\"salt\": \"00"),
        ("\"version\": 1,", "\"version\": 1, \"extra\": 1,"),
    ];
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        assert!(keystore.unlock("mine", &passphrase("a")).is_err(), "{to}");
    }
    fs::write(&path, text.repeat(100)).unwrap();
    assert!(keystore.unlock("mine", &passphrase("a")).is_err());
    fs::write(&path, &text).unwrap();
    assert!(keystore.unlock("mine", &passphrase("a")).is_ok());
}

#[test]
fn secrets_never_show_in_debug_or_on_disk() {
    let (_folder, keystore) = keystore();
    let key = SecretKey::from_seed([0xab; 32]);
    let secret = passphrase("hunter2");
    keystore.import("mine", &key, &secret).unwrap();
    let sealed = keystore.load("mine").unwrap();
    let shown = format!("{keystore:?} {sealed:?} {secret:?} {key:?}");
    let stored = fs::read_to_string(keystore.path("mine")).unwrap();
    for text in [shown, stored] {
        assert!(!text.contains("hunter2"));
        assert!(!text.contains("abababab"));
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn folder_and_files_are_private_and_looser_modes_are_refused() {
        let (_folder, keystore) = keystore();
        keystore.create("mine", &passphrase("a")).unwrap();
        let path = keystore.path("mine");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&keystore.folder), 0o700);
        assert_eq!(mode(&path), 0o600);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = keystore.unlock("mine", &passphrase("a")).unwrap_err();
        assert!(matches!(
            refused,
            KeystoreError::File(PrivateFileError::LooseMode { found: 0o640, .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&keystore.folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(keystore.find("mine").is_err());
        assert!(Keystore::open(&keystore.folder).is_err());
    }

    #[test]
    fn links_are_refused() {
        let (folder, keystore) = keystore();
        keystore.create("mine", &passphrase("a")).unwrap();
        std::os::unix::fs::symlink(keystore.path("mine"), keystore.path("linked")).unwrap();
        let refused = keystore.find("linked").unwrap_err();
        assert!(matches!(
            refused,
            KeystoreError::File(PrivateFileError::NotPlain { .. })
        ));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&keystore.folder, &link).unwrap();
        assert!(Keystore::open(&link).is_err());
    }
}
