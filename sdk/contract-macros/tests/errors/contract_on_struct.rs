#[kumiki_contract::contract]
pub struct Contract {
    value: u64,
}

fn main() {}
