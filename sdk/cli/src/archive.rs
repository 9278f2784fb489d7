//! Read the archives that the build script packed into this binary.

/// Every file: path with forward slashes, content.
pub(crate) fn files(archive: &'static [u8]) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let mut rest = archive;
    std::iter::from_fn(move || {
        let name = next_part(&mut rest)?;
        let content = next_part(&mut rest)?;
        Some((std::str::from_utf8(name).ok()?, content))
    })
}

fn next_part(rest: &mut &'static [u8]) -> Option<&'static [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}
