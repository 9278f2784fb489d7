//! Show that damaged files are refused and never served.

use std::path::Path;

use kumiki_state::StateReader as _;
use redb::{Database, ReadableDatabase as _, ReadableTable as _};
use tempfile::TempDir;

use super::chain::TestChain;
use crate::schema::{BLOBS, META, META_SCHEMA, STATE, TREE};
use crate::{OpenCheck, Storage, StorageError, StorageOptions};

pub(super) fn open(dir: &Path) -> Result<Storage, StorageError> {
    Storage::open(dir, StorageOptions::default())
}

pub(super) fn stored_chain(dir: &Path, blocks: usize) -> TestChain {
    let storage = open(dir).unwrap();
    let mut chain = TestChain::new(3);
    chain.initialise(&storage).unwrap();
    for _ in 0..blocks {
        chain.commit_next(&storage).unwrap();
    }
    chain
}

#[test]
fn second_open_of_a_folder_is_refused_and_says_which() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path()).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, StorageError::Locked { .. }));
    assert!(refused.to_string().contains(&*dir.path().to_string_lossy()));
    drop(first);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_folder_is_free_at_once_where_a_child_that_was_just_forked_still_has_its_lock_open() {
    let dir = TempDir::new().unwrap();
    let lock = crate::open::lock(dir.path()).unwrap();
    // As a child has it between being forked and becoming another program.
    let inherited = lock.0.try_clone().unwrap();
    drop(lock);
    assert!(open(dir.path()).is_ok());
    drop(inherited);
}

#[test]
fn everything_is_there_after_each_reopen() {
    let dir = TempDir::new().unwrap();
    let mut chain = stored_chain(dir.path(), 5);
    for _ in 0..3 {
        let storage = open(dir.path()).unwrap();
        chain.check_all(&storage);
        chain.commit_next(&storage).unwrap();
    }
    chain.check_all(&open(dir.path()).unwrap());
}

#[test]
fn cut_off_file_is_refused() {
    let dir = TempDir::new().unwrap();
    stored_chain(dir.path(), 12);
    let whole = std::fs::read(dir.path().join("chain.redb")).unwrap();
    for part in [100, 4_096, whole.len() / 2, whole.len() - 1] {
        let cut = TempDir::new().unwrap();
        std::fs::write(cut.path().join("chain.redb"), &whole[..part]).unwrap();
        assert!(open(cut.path()).is_err(), "{part} of {} bytes", whole.len());
    }
}

fn edit(dir: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::create(dir.join("chain.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[test]
fn tree_records_are_made_again_from_the_entries_once() {
    let dir = TempDir::new().unwrap();
    let mut chain = stored_chain(dir.path(), 8);
    edit(dir.path(), |transaction| {
        let mut table = transaction.open_table(TREE).unwrap();
        let first = table.first().unwrap().unwrap().0.value().to_vec();
        table.remove(first.as_slice()).unwrap();
    });
    let storage = open(dir.path()).unwrap();
    chain.check_all(&storage);
    chain.commit_next(&storage).unwrap();
    drop(storage);
    let database = Database::create(dir.path().join("chain.redb")).unwrap();
    let rows = database.begin_read().unwrap().open_table(TREE).unwrap();
    assert!(rows.get(&[][..]).unwrap().is_some());
}

#[test]
fn entries_that_do_not_lead_to_the_root_are_refused() {
    let dir = TempDir::new().unwrap();
    stored_chain(dir.path(), 8);
    edit(dir.path(), |transaction| {
        let mut state = transaction.open_table(STATE).unwrap();
        state.insert(&[9, 9][..], &[0, 1][..]).unwrap();
        let mut records = transaction.open_table(TREE).unwrap();
        records.retain(|_, _| false).unwrap();
    });
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("backup"));
}

#[test]
fn entry_changed_behind_the_tree_stops_the_next_block_that_touches_it() {
    let dir = TempDir::new().unwrap();
    stored_chain(dir.path(), 8);
    let mut touched = Vec::new();
    edit(dir.path(), |transaction| {
        let mut state = transaction.open_table(STATE).unwrap();
        touched = state.first().unwrap().unwrap().0.value().to_vec();
        state.insert(touched.as_slice(), &[0, 1, 2, 3][..]).unwrap();
    });
    let storage = open(dir.path()).unwrap();
    let mut changes = kumiki_state::StateChanges::default();
    changes.entries.insert(touched.clone(), Some(vec![5]));
    assert!(storage.prepare(&changes).is_err());
    assert!(storage.snapshot().unwrap().prove(&touched).is_err());
}

#[test]
fn large_value_that_changed_on_disk_is_never_read() {
    let dir = TempDir::new().unwrap();
    drop(stored_chain(dir.path(), 12));
    let mut changed = Vec::new();
    edit(dir.path(), |transaction| {
        let mut blobs = transaction.open_table(BLOBS).unwrap();
        let (key, mut value) = {
            let (key, value) = blobs.first().unwrap().expect("the chain has large values");
            (key.value().to_vec(), value.value().to_vec())
        };
        value[0] ^= 1;
        blobs.insert(key.as_slice(), value.as_slice()).unwrap();
        changed = key;
    });
    let options = StorageOptions {
        check: OpenCheck::Quick,
        ..StorageOptions::default()
    };
    let storage = Storage::open(dir.path(), options).unwrap();
    let error = storage.snapshot().unwrap().get(&changed).unwrap_err();
    assert!(error.to_string().contains("large value"), "{error}");
}

#[test]
fn files_of_another_schema_are_refused() {
    let dir = TempDir::new().unwrap();
    stored_chain(dir.path(), 1);
    edit(dir.path(), |transaction| {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert(META_SCHEMA, &[9, 0, 0, 0][..]).unwrap();
    });
    let error = open(dir.path()).unwrap_err();
    assert!(
        matches!(
            error,
            StorageError::Schema {
                found: 9,
                expected: 2
            }
        ),
        "{error}"
    );
}
