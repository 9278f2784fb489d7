//! Ask another contract.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod front {
    use kumiki_contract::prelude::*;

    /// Whom it asks.
    #[storage]
    pub struct Front {
        back: Item<Address>,
    }

    /// What it asks.
    #[contract_ref]
    pub trait Asked {
        /// Shares.
        fn share(&mut self, among: u64) -> u64;
        /// Gives.
        fn give(&mut self) -> Result<(), Refused>;
        /// Spins.
        fn spin(&mut self);
    }

    /// Why it does not get what it asks for.
    #[data]
    pub enum Refused {
        /// Not all of it.
        NotAll,
    }

    impl Front {
        /// Asks `back`.
        #[init]
        pub fn init(&mut self, back: Address) {
            self.back.set(&back);
        }

        /// Asks for a share.
        pub fn ask(&mut self, among: u64) -> u64 {
            let back = Asked::at(self.back());
            back.share(among).send(self.env_mut())
        }

        /// Asks for all.
        pub fn beg(&mut self) {
            Asked::at(self.back()).give().send(self.env_mut());
        }

        /// Asks for too much.
        pub fn nag(&mut self) {
            Asked::at(self.back()).spin().send(self.env_mut());
        }

        fn back(&self) -> Address {
            self.back.get().expect("init has set it")
        }
    }
}
