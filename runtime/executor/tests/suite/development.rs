//! Hold the actions for development to their chains, and to what they say they do.

use kumiki_protocol::{Action, ChainKind, Rejection, ResultCode, Status, limits};

use crate::chain::{Chain, FUNDS, account, address, key};

fn set_balance(of: u8, balance: u128) -> Action {
    Action::SetBalance {
        account: address(of),
        balance,
    }
}

fn impersonate(whom: u8) -> Action {
    Action::Impersonate {
        account: address(whom),
    }
}

fn transfer(to: u8, amount: u128) -> Action {
    Action::Transfer {
        to: address(to),
        amount,
    }
}

#[test]
fn a_live_chain_passes_over_what_is_for_development() {
    let live = |genesis: &mut kumiki_protocol::Genesis| genesis.kind = ChainKind::Live;
    for actions in [
        vec![set_balance(1, 5)],
        vec![impersonate(2)],
        vec![transfer(3, 1), impersonate(2), transfer(1, 1)],
    ] {
        let mut chain = Chain::with(live);
        let before = chain.state.entries.clone();
        let receipt = chain.run_one(chain.body(1, 0, actions).sign(&key(1)));
        assert_eq!(receipt.status, Status::Rejected(Rejection::Malformed));
        assert_eq!(chain.state.entries, before);
    }
}

#[test]
fn a_balance_is_what_it_is_set_to_and_the_nonce_stays() {
    let mut chain = Chain::new();
    chain.run_one(chain.transfer(2, 0, 3, 1));
    for balance in [0, 7, limits::SET_BALANCE_MAX] {
        let nonce = account(&chain.state, &address(1)).nonce;
        let body = chain.body(1, nonce, vec![set_balance(2, balance)]);
        assert_eq!(chain.run_one(body.sign(&key(1))).status, Status::Ok);
        let found = account(&chain.state, &address(2));
        assert_eq!((found.balance, found.nonce), (balance, 1));
    }
    let more = vec![set_balance(2, limits::SET_BALANCE_MAX + 1)];
    let receipt = chain.run_one(chain.body(1, 3, more).sign(&key(1)));
    assert_eq!(receipt.status, Status::Rejected(Rejection::Malformed));
}

#[test]
fn steps_after_an_impersonation_are_taken_by_it_and_paid_by_the_signer() {
    let mut chain = Chain::new();
    // More than the signer could ever send: the values are the impersonated account's.
    let give = FUNDS - 5;
    let actions = vec![
        transfer(3, 10),
        impersonate(2),
        transfer(3, give),
        impersonate(3),
        transfer(1, 1),
    ];
    let receipt = chain.run_one(chain.body(1, 0, actions).sign(&key(1)));
    assert_eq!(receipt.status, Status::Ok);
    assert_eq!(receipt.outputs.len(), 5);
    let found = [1, 2, 3].map(|one| account(&chain.state, &address(one)));
    assert_eq!(found[0].balance, FUNDS - 10 + 1 - receipt.fee);
    assert_eq!(found[1].balance, 5);
    assert_eq!(found[2].balance, FUNDS + 10 + give - 1);
    assert_eq!(found.map(|one| one.nonce), [1, 0, 0]);
}

#[test]
fn an_impersonated_account_cannot_spend_more_than_it_has_and_all_is_undone() {
    let mut chain = Chain::new();
    let actions = vec![set_balance(3, 1), impersonate(2), transfer(1, FUNDS + 1)];
    let receipt = chain.run_one(chain.body(1, 0, actions).sign(&key(1)));
    assert_eq!(
        receipt.status,
        Status::Failed {
            action: 2,
            code: ResultCode::InsufficientBalance,
            data: Vec::new()
        }
    );
    assert_eq!(account(&chain.state, &address(3)).balance, FUNDS);
    assert_eq!(account(&chain.state, &address(2)).balance, FUNDS);
}
