//! Set up what many tests need: accounts, a genesis, signed transactions, blocks with certificates.
//!
//! Everything is the same in every run. Only `kumiki-protocol` is below this crate, so any crate above
//! `kumiki-protocol` can take it as a dev-dependency.

mod chain;
mod counted_alloc;
mod draft;
mod random;

pub use chain::{CHAIN_BALANCE, Chain, GENESIS_TIME_MS, VALIDATOR_STAKE, executed, genesis};
pub use counted_alloc::{CountedAlloc, peak_bytes};
pub use draft::Draft;
pub use random::Random;

use kumiki_protocol::{Address, PublicKey, SecretKey};

/// A key pair with the account it controls.
#[derive(Clone, Debug)]
pub struct Account {
    /// Signs for the account.
    pub key: SecretKey,
    /// Names the account.
    pub address: Address,
}

impl Account {
    /// The account that `key` controls.
    #[must_use]
    pub fn of_key(key: SecretKey) -> Self {
        let address = Address::of_account(&key.public_key());
        Self { key, address }
    }

    /// The public half of the key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }
}

/// Test account `number`; 0 to 9 hold [`CHAIN_BALANCE`] in [`genesis`].
#[must_use]
pub fn account(number: u8) -> Account {
    Account::of_key(SecretKey::from_seed([number.wrapping_add(1); 32]))
}

/// The key of test validator `number`, different from every test account's.
#[must_use]
pub fn validator(number: u8) -> SecretKey {
    let mut seed = [0xee; 32];
    seed[0] = number;
    SecretKey::from_seed(seed)
}
