//! What a collection promises, on native Rust and on its Wasm.

use kumiki_contract::{Address, CallError};
use kumiki_contract_testing::{Account, Property, TestChain};
use nft::nft::{
    Approval, Burn, Error, Mint, MinterSet, NAME_BYTES_MAX, Nft, NftRef, OperatorSet,
    SYMBOL_BYTES_MAX, Token, Transfer, URI_BYTES_MAX,
};

fn deploy(chain: &mut TestChain, minter: &Account, made_max: u64) -> NftRef {
    let init = NftRef::init("Birds".into(), "BRD".into(), made_max);
    chain.deploy(minter, init).expect("the collection deploys")
}

fn mint(chain: &mut TestChain, nft: NftRef, minter: &Account, to: &Account) -> u64 {
    let call = nft.mint(to.address, "ipfs://bird".into());
    chain.call(minter, call).expect("the minter mints")
}

fn owner(chain: &TestChain, nft: NftRef, id: u64) -> Address {
    chain.view(nft.token(id)).expect("the token exists").owner
}

fn text(bytes: u32) -> String {
    "x".repeat(usize::try_from(bytes).expect("it is short"))
}

#[kumiki_contract_testing::test]
fn the_minter_makes_tokens_with_ids_from_zero(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    assert_eq!(mint(chain, nft, &alice, &bob), 0);
    let minted = Mint {
        to: bob.address,
        id: 0,
        uri: "ipfs://bird".into(),
    };
    assert_eq!(chain.events(), [(nft.address, minted)]);
    assert_eq!(mint(chain, nft, &alice, &bob), 1);
    let token = Token {
        owner: bob.address,
        approved: None,
        uri: "ipfs://bird".into(),
    };
    assert_eq!(chain.view(nft.token(1)), Ok(token));
    assert_eq!(chain.view(nft.balance_of(bob.address)), Ok(2));
    assert_eq!(chain.view(nft.total_supply()), Ok(2));
    assert_eq!(chain.view(nft.name()), Ok("Birds".into()));
    assert_eq!(chain.view(nft.symbol()), Ok("BRD".into()));
    assert_eq!(chain.view(nft.minter()), Ok(Some(alice.address)));
    assert_eq!(
        chain.call(&bob, nft.mint(bob.address, String::new())),
        Err(CallError::Contract(Error::NotMinter))
    );
}

#[kumiki_contract_testing::test]
fn no_more_tokens_are_made_than_promised_even_after_burning(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let nft = deploy(chain, &alice, 1);
    mint(chain, nft, &alice, &alice);
    assert_eq!(chain.call(&alice, nft.burn(0)), Ok(()));
    let burned = Burn {
        from: alice.address,
        id: 0,
    };
    assert_eq!(chain.events(), [(nft.address, burned)]);
    assert_eq!(
        chain.call(&alice, nft.mint(alice.address, String::new())),
        Err(CallError::Contract(Error::SoldOut { made_max: 1 }))
    );
    assert_eq!(chain.view(nft.total_supply()), Ok(0));
    assert_eq!(chain.view(nft.made()), Ok(1));
    assert_eq!(chain.view(nft.balance_of(alice.address)), Ok(0));
    let gone = Err(CallError::Contract(Error::UnknownToken { id: 0 }));
    assert_eq!(chain.view(nft.token(0)), gone);
    let empty = deploy(chain, &alice, 0);
    assert_eq!(
        chain.call(&alice, empty.mint(alice.address, String::new())),
        Err(CallError::Contract(Error::SoldOut { made_max: 0 }))
    );
}

#[kumiki_contract_testing::test]
fn only_those_who_may_move_a_token(chain: &mut TestChain) {
    let [alice, bob, carol] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    let id = mint(chain, nft, &alice, &bob);
    let owner_is_bob = Error::NotAllowed { owner: bob.address };
    // The minter has no power over tokens of others.
    for thief in [&alice, &carol] {
        let calls = [
            nft.transfer(bob.address, thief.address, id),
            nft.burn(id),
            nft.approve(Some(thief.address), id),
        ];
        for call in calls {
            let refused = Err(CallError::Contract(owner_is_bob.clone()));
            assert_eq!(chain.call(thief, call), refused);
        }
    }
    let call = nft.transfer(bob.address, carol.address, id);
    assert_eq!(chain.call(&bob, call), Ok(()));
    let moved = Transfer {
        from: bob.address,
        to: carol.address,
        id,
    };
    assert_eq!(chain.events(), [(nft.address, moved)]);
    assert_eq!(owner(chain, nft, id), carol.address);
    assert_eq!(chain.view(nft.balance_of(bob.address)), Ok(0));
    assert_eq!(chain.view(nft.balance_of(carol.address)), Ok(1));
}

