//! Read and write the storage of the contract that runs.

use std::ops::{Bound, ControlFlow};

use kumiki_abi::{NOT_FOUND, SCAN_DESCENDING};
use kumiki_protocol::ResultCode;
use kumiki_protocol::limits::{SCAN_ENTRIES_MAX, STORAGE_KEY_BYTES_MAX, STORAGE_VALUE_BYTES_MAX};
use kumiki_state::{Lent, ScanDirection, Scanned, StateError, successor};

use super::{Ended, Frame, copy_out, count, take_gas};
use crate::gas;
use crate::trace::{Cut, Step};

/// Bytes of a storage key before the contract's own.
const PREFIX_BYTES: usize = 33;

#[expect(
    clippy::missing_errors_doc,
    reason = "all methods have the one error that is documented on `Frame`"
)]
impl Frame {
    /// Copies the value under `key`, at most `out.len()` bytes of it; returns its full length, or `NOT_FOUND`.
    pub fn storage_get(&mut self, key: &[u8], out: &mut [u8]) -> Result<i32, Ended> {
        self.charge(gas::STORAGE_READ + count(key.len()) * gas::STORAGE_READ_PER_BYTE)?;
        self.set_key(key)?;
        let session = self.session.as_deref_mut().ok_or(Ended)?;
        // What the gas left does not pay for is not loaded.
        let bytes_max = self.gas.unsigned_abs() / gas::STORAGE_READ_PER_BYTE;
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let value = match session.journal.find(&self.key, bytes_max) {
            Ok(Lent::Longer(_)) => {
                self.gas = -1;
                return Err(Ended);
            }
            Ok(Lent::Value(value)) => Some(value),
            Ok(Lent::Nothing) => None,
            Err(error) => return Err(self.fail(error.into())),
        };
        if let Some(trace) = &mut session.trace {
            trace.step(|| Step::Read {
                key: Cut::of(key),
                value: value.map(Cut::of),
            });
        }
        let Some(value) = value else {
            return Ok(NOT_FOUND);
        };
        // The value is lent by the session, so only the gas is at hand.
        take_gas(
            &mut self.gas,
            count(value.len()) * gas::STORAGE_READ_PER_BYTE,
        )?;
        Ok(copy_out(value, out))
    }

    /// Stores a value of at least one byte under a key of at least one byte.
    pub fn storage_set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Ended> {
        self.charge(
            gas::STORAGE_WRITE + count(key.len() + value.len()) * gas::STORAGE_WRITE_PER_BYTE,
        )?;
        self.set_key(key)?;
        if self.read_only {
            return Err(self.end_with(ResultCode::ReadOnly));
        }
        if value.is_empty() || value.len() > STORAGE_VALUE_BYTES_MAX {
            return Err(self.end_with(ResultCode::Limit));
        }
        self.charge_replaced()?;
        self.charge_branches()?;
        self.record_write(key, Some(value))?;
        let key = self.key.clone();
        self.session()?.journal.set(key, value.to_vec());
        Ok(())
    }

    /// Removes the entry under `key`, if there is one.
    pub fn storage_remove(&mut self, key: &[u8]) -> Result<(), Ended> {
        self.charge(gas::STORAGE_WRITE + count(key.len()) * gas::STORAGE_WRITE_PER_BYTE)?;
        self.set_key(key)?;
        if self.read_only {
            return Err(self.end_with(ResultCode::ReadOnly));
        }
        self.charge_replaced()?;
        self.charge_branches()?;
        self.record_write(key, None)?;
        let key = self.key.clone();
        self.session()?.journal.remove(key);
        Ok(())
    }

    /// Whether there is an entry under `key`.
    pub fn storage_has(&mut self, key: &[u8]) -> Result<bool, Ended> {
        self.charge(gas::STORAGE_READ + count(key.len()) * gas::STORAGE_READ_PER_BYTE)?;
        self.set_key(key)?;
        let session = self.session.as_deref_mut().ok_or(Ended)?;
        let has = session.journal.contains(&self.key);
        let found = self.or_fail(has)?;
        self.record(|| Step::Has {
            key: Cut::of(key),
            found,
        });
        Ok(found)
    }

    /// Writes entries whose keys begin with `prefix`, after `start` in the direction that `flags` name, at most
    /// `limit` (and 256) of them and only whole ones. Returns the bytes written, 0 when none is left, or minus
    /// the bytes that the next entry needs.
    pub fn storage_scan(
        &mut self,
        prefix: &[u8],
        start: &[u8],
        limit: u32,
        flags: i32,
        out: &mut [u8],
    ) -> Result<i32, Ended> {
        let keys = count(prefix.len() + start.len());
        self.charge(gas::STORAGE_SCAN + keys * gas::STORAGE_READ_PER_BYTE)?;
        if prefix.len() > STORAGE_KEY_BYTES_MAX || start.len() > STORAGE_KEY_BYTES_MAX {
            return Err(self.end_with(ResultCode::Limit));
        }
        let direction = match flags {
            0 => ScanDirection::Ascending,
            SCAN_DESCENDING => ScanDirection::Descending,
            _ => return Err(self.end_with(ResultCode::Trap)),
        };
        self.key.truncate(PREFIX_BYTES);
        let full = |rest: &[u8]| [self.key.as_slice(), rest].concat();
        let first = full(prefix);
        let start = (!start.is_empty()).then(|| full(start));
        let mut page = Page {
            out,
            written: 0,
            entries_left: limit.min(SCAN_ENTRIES_MAX),
            needed: None,
            gas: self.gas,
        };
        let end = successor(&first);
        let range = bounds(&first, end.as_deref(), start.as_deref(), direction);
        if page.entries_left == 0 {
            return Ok(0);
        }
        let session = self.session.as_deref_mut().ok_or(Ended)?;
        let scanned = session
            .journal
            .scan(range, direction, &mut |key, value| page.visit(key, value));
        let (gas_left, written, needed) = (page.gas, page.written, page.needed);
        let entries = limit.min(SCAN_ENTRIES_MAX) - page.entries_left;
        self.gas = gas_left;
        self.or_fail(scanned)?;
        self.record(|| Step::Scan {
            prefix: Cut::of(prefix),
            entries,
        });
        if gas_left < 0 {
            return Err(Ended);
        }
        let number = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
        Ok(match needed {
            Some(bytes) if written == 0 => -number(bytes),
            Some(_) | None => number(written),
        })
    }

