#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    pub struct Contract;

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
