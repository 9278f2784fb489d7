//! Answer about the state, entry by entry, with proofs.

use std::ops::{Bound, ControlFlow};

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_protocol::{Address, Encode, Height, state_key};
use kumiki_rpc_api::methods::StateApiServer;
use kumiki_rpc_api::{
    ApiError, Bytes, ErrorCode, FinalityView, SignedHeader, StateEntry, StateItem, StatePage,
    StateProof, invalid_params,
};
use kumiki_state::{KEY_BYTES_MAX, ScanDirection, StateReader};

use super::{Node, Rpc, fault};

impl Node {
    /// The header that commits to the result of the block at `height`, with what decides it.
    pub(super) fn committing_header(
        &self,
        height: Height,
    ) -> Result<(SignedHeader, Option<FinalityView>), ApiError> {
        let lag = u64::from(self.context.genesis.parameters.execution_lag);
        // Genesis commits to its own state whatever the lag.
        let above = if height == 0 { 0 } else { lag };
        let committing = height.saturating_add(above);
        let head = self.head().height;
        if committing > head {
            return Err(ApiError::new(
                ErrorCode::ProofNotReady,
                format!("header {committing} commits to height {height}, the head is {head}"),
            ));
        }
        let decided = self.decided_header(committing)?;
        if decided.0.header.executed.height == height {
            return Ok(decided);
        }
        let detail = format!("header {committing} does not commit to height {height}");
        Err(ApiError::new(ErrorCode::ProofNotReady, detail))
    }

    fn check_limit(&self, limit: Option<u32>) -> Result<usize, ApiError> {
        page_limit(limit, self.limits.state_page_entries)
    }
}

#[async_trait]
impl StateApiServer for Rpc {
    fn state_entry(
        &self,
        key: Bytes,
        contract: Option<Address>,
        at: Option<Height>,
    ) -> RpcResult<StateEntry> {
        let key = whole_key(contract.as_ref(), &key)?;
        let state = self.state_at(at)?;
        let value = state.get(&key).map_err(|error| fault(&error))?;
        Ok(StateEntry {
            key: Bytes(key),
            value: value.map(Bytes),
            height: state.height(),
        })
    }

    fn state_prefix(
        &self,
        prefix: Bytes,
        contract: Option<Address>,
        after: Option<Bytes>,
        limit: Option<u32>,
        at: Option<Height>,
    ) -> RpcResult<StatePage> {
        let limit = self.check_limit(limit)?;
        let bytes_max = usize::try_from(self.limits.state_page_bytes).unwrap_or(usize::MAX);
        let shown_from = contract.map_or(0, |contract| state_key::storage_prefix(&contract).len());
        let prefix = whole_key(contract.as_ref(), &prefix)?;
        let after = after
            .map(|after| whole_key(contract.as_ref(), &after))
            .transpose()?;
        if after
            .as_ref()
            .is_some_and(|after| !after.starts_with(&prefix))
        {
            return Err(invalid_params("after does not begin with prefix"));
        }
        let first = after
            .as_deref()
            .map_or(Bound::Included(prefix.as_slice()), Bound::Excluded);
        let end = end_of(&prefix);
        let last = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state_at(at)?;
        let mut entries: Vec<StateItem> = Vec::new();
        let (mut bytes, mut more) = (0_usize, false);
        state
            .scan(
                (first, last),
                ScanDirection::Ascending,
                &mut |key, value| {
                    if entries.len() >= limit || bytes >= bytes_max {
                        more = true;
                        return ControlFlow::Break(());
                    }
                    bytes += key.len() + value.len();
                    entries.push(StateItem {
                        key: Bytes(key.get(shown_from..).unwrap_or_default().to_vec()),
                        value: Bytes(value.to_vec()),
                    });
                    ControlFlow::Continue(())
                },
            )
            .map_err(|error| fault(&error))?;
        let next = entries.last().filter(|_| more).map(|last| last.key.clone());
        Ok(StatePage {
            entries,
            next,
            height: state.height(),
        })
    }

    fn state_proof(
        &self,
        key: Bytes,
        contract: Option<Address>,
        at: Option<Height>,
    ) -> RpcResult<StateProof> {
        let lag = u64::from(self.context.genesis.parameters.execution_lag);
        let key = whole_key(contract.as_ref(), &key)?;
        let at = match at {
            Some(at) => at,
            None => self.highest_certified()?.saturating_sub(lag),
        };
        let state = self.state_at(Some(at))?;
        let (signed_header, descendants) = self.committing_header(state.height())?;
        let value = state.get(&key).map_err(|error| fault(&error))?;
        let proof = state.prove(&key).map_err(|error| fault(&error))?;
        Ok(StateProof {
            key: Bytes(key),
            value: value.map(Bytes),
            proof: Bytes(proof.encode()),
            state_root: state.state_root(),
            height: state.height(),
            signed_header,
            descendants,
        })
    }
}

/// `limit`, by default `max`, which it may not exceed.
pub(super) fn page_limit(limit: Option<u32>, max: u32) -> Result<usize, ApiError> {
    let limit = limit.unwrap_or(max);
    if limit == 0 || limit > max {
        let detail = format!("limit is {limit}, expected 1 to {max}");
        return Err(ApiError::new(ErrorCode::PageOutOfRange, detail));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn whole_key(contract: Option<&Address>, key: &Bytes) -> RpcResult<Vec<u8>> {
    let key = match contract {
        Some(contract) => state_key::storage(contract, key.as_ref()),
        None => key.0.clone(),
    };
    if key.len() > KEY_BYTES_MAX {
        let found = key.len();
        let detail = format!("the whole key has {found} bytes, none has more than {KEY_BYTES_MAX}");
        return Err(invalid_params(detail));
    }
    Ok(key)
}

/// The lowest key above all that begin with `prefix`; `None` when there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=kept)?.to_vec();
    let last = end.last_mut()?;
    *last += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_that_does_not_begin_with_it() {
        assert_eq!(end_of(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(end_of(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(end_of(&[0xff]), None);
        assert_eq!(end_of(&[]), None);
    }

    #[test]
    fn pages_over_the_limit_are_refused_not_shortened() {
        assert_eq!(page_limit(None, 10).unwrap(), 10);
        assert_eq!(page_limit(Some(10), 10).unwrap(), 10);
        for limit in [0, 11, u32::MAX] {
            let error = page_limit(Some(limit), 10).unwrap_err();
            assert_eq!(error.code, ErrorCode::PageOutOfRange);
        }
    }
}
