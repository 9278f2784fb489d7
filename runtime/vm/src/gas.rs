//! Price everything a transaction can do: the one schedule.
//!
//! One gas is about the time of one simple Wasm instruction (0.5 to 1 ns compiled). `benches/gas.rs` measures,
//! `docs/benchmarks.md` holds the result.

use kumiki_protocol::Gas;

/// Any transaction: decode, look up the sender, write it back, receipt, its share of the block.
pub const TRANSACTION_BASE: Gas = 20_000;
/// Each byte of an encoded transaction: gossip, disk, hashing.
pub const TRANSACTION_PER_BYTE: Gas = 10;
/// The signature of a transaction; as `ED25519_VERIFY`.
pub const SIGNATURE: Gas = 60_000;
/// Moving native tokens: two accounts read and written.
pub const TRANSFER: Gas = 10_000;
