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

    /// Something was said.
    #[event]
    pub struct Said {
        /// What.
        pub text: String,
        /// How often.
        pub times: u128,
    }

    /// Why it refuses.
    #[error]
    pub enum Error {
        /// It never gives all.
        NotAll,
        /// It was told so.
        Told {
            /// What.
            text: String,
        },
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

        /// Says something, and gives it back.
        pub fn say(&mut self, text: String, times: u128) -> String {
            self.emit(Said {
                text: text.clone(),
                times,
            });
            text
        }

        /// Refuses with what it is told.
        pub fn refuse(&mut self, text: String) -> Result<(), Error> {
            Err(Error::Told { text })
        }

        /// Panics with what it is told.
        pub fn scream(&mut self, text: String) {
            panic!("{text}")
        }

        /// The number.
        pub fn value(&self) -> u64 {
            self.value.get_or_default()
        }
    }
}
