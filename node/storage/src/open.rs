//! Open a data folder: lock it, check what is in it, and serve nothing that contradicts itself.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use kumiki_protocol::{Genesis, Hash};
use kumiki_state::{Bucket, Tree};
use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use crate::commit::{create_tables, replace_records};
use crate::folder::{create_folder, failed as io_failed, sync_folder};
use crate::head::{Head, RECENT_TREES};
use crate::index::EventIndex;
use crate::schema::{self, META, META_GENESIS, META_SCHEMA, META_TIP, damaged, exact, failed};
use crate::storage::{Writer, load_head};
use crate::view::View;
use crate::{OpenCheck, Storage, StorageError, StorageOptions, Tip};

const LOCK_FILE: &str = "lock";
pub(crate) const CHAIN_FILE: &str = "chain.redb";
const INDEX_FILE: &str = "index.redb";
/// Of the cache, one part in this many is the index's.
const INDEX_CACHE_SHARE: usize = 8;

impl Storage {
    /// Opens the store in `dir`, making it where there is none, and locks the folder until it is dropped.
    ///
    /// # Errors
    /// `Locked` when another process has it open; `Corrupt` or `Schema` when it cannot be served; `Io` and
    /// `Database` when the disk fails.
    pub fn open(dir: &Path, options: StorageOptions) -> Result<Self, StorageError> {
        create_folder(dir)?;
        let lock = lock(dir)?;
        let chain = dir.join(CHAIN_FILE);
        if !chain.exists() {
            create_file(dir, &chain)?;
        }
        let database = Self::builder(options)
            .open(chain)
            .map_err(failed("open chain.redb"))?;
        let index = EventIndex::open_file(
            &dir.join(INDEX_FILE),
            options.cache_bytes / INDEX_CACHE_SHARE,
            options.check,
        )?;
        Self::assemble(database, index, options, Some(lock))
    }

    pub(crate) fn builder(options: StorageOptions) -> redb::Builder {
        let mut builder = Database::builder();
        builder
            .set_cache_size(options.cache_bytes)
            .set_check_integrity_on_open(options.check == OpenCheck::Full);
        builder
    }

    pub(crate) fn assemble(
        database: Database,
        index: EventIndex,
        mut options: StorageOptions,
        lock: Option<FolderLock>,
    ) -> Result<Self, StorageError> {
        let least = u64::try_from(RECENT_TREES).unwrap_or(u64::MAX);
        options.undo_heights = options.undo_heights.max(least);
        check_schema(&database)?;
        let head = open_head(&database)?;
        let genesis = match &head {
            Some(head) => Some(
                head.view
                    .meta::<Genesis>(META_GENESIS)?
                    .ok_or_else(|| damaged("there is a tip but no genesis"))?,
            ),
            None => None,
        };
        if let (Some(head), Some(genesis)) = (&head, &genesis) {
            check_chain(head, &genesis.hash())?;
            index.catch_up(head)?;
        } else {
            // An index may have been left behind by a chain that is gone.
            index.clear()?;
        }
        Ok(Self {
            head: RwLock::new(head.map(Arc::new)),
            genesis: RwLock::new(genesis.map(Arc::new)),
            writer: Mutex::new(Writer::default()),
            index,
            database,
            options,
            _lock: lock,
        })
    }
}

/// Holds a folder for one process. Dropping it lets go at once, also where a child that was just forked still has the
/// file open: a lock that ends only with its last holder would outlive this.
#[derive(Debug)]
pub(crate) struct FolderLock(pub(crate) File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file does the same in nearly all cases.
        let _closed_anyway = self.0.unlock();
    }
}

pub(crate) fn lock(dir: &Path) -> Result<FolderLock, StorageError> {
    let path = dir.join(LOCK_FILE);
    let failed = |source| StorageError::Io {
        operation: "lock",
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes an empty chain file beside its place and moves it there, so that no crash leaves half of one.
fn create_file(dir: &Path, chain: &Path) -> Result<(), StorageError> {
    let half_made = dir.join("chain.redb.new");
    remove(&half_made)?;
    let database = Database::create(&half_made).map_err(failed("make chain.redb"))?;
    create_tables(&database)?;
    database.close().map_err(failed("close chain.redb"))?;
    put_in_place(&half_made, chain)
}

/// Removes a file that may not be there.
pub(crate) fn remove(file: &Path) -> Result<(), StorageError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io_failed("remove", file)(error))
        }
        _ => Ok(()),
    }
}

