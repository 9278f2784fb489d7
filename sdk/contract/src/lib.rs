//! Give contract authors what a contract is written with: storage handles, the environment, events, calls.
#![doc = include_str!("../README.md")]
#![cfg_attr(target_family = "wasm", no_std)]

#[doc(hidden)]
pub extern crate alloc;

mod abi_type;
mod address;
#[doc(hidden)]
pub mod buffer;
mod call;
mod codec;
#[doc(hidden)]
pub mod entry;
mod env;
mod event;
mod host;
pub mod math;
mod ordered_key;
pub mod prelude;
#[cfg(target_family = "wasm")]
mod runtime;
mod storage;

pub use abi_type::AbiType;
#[doc(hidden)]
pub use abi_type::is_named;
pub use address::{Address, Balance, Hash};
pub use call::{Call, CallError, Deploy, NoError, RawCallError, Upgrade, View};
pub use codec::{Decode, Encode};
pub use entry::{Contract, EntryPoint};
pub use env::{Env, EnvMut};
pub use event::Event;
#[cfg(not(target_family = "wasm"))]
pub use host::native;
pub use kumiki_abi::{ResultCode, SdkError};
pub use kumiki_contract_macros::{contract, contract_ref, data};
pub use ordered_key::{KeyPrefix, OrderedKey};
pub use storage::{Entry, Item, List, Map, OrderedMap, Range};
