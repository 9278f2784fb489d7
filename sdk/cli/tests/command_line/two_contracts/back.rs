//! Share a number out, whatever is asked.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod back {
    use kumiki_contract::prelude::*;

    /// A number.
    #[storage]
    pub struct Back {
        value: Item<u64>,
    }

    /// Why it refuses.
    #[error]
    pub enum Error {
        /// It never gives all.
        NotAll,
    }

    impl Back {
        /// Begins with 84.
        #[init]
        pub fn init(&mut self) {
            self.value.set(&84);
        }

        /// Keeps and returns a share of the number.
        pub fn share(&mut self, among: u64) -> u64 {
            let share = self.value() / among;
            self.value.set(&share);
            share
        }

        /// Refuses.
        pub fn give(&mut self) -> Result<(), Error> {
            Err(Error::NotAll)
        }

        /// Takes all gas there is.
        pub fn spin(&mut self) {
            loop {
                self.value.set(&self.value().wrapping_add(1));
            }
        }

        /// The number.
        pub fn value(&self) -> u64 {
            self.value.get_or_default()
        }
    }
}
