use kumiki_contract::contract_ref;

#[contract_ref]
pub trait Oracle {
    fn price(&self) -> u64 {
        1
    }
    fn feed(self, price: f64);
}

fn main() {}
