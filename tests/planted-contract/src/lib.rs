//! Plant faults that property tests must find: Wasm that does other than native code, and broken promises.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod planted {
    use kumiki_contract::prelude::*;

    /// From this amount on the planted fault shows.
    pub const FAULTY: u64 = 100;
    /// How long after [`Planted::arm`] a fault of time waits.
    pub const WAIT_MS: u64 = 3_600_000;

    /// A sum, and one fault.
    #[storage]
    pub struct Planted {
        fault: Item<Fault>,
        armed_ms: Item<u64>,
        sum: Item<u64>,
        paid: Item<Balance>,
    }

    /// Where native code and Wasm differ, or what is wrong on both.
    #[data]
    pub enum Fault {
        /// Nowhere.
        None,
        /// In what `add` returns.
        Returned,
        /// In whether `add` succeeds.
        Refused,
        /// In the event of `add`.
        Event,
        /// In what `add` stores.
        Storage,
        /// In what `sum` says.
        View,
        /// In `add`, but only some time after `arm`.
        Time,
        /// `pay` forgets some of what it is given, on both.
        Forgotten,
    }

    /// Something was added.
    #[event]
    pub struct Added {
        /// What to, by whom.
        pub part: Part,
    }

    /// An amount of somebody.
    #[data]
    pub struct Part {
        /// How much.
        pub amount: u64,
        /// Whose.
        pub of: Option<Address>,
    }

    /// Why it refuses.
    #[error]
    pub enum Error {
        /// A planted refusal.
        Planted,
        /// The sum is as large as it gets.
        Full {
            /// How large.
            sum: u64,
        },
    }

    impl Planted {
        /// Plants `fault`.
        #[init]
        pub fn init(&mut self, fault: Fault) {
            self.fault.set(&fault);
        }

        /// The fault shows only after this.
        pub fn arm(&mut self) {
            let now_ms = self.env().time_ms();
            self.armed_ms.set(&now_ms);
        }

        /// Adds to the sum, and returns it.
        pub fn add(&mut self, part: Part) -> Result<u64, Error> {
            let amount = part.amount;
            let sum = self.sum.get_or_default();
            let sum = sum.checked_add(amount).ok_or(Error::Full { sum })?;
            if self.shows(Fault::Refused, amount) {
                return Err(Error::Planted);
            }
            let late = self.shows(Fault::Time, FAULTY) && self.is_late();
            let stored = u64::from(late || self.shows(Fault::Storage, amount));
            self.sum.set(&sum.wrapping_add(stored));
            let told = u64::from(self.shows(Fault::Event, amount));
            let amount = amount.wrapping_sub(told);
            self.emit(Added {
                part: Part { amount, ..part },
            });
            let returned = u64::from(self.shows(Fault::Returned, amount));
            Ok(sum.wrapping_sub(returned))
        }

        /// Takes native tokens.
        #[payable]
        pub fn pay(&mut self) {
            let value = self.env().value();
            let forgotten = self.fault.get() == Some(Fault::Forgotten) && value > 7;
            let paid = self.paid.get_or_default() + value - Balance::from(forgotten);
            self.paid.set(&paid);
        }

        /// The sum of `add`.
        pub fn sum(&self) -> u64 {
            let sum = self.sum.get_or_default();
            sum.wrapping_add(u64::from(self.shows(Fault::View, sum)))
        }

        /// The sum of `pay`.
        pub fn paid(&self) -> Balance {
            self.paid.get_or_default()
        }

        fn shows(&self, fault: Fault, amount: u64) -> bool {
            let planted = self.fault.get() == Some(fault) && self.armed_ms.get().is_some();
            cfg!(target_family = "wasm") && planted && amount >= FAULTY
        }

        fn is_late(&self) -> bool {
            let armed_ms = self.armed_ms.get_or_default();
            self.env().time_ms() >= armed_ms + WAIT_MS
        }
    }
}
