//! Do with bytes what each fuzz target does, and hold the product to what must be true for all of them.
//!
//! A body takes any bytes, and panics where a promise is broken. `fuzz/` hands it to libFuzzer, `tests/corpus.rs` runs
//! it on the saved corpus and on mutations of it. The first byte of most inputs chooses between bytes as they are and
//! something valid that the rest builds and then mutates, because no fuzzer guesses a signature.

mod abi_json;
mod block;
mod certificate;
mod choices;
mod encoding;
mod genesis;
mod keystore;
mod modules;
mod proof;
mod rpc;
mod transaction;

pub use abi_json::body as abi_json;
pub use block::body as block;
pub use certificate::body as certificate;
pub use genesis::body as genesis;
pub use keystore::body as keystore;
pub use modules::body as module;
pub use modules::differential_body as differential;
pub use proof::body as proof;
pub use proof::range_body as range_proof;
pub use rpc::body as rpc;
pub use transaction::body as transaction;

use kumiki_testkit::CountedAlloc;

#[global_allocator]
static COUNTED: CountedAlloc = CountedAlloc;

/// How far an input came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The product refused it.
    Refused,
    /// The product took it for what it is meant to be.
    Accepted,
}

impl Verdict {
    const fn of(accepted: bool) -> Self {
        if accepted {
            Self::Accepted
        } else {
            Self::Refused
        }
    }
}

/// What one fuzz target runs.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the program in `fuzz/` and of its corpus.
    pub name: &'static str,
    /// The body. Panics where a promise is broken.
    pub body: fn(&[u8]) -> Verdict,
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    target("transaction", transaction),
    target("block", block),
    target("certificate", certificate),
    target("genesis", genesis),
    target("abi_json", abi_json),
    target("proof", proof),
    target("range_proof", range_proof),
    target("module", module),
    target("differential", differential),
    target("keystore", keystore),
    target("rpc", rpc),
];

const fn target(name: &'static str, body: fn(&[u8]) -> Verdict) -> Target {
    Target { name, body }
}

/// Stops the node and removes the files that bodies have made. No body runs after it.
///
/// # Panics
/// When the node had failed, or the files cannot be removed.
pub fn clean_up() {
    rpc::clean_up();
    keystore::clean_up();
}
