//! Write one block with all it leads to in one transaction, every table in key order.

use std::collections::BTreeMap;
use std::sync::Arc;

use kumiki_protocol::{Block, Certificate, Encode, Hash, Height, Receipt, Status};
use kumiki_state::Bucket;
use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::schema::{self, Stored, UNDO_ABSENT, UNDO_PRESENT, failed, pack, stored_value};
use crate::{StorageError, Tip};

/// A new value by key, `None`: removed; by rising key.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// All that one block writes.
pub(crate) struct BlockWrite<'a> {
    pub(crate) block: &'a Block,
    pub(crate) block_hash: Hash,
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) receipts: &'a [Receipt],
    pub(crate) writes: &'a Writes,
    pub(crate) codes: &'a BTreeMap<Hash, Arc<[u8]>>,
    pub(crate) records: &'a BTreeMap<Vec<u8>, Option<Bucket>>,
    pub(crate) tip: &'a Tip,
    /// The validators that this block fixes, with their epoch.
    pub(crate) validators: Option<(u64, &'a [u8])>,
    /// Undo rows below this height are pruned, two heights at most in one commit.
    pub(crate) undo_from: Height,
    /// Rows of `meta` besides the tip.
    pub(crate) meta: &'a [(&'static str, Vec<u8>)],
}

/// A transaction that is on disk, whole, when its commit returns.
pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, StorageError> {
    let mut transaction = database.begin_write().map_err(failed("begin writing"))?;
    // Saves the allocator state and commits in two phases: recovery is instant and never guesses.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Makes every table, and marks the file with the schema.
pub(crate) fn create_tables(database: &Database) -> Result<(), StorageError> {
    let transaction = begin(database)?;
    {
        let bytes = |table| {
            transaction
                .open_table(table)
                .map(drop)
                .map_err(failed("make a table"))
        };
        bytes(schema::STATE)?;
        bytes(schema::BLOBS)?;
        bytes(schema::CODES)?;
        bytes(schema::TREE)?;
        let by_height = |table| {
            transaction
                .open_table(table)
                .map(drop)
                .map_err(failed("make a table"))
        };
        by_height(schema::HEADERS)?;
        by_height(schema::BODIES)?;
        by_height(schema::RECEIPTS)?;
        by_height(schema::CERTIFICATES)?;
        by_height(schema::ROOTS)?;
        by_height(schema::VALIDATORS)?;
        transaction
            .open_table(schema::UNDO)
            .map_err(failed("make a table"))?;
        transaction
            .open_table(schema::HEIGHTS)
            .map_err(failed("make a table"))?;
        transaction
            .open_table(schema::TRANSACTIONS)
            .map_err(failed("make a table"))?;
        let mut meta = transaction
            .open_table(schema::META)
            .map_err(failed("make a table"))?;
        let version = schema::SCHEMA.encode();
        meta.insert(schema::META_SCHEMA, version.as_slice())
            .map_err(failed("write meta"))?;
    }
    transaction.commit().map_err(failed("commit"))
}

/// Replaces all tree records.
pub(crate) fn replace_records(
    database: &Database,
    records: &BTreeMap<Vec<u8>, Option<Bucket>>,
) -> Result<(), StorageError> {
    let transaction = begin(database)?;
    transaction
        .delete_table(schema::TREE)
        .map_err(failed("clear tree records"))?;
    write_records(&transaction, records)?;
    transaction.commit().map_err(failed("commit"))
}

/// Writes the block. When this returns without an error, all of it is synced.
pub(crate) fn write_block(database: &Database, input: &BlockWrite<'_>) -> Result<(), StorageError> {
    let transaction = begin(database)?;
    let height = input.block.header.height;
    let undo = write_state(&transaction, input.writes)?;
    write_undo(&transaction, height, input.undo_from, &undo)?;
    write_records(&transaction, input.records)?;
    write_codes(&transaction, input.codes)?;
    write_chain(&transaction, height, input)?;
    write_transactions(&transaction, height, input.receipts)?;
    if let Some((epoch, validators)) = input.validators {
        write_row(&transaction, schema::VALIDATORS, epoch, validators)?;
    }
    let tip = (schema::META_TIP, input.tip.encode());
    let undo_from = (schema::META_UNDO_FROM, input.undo_from.encode());
    write_meta(&transaction, &[tip, undo_from])?;
    write_meta(&transaction, input.meta)?;
    transaction.commit().map_err(failed("commit"))
}

/// Writes the state and says what was there before, by rising key.
pub(crate) fn write_state<'a>(
    transaction: &WriteTransaction,
    writes: &'a Writes,
) -> Result<Vec<(&'a [u8], Option<Vec<u8>>)>, StorageError> {
    let mut state = transaction
        .open_table(schema::STATE)
        .map_err(failed("open the state"))?;
    let mut blobs = transaction
        .open_table(schema::BLOBS)
        .map_err(failed("open large values"))?;
    let mut undo = Vec::with_capacity(writes.len());
    let mut row = Vec::new();
    for (key, value) in writes {
        let key = key.as_slice();
        let large = value.as_ref().filter(|value| stored_value(value, &mut row));
        let replaced = match value {
            Some(_) => state.insert(key, row.as_slice()),
            None => state.remove(key),
        }
        .map_err(failed("write the state"))?;
        let mut before = None;
        let mut had_blob = false;
        if let Some(replaced) = replaced {
            match Stored::read(replaced.value())? {
                Stored::Inline(value) => before = Some(value.to_vec()),
                Stored::Blob { .. } => had_blob = true,
            }
        }
        if large.is_some() || had_blob {
            let replaced = match large {
                Some(value) => blobs.insert(key, value.as_slice()),
                None => blobs.remove(key),
            }
            .map_err(failed("write a large value"))?;
            if let Some(replaced) = replaced {
                before = Some(replaced.value().to_vec());
            }
        }
        undo.push((key, before));
    }
    Ok(undo)
}

