#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    impl Contract {
        #[init]
        fn init(&mut self) {}
    }
}

fn main() {}
