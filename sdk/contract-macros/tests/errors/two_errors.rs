#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    #[error]
    pub enum Error {
        No,
    }

    #[error]
    pub enum OtherError {
        No,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
