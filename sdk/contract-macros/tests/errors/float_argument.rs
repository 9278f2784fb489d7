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

        pub fn set(&mut self, ratio: f64) {
            let _ = ratio;
        }
    }
}

fn main() {}
