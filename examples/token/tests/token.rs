//! What the token promises, on native Rust and on its Wasm.

use kumiki_contract::{Balance, CallError};
use kumiki_contract_testing::{Account, Property, TestChain};
use token::token::{Approval, Burn, Error, Mint, Token, TokenRef, Transfer};

const SUPPLY: Balance = 1_000_000;

fn deploy(chain: &mut TestChain, owner: &Account) -> TokenRef {
    let init = TokenRef::init("Example".into(), "EXA".into(), 6, SUPPLY);
    chain.deploy(owner, init).expect("the token deploys")
}

#[kumiki_contract_testing::test]
fn the_deployer_owns_the_token_and_the_whole_supply(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let token = deploy(chain, &alice);
    let minted = Mint {
        to: alice.address,
        amount: SUPPLY,
    };
    assert_eq!(chain.events(), [(token.address, minted)]);
    assert_eq!(chain.view(token.name()), Ok("Example".into()));
    assert_eq!(chain.view(token.symbol()), Ok("EXA".into()));
    assert_eq!(chain.view(token.decimals()), Ok(6));
    assert_eq!(chain.view(token.owner()), Ok(alice.address));
    assert_eq!(chain.view(token.total_supply()), Ok(SUPPLY));
    assert_eq!(chain.view(token.balance_of(alice.address)), Ok(SUPPLY));
}

#[kumiki_contract_testing::test]
fn a_transfer_moves_tokens_and_says_so(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let token = deploy(chain, &alice);
    assert_eq!(chain.call(&alice, token.transfer(bob.address, 300)), Ok(()));
    assert_eq!(
        chain.view(token.balance_of(alice.address)),
        Ok(SUPPLY - 300)
    );
    assert_eq!(chain.view(token.balance_of(bob.address)), Ok(300));
    let moved = Transfer {
        from: alice.address,
        to: bob.address,
        amount: 300,
    };
    assert_eq!(chain.events(), [(token.address, moved)]);
}

#[kumiki_contract_testing::test]
fn a_transfer_to_oneself_changes_no_balance(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let token = deploy(chain, &alice);
    let call = token.transfer(alice.address, SUPPLY);
    assert_eq!(chain.call(&alice, call), Ok(()));
    assert_eq!(chain.view(token.balance_of(alice.address)), Ok(SUPPLY));
}

#[kumiki_contract_testing::test]
fn nobody_spends_more_than_they_hold(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let token = deploy(chain, &alice);
    let call = token.transfer(bob.address, SUPPLY + 1);
    let available = SUPPLY;
    assert_eq!(
        chain.call(&alice, call),
        Err(CallError::Contract(Error::InsufficientBalance {
            available
        }))
    );
    assert!(chain.raw_events().is_empty());
    assert_eq!(chain.view(token.balance_of(bob.address)), Ok(0));
}

#[kumiki_contract_testing::test]
fn a_spender_spends_up_to_the_allowance(chain: &mut TestChain) {
    let [alice, bob, carol] = chain.accounts();
    let token = deploy(chain, &alice);
    chain.call(&alice, token.approve(bob.address, 100)).unwrap();
    let approved = Approval {
        owner: alice.address,
        spender: bob.address,
        amount: 100,
    };
    assert_eq!(chain.events(), [(token.address, approved)]);
    let spend = |amount| token.transfer_from(alice.address, carol.address, amount);
    assert_eq!(chain.call(&bob, spend(60)), Ok(()));
    let left = token.allowance(alice.address, bob.address);
    assert_eq!(chain.view(left), Ok(40));
    assert_eq!(
        chain.call(&bob, spend(41)),
        Err(CallError::Contract(Error::InsufficientAllowance {
            available: 40
        }))
    );
    assert_eq!(chain.view(token.balance_of(carol.address)), Ok(60));
}

#[kumiki_contract_testing::test]
fn a_refused_spend_keeps_the_allowance(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let token = deploy(chain, &alice);
    let allowed = SUPPLY * 2;
    chain
        .call(&alice, token.approve(bob.address, allowed))
        .unwrap();
    let spend = token.transfer_from(alice.address, bob.address, SUPPLY + 1);
    assert!(chain.call(&bob, spend).is_err());
    let left = token.allowance(alice.address, bob.address);
    assert_eq!(chain.view(left), Ok(allowed));
}

#[kumiki_contract_testing::test]
fn only_the_owner_mints_and_the_supply_stays_in_range(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let token = deploy(chain, &alice);
    assert_eq!(
        chain.call(&bob, token.mint(bob.address, 1)),
        Err(CallError::Contract(Error::NotOwner))
    );
    assert_eq!(chain.call(&alice, token.mint(bob.address, 5)), Ok(()));
    assert_eq!(chain.view(token.balance_of(bob.address)), Ok(5));
    assert_eq!(chain.view(token.total_supply()), Ok(SUPPLY + 5));
    assert_eq!(
        chain.call(&alice, token.mint(bob.address, Balance::MAX)),
        Err(CallError::Contract(Error::SupplyOverflow))
    );
}

#[kumiki_contract_testing::test]
fn burning_lowers_the_supply(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let token = deploy(chain, &alice);
    assert_eq!(chain.call(&alice, token.burn(400)), Ok(()));
    let burned = Burn {
        from: alice.address,
        amount: 400,
    };
    assert_eq!(chain.events(), [(token.address, burned)]);
    assert_eq!(chain.view(token.total_supply()), Ok(SUPPLY - 400));
    assert_eq!(
        chain.call(&bob, token.burn(1)),
        Err(CallError::Contract(Error::InsufficientBalance {
            available: 0
        }))
    );
}

/// Whatever is called by whomever: see `kumiki_contract_testing::property`.
#[kumiki_contract_testing::property]
fn balances_add_up_to_the_supply(chain: &mut TestChain) -> Property {
    let [alice] = chain.accounts();
    let token = deploy(chain, &alice);
    Property::of::<Token>(token.address).invariant("balances add up", move |chain, addresses| {
        let balances = addresses
            .iter()
            .map(|one| chain.view(token.balance_of(*one)));
        let sum: Balance = balances.map(|balance| balance.expect("a view")).sum();
        assert_eq!(chain.view(token.total_supply()), Ok(sum));
    })
}
