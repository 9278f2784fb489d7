//! Read and write what the state holds of validators.

use std::ops::{Bound, ControlFlow};

use kumiki_protocol::{
    Amount, Decode, Encode, Hash, PublicKey, ResultCode, VALIDATORS_CONTRACT, ValidatorChange,
    ValidatorQueue, ValidatorRecord, ValidatorSet, sha3_256, state_key,
};
use kumiki_state::ScanDirection;
use kumiki_vm::Session;

use super::Refusal;
use crate::ExecutionFailure;
use crate::transaction::{read_account, write_account};

/// A change that waits, with its key in the state.
pub(super) struct Waiting {
    pub(super) key: Vec<u8>,
    pub(super) change: ValidatorChange,
}

pub(super) fn record(
    session: &mut Session,
    key: &PublicKey,
) -> Result<Option<ValidatorRecord>, ExecutionFailure> {
    read(session, &state_key::validator(key), "validator")
}

pub(super) fn set_record(session: &mut Session, key: &PublicKey, record: &ValidatorRecord) {
    session
        .journal
        .set(state_key::validator(key), record.encode());
}

pub(super) fn remove_record(session: &mut Session, key: &PublicKey) {
    session.journal.remove(state_key::validator(key));
}

pub(super) fn queue(session: &mut Session) -> Result<ValidatorQueue, ExecutionFailure> {
    let queue = read(session, &state_key::validator_queue(), "validator queue")?;
    Ok(queue.unwrap_or_default())
}

pub(super) fn set_queue(session: &mut Session, queue: &ValidatorQueue) {
    session
        .journal
        .set(state_key::validator_queue(), queue.encode());
}

/// Puts a change at the end of the queue and returns its ticket.
pub(super) fn enqueue(
    session: &mut Session,
    change: &ValidatorChange,
) -> Result<u64, ExecutionFailure> {
    let mut queue = queue(session)?;
    let ticket = queue.next_ticket;
    queue.next_ticket = ticket.saturating_add(1);
    if matches!(change, ValidatorChange::Join(_)) {
        queue.joins = queue.joins.saturating_add(1);
    }
    set_queue(session, &queue);
    let is_removal = matches!(change, ValidatorChange::Remove(_));
    session.journal.set(
        state_key::validator_change(is_removal, ticket),
        change.encode(),
    );
    Ok(ticket)
}

/// All changes that wait, removals first, then in order of arrival.
pub(super) fn waiting(session: &mut Session) -> Result<Vec<Waiting>, ExecutionFailure> {
    let first = state_key::validator_changes();
    let mut end = first.clone();
    if let Some(space) = end.first_mut() {
        *space += 1;
    }
    let mut found = Vec::new();
    session.journal.scan(
        (Bound::Included(&first), Bound::Excluded(&end)),
        ScanDirection::Ascending,
        &mut |key, value| {
            if let Some(value) = value {
                found.push((key.to_vec(), value.load()?.into_owned()));
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    found
        .into_iter()
        .map(|(key, value)| {
            let change = decode(&key, &value, "validator change")?;
            Ok(Waiting { key, change })
        })
        .collect()
}

/// The set under `key`, which is one of the keys of sets.
pub(super) fn set_under(
    session: &mut Session,
    key: &[u8],
) -> Result<ValidatorSet, ExecutionFailure> {
    read(session, key, "validator set")?.ok_or_else(|| corrupt(key, "validator set"))
}

/// Pays a stake out of what the contract holds.
pub(super) fn pay_out(
    session: &mut Session,
    record: &ValidatorRecord,
) -> Result<(), ExecutionFailure> {
    match session.transfer(&VALIDATORS_CONTRACT, &record.owner, record.stake)? {
        ResultCode::Ok => Ok(()),
        _ => Err(ExecutionFailure::OutOfRange {
            quantity: "the stakes of the validators",
        }),
    }
}

/// Destroys tokens that the contract holds.
pub(super) fn burn(session: &mut Session, amount: Amount) -> Result<(), Refusal> {
    let mut account = read_account(session, &VALIDATORS_CONTRACT)?;
    account.balance = account
        .balance
        .checked_sub(amount)
        .ok_or(ExecutionFailure::OutOfRange {
            quantity: "the stakes of the validators",
        })?;
    write_account(session, &VALIDATORS_CONTRACT, account);
    Ok(())
}

fn read<T: Decode>(
    session: &mut Session,
    key: &[u8],
    what: &'static str,
) -> Result<Option<T>, ExecutionFailure> {
    match session.journal.get(key)? {
        None => Ok(None),
        Some(bytes) => decode(key, bytes, what).map(Some),
    }
}

pub(super) fn decode<T: Decode>(
    key: &[u8],
    mut bytes: &[u8],
    what: &'static str,
) -> Result<T, ExecutionFailure> {
    T::decode(&mut bytes).map_err(|_malformed| corrupt(key, what))
}

/// Keys here have several lengths; what is shown is enough to find them by.
fn corrupt(key: &[u8], record: &'static str) -> ExecutionFailure {
    let shown = match key.get(1..).and_then(|id| <[u8; 32]>::try_from(id).ok()) {
        Some(id) => Hash(id),
        None => sha3_256(&[key]),
    };
    ExecutionFailure::CorruptRecord {
        record,
        key: shown.to_string(),
    }
}
