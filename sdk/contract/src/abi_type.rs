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
    /// The name that metadata and selectors know the type by, where it is one word.
    #[doc(hidden)]
    const NAME: &'static str = "";

    /// Adds the metadata of the structs and enums that this type is made of, each once.
    #[cfg(not(target_family = "wasm"))]
    #[doc(hidden)]
    fn fragments(_found: &mut Vec<&'static str>) {}
}

macro_rules! plain {
    ($($type:ident),*) => { $(impl AbiType for $type {
        const NAME: &'static str = stringify!($type);
    })* };
}
plain!(
    bool, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, String, Address, Hash
);

impl AbiType for () {}

/// Whether metadata and selectors know `T` by `name`. A macro sees the word that a type is written with, and not what
/// it is an alias of where that is said elsewhere.
#[doc(hidden)]
#[must_use]
pub const fn is_named<T: AbiType>(name: &str) -> bool {
    let (known, name) = (T::NAME.as_bytes(), name.as_bytes());
    if known.len() != name.len() {
        return false;
    }
    let mut index = 0;
    while index < name.len() {
        if known[index] != name[index] {
            return false;
        }
        index += 1;
    }
    true
}

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
