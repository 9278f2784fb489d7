//! Make the first state of a chain from its genesis.

use kumiki_protocol::{AccountRecord, Encode, Genesis, state_key};
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
    if let Some(validators) = genesis.validator_set() {
        changes
            .entries
            .insert(state_key::validators(), Some(validators.encode()));
    }
    changes
}