#[kumiki_contract_testing::test]
fn an_approval_is_for_one_token_and_ends_with_the_transfer(chain: &mut TestChain) {
    let [alice, bob, carol] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    let id = mint(chain, nft, &alice, &alice);
    let other = mint(chain, nft, &alice, &alice);
    let approve = nft.approve(Some(bob.address), id);
    assert_eq!(chain.call(&alice, approve), Ok(()));
    let approved = Approval {
        owner: alice.address,
        id,
        approved: Some(bob.address),
    };
    assert_eq!(chain.events(), [(nft.address, approved)]);
    let steal = nft.transfer(alice.address, bob.address, other);
    assert!(chain.call(&bob, steal).is_err());
    // Who is approved moves the token, and lets nobody else do it.
    let hand_on = nft.approve(Some(carol.address), id);
    let refused = Error::NotAllowed {
        owner: alice.address,
    };
    assert_eq!(chain.call(&bob, hand_on), Err(CallError::Contract(refused)));
    let move_it = nft.transfer(alice.address, carol.address, id);
    assert_eq!(chain.call(&bob, move_it), Ok(()));
    assert_eq!(chain.view(nft.token(id)).unwrap().approved, None);
    let take_back = nft.transfer(carol.address, bob.address, id);
    assert!(chain.call(&bob, take_back).is_err());
    assert_eq!(owner(chain, nft, id), carol.address);
}

#[kumiki_contract_testing::test]
fn a_transfer_to_oneself_ends_approvals_and_keeps_the_balance(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    let id = mint(chain, nft, &alice, &alice);
    let approve = nft.approve(Some(bob.address), id);
    chain.call(&alice, approve).unwrap();
    let to_self = nft.transfer(alice.address, alice.address, id);
    assert_eq!(chain.call(&alice, to_self), Ok(()));
    assert_eq!(chain.view(nft.balance_of(alice.address)), Ok(1));
    assert_eq!(chain.view(nft.token(id)).unwrap().approved, None);
}

#[kumiki_contract_testing::test]
fn an_approval_can_be_taken_back(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    let id = mint(chain, nft, &alice, &alice);
    let approve = nft.approve(Some(bob.address), id);
    chain.call(&alice, approve).unwrap();
    chain.call(&alice, nft.approve(None, id)).unwrap();
    let steal = nft.transfer(alice.address, bob.address, id);
    assert!(chain.call(&bob, steal).is_err());
    assert_eq!(owner(chain, nft, id), alice.address);
}

#[kumiki_contract_testing::test]
fn an_operator_acts_for_one_owner_until_that_ends(chain: &mut TestChain) {
    let [alice, bob, carol] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    let mine = mint(chain, nft, &alice, &alice);
    let second = mint(chain, nft, &alice, &alice);
    let carols = mint(chain, nft, &alice, &carol);
    chain
        .call(&alice, nft.set_operator(bob.address, true))
        .unwrap();
    let set = OperatorSet {
        owner: alice.address,
        operator: bob.address,
        allowed: true,
    };
    assert_eq!(chain.events(), [(nft.address, set)]);
    let is_operator = nft.is_operator(alice.address, bob.address);
    assert_eq!(chain.view(is_operator), Ok(true));
    let steal = nft.transfer(carol.address, bob.address, carols);
    assert!(chain.call(&bob, steal).is_err());
    let move_it = nft.transfer(alice.address, carol.address, mine);
    assert_eq!(chain.call(&bob, move_it), Ok(()));
    // The token is carol's now: alice's operator is nobody to her.
    let take_back = nft.transfer(carol.address, bob.address, mine);
    assert!(chain.call(&bob, take_back).is_err());
    chain
        .call(&alice, nft.set_operator(bob.address, false))
        .unwrap();
    let move_it = nft.transfer(alice.address, bob.address, second);
    assert!(chain.call(&bob, move_it).is_err());
    assert_eq!(owner(chain, nft, second), alice.address);
}

