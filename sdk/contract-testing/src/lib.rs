//! Test contracts: the same test body runs on native Rust and on the real Wasm, both in the real executor.
//!
//! ```
//! # mod counter_crate {
//! #[kumiki_contract::contract]
//! pub mod counter {
//!     use kumiki_contract::prelude::*;
//!
//!     #[storage]
//!     pub struct Counter {
//!         value: Item<u64>,
//!     }
//!
//!     impl Counter {
//!         #[init]
//!         pub fn init(&mut self, start: u64) {
//!             self.value.set(&start);
//!         }
//!
//!         pub fn increase(&mut self) {
//!             let value = self.value();
//!             self.value.set(&(value + 1));
//!         }
//!
//!         pub fn value(&self) -> u64 {
//!             self.value.get_or_default()
//!         }
//!     }
//! }
//! # }
//! # use counter_crate::counter;
//! use counter::CounterRef;
//! use kumiki_contract_testing::TestChain;
//!
//! #[kumiki_contract_testing::test]
//! fn increasing_adds_one(chain: &mut TestChain) {
//!     let [alice] = chain.accounts();
//!     let counter = chain.deploy(&alice, CounterRef::init(41)).unwrap();
//!     chain.call(&alice, counter.increase()).unwrap();
//!     assert_eq!(chain.view(counter.value()), Ok(42));
//! }
//! ```
//!
//! The attribute makes two tests of it, `increasing_adds_one::native` and `increasing_adds_one::wasm`. The second
//! builds the contract's Wasm first, as `kumiki build` does; set `KUMIKI_WASM_DIR` to use files that are built already.
//! [`mod@property`] has tests that send random calls.

mod accounts;
mod agreement;
mod chain;
mod engines;
mod gas_record;
mod gas_report;
mod host;
pub mod property;
mod replica;
mod said;
mod test_name;
mod wasm_file;

pub use accounts::Account;
pub use chain::TestChain;
pub use gas_report::{GasReport, MessageGas};
pub use kumiki_contract_macros::{contract_test as test, property_test as property};
pub use property::Property;
pub use test_name::TestName;

/// Runs a test body on native contracts.
pub fn run_native(body: fn(&mut TestChain)) {
    body(&mut TestChain::native());
}

/// Runs a test body on Wasm contracts; with feature `wasmtime`, on both engines at once. Prints the gas of every
/// message, which the test harness shows with `--show-output`.
pub fn run_wasm(body: fn(&mut TestChain)) {
    run_on_wasm(body);
}

/// The same for a test that has a name: leaves its gas for `kumiki test --gas-snapshot`.
pub fn run_wasm_named(name: &TestName, body: fn(&mut TestChain)) {
    gas_record::leave(name, run_on_wasm(body).gas_report());
}

fn run_on_wasm(body: fn(&mut TestChain)) -> TestChain {
    let mut chain = TestChain::wasm();
    body(&mut chain);
    println!("{}", chain.gas_report());
    chain
}
