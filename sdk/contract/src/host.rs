//! Reach the host: Wasm imports in a contract, the host of a running test natively, behind the same functions.

#[cfg(not(target_family = "wasm"))]
pub mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::calls::*;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;
