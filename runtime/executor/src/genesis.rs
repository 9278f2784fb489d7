//! Make the first state of a chain from its genesis.

use kumiki_protocol::{
    AccountRecord, Address, Encode, Genesis, VALIDATORS_CONTRACT, ValidatorRecord, ValidatorStatus,
    state_key,
};
use kumiki_state::StateChanges;

/// The entries of the state at height 0. `genesis` should pass [`Genesis::check`].
#[must_use]
pub fn genesis_changes(genesis: &Genesis) -> StateChanges {
    let mut changes = StateChanges::default();
    for account in &genesis.accounts {
        let record = AccountRecord {
            nonce: 0,
            balance: account.balance,
        };
        changes
            .entries
            .insert(state_key::account(&account.address), Some(record.encode()));
    }
    for key in &genesis.validators {
        let record = ValidatorRecord {
            owner: Address::of_account(key),
            stake: genesis.parameters.validator_stake,
            status: ValidatorStatus::Seated { from: 0 },
        };
        changes
            .entries
            .insert(state_key::validator(key), Some(record.encode()));
    }
    let stakes = AccountRecord {
        nonce: 0,
        balance: genesis.stakes().unwrap_or_default(),
    };
    changes.entries.insert(
        state_key::account(&VALIDATORS_CONTRACT),
        Some(stakes.encode()),
    );
    if let Some(validators) = genesis.validator_set() {
        changes
            .entries
            .insert(state_key::validators(), Some(validators.encode()));
    }
    changes
}
