//! Talk to a node: build, sign and follow transactions, read state with and without proofs, follow events.

pub mod abi;