    /// Takes the gas for what is under `self.key` before it is written: what was there stays for as long as the block can
    /// be undone.
    fn charge_replaced(&mut self) -> Result<(), Ended> {
        let session = self.session.as_deref_mut().ok_or(Ended)?;
        let replaced = session.journal.value_bytes(&self.key);
        let bytes = self.or_fail(replaced)?.unwrap_or(0);
        self.charge(count(bytes) * gas::STORAGE_REPLACED_PER_BYTE)
    }

    /// Takes the gas for a deep path in the tree to what is under `self.key`: all of it is hashed anew.
    fn charge_branches(&mut self) -> Result<(), Ended> {
        let session = self.session.as_deref_mut().ok_or(Ended)?;
        let gas_left = &mut self.gas;
        let shared = PREFIX_BYTES + gas::STORAGE_SHARED_KEY_BYTES_FREE;
        let walked = session
            .journal
            .walk_branches(
                &self.key,
                shared,
                &mut || match take_gas(gas_left, gas::STORAGE_BRANCH) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(Ended) => ControlFlow::Break(()),
                },
            );
        self.or_fail(walked)?;
        if self.gas < 0 { Err(Ended) } else { Ok(()) }
    }

    /// Where somebody traces: records what is about to be written under `self.key`, and what it takes the place of.
    fn record_write(&mut self, key: &[u8], after: Option<&[u8]>) -> Result<(), Ended> {
        let session = self.session.as_deref_mut().ok_or(Ended)?;
        let Some(trace) = &mut session.trace else {
            return Ok(());
        };
        // A read that the journal notes, which nobody takes for one of the contract's: a traced session is thrown away.
        match session.journal.get(&self.key) {
            Ok(before) => trace.step(|| Step::Write {
                key: Cut::of(key),
                before: before.map(Cut::of),
                after: after.map(Cut::of),
            }),
            Err(error) => return Err(self.fail(error.into())),
        }
        Ok(())
    }

    /// Makes `self.key` the full key; refuses keys that are empty or too long.
    fn set_key(&mut self, key: &[u8]) -> Result<(), Ended> {
        if key.is_empty() || key.len() > STORAGE_KEY_BYTES_MAX {
            return Err(self.end_with(ResultCode::Limit));
        }
        self.key.truncate(PREFIX_BYTES);
        self.key.extend_from_slice(key);
        Ok(())
    }
}

/// One page of a scan in the making.
struct Page<'a> {
    out: &'a mut [u8],
    written: usize,
    entries_left: u32,
    needed: Option<usize>,
    gas: i64,
}

impl Page<'_> {
    /// Pays for the entry before its value is loaded.
    fn visit(
        &mut self,
        key: &[u8],
        value: Option<Scanned<'_>>,
    ) -> Result<ControlFlow<()>, StateError> {
        let key = key.get(PREFIX_BYTES..).unwrap_or_default();
        let bytes = key.len() + value.map_or(0, |value| value.bytes());
        let price = gas::STORAGE_SCAN_ENTRY + count(bytes) * gas::STORAGE_READ_PER_BYTE;
        self.gas = self
            .gas
            .saturating_sub(i64::try_from(price).unwrap_or(i64::MAX));
        if self.gas < 0 {
            self.gas = -1;
            return Ok(ControlFlow::Break(()));
        }
        // A removed entry shows nothing, and what it was is not loaded.
        let Some(value) = value else {
            return Ok(ControlFlow::Continue(()));
        };
        if self.entries_left == 0 {
            return Ok(ControlFlow::Break(()));
        }
        let needed = 8 + bytes;
        let Some(target) = self.out.get_mut(self.written..self.written + needed) else {
            self.needed = Some(needed);
            return Ok(ControlFlow::Break(()));
        };
        let value = value.load()?;
        let mut rest = target;
        for part in [key, &*value] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let (head, tail) = rest.split_at_mut(4);
            head.copy_from_slice(&length.to_le_bytes());
            let (body, tail) = tail.split_at_mut(part.len());
            body.copy_from_slice(part);
            rest = tail;
        }
        self.written += needed;
        self.entries_left -= 1;
        Ok(if self.entries_left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

/// The entries under `first` that come after `start`.
fn bounds<'a>(
    first: &'a [u8],
    end: Option<&'a [u8]>,
    start: Option<&'a [u8]>,
    direction: ScanDirection,
) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let lower = Bound::Included(first);
    let upper = end.map_or(Bound::Unbounded, Bound::Excluded);
    match (direction, start) {
        (_, None) => (lower, upper),
        (ScanDirection::Ascending, Some(start)) if start >= first => {
            (Bound::Excluded(start), upper)
        }
        (ScanDirection::Ascending, Some(_)) => (lower, upper),
        (ScanDirection::Descending, Some(start)) => match end {
            Some(end) if end < start => (lower, upper),
            Some(_) | None => (lower, Bound::Excluded(start)),
        },
    }
}
