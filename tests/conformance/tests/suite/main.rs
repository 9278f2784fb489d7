//! Hold the protocol to its golden bytes, to one encoding per value, and to one verdict per signature.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "set-up that fails should fail the test"
)]

mod abi_table;
mod certificate_attacks;
mod counted_alloc;
mod domain_separation;
mod evidence_attacks;
mod finality_cases;
mod finality_chain;
mod finality_vectors;
mod hostile_bytes;
mod protocol_bytes;
mod samples;
mod signature_edges;
mod state_tree;
mod strategies;
mod validator_bytes;
mod vm_traces;
