//! Count, and let only the owner set the count back.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod counter {
    use kumiki_contract::prelude::*;

    /// A number that anyone may increase and its owner may reset.
    #[storage]
    pub struct Counter {
        owner: Item<Address>,
        value: Item<u64>,
    }

    /// The number changed.
    #[event]
    pub struct Changed {
        /// Who changed it.
        #[indexed]
        pub by: Address,
        /// What it is now.
        pub value: u64,
    }

    /// Why the counter refuses.
    #[error]
    pub enum Error {
        /// The number would exceed 64 bits.
        Overflow,
        /// Only the owner may reset.
        NotOwner,
    }

    impl Counter {
        /// Starts at `start`; who deploys it owns it.
        #[init]
        pub fn init(&mut self, start: u64) {
            let owner = self.env().caller();
            self.owner.set(&owner);
            self.value.set(&start);
        }

        /// Adds `amount` and returns the new number.
        pub fn increase(&mut self, amount: u64) -> Result<u64, Error> {
            let value = self.value().checked_add(amount).ok_or(Error::Overflow)?;
            self.store(value);
            Ok(value)
        }

        /// Sets the number back to zero.
        pub fn reset(&mut self) -> Result<(), Error> {
            if self.owner.get() != Some(self.env().caller()) {
                return Err(Error::NotOwner);
            }
            self.store(0);
            Ok(())
        }

        /// The number.
        pub fn value(&self) -> u64 {
            self.value.get_or_default()
        }

        fn store(&mut self, value: u64) {
            self.value.set(&value);
            let by = self.env().caller();
            self.emit(Changed { by, value });
        }
    }
}
