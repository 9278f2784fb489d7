//! Bring into scope what nearly every contract uses.

pub use alloc::boxed::Box;
pub use alloc::string::String;
pub use alloc::vec;
pub use alloc::vec::Vec;

pub use crate::{
    Address, Balance, Call, CallError, Contract, Decode, Deploy, Encode, Env, EnvMut, Event, Hash,
    Item, List, Map, OrderedMap, Upgrade, View, contract_ref, data,
};

// The trait's methods stay in scope also where a contract's own struct takes the name.
pub use crate::Contract as _;
