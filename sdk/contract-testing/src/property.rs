//! Test contracts with random sequences of calls: native code and Wasm agree, and what the author states holds.
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
//!         pub fn init(&mut self) {}
//!
//!         pub fn raise_to(&mut self, value: u64) {
//!             let value = self.value().max(value);
//!             self.value.set(&value);
//!         }
//!
//!         pub fn value(&self) -> u64 {
//!             self.value.get_or_default()
//!         }
//!     }
//! }
//! # }
//! # use counter_crate::counter;
//! use std::cell::Cell;
//!
//! use counter::{Counter, CounterRef};
//! use kumiki_contract_testing::{Property, TestChain};
//!
//! #[kumiki_contract_testing::property]
//! fn the_value_never_falls(chain: &mut TestChain) -> Property {
//!     let [alice] = chain.accounts();
//!     let counter = chain.deploy(&alice, CounterRef::init()).unwrap();
//!     let last = Cell::new(0);
//!     Property::of::<Counter>(counter.address).invariant("the value never falls", move |chain, _| {
//!         let value = chain.view(counter.value()).unwrap();
//!         assert!(last.replace(value) <= value);
//!     })
//! }
//! ```
//!
//! The function sets up, on a chain that runs each message natively and as Wasm. Then come calls and views of the
//! contracts it names: every message of their metadata, arguments made from its types, four callers, native tokens
//! where they are taken, time that passes. After each, result, events and state of both codes are compared and all
//! invariants checked. A sequence that breaks one is shrunk, printed as a test would write it, and saved in the
//! package's `tests/regressions`, with which each later run begins.
//!
//! The same 16 sequences are tried in each run, unless `KUMIKI_FUZZ_RUNS` or `KUMIKI_FUZZ_SEED` say otherwise, which
//! `kumiki test --fuzz-runs N --fuzz-seed S` sets. A sequence ends where the Wasm runs out of gas or of the counted stack,
//! which native code does not have; one that fills its 32 KiB of stack memory traps, and that is told as a disagreement; contracts that decide by `gas_left` cannot be compared.

mod attempt;
mod message;
mod plainer;
pub(crate) mod quiet;
mod random;
mod saved;
mod search;
mod shrink;
mod source_text;
mod value;

use std::fmt;

use kumiki_contract::{Address, Contract};

pub use search::{Counterexample, Search, Searched, check};

use crate::wasm_file::fail;
use crate::{TestChain, TestName};
use message::Target;

type Check = Box<dyn Fn(&TestChain, &[Address])>;

/// Which contracts random calls go to, and what holds after each of them.
pub struct Property {
    targets: Vec<Target>,
    invariants: Vec<(&'static str, Check)>,
}

impl Property {
    /// Calls go to the contract `C` at `address`. With nothing else said, only native code and Wasm are compared.
    #[must_use]
    pub fn of<C: Contract>(address: Address) -> Self {
        let none = Self {
            targets: Vec::new(),
            invariants: Vec::new(),
        };
        none.and::<C>(address)
    }

    /// Calls go to this contract too.
    #[must_use]
    pub fn and<C: Contract>(mut self, address: Address) -> Self {
        let target = Target::new::<C>(address, &self.targets);
        self.targets.push(target);
        self
    }

    /// `holds` panics, as assertions do, where the invariant called `name` is broken. It is asked after the set-up and
    /// after each call, and given every address that took part: the callers, the contracts, and all that were named
    /// in arguments or results.
    #[must_use]
    pub fn invariant(
        mut self,
        name: &'static str,
        holds: impl Fn(&TestChain, &[Address]) + 'static,
    ) -> Self {
        self.invariants.push((name, Box::new(holds)));
        self
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.invariants.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Property")
            .field("invariants", &names)
            .finish_non_exhaustive()
    }
}

/// Runs a property test as the environment says.
pub fn run(test: &TestName, set_up: fn(&mut TestChain) -> Property) {
    match check(&Search::from_environment(test), set_up) {
        Ok(searched) => println!("{searched}"),
        Err(found) => fail(&found.to_string()),
    }
}
