#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    #[storage]
    pub struct Other {}

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
