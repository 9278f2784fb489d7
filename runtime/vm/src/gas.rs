//! Price everything a transaction can do: the one schedule.
//!
//! One gas is about the time of one simple Wasm instruction, 0.1 to 0.3 ns compiled. Nothing may take more than three
//! times as long for its gas as the median of all instructions and host functions: `cargo xtask hostile gas` searches for
//! what does, on a chain on disk; `docs/benchmarks.md` holds the result. Prices above that are for what others bear
//! (disk, proofs, bandwidth). Changing a price is a hard fork.

use kumiki_protocol::Gas;
use wasmparser::Operator;

// What is paid outside calls.

/// Any transaction: decode, look up the sender, write it back, receipt, its share of the block. About 10 us.
pub const TRANSACTION_BASE: Gas = 20_000;
/// Each byte of an encoded transaction: gossip, two copies on disk, one SHA3-256.
pub const TRANSACTION_PER_BYTE: Gas = 40;
/// The signature of a transaction: one ed25519 verification; in a batch it takes half as long.
pub const SIGNATURE: Gas = 60_000;
/// Moving native tokens: two records read and written, as two reads and a write of storage; one of them is mostly the
/// same in a whole block.
pub const TRANSFER: Gas = 110_000;

/// Each byte that an action returns or reverts with, which its receipt keeps: copied, hashed and written.
pub const OUTPUT_PER_BYTE: Gas = 70;

// Calls.

/// Any call, from outside or from a contract: a fresh instance (3 to 5 us), two records read.
pub const CALL: Gas = 16_000;
/// Each byte of input, of returned data and of revert data: copied at most four times.
pub const CALL_DATA_PER_BYTE: Gas = 1;
/// Memory pages of a fresh instance that cost nothing: they stay resident in the pool and are zeroed there.
pub const INSTANCE_PAGES_FREE: u64 = 1;
/// Each other 64 KiB page, of a fresh instance or by `memory.grow`: 16 page faults of 0.5 to 2 us with what zeroing them
/// pushes out of the caches, and giving them back. 256 touched pages take 4 to 9 ms.
pub const MEMORY_PAGE: Gas = 131_072;
/// Each 8 bytes of data segments, copied or mapped into every instance.
pub const INSTANCE_DATA_PER_8_BYTES: Gas = 1;
/// The first time in a transaction that code runs, before it is looked for: a module that is not in memory is read from
/// disk, authenticated and given to the engine, 75 us.
pub const CODE_LOAD: Gas = 210_000;
/// Each byte of that code: 2 ns.
pub const CODE_LOAD_PER_BYTE: Gas = 4;
/// Each table entry of a fresh instance.
pub const INSTANCE_TABLE_ENTRY: Gas = 2;
/// Each global of a fresh instance.
pub const INSTANCE_GLOBAL: Gas = 5;

// Deployment: compiled by every node, and kept for ever.

/// Any deployment or upgrade: two records.
pub const DEPLOY: Gas = 50_000;
/// Each byte of Wasm in a deployment or upgrade, new or not: hashed with SHA3-256.
pub const DEPLOY_PER_BYTE: Gas = 30;
/// Each byte of Wasm that is new to the chain: stored on every node, compiled. Usual code compiles in 2 us a byte
/// on another core than the one that executes, so a quarter of that is charged.
pub const DEPLOY_PER_NEW_BYTE: Gas = 600;
/// Any code that is new to the chain: the smallest contract takes a compiler 2.2 ms.
pub const DEPLOY_NEW: Gas = 1_000_000;
/// Each type, used or not, beside its parameters: the engine compiles ways in and out for it, 90 us.
pub const DEPLOY_PER_TYPE: Gas = 30_000;
/// Each function: 5,000 empty ones take 280 to 400 ms, up to 80 us each.
pub const DEPLOY_PER_FUNCTION: Gas = 30_000;
/// Each parameter and local of a function, and each parameter and result of a type.
pub const DEPLOY_PER_LOCAL: Gas = 2_000;
/// Each `block`, `loop`, `if`, branch, and eight targets of a `br_table`, and the branches that an engine makes of an
/// indirect call, a bulk operation or a table access (`validate/complexity.rs`): 2,000 `if`s take 76 ms.
pub const DEPLOY_PER_BLOCK: Gas = 15_000;

