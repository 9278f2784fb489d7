#[kumiki_contract::contract]
mod contract {
    use kumiki_contract::prelude::*;

    #[storage]
    pub struct Contract {
        value: Item<u64>,
    }

    #[error]
    pub struct Error {
        code: u8,
    }

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

    }
}

fn main() {}
