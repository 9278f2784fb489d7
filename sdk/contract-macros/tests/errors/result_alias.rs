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

    type Result<T> = core::result::Result<T, Error>;

    impl Contract {
        #[init]
        pub fn init(&mut self) {}

        pub fn fail(&mut self) -> Result<()> {
            Ok(())
        }
    }
}

fn main() {}
