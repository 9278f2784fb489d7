//! Define the boundary between a contract and its host: the one table of host functions, the result codes,
//! what entry points exist and, for tools, the metadata schema.
//!
//! The linker of the VM, the guest's imports, the native test host, the docs and the fuzz targets are built
//! from [`host_functions!`]. `docs/spec/abi.md` is the prose.
#![cfg_attr(not(feature = "metadata"), no_std)]

mod host_function;
#[cfg(feature = "metadata")]
pub mod metadata;
mod result_code;
#[cfg(feature = "metadata")]
pub mod type_name;

pub use host_function::{HOST_FUNCTIONS, HostFunction, ValueType};
pub use result_code::ResultCode;

/// The import module of the host functions; a new table is a new name.
pub const IMPORT_MODULE: &str = "kumiki_v1";

/// Export that makes a contract's first state. All entry points have type `(input_len: i32) -> ()`.
pub const EXPORT_INIT: &str = "init";
/// Export that runs a message which may change state; input begins with a 4-byte selector.
pub const EXPORT_CALL: &str = "call";
/// Export that runs a message which may not change state; input begins with a 4-byte selector.
pub const EXPORT_QUERY: &str = "query";
/// Export of new code that takes over the state of old code.
pub const EXPORT_MIGRATE: &str = "migrate";
/// Export of the linear memory.
pub const EXPORT_MEMORY: &str = "memory";

/// Custom section with fragments of metadata, one JSON object per line, as the macros write them.
pub const METADATA_FRAGMENTS_SECTION: &str = "kumiki.abi.fragments";
/// Custom section with the finished metadata (JSON), as `kumiki build` writes it.
pub const METADATA_SECTION: &str = "kumiki.abi";

/// [`host_functions!`] `storage_get` and others: there is no such entry.
pub const NOT_FOUND: i32 = -1;

/// `call` flag: the callee may call back into contracts that are already on the call stack.
pub const CALL_ALLOW_REENTRY: i32 = 1;
/// `call` flag: run the callee's `query`; nothing may change.
pub const CALL_READ_ONLY: i32 = 2;

/// `storage_scan` flag: from the last key down.
pub const SCAN_DESCENDING: i32 = 1;

/// First byte of revert data that the SDK made; one byte of [`SdkError`] follows.
pub const REVERT_SDK: u8 = 0;
/// First byte of revert data that is the contract's own error, SCALE-encoded after it.
pub const REVERT_CONTRACT: u8 = 1;

/// What the SDK itself reverts with, after [`REVERT_SDK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SdkError {
    /// No entry point has this selector.
    UnknownSelector = 1,
    /// The input is not the SCALE encoding of the arguments.
    BadInput = 2,
    /// Value was sent to an entry point that takes none.
    NotPayable = 3,
    /// Stored bytes are not of the declared type.
    CorruptStorage = 4,
    /// The contract panicked; the message went to `panic_message`.
    Panic = 5,
    /// A called contract failed and the caller did not handle it.
    CallFailed = 6,
}

impl SdkError {
    /// The error with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::UnknownSelector,
            2 => Self::BadInput,
            3 => Self::NotPayable,
            4 => Self::CorruptStorage,
            5 => Self::Panic,
            6 => Self::CallFailed,
            _ => return None,
        })
    }
}