/// Each value at each place where control flow meets (`validate/complexity.rs`): up to 1.1 us within the limit, where
/// loops are nested. Less than half of that: other shapes of the same complexity take a tenth.
pub const DEPLOY_PER_COMPLEXITY: Gas = 450;

// Storage.

/// Any read, found or not: 2 to 7 us where the key is new to the block and the store has it in memory, up to 100 us from
/// a cold disk.
pub const STORAGE_READ: Gas = 17_000;
/// Each byte of key and value read.
pub const STORAGE_READ_PER_BYTE: Gas = 2;
/// Any write or removal: its bucket of the tree read and hashed anew with the path above, pages of the state, of the undo
/// rows and of the tree written; 40 us where no other write of the block is near, and up to 75 on the deepest path. Keys of
/// [`STORAGE_SHARED_KEY_BYTES_FREE`] bytes can make the path 108 branches deeper, 0.25 us each, or 0.5 where the caches do not hold them.
pub const STORAGE_WRITE: Gas = 160_000;
/// Bytes that a key may share with another without paying for it: a field's prefix and a number of 64 bits.
pub const STORAGE_SHARED_KEY_BYTES_FREE: usize = 12;
/// Each branch past them on the path to a key that is written, and the two ends of the search for them: a seek in the
/// store, 2 us, and a hash. A hundred keys can make a path a hundred branches deep, which each write below it pays for.
pub const STORAGE_BRANCH: Gas = 6_000;
/// Each byte of key and value written: every node keeps it.
pub const STORAGE_WRITE_PER_BYTE: Gas = 20;
/// Each byte of a value that is overwritten or removed: it is read to be compared, and written once more as what the block
/// is undone with.
pub const STORAGE_REPLACED_PER_BYTE: Gas = 10;
/// A scan before its first entry: one seek in the store, one range recorded.
pub const STORAGE_SCAN: Gas = 12_000;
/// Each entry a scan looks at, also removed ones.
pub const STORAGE_SCAN_ENTRY: Gas = 1_200;
/// Each event: a row of the index for it and one for its contract, 4 us.
pub const EVENT: Gas = 20_000;
/// Each topic of an event: a row of the index on every node, 4 us.
pub const EVENT_TOPIC: Gas = 12_000;
/// Each byte of an event's data, as a byte of output.
pub const EVENT_PER_BYTE: Gas = 70;

// Host functions that touch no state.

/// Any host function: 35 ns with gas handed over and back.
pub const HOST_FUNCTION: Gas = 200;
/// `call`, `deploy` and `upgrade` beside what the callee pays, also where it is refused at once: the session is handed
/// over and back, 100 ns, and up to 200 where the callee may have next to no gas.
pub const CALLEE: Gas = 400;
/// Each 8 bytes that a host function copies to or from memory: 0.3 ns where they do not fit the caches.
pub const COPY_PER_8_BYTES: Gas = 2;
/// Any hash: set-up and one block.
pub const HASH: Gas = 3_000;
/// Each byte hashed by SHA3-256 or Keccak-256: the slowest of the four, 8 to 11 ns.
pub const HASH_SHA3_PER_BYTE: Gas = 30;
/// Each byte hashed by SHA-256 (also without its hardware instructions) or BLAKE2b-256.
pub const HASH_PER_BYTE: Gas = 5;
/// One ed25519 verification, message bytes apart: 50 to 75 us.
pub const ED25519_VERIFY: Gas = 300_000;
/// One secp256k1 public key recovery: 140 us, twice an ed25519 verification.
pub const SECP256K1_RECOVER: Gas = 600_000;

// The validators' contract, which is native: the same price whatever a call comes to. Each is the sum of what a
// contract would pay for the same work, doubled, because the end of an epoch works through what was asked for and
// writes the whole set.

/// A call that names no method of it.
pub const VALIDATORS_UNKNOWN: Gas = 5_000;
/// `join`: two signature verifications, five records read, six written now and three at the end of the epoch.
pub const VALIDATORS_JOIN: Gas = 4_200_000;
/// `leave`: four records read, four written now and three at the end of the epoch.
pub const VALIDATORS_LEAVE: Gas = 2_400_000;
/// `withdraw`: three records read and written.
pub const VALIDATORS_WITHDRAW: Gas = 1_100_000;
/// `report`: two signature verifications, four records read, six written now and three at the end of the epoch.
pub const VALIDATORS_REPORT: Gas = 4_200_000;
/// The view `validator`: one record.
pub const VALIDATORS_VIEW: Gas = 40_000;
/// The views of whole sets: up to 32 KiB read, and for the next set up to 1,280 changes that wait.
pub const VALIDATORS_VIEW_SET: Gas = 4_000_000;

