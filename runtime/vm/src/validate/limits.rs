//! State the limits of a contract's Wasm.

use super::InvalidCode;

pub(super) const FUNCTIONS_MAX: u64 = 5_000;
pub(super) const FUNCTION_BYTES_MAX: u64 = 64 * 1024;
/// Values times meeting places in one function. The SDK's token has 3,046 in all its functions; here the worst we
/// found takes 0.2 s to compile, ten times as much takes a minute.
pub(super) const COMPLEXITY_MAX: u64 = 200_000;
/// Branches in one function, as they are paid for. The largest function of the SDK's contracts has 120.
pub(super) const BRANCHES_MAX: u64 = 2_000;
pub(super) const LOCALS_MAX: u64 = 1_000;
pub(super) const PARAMS_MAX: u64 = 32;
pub(super) const TYPES_MAX: u64 = 1_000;
pub(super) const GLOBALS_MAX: u64 = 256;
pub(crate) const MEMORY_PAGES_MAX: u64 = 256;
/// Pages that a memory may grow to where the contract states no maximum, and up to which accesses to it are cheap:
/// 512 KiB fit the cache that each core of a server has.
pub(crate) const SMALL_MEMORY_PAGES: u64 = 8;
pub(crate) const TABLE_ENTRIES_MAX: u64 = 4_096;
pub(super) const DATA_SEGMENTS_MAX: u64 = 256;
pub(super) const ELEMENT_SEGMENTS_MAX: u64 = 64;
pub(super) const BR_TABLE_MAX: u64 = 4_096;
/// The function's own block counted.
pub(super) const NESTING_MAX: u64 = 257;
pub(super) const IMPORTS_MAX: u64 = 64;
pub(super) const EXPORTS_MAX: u64 = 100;
pub(super) const CUSTOM_BYTES_MAX: u64 = 64 * 1024;

/// `InvalidCode` when there are more than `max` of `what`.
pub(super) fn check(what: &str, found: u64, max: u64) -> Result<(), InvalidCode> {
    if found > max {
        return Err(InvalidCode::new(format!(
            "{found} {what}, at most {max} are allowed"
        )));
    }
    Ok(())
}
