//! Mark the types that may cross the contract boundary.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Address, Hash};

/// A type that may stand in arguments, results, events, errors and storage. `#[data]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the contract boundary",
    label = "tools could not describe this type",
    note = "mark your own structs and enums with #[data]; integers, bool, String, Address, Hash, tuples, arrays, Vec, Option and Result work as they are"
)]
pub trait AbiType {
    /// Adds the metadata of the structs and enums that this type is made of, each once.
    #[cfg(not(target_family = "wasm"))]
    #[doc(hidden)]
    fn fragments(_found: &mut Vec<&'static str>) {}
}

macro_rules! plain {
    ($($type:ty),*) => { $(impl AbiType for $type {})* };
}
plain!(
    bool,
    u8,
    u16,
    u32,
    u64,
    u128,
    i8,
    i16,
    i32,
    i64,
    i128,
    String,
    Address,
    Hash,
    ()
);

macro_rules! made_of {
    ($([$($part:ident),+] $type:ty $(, $size:ident)?;)*) => { $(
        impl<$($part: AbiType,)+ $(const $size: usize)?> AbiType for $type {
            #[cfg(not(target_family = "wasm"))]
            fn fragments(found: &mut Vec<&'static str>) {
                $($part::fragments(found);)+
            }
        }
    )* };
}
made_of! {
    [T] Vec<T>;
    [T] Option<T>;
    [T] [T; N], N;
    [T, E] Result<T, E>;
    [A] (A,);
    [A, B] (A, B);
    [A, B, C] (A, B, C);
    [A, B, C, D] (A, B, C, D);
    [A, B, C, D, E] (A, B, C, D, E);
    [A, B, C, D, E, F] (A, B, C, D, E, F);
}
