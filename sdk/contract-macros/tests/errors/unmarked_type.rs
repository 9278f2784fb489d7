#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    pub struct Order {
        pub amount: u64,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

        pub fn place(&mut self, order: Order) {
            let _ = order;
        }
    }
}

fn main() {}
