//! A contract to begin with.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod contract {
    use kumiki_contract::prelude::*;

    /// What the contract keeps.
    #[storage]
    pub struct Contract {
        owner: Item<Address>,
    }

    impl Contract {
        /// Makes the first state.
        #[init]
        pub fn init(&mut self) {
            let owner = self.env().caller();
            self.owner.set(&owner);
        }

        /// Who deployed this.
        pub fn owner(&self) -> Address {
            self.owner.get_or_default()
        }
    }
}