#[kumiki_contract_testing::test]
fn a_transfer_names_the_owner_it_was_meant_for(chain: &mut TestChain) {
    let [alice, bob, carol] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    let id = mint(chain, nft, &alice, &alice);
    let wrong = nft.transfer(bob.address, carol.address, id);
    assert_eq!(
        chain.call(&alice, wrong),
        Err(CallError::Contract(Error::WrongOwner {
            owner: alice.address
        }))
    );
    assert_eq!(owner(chain, nft, id), alice.address);
}

#[kumiki_contract_testing::test]
fn no_token_goes_to_the_zero_address(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    let zero = Address::default();
    let refused = CallError::Contract(Error::ZeroAddress);
    assert_eq!(
        chain.call(&alice, nft.mint(zero, String::new())),
        Err(refused.clone())
    );
    let id = mint(chain, nft, &alice, &alice);
    let lose = nft.transfer(alice.address, zero, id);
    assert_eq!(chain.call(&alice, lose), Err(refused));
}

#[kumiki_contract_testing::test]
fn texts_have_limits_to_the_byte(chain: &mut TestChain) {
    let [alice] = chain.accounts();
    let cases = [
        (NAME_BYTES_MAX, 0, Ok(())),
        (NAME_BYTES_MAX + 1, 0, Err(NAME_BYTES_MAX)),
        (0, SYMBOL_BYTES_MAX, Ok(())),
        (0, SYMBOL_BYTES_MAX + 1, Err(SYMBOL_BYTES_MAX)),
    ];
    for (name, symbol, expected) in cases {
        let deployed = chain.deploy(&alice, NftRef::init(text(name), text(symbol), 1));
        let expected =
            expected.map_err(|bytes_max| CallError::Contract(Error::TooLong { bytes_max }));
        assert_eq!(deployed.map(|_| ()), expected);
    }
    let nft = deploy(chain, &alice, 2);
    let too_long = nft.mint(alice.address, text(URI_BYTES_MAX + 1));
    assert_eq!(
        chain.call(&alice, too_long),
        Err(CallError::Contract(Error::TooLong {
            bytes_max: URI_BYTES_MAX
        }))
    );
    let longest = nft.mint(alice.address, text(URI_BYTES_MAX));
    assert_eq!(chain.call(&alice, longest), Ok(0));
}

#[kumiki_contract_testing::test]
fn the_right_to_mint_is_handed_on_and_given_up_for_ever(chain: &mut TestChain) {
    let [alice, bob] = chain.accounts();
    let nft = deploy(chain, &alice, 10);
    assert_eq!(
        chain.call(&bob, nft.set_minter(Some(bob.address))),
        Err(CallError::Contract(Error::NotMinter))
    );
    let hand_on = nft.set_minter(Some(bob.address));
    assert_eq!(chain.call(&alice, hand_on), Ok(()));
    let set = MinterSet {
        minter: Some(bob.address),
    };
    assert_eq!(chain.events(), [(nft.address, set)]);
    assert!(
        chain
            .call(&alice, nft.mint(alice.address, String::new()))
            .is_err()
    );
    mint(chain, nft, &bob, &alice);
    assert_eq!(chain.call(&bob, nft.set_minter(None)), Ok(()));
    for account in [&alice, &bob] {
        let refused = Err(CallError::Contract(Error::NotMinter));
        let call = nft.mint(alice.address, String::new());
        assert_eq!(chain.call(account, call), refused);
        let refused = Err(CallError::Contract(Error::NotMinter));
        let call = nft.set_minter(Some(account.address));
        assert_eq!(chain.call(account, call), refused);
    }
    assert_eq!(chain.view(nft.minter()), Ok(None));
}

#[kumiki_contract_testing::property]
fn every_token_has_one_owner(chain: &mut TestChain) -> Property {
    let [alice] = chain.accounts();
    let nft = deploy(chain, &alice, 5);
    Property::of::<Nft>(nft.address)
        .invariant("balances add up", move |chain, addresses| {
            let balances = addresses.iter().map(|one| chain.view(nft.balance_of(*one)));
            let sum: u64 = balances.map(|balance| balance.expect("a view")).sum();
            assert_eq!(chain.view(nft.total_supply()), Ok(sum));
        })
        .invariant("no more are made than may be", move |chain, _| {
            assert!(chain.view(nft.made()).expect("a view") <= 5);
        })
}
