#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    impl Contract {
        pub fn value(&self) -> u64 {
            0
        }
    }
}

fn main() {}
