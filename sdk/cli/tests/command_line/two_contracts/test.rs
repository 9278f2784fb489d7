//! What the front promises, and does not keep.

use back::back::BackRef;
use front::front::FrontRef;
use kumiki_contract_testing::TestChain;

#[kumiki_contract_testing::test]
fn a_share_for_nobody_is_refused_politely(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let back = chain.deploy(&alice, BackRef::init()).unwrap();
    let front = chain.deploy(&alice, FrontRef::init(back.address)).unwrap();
    assert_eq!(chain.call(&alice, front.ask(2)), Ok(42));
    assert_eq!(chain.call(&alice, front.ask(0)), Ok(0));
}
