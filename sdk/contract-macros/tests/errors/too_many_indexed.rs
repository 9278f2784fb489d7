#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    #[event]
    pub struct Moved {
        #[indexed]
        a: u8,
        #[indexed]
        b: u8,
        #[indexed]
        c: u8,
        #[indexed]
        d: u8,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
