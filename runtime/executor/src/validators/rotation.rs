//! Work out the validators of the next epoch from those of this one and the changes that wait.

use std::collections::BTreeSet;

use kumiki_protocol::{
    Encode, PublicKey, ValidatorChange, ValidatorSet, ValidatorStatus, limits, state_key,
};
use kumiki_vm::Session;

use super::registry::{Waiting, queue, record, set_queue, set_record, set_under, waiting};
use crate::ExecutionFailure;
use crate::transaction::Rules;

/// A set and the changes that make it of the one before.
pub(super) struct Rotation {
    pub(super) set: ValidatorSet,
    applied: Vec<Waiting>,
}

/// The last step of a block: if it is the one that fixes the validators of the next epoch, writes them.
pub(crate) fn rotate(rules: &Rules<'_>, session: &mut Session) -> Result<(), ExecutionFailure> {
    let Some(epoch) = rules.parameters.fixes_validators_of(rules.height) else {
        return Ok(());
    };
    let current = set_under(session, &state_key::validators())?;
    let Rotation { set, applied } = plan(session, &current)?;
    for Waiting { key, change } in applied {
        session.journal.remove(key);
        apply(session, &change, epoch)?;
    }
    session
        .journal
        .set(state_key::previous_validators(), current.encode());
    session.journal.set(state_key::validators(), set.encode());
    Ok(())
}

/// What the changes that wait make of `current`.
///
/// Removals come first and are not limited: whoever signs twice must not vote on. What joins and leaves is limited, so
/// that most of those who vote next have voted before and are known to be there. What there is no room for waits.
pub(super) fn plan(
    session: &mut Session,
    current: &ValidatorSet,
) -> Result<Rotation, ExecutionFailure> {
    let mut seats: BTreeSet<PublicKey> = current.keys().iter().copied().collect();
    let mut changes_left = (seats.len() / 3).max(1);
    let mut applied = Vec::new();
    for waiting in waiting(session)? {
        let happens = match &waiting.change {
            ValidatorChange::Remove(key) => seats.len() > 1 && seats.remove(key),
            ValidatorChange::Leave(key) => changes_left > 0 && seats.len() > 1 && seats.remove(key),
            ValidatorChange::Join(key) => {
                changes_left > 0 && seats.len() < limits::VALIDATORS_MAX && seats.insert(*key)
            }
        };
        if happens {
            changes_left = changes_left.saturating_sub(1);
            applied.push(waiting);
        }
    }
    let set =
        ValidatorSet::new(seats.into_iter().collect()).ok_or(ExecutionFailure::OutOfRange {
            quantity: "the number of validators",
        })?;
    Ok(Rotation { set, applied })
}

/// Notes in the validator's record that its seat begins or ends with `epoch`.
fn apply(
    session: &mut Session,
    change: &ValidatorChange,
    epoch: u64,
) -> Result<(), ExecutionFailure> {
    let key = match change {
        // Its record says that it is removed since it was reported.
        ValidatorChange::Remove(_) => return Ok(()),
        ValidatorChange::Leave(key) => key,
        ValidatorChange::Join(key) => {
            let mut queue = queue(session)?;
            queue.joins = queue.joins.saturating_sub(1);
            set_queue(session, &queue);
            key
        }
    };
    let Some(mut known) = record(session, key)? else {
        return Err(ExecutionFailure::OutOfRange {
            quantity: "the queue of validators",
        });
    };
    known.status = match known.status {
        ValidatorStatus::Queued { .. } => ValidatorStatus::Seated { from: epoch },
        ValidatorStatus::Leaving { from, .. } => ValidatorStatus::Left { from, to: epoch },
        ValidatorStatus::Seated { .. }
        | ValidatorStatus::Left { .. }
        | ValidatorStatus::Removed { .. } => {
            return Err(ExecutionFailure::OutOfRange {
                quantity: "the queue of validators",
            });
        }
    };
    set_record(session, key, &known);
    Ok(())
}
