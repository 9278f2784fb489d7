//! List every hostile contract.

mod bombs;
mod calls;
mod compile;
mod host;
mod loops;
mod memory;
mod modules;
mod spam;

use crate::Case;

/// All of them, each with a name of its own.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        loops::cases(),
        memory::cases(),
        compile::cases(),
        modules::cases(),
        host::cases(),
        spam::cases(),
        calls::cases(),
    ]
    .concat()
}

pub use bombs::heaviest;
