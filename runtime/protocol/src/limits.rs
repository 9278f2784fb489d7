//! State every limit that is part of the protocol; changing one is a hard fork.

/// Bytes of one encoded transaction; room for the largest contract and its input.
pub const TRANSACTION_BYTES_MAX: usize = 640 * 1024;
/// Actions in one transaction.
pub const ACTIONS_MAX: usize = 32;
/// Bytes of Wasm in one deploy, upgrade or replacement.
pub const CODE_BYTES_MAX: usize = 512 * 1024;
/// Bytes of input to one call, and of data returned from it.
pub const CALL_DATA_BYTES_MAX: usize = 64 * 1024;
/// Bytes that the actions of one transaction return together: receipts keep them.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Gas of one block that genesis may allow. What a block writes is paid for by the byte, so this also bounds its
/// receipts to what a store can hold in one row.
pub const BLOCK_GAS_MAX: u64 = 20_000_000_000;
/// Gas that the transactions of one block that bring code may ask for together: compiling takes up to 3 ns for each,
/// and validators compile before they vote.
pub const BLOCK_CODE_GAS_MAX: u64 = 200_000_000;
/// Bytes of one contract storage key.
pub const STORAGE_KEY_BYTES_MAX: usize = 128;
/// Bytes of one contract storage value.
pub const STORAGE_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Events of one transaction.
pub const EVENTS_MAX: usize = 64;
/// Topics of one event.
pub const EVENT_TOPICS_MAX: usize = 4;
/// Bytes of one event's data.
pub const EVENT_DATA_BYTES_MAX: usize = 16 * 1024;
/// Contract calls on top of each other, the first one counted.
pub const CALL_DEPTH_MAX: usize = 16;
/// Entries in one page of a storage scan.
pub const SCAN_ENTRIES_MAX: u32 = 256;
/// Validators in one set.
pub const VALIDATORS_MAX: usize = 1_024;
/// Validators that may wait for a seat.
pub const VALIDATORS_QUEUED_MAX: u32 = 256;
/// Bytes of encoded evidence against a validator.
pub const EVIDENCE_BYTES_MAX: usize = 274;
/// Headers of one proof of finality: the block and those after it up to one with a certificate.
pub const FINALITY_HEADERS_MAX: usize = 256;
/// Blocks of an epoch, at least.
pub const EPOCH_BLOCKS_MIN: u32 = 8;
/// Accounts in genesis.
pub const GENESIS_ACCOUNTS_MAX: usize = 100_000;
/// Bytes of an encoded genesis.
pub const GENESIS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a chain id.
pub const CHAIN_ID_BYTES_MAX: usize = 32;
/// How far ahead of the chain `valid_until` may lie, in blocks.
pub const VALID_UNTIL_WINDOW_MAX: u64 = 100_000;
/// The largest integer that every JSON reader has exactly, 2^53 - 1: no nonce, gas limit or `valid_until` of a
/// transaction is larger, so that they can be JSON numbers.
pub const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;
/// The most base units that an account of a chain for development can be set to hold: however many accounts there are,
/// their sum is an amount.
pub const SET_BALANCE_MAX: u128 = 1 << 96;
