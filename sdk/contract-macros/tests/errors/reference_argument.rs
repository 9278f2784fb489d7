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

        pub fn greet(&self, name: &str) -> u64 {
            name.len() as u64
        }
    }
}

fn main() {}
