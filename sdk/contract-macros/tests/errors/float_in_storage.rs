#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        rates: Map<Address, f32>,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
