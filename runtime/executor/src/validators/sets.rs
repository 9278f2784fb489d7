//! Find the set that signs a block in a state.

use kumiki_protocol::{Height, Parameters, ValidatorSet, state_key};
use kumiki_state::StateReader;
use kumiki_vm::Session;

use super::registry::{decode, set_under};
use super::rotation::plan;
use crate::ExecutionFailure;
use crate::transaction::Rules;

/// The set that signs the block at `height`, as the state after the block at `state_height` names it: that of the
/// newest epoch whose validators are fixed there, or of the one before. `None` for every other epoch.
///
/// # Errors
/// `ExecutionFailure` when the state cannot be read or holds no set where there must be one.
pub fn validators_at(
    state: &dyn StateReader,
    parameters: &Parameters,
    state_height: Height,
    height: Height,
) -> Result<Option<ValidatorSet>, ExecutionFailure> {
    let newest = parameters.validators_epoch(state_height);
    let wanted = parameters.epoch_of(height);
    let key = if wanted == newest {
        state_key::validators()
    } else if wanted.checked_add(1) == Some(newest) {
        state_key::previous_validators()
    } else {
        return Ok(None);
    };
    let bytes = state.get(&key)?.unwrap_or_default();
    decode(&key, &bytes, "validator set").map(Some)
}

/// The set that signs the block of `rules`, over the state before it.
pub(super) fn in_force(
    rules: &Rules<'_>,
    session: &mut Session,
) -> Result<ValidatorSet, ExecutionFailure> {
    let key = match is_next_fixed(rules) {
        true => state_key::previous_validators(),
        false => state_key::validators(),
    };
    set_under(session, &key)
}

/// The set of the epoch after that of the block of `rules`: as it is fixed, or as it would be fixed now.
pub(super) fn next(
    rules: &Rules<'_>,
    session: &mut Session,
) -> Result<ValidatorSet, ExecutionFailure> {
    let newest = set_under(session, &state_key::validators())?;
    if is_next_fixed(rules) {
        return Ok(newest);
    }
    Ok(plan(session, &newest)?.set)
}

/// Whether the state before the block of `rules` names the set of the epoch after the block's.
fn is_next_fixed(rules: &Rules<'_>) -> bool {
    let before = rules.height.saturating_sub(1);
    rules.parameters.validators_epoch(before) > rules.parameters.epoch_of(rules.height)
}
