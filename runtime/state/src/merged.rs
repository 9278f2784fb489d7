//! Scan a state with changes laid over it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::{ScanDirection, Scanned, StateError, StateReader};

/// What ended a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There is nothing more between the bounds.
    AtBound,
    /// The visitor broke off.
    ByVisitor,
}

/// What a scan of both shows each entry to, until it breaks or fails.
type Visit<'v> = dyn FnMut(&[u8], Option<Scanned<'_>>) -> Result<ControlFlow<()>, StateError> + 'v;

/// Shows `visit` the entries of `base` with `changed` laid over them, between the bounds, until it breaks.
/// Removed entries are shown as `None`; what a change hides of the base is not loaded.
///
/// # Errors
/// `StateError` when the base cannot be read, or as `visit`.
pub fn scan_merged(
    base: &dyn StateReader,
    changed: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    direction: ScanDirection,
    visit: &mut Visit<'_>,
) -> Result<Ended, StateError> {
    if is_empty_range(range) {
        return Ok(Ended::AtBound);
    }
    let changed = changed.range::<[u8], _>(range);
    match direction {
        ScanDirection::Ascending => merge(base, range, direction, changed, visit),
        ScanDirection::Descending => merge(base, range, direction, changed.rev(), visit),
    }
}

/// Walks the base and the changed entries together; a changed entry hides the base's.
fn merge<'a>(
    base: &dyn StateReader,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    direction: ScanDirection,
    changed: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    visit: &mut Visit<'_>,
) -> Result<Ended, StateError> {
    let mut changed = changed.peekable();
    let comes_first = |left: &[u8], right: &[u8]| match direction {
        ScanDirection::Ascending => left < right,
        ScanDirection::Descending => left > right,
    };
    let own_value = |value: &'a Option<Vec<u8>>| value.as_deref().map(Scanned::Loaded);
    let mut ended = Ended::AtBound;
    base.scan_lazily(range, direction, &mut |key, value| {
        while let Some((own, value)) = changed.next_if(|(own, _)| comes_first(own, key)) {
            if visit(own, own_value(value))?.is_break() {
                ended = Ended::ByVisitor;
                return Ok(ControlFlow::Break(()));
            }
        }
        let shown = match changed.next_if(|(own, _)| own.as_slice() == key) {
            Some((own, value)) => visit(own, own_value(value))?,
            None => visit(key, Some(value))?,
        };
        if shown.is_break() {
            ended = Ended::ByVisitor;
        }
        Ok(shown)
    })?;
    if ended == Ended::AtBound {
        for (own, value) in changed {
            if visit(own, own_value(value))?.is_break() {
                return Ok(Ended::ByVisitor);
            }
        }
    }
    Ok(ended)
}

/// `BTreeMap::range` panics on these.
pub fn is_empty_range(range: (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    match range {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}
