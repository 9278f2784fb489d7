//! Find where the path to a key branches, without the tree: by the keys beside it.
//!
//! A path branches at a bit where another key parts from it. All keys that part at one bit lie together, so the nearest
//! key names the deepest branch, the nearest key past those the next, and so on upwards: one seek each.

use std::ops::{Bound, ControlFlow};

use super::Journal;
use crate::merged::scan_merged;
use crate::{ScanDirection, StateError, key_bits};

/// Keys from one up to another.
type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

impl Journal {
    /// Looks for the branches on the path to `key` that lie past its first `shared` bytes. Where there is any, asks `pay`
    /// before each further seek, and ends when it breaks. There is one seek for each branch, and one for each side.
    /// Entries that the block has removed count: passing over them would cost more than they do.
    ///
    /// # Errors
    /// `StateError` when the base cannot be read.
    pub fn walk_branches(
        &mut self,
        key: &[u8],
        shared: usize,
        pay: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let Some(start) = key.get(..shared).filter(|start| start.len() < key.len()) else {
            return Ok(());
        };
        let end = key_bits::successor(start);
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let lower = Bound::Included(start);
        let (from, to) = (
            start.to_vec(),
            end.clone().unwrap_or_else(|| vec![u8::MAX; 193]),
        );
        self.access.scans.insert((from, to));
        if self
            .nearest((lower, upper), ScanDirection::Ascending, key)?
            .is_none()
        {
            return Ok(());
        }
        let mut from = Some(Bound::Excluded(key.to_vec()));
        while let Some(above) = from {
            if pay().is_break() {
                return Ok(());
            }
            let range = (above.as_ref().map(Vec::as_slice), upper);
            let parted = self.nearest(range, ScanDirection::Ascending, key)?;
            let past = parted.and_then(|bit| key_bits::after_alike(key, bit));
            from = past.map(Bound::Included);
        }
        let mut to = Some(key.to_vec());
        while let Some(below) = to {
            if pay().is_break() {
                return Ok(());
            }
            let range = (lower, Bound::Excluded(below.as_slice()));
            let parted = self.nearest(range, ScanDirection::Descending, key)?;
            to = parted.map(|bit| key_bits::first_alike(key, bit));
        }
        Ok(())
    }

    /// The bit in which the nearest key in `range` parts from `key`, which is no key of it.
    fn nearest(
        &self,
        range: Range<'_>,
        direction: ScanDirection,
        key: &[u8],
    ) -> Result<Option<u16>, StateError> {
        let mut parted = None;
        scan_merged(
            &*self.base,
            &self.changed,
            range,
            direction,
            &mut |other, _| {
                parted = key_bits::first_difference(key, other);
                Ok(match parted {
                    None => ControlFlow::Continue(()),
                    Some(_) => ControlFlow::Break(()),
                })
            },
        )?;
        Ok(parted)
    }
}
