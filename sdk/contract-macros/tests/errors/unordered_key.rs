#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[data]
    pub enum Side {
        Buy,
        Sell,
    }

    #[storage]
    pub struct Contract {
        orders: OrderedMap<Side, u64>,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