/// Moves a file that is whole to its place in the same folder, in the place of what is there. Synced when this returns.
pub(crate) fn put_in_place(file: &Path, place: &Path) -> Result<(), StorageError> {
    let synced = File::open(file).and_then(|file| file.sync_all());
    synced.map_err(io_failed("sync", file))?;
    std::fs::rename(file, place).map_err(io_failed("make", place))?;
    sync_folder(place.parent().unwrap_or(place))
}

fn check_schema(database: &Database) -> Result<(), StorageError> {
    let transaction = database.begin_read().map_err(failed("begin reading"))?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            let mut tables = transaction.list_tables().map_err(failed("list tables"))?;
            if tables.next().is_some() {
                return Err(damaged("there are tables but no meta"));
            }
            return create_tables(database);
        }
        Err(error) => return Err(failed("open meta")(error)),
    };
    let row = meta.get(META_SCHEMA).map_err(failed("read the schema"))?;
    let row = row.ok_or_else(|| damaged("there is no schema version"))?;
    let found: u32 = exact(row.value(), "schema version")?;
    if found != schema::SCHEMA {
        return Err(StorageError::Schema {
            found,
            expected: schema::SCHEMA,
        });
    }
    Ok(())
}

/// Loads the tip and its tree; where the tree's records do not lead to the tip's root, once from the entries.
fn open_head(database: &Database) -> Result<Option<Head>, StorageError> {
    let view = View::open(database)?;
    let Some(tip) = view.meta::<Tip>(META_TIP)? else {
        return Ok(None);
    };
    let leads_to_tip =
        |tree: &Tree| tree.root() == tip.state_root && tree.entries() == tip.state_entries;
    match load_tree(&view) {
        Ok(tree) if leads_to_tip(&tree) => return load_head(view, tree),
        // So a fetched state comes: with entries, and no records yet.
        Ok(tree) if tree.entries() == 0 => {
            tracing::info!(height = tip.height, "making the tree from the entries");
        }
        _ => tracing::warn!(
            height = tip.height,
            "tree records do not lead to the state root, rebuilding"
        ),
    }
    let tree = Tree::rebuild(&view)?;
    if !leads_to_tip(&tree) {
        return Err(damaged(&format!(
            "the entries lead to state root {}, block {} to {}",
            tree.root(),
            tip.height,
            tip.state_root
        )));
    }
    replace_records(database, &tree.records_changed_since(&Tree::empty()))?;
    load_head(View::open(database)?, tree)
}

fn load_tree(view: &View) -> Result<Tree, StorageError> {
    let rows = view.tree.iter().map_err(failed("read tree records"))?;
    let records = rows.map(|row| {
        let unreadable = |error: StorageError| kumiki_state::StateError {
            reason: error.to_string(),
        };
        let (lower, bucket) = row
            .map_err(failed("read tree records"))
            .map_err(unreadable)?;
        let bucket: Bucket = exact(bucket.value(), "tree record").map_err(unreadable)?;
        Ok((lower.value().to_vec(), bucket))
    });
    Ok(Tree::from_records(records)?)
}

/// Holds the tip against the block it names.
fn check_chain(head: &Head, genesis_hash: &Hash) -> Result<(), StorageError> {
    let tip = &head.tip;
    let header = head
        .view
        .header(tip.height)?
        .ok_or_else(|| damaged(&format!("block {} is missing", tip.height)))?;
    let root = head.view.root(tip.height)?;
    let executed = &header.executed;
    let same_result = executed.height != tip.height
        || (executed.state_root == tip.state_root && executed.state_entries == tip.state_entries);
    let whole = header.hash() == tip.block_hash
        && header.genesis_hash == *genesis_hash
        && root == Some((tip.state_root, tip.state_entries))
        && same_result;
    if whole {
        Ok(())
    } else {
        Err(damaged(&format!(
            "the tip and block {} contradict each other",
            tip.height
        )))
    }
}
