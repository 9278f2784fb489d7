//! Move seats: nodes that have none at genesis join, leave and take their stake back, again and again.

use kumiki_protocol::{
    Decode as _, Genesis, SecretKey, UNBONDING_EPOCHS, ValidatorRecord, ValidatorStatus,
    ValidatorsCall, join_sign_bytes, state_key,
};
use kumiki_state::StateReader as _;
use kumiki_storage::Storage;
use kumiki_testkit::Account;

/// What `owner` does next about the seat of `key`, as the state of a node says; `None` where there is nothing to do yet.
pub(crate) fn next_call(
    genesis: &Genesis,
    key: &SecretKey,
    owner: &Account,
    storage: &Storage,
) -> Option<ValidatorsCall> {
    let validator = key.public_key();
    let state = storage.snapshot().expect("a running node's store is sound");
    let stored = state.get(&state_key::validator(&validator)).ok().flatten();
    let Some(bytes) = stored else {
        let message = join_sign_bytes(&genesis.hash(), &owner.address);
        let proof = key.sign(&message);
        return Some(ValidatorsCall::Join { validator, proof });
    };
    let record = ValidatorRecord::decode(&mut bytes.as_slice()).ok()?;
    match record.status {
        ValidatorStatus::Seated { .. } => Some(ValidatorsCall::Leave(validator)),
        ValidatorStatus::Left { to, .. } => {
            let epoch = genesis.parameters.epoch_of(state.height());
            (epoch >= to + UNBONDING_EPOCHS).then_some(ValidatorsCall::Withdraw(validator))
        }
        ValidatorStatus::Queued { .. }
        | ValidatorStatus::Leaving { .. }
        | ValidatorStatus::Removed { .. } => None,
    }
}

/// How often a node took a seat that it did not have in the epoch before.
pub(crate) fn taken(genesis: &Genesis, storage: &Storage) -> usize {
    let tip = storage.tip().map_or(0, |tip| tip.height);
    let last = genesis.parameters.validators_epoch(tip);
    let sets = (0..=last).map(|epoch| {
        let set = storage.validators_of(epoch);
        set.expect("a running node's store is sound")
    });
    let sets: Vec<_> = sets.flatten().collect();
    let pairs = sets.iter().zip(sets.iter().skip(1));
    let new = pairs.map(|(before, after)| {
        let keys = after.keys().iter();
        keys.filter(|key| before.position(key).is_none()).count()
    });
    new.sum()
}