// Wasm.

/// Entering a function: prologue, stack counter.
pub(crate) const FUNCTION_ENTRY: u32 = 8;
/// `memory.fill`, `copy` and `init`: each 2 bytes. Copies that do not fit the caches move 8 bytes in a nanosecond.
pub(crate) const BULK_BYTES_SHIFT: u32 = 1;
/// `table.fill`, `copy` and `init`: each entry, as a shift to the left.
pub(crate) const TABLE_ENTRY_SHIFT: u32 = 3;
/// `memory.grow`: [`MEMORY_PAGE`] as a shift to the left.
pub(crate) const MEMORY_PAGE_SHIFT: u32 = 17;

/// A load from a memory that fits the cache of one core: 6 ns where each waits for the one before, 12 over page ends.
pub(crate) const LOAD_SMALL: u32 = 20;
/// A load from a larger one: 115 ns from 16 MiB.
pub(crate) const LOAD_LARGE: u32 = 320;
/// A store: 26 ns over the end of a page, however small the memory.
pub(crate) const STORE: u32 = 54;

/// Whether a contract's memory can be larger than the cache of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemorySize {
    /// At most 8 pages.
    Small,
    /// Up to 256.
    Large,
}

impl MemorySize {
    const fn load(self) -> u32 {
        match self {
            Self::Small => LOAD_SMALL,
            Self::Large => LOAD_LARGE,
        }
    }
}

/// The price of one Wasm instruction.
pub(crate) const fn of_operator(operator: &Operator<'_>, memory: MemorySize) -> u32 {
    match operator {
        // No machine code.
        Operator::Nop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Else
        | Operator::End
        | Operator::Drop
        | Operator::Unreachable => 0,
        // What is loaded may be where the next load is from, so that each waits for the one before.
        Operator::I32Load { .. }
        | Operator::I64Load { .. }
        | Operator::I32Load8S { .. }
        | Operator::I32Load8U { .. }
        | Operator::I32Load16S { .. }
        | Operator::I32Load16U { .. }
        | Operator::I64Load8S { .. }
        | Operator::I64Load8U { .. }
        | Operator::I64Load16S { .. }
        | Operator::I64Load16U { .. }
        | Operator::I64Load32S { .. }
        | Operator::I64Load32U { .. } => memory.load(),
        Operator::I32Store { .. }
        | Operator::I64Store { .. }
        | Operator::I32Store8 { .. }
        | Operator::I32Store16 { .. }
        | Operator::I64Store8 { .. }
        | Operator::I64Store16 { .. }
        | Operator::I64Store32 { .. } => STORE,
        Operator::GlobalGet { .. } | Operator::GlobalSet { .. } => 2,
        // A mispredicted branch costs 10 to 20 cycles, on about half of hostile branches.
        Operator::If { .. } | Operator::BrIf { .. } => 4,
        Operator::BrTable { .. } => 10,
        Operator::Call { .. } => 6,
        // The branch of an endless loop is all that pays for its accounting.
        Operator::Br { .. } => 3,
        Operator::CallIndirect { .. } => 12,
        Operator::I32Mul | Operator::I64Mul => 2,
        Operator::I32DivS
        | Operator::I32DivU
        | Operator::I32RemS
        | Operator::I32RemU
        | Operator::I64DivS
        | Operator::I64DivU
        | Operator::I64RemS
        | Operator::I64RemU => 20,
        // Without the processor's instruction for it, which not all have.
        Operator::I32Popcnt | Operator::I64Popcnt => 8,
        Operator::I32Clz | Operator::I64Clz | Operator::I32Ctz | Operator::I64Ctz => 5,
        Operator::MemorySize { .. } | Operator::TableSize { .. } => 5,
        Operator::TableGet { .. } | Operator::TableSet { .. } => 10,
        // A call into the engine.
        Operator::RefFunc { .. } => 100,
        // Calls into the engine, before their linear part.
        Operator::MemoryGrow { .. } => 1_000,
        Operator::MemoryFill { .. }
        | Operator::MemoryCopy { .. }
        | Operator::MemoryInit { .. }
        | Operator::DataDrop { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. }
        | Operator::ElemDrop { .. } => 500,
        _ => 1,
    }
}
