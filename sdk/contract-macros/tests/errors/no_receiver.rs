#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

        pub fn helper(value: u64) -> u64 {
            value
        }
    }
}

fn main() {}
