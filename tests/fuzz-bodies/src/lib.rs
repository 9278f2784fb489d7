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
    target("transaction", transaction::body),
    target("block", block::body),
    target("certificate", certificate::body),
    target("genesis", genesis::body),
    target("abi_json", abi_json::body),
    target("proof", proof::body),
    target("range_proof", proof::range_body),
    target("module", modules::body),
    target("differential", modules::differential_body),
    target("keystore", keystore::body),
    target("rpc", rpc::body),
];

const fn target(name: &'static str, body: fn(&[u8]) -> Verdict) -> Target {
    Target { name, body }
}

/// Runs the body of the target called `name`.
///
/// # Panics
/// When there is no such target, and where a promise is broken.
pub fn run(name: &str, bytes: &[u8]) -> Verdict {
    let target = TARGETS.iter().find(|one| one.name == name);
    (target.expect("a target of the table").body)(bytes)
}

/// Stops the node and removes the files that bodies have made. No body runs after it.
///
/// # Panics
/// When the node had failed, or the files cannot be removed.
pub fn clean_up() {
    rpc::clean_up();
    keystore::clean_up();
}
