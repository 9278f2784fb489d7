//! The macro sees the word `Id` and cannot know that it is a `u64`: the selector would be another one than the
//! contract's.

type Id = u64;

#[kumiki_contract::contract_ref]
pub trait Registry {
    fn owner(&self, id: Id) -> kumiki_contract::Address;
}

fn main() {}
