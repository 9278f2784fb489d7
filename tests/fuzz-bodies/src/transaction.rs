//! Decode and verify transactions: as bytes come, and signed ones that were changed afterwards.

use kumiki_protocol::{
    Action, Address, BatchVerifier, ChainKind, Encode as _, Hash, SignatureItem, Transaction,
    TransactionBody, limits,
};
use kumiki_testkit::{account, genesis};

use crate::Verdict;
use crate::choices::Choices;
use crate::encoding::decoded_by;

/// Decodes and verifies a transaction.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    if choices.byte().is_multiple_of(2) {
        Verdict::of(held(choices.rest()).is_some())
    } else {
        signed(choices)
    }
}

/// The transaction that the bytes are, held to everything that is true of one.
fn held(bytes: &[u8]) -> Option<Transaction> {
    let transaction = decoded_by(bytes, Transaction::decode_checked)?;
    let body = &transaction.body;
    assert!(bytes.len() <= limits::TRANSACTION_BYTES_MAX);
    assert_eq!(body.check_form(), Ok(()), "decoded against its own rules");
    let develops = |action: &Action| {
        matches!(
            action,
            Action::SetBalance { .. } | Action::Impersonate { .. }
        )
    };
    assert!(body.check_kind(ChainKind::Dev).is_ok());
    assert_eq!(
        body.check_kind(ChainKind::Live).is_err(),
        body.actions.iter().any(develops)
    );
    assert!(body.fee_cap() >= u128::from(body.gas_limit.min(body.gas_price)).min(1));
    if let Some(value) = body.value() {
        let most = body.actions.iter().map(Action::value).max();
        let acts_for_others = body
            .actions
            .iter()
            .any(|action| matches!(action, Action::Impersonate { .. }));
        assert!(acts_for_others || Some(value) >= most);
    }
    verifies(&transaction);
    Some(transaction)
}

/// Whether the signature verifies, alone and in a batch of two, which must agree.
fn verifies(transaction: &Transaction) -> bool {
    let alone = transaction.verify_signature().is_ok();
    let message = transaction.body.sign_bytes();
    let item = || SignatureItem {
        key: &transaction.body.sender,
        message: &message,
        signature: &transaction.signature,
    };
    let other = account(9);
    let sound = other.key.sign(&message);
    let sound = SignatureItem {
        key: &other.public_key(),
        message: &message,
        signature: &sound,
    };
    let wrong = BatchVerifier::find_invalid(&[item(), sound]);
    assert_eq!(wrong, if alone { vec![] } else { vec![0] });
    alone
}

fn signed(mut choices: Choices<'_>) -> Verdict {
    let sender = account(u8::try_from(choices.below(10)).unwrap_or(0));
    let body = TransactionBody {
        sender: sender.public_key(),
        ..unsigned(&mut choices)
    };
    let form = body.check_form();
    let transaction = body.sign(&sender.key);
    let bytes = transaction.encode();
    let fits = bytes.len() <= limits::TRANSACTION_BYTES_MAX;
    let kept = held(&bytes);
    assert_eq!(kept.is_some(), fits && form.is_ok(), "{form:?}");
    assert!(verifies(&transaction), "what a key signs verifies");
    let changed = choices.mutated(&bytes);
    if changed != bytes
        && let Some(forged) = held(&changed)
    {
        assert!(!verifies(&forged), "a signature for what was not signed");
        let same_body = forged.body == transaction.body;
        assert_eq!(forged.hash() == transaction.hash(), same_body);
    }
    Verdict::of(kept.is_some())
}

/// A body that is often one of the protocol.
fn unsigned(choices: &mut Choices<'_>) -> TransactionBody {
    let version = if choices.one_in(16) {
        choices.byte()
    } else {
        TransactionBody::current_version()
    };
    let genesis_hash = if choices.one_in(8) {
        Hash(choices.array())
    } else {
        genesis().hash()
    };
    TransactionBody {
        version,
        genesis_hash,
        sender: account(0).public_key(),
        nonce: choices.number(),
        gas_limit: choices.number(),
        gas_price: choices.number(),
        valid_until: choices.number(),
        actions: actions(choices),
    }
}

fn actions(choices: &mut Choices<'_>) -> Vec<Action> {
    let count = if choices.one_in(16) {
        choices.below(40)
    } else {
        choices.below(4)
    };
    (0..count).map(|_| action(choices)).collect()
}

/// Any action, small. None names test account 9.
pub(crate) fn action(choices: &mut Choices<'_>) -> Action {
    let amount = |choices: &mut Choices<'_>| {
        u128::from(choices.number()) << (8 * u32::from(choices.byte() % 9))
    };
    let address = |choices: &mut Choices<'_>| match choices.byte() {
        number @ 0..=8 => account(number).address,
        _ => Address(choices.array()),
    };
    match choices.byte() % 7 {
        0 => Action::Transfer {
            to: address(choices),
            amount: amount(choices),
        },
        1 => Action::Call {
            contract: address(choices),
            input: choices.bytes(64).to_vec(),
            value: amount(choices),
        },
        2 => Action::Deploy {
            code: choices.bytes(300).to_vec(),
            salt: choices.array(),
            input: choices.bytes(64).to_vec(),
            value: amount(choices),
            admin: choices.one_in(2).then(|| address(choices)),
        },
        3 => Action::Upgrade {
            contract: address(choices),
            code: choices.bytes(300).to_vec(),
            input: choices.bytes(64).to_vec(),
        },
        4 => Action::ReplaceCode {
            contract: address(choices),
            code: choices.bytes(300).to_vec(),
        },
        5 => Action::SetBalance {
            account: address(choices),
            balance: amount(choices),
        },
        _ => Action::Impersonate {
            account: address(choices),
        },
    }
}
