//! Name the tables of `chain.redb` and the form of what lies in them.

use kumiki_protocol::{Decode, Hash, sha2_256};
use redb::TableDefinition;

use crate::StorageError;

/// Changes whenever a table or the form of its rows does.
pub(crate) const SCHEMA: u32 = 2;

/// State key to [`stored_value`].
pub(crate) const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
/// State key to a value too large for `state`.
pub(crate) const BLOBS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("blobs");
/// Code hash to Wasm.
pub(crate) const CODES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("codes");
/// Lowest key of a bucket to the SCALE-encoded bucket.
pub(crate) const TREE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("tree");
/// Height and state key to the value before that block: [`UNDO_ABSENT`], or [`UNDO_PRESENT`] and the value.
pub(crate) const UNDO: TableDefinition<'_, (u64, &[u8]), &[u8]> = TableDefinition::new("undo");
/// Height to encoded header.
pub(crate) const HEADERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("headers");
/// Height to the [`pack`] of encoded transactions.
pub(crate) const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
/// Height to the [`pack`] of encoded receipts.
pub(crate) const RECEIPTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("receipts");
/// Height to encoded certificate.
pub(crate) const CERTIFICATES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("certs");
/// Height to root and entry count of the state after it.
pub(crate) const ROOTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("roots");
/// Block hash to height.
pub(crate) const HEIGHTS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("hash_height");
/// Transaction hash to height and position.
pub(crate) const TRANSACTIONS: TableDefinition<'_, &[u8], (u64, u32)> =
    TableDefinition::new("transactions");
/// Epoch to its encoded validators; an epoch without a row has those of the one before.
pub(crate) const VALIDATORS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("validators");
/// Name to SCALE-encoded value.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// `u32`: [`SCHEMA`].
pub(crate) const META_SCHEMA: &str = "schema";
/// The genesis.
pub(crate) const META_GENESIS: &str = "genesis";
/// The [`crate::Tip`].
pub(crate) const META_TIP: &str = "tip";
/// The [`crate::Base`] of a chain that does not begin with genesis here.
pub(crate) const META_BASE: &str = "base";
/// `u64`: from this height on every block has its undo rows.
pub(crate) const META_UNDO_FROM: &str = "undo_from";

/// Values longer than this lie in `blobs`.
pub(crate) const INLINE_BYTES_MAX: usize = 128;

/// An undo row of a key that was not there.
pub(crate) const UNDO_ABSENT: u8 = 0;
/// An undo row of a key that was; the value follows.
pub(crate) const UNDO_PRESENT: u8 = 1;

const INLINE: u8 = 0;
const BLOB: u8 = 1;

/// What `state` holds for a value: a tag, then the value, or its SHA-256 and its length.
pub(crate) enum Stored<'a> {
    /// The value itself.
    Inline(&'a [u8]),
    /// The value lies in `blobs`.
    Blob {
        /// SHA-256 of it.
        hash: Hash,
        /// How long it is.
        bytes: usize,
    },
}

impl<'a> Stored<'a> {
    /// Reads a row of `state`.
    pub(crate) fn read(row: &'a [u8]) -> Result<Self, StorageError> {
        match row.split_first() {
            Some((&INLINE, value)) => Ok(Self::Inline(value)),
            Some((&BLOB, rest)) => {
                let (hash, length) = exact::<(Hash, u32)>(rest, "state row")?;
                let bytes = usize::try_from(length).unwrap_or(usize::MAX);
                Ok(Self::Blob { hash, bytes })
            }
            _ => Err(damaged("a state row has an unknown form")),
        }
    }
}

/// Writes a row of `state` into `row`; says whether the value belongs into `blobs`.
pub(crate) fn stored_value(value: &[u8], row: &mut Vec<u8>) -> bool {
    row.clear();
    if value.len() <= INLINE_BYTES_MAX {
        row.push(INLINE);
        row.extend_from_slice(value);
        return false;
    }
    row.push(BLOB);
    row.extend_from_slice(&sha2_256(&[value]).0);
    let length = u32::try_from(value.len()).expect("the protocol allows 64 KiB");
    row.extend_from_slice(&length.to_le_bytes());
    true
}

/// Puts items into one row from which each can be read alone: their count, their ends, their bytes.
///
/// # Errors
/// `StorageError::RowTooLarge` from 4 GiB on, which the limits of the protocol rule out.
pub(crate) fn pack(items: &[Vec<u8>]) -> Result<Vec<u8>, StorageError> {
    let number = |size: usize| {
        let size =
            u32::try_from(size).map_err(|_over| StorageError::RowTooLarge { bytes: size })?;
        Ok::<_, StorageError>(size.to_le_bytes())
    };
    let mut row = number(items.len())?.to_vec();
    let mut end = 0_usize;
    for item in items {
        end = end.saturating_add(item.len());
        row.extend(number(end)?);
    }
    for item in items {
        row.extend_from_slice(item);
    }
    Ok(row)
}

/// How many items a [`pack`] holds.
pub(crate) fn packed_count(row: &[u8]) -> usize {
    read_u32(row, 0).unwrap_or(0)
}

/// One item of a [`pack`].
pub(crate) fn unpack(row: &[u8], index: usize) -> Option<&[u8]> {
    let count = packed_count(row);
    if index >= count {
        return None;
    }
    let start = if index == 0 { 0 } else { read_u32(row, index)? };
    let end = read_u32(row, index + 1)?;
    row.get(4 + 4 * count..)?.get(start..end)
}

fn read_u32(row: &[u8], position: usize) -> Option<usize> {
    let bytes = row.get(4 * position..4 * position + 4)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

/// Decodes what this node itself has encoded.
pub(crate) fn exact<T: Decode>(bytes: &[u8], what: &str) -> Result<T, StorageError> {
    kumiki_protocol::decode_bounded(bytes, bytes.len())
        .map_err(|error| damaged(&format!("a {what} does not decode: {error}")))
}

/// The store contradicts itself.
pub(crate) fn damaged(found: &str) -> StorageError {
    StorageError::Corrupt {
        found: found.to_owned(),
    }
}

/// The database failed to `operation`.
pub(crate) fn failed<E: Into<redb::Error>>(operation: &'static str) -> impl Fn(E) -> StorageError {
    move |error| match error.into() {
        redb::Error::Corrupted(found) => StorageError::Corrupt { found },
        source => StorageError::Database {
            operation,
            source: Box::new(source),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_items_are_read_alone() {
        let items = [vec![1, 2], vec![], vec![3; 300]];
        let row = pack(&items).unwrap();
        for (index, item) in items.iter().enumerate() {
            assert_eq!(unpack(&row, index), Some(item.as_slice()));
        }
        assert_eq!(unpack(&row, 3), None);
        assert_eq!(unpack(&pack(&[]).unwrap(), 0), None);
        for cut in 0..row.len() {
            assert_eq!(unpack(&row[..cut], 2), None);
        }
    }
}
