//! What the contract promises, on native Rust and on its Wasm.

use contract::contract::ContractRef;
use kumiki_contract_testing::TestChain;

#[kumiki_contract_testing::test]
fn the_deployer_is_the_owner(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let contract = chain.deploy(&alice, ContractRef::init()).unwrap();
    assert_eq!(chain.view(contract.owner()), Ok(alice.address));
}
