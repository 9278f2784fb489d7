//! Tell growth that a contract may not have from growth that the system refuses.

use wasmtime::ResourceLimiter;

/// Growth past the declared maximum is the contract's problem (it sees -1); growth that the system refuses is
/// this node's, and stops it.
pub(super) struct GrowthLimits;

impl ResourceLimiter for GrowthLimits {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context(LocalFailure))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context(LocalFailure))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the system refused memory")]
pub(super) struct LocalFailure;
