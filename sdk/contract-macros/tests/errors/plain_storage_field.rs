#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: u64,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