fn write_undo(
    transaction: &WriteTransaction,
    height: Height,
    undo_from: Height,
    undo: &[(&[u8], Option<Vec<u8>>)],
) -> Result<(), StorageError> {
    let mut table = transaction
        .open_table(schema::UNDO)
        .map_err(failed("open undo"))?;
    let pruned = (undo_from.saturating_sub(2), &[][..])..(undo_from, &[][..]);
    table
        .retain_in(pruned, |_, _| false)
        .map_err(failed("prune undo"))?;
    let mut row = Vec::new();
    for (key, before) in undo {
        row.clear();
        match before {
            None => row.push(UNDO_ABSENT),
            Some(value) => {
                row.push(UNDO_PRESENT);
                row.extend_from_slice(value);
            }
        }
        table
            .insert((height, *key), row.as_slice())
            .map_err(failed("write undo"))?;
    }
    Ok(())
}

pub(crate) fn write_records(
    transaction: &WriteTransaction,
    records: &BTreeMap<Vec<u8>, Option<Bucket>>,
) -> Result<(), StorageError> {
    let mut table = transaction
        .open_table(schema::TREE)
        .map_err(failed("open tree records"))?;
    for (lower, bucket) in records {
        match bucket {
            Some(bucket) => table.insert(lower.as_slice(), bucket.encode().as_slice()),
            None => table.remove(lower.as_slice()),
        }
        .map_err(failed("write tree records"))?;
    }
    Ok(())
}

pub(crate) fn write_codes(
    transaction: &WriteTransaction,
    codes: &BTreeMap<Hash, Arc<[u8]>>,
) -> Result<(), StorageError> {
    let mut table = transaction
        .open_table(schema::CODES)
        .map_err(failed("open code"))?;
    for (hash, code) in codes {
        table
            .insert(hash.0.as_slice(), &**code)
            .map_err(failed("write code"))?;
    }
    Ok(())
}

fn write_chain(
    transaction: &WriteTransaction,
    height: Height,
    input: &BlockWrite<'_>,
) -> Result<(), StorageError> {
    let transactions: Vec<Vec<u8>> = input
        .block
        .transactions
        .iter()
        .map(Encode::encode)
        .collect();
    let receipts: Vec<Vec<u8>> = input.receipts.iter().map(Encode::encode).collect();
    let root = (input.tip.state_root, input.tip.state_entries).encode();
    let certificate = input.certificate.map(Encode::encode);
    let rows = [
        (schema::HEADERS, Some(input.block.header.encode())),
        (schema::BODIES, Some(pack(&transactions)?)),
        (schema::RECEIPTS, Some(pack(&receipts)?)),
        (schema::CERTIFICATES, certificate),
        (schema::ROOTS, Some(root)),
    ];
    for (table, row) in rows {
        if let Some(row) = row {
            write_row(transaction, table, height, &row)?;
        }
    }
    write_hash(transaction, &input.block_hash, height)
}

/// Writes a row of a table by height or epoch.
pub(crate) fn write_row(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, u64, &[u8]>,
    at: u64,
    row: &[u8],
) -> Result<(), StorageError> {
    let mut table = transaction
        .open_table(table)
        .map_err(failed("open a block table"))?;
    table.insert(at, row).map_err(failed("write a block"))?;
    Ok(())
}

/// Lets a block be found by its hash.
pub(crate) fn write_hash(
    transaction: &WriteTransaction,
    hash: &Hash,
    height: Height,
) -> Result<(), StorageError> {
    let mut heights = transaction
        .open_table(schema::HEIGHTS)
        .map_err(failed("open hashes"))?;
    heights
        .insert(hash.0.as_slice(), height)
        .map_err(failed("write a hash"))?;
    Ok(())
}

fn write_transactions(
    transaction: &WriteTransaction,
    height: Height,
    receipts: &[Receipt],
) -> Result<(), StorageError> {
    let mut table = transaction
        .open_table(schema::TRANSACTIONS)
        .map_err(failed("open transactions"))?;
    let mut locations: Vec<(&Receipt, u32)> = receipts.iter().zip(0..).collect();
    locations.sort_unstable_by_key(|(receipt, _)| receipt.transaction);
    for (receipt, index) in locations {
        let key = receipt.transaction.0.as_slice();
        // A transaction that was passed over may come again; where it happened is what counts.
        let passed_over = matches!(receipt.status, Status::Rejected(_));
        if passed_over
            && table
                .get(key)
                .map_err(failed("read transactions"))?
                .is_some()
        {
            continue;
        }
        table
            .insert(key, (height, index))
            .map_err(failed("write transactions"))?;
    }
    Ok(())
}

pub(crate) fn write_meta(
    transaction: &WriteTransaction,
    rows: &[(&'static str, Vec<u8>)],
) -> Result<(), StorageError> {
    let mut meta = transaction
        .open_table(schema::META)
        .map_err(failed("open meta"))?;
    for (name, row) in rows {
        meta.insert(*name, row.as_slice())
            .map_err(failed("write meta"))?;
    }
    Ok(())
}
