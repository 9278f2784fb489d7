//! Give one fixed value of every protocol type and of every variant.

use kumiki_protocol::{
    Action, Address, Block, Certificate, ChainKind, Event, Evidence, ExecutedState, Genesis,
    GenesisAccount, Hash, Header, PROTOCOL_VERSION, Parameters, Proposal, Receipt, Rejection,
    ResultCode, SecretKey, SignedVote, Status, Transaction, TransactionBody, ValidatorSet,
    ValidatorStatus, Vote,
};
use kumiki_testkit::{account, validator};

pub(crate) fn hash(byte: u8) -> Hash {
    Hash([byte; 32])
}

pub(crate) fn actions() -> Vec<(&'static str, Action)> {
    let contract = Address([0xc0; 32]);
    vec![
        (
            "transfer",
            Action::Transfer {
                to: Address([0x11; 32]),
                amount: 1_000_000_007,
            },
        ),
        (
            "call",
            Action::Call {
                contract,
                input: vec![1, 2, 3, 4, 5],
                value: u128::MAX,
            },
        ),
        (
            "deploy_immutable",
            Action::Deploy {
                code: b"\0asm\x01\0\0\0".to_vec(),
                salt: [0x5a; 32],
                input: Vec::new(),
                value: 0,
                admin: None,
            },
        ),
        (
            "deploy_with_admin",
            Action::Deploy {
                code: b"\0asm\x01\0\0\0".to_vec(),
                salt: [0; 32],
                input: vec![0xff; 70],
                value: 3,
                admin: Some(Address([0xad; 32])),
            },
        ),
        (
            "upgrade",
            Action::Upgrade {
                contract,
                code: b"\0asm\x01\0\0\0".to_vec(),
                input: vec![9],
            },
        ),
        (
            "replace_code",
            Action::ReplaceCode {
                contract,
                code: b"\0asm\x01\0\0\0".to_vec(),
            },
        ),
        (
            "set_balance",
            Action::SetBalance {
                account: Address([0x22; 32]),
                balance: 7,
            },
        ),
        (
            "impersonate",
            Action::Impersonate {
                account: Address([0x33; 32]),
            },
        ),
    ]
}

pub(crate) fn body(actions: Vec<Action>) -> TransactionBody {
    TransactionBody {
        version: 1,
        genesis_hash: genesis().hash(),
        sender: account(0).public_key(),
        nonce: 7,
        gas_limit: 2_000_000,
        gas_price: 3,
        valid_until: 1_000,
        actions,
    }
}

pub(crate) fn transactions() -> Vec<(&'static str, Transaction)> {
    let mut all: Vec<(&'static str, Transaction)> = actions()
        .into_iter()
        .map(|(name, action)| (name, body(vec![action]).sign(&account(0).key)))
        .collect();
    let every = actions().into_iter().map(|(_, action)| action).collect();
    all.push(("all_actions", body(every).sign(&account(0).key)));
    all
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        chain_id: "golden-1".to_owned(),
        kind: ChainKind::Live,
        time_ms: 1_767_225_600_000,
        certificate_scheme: "ed25519".to_owned(),
        validators: (0..4)
            .map(|number| validator(number).public_key())
            .collect(),
        accounts: (0..2)
            .map(|number| GenesisAccount {
                address: account(number).address,
                balance: 10_u128.pow(18) + u128::from(number),
            })
            .collect(),
        parameters: Parameters {
            execution_lag: 2,
            epoch_blocks: 100,
            validator_stake: 10_u128.pow(15),
            gas_price_min: 1,
            block_gas_max: 1_000_000_000,
            block_bytes_max: 4 << 20,
        },
    }
}

pub(crate) fn validators() -> (ValidatorSet, Vec<SecretKey>) {
    let keys: Vec<SecretKey> = (0..4).map(validator).collect();
    let public = keys.iter().map(SecretKey::public_key).collect();
    let set = ValidatorSet::new(public).expect("four different keys");
    (set, keys)
}

/// Validator 1 finalizes two blocks in one view.
pub(crate) fn evidence() -> Evidence {
    let [first, second] = [1, 2].map(|block| {
        let vote = Vote::Finalize(Proposal {
            epoch: 3,
            view: 17,
            parent_view: 16,
            block: hash(block),
        });
        SignedVote {
            vote,
            signature: validator(1).sign(&vote.sign_bytes(&genesis().hash())),
        }
    });
    Evidence {
        validator: validator(1).public_key(),
        first,
        second,
    }
}

pub(crate) fn validator_statuses() -> Vec<(&'static str, ValidatorStatus)> {
    vec![
        ("queued", ValidatorStatus::Queued { ticket: 7 }),
        ("seated", ValidatorStatus::Seated { from: 1 }),
        ("leaving", ValidatorStatus::Leaving { from: 1, ticket: 8 }),
        ("left", ValidatorStatus::Left { from: 1, to: 3 }),
        ("removed", ValidatorStatus::Removed { epoch: 2 }),
    ]
}

pub(crate) fn executed() -> ExecutedState {
    ExecutedState {
        height: 40,
        state_root: hash(0xa1),
        state_entries: 12_345,
        receipts_root: hash(0xa2),
        next_validators_hash: hash(0xa3),
    }
}

pub(crate) fn block() -> Block {
    let transactions: Vec<Transaction> = transactions().into_iter().map(|(_, one)| one).collect();
    Block {
        header: Header {
            version: PROTOCOL_VERSION,
            genesis_hash: genesis().hash(),
            height: 42,
            parent: hash(0xb0),
            time_ms: 1_767_225_642_000,
            proposer: validator(1).public_key(),
            transactions_root: Block::transactions_root(&transactions),
            transactions_count: 6,
            executed: executed(),
        },
        transactions,
    }
}

pub(crate) fn certificate() -> Certificate {
    let (set, keys) = validators();
    let signers: Vec<&SecretKey> = keys.iter().take(3).collect();
    Certificate::sign(
        &genesis().hash(),
        Proposal::solo(42, block().hash()),
        &set,
        &signers,
    )
}

pub(crate) const REJECTIONS: [(&str, Rejection); 10] = [
    ("wrong_chain", Rejection::WrongChain),
    ("bad_signature", Rejection::BadSignature),
    ("malformed", Rejection::Malformed),
    ("nonce_too_low", Rejection::NonceTooLow),
    ("nonce_gap", Rejection::NonceGap),
    ("expired", Rejection::Expired),
    ("valid_until_too_far", Rejection::ValidUntilTooFar),
    ("insufficient_funds", Rejection::InsufficientFunds),
    ("gas_price_too_low", Rejection::GasPriceTooLow),
    ("gas_limit_out_of_range", Rejection::GasLimitOutOfRange),
];

pub(crate) fn statuses() -> Vec<(String, Status)> {
    let mut all = vec![("ok".to_owned(), Status::Ok)];
    for code in ResultCode::ALL {
        all.push((
            format!("failed.{}", code.name()),
            Status::Failed {
                action: 3,
                code,
                data: vec![0xde, 0xad],
            },
        ));
    }
    for (name, rejection) in REJECTIONS {
        all.push((format!("rejected.{name}"), Status::Rejected(rejection)));
    }
    all
}

pub(crate) fn event() -> Event {
    Event {
        contract: Address([0xc0; 32]),
        topics: vec![hash(1), hash(2)],
        data: vec![0xe1, 0xe2],
    }
}

pub(crate) fn receipt(status: Status) -> Receipt {
    let events = match status {
        Status::Ok => vec![event()],
        Status::Failed { .. } | Status::Rejected(_) => Vec::new(),
    };
    Receipt {
        transaction: hash(0x77),
        status,
        gas_used: 54_321,
        fee: 162_963,
        outputs: vec![Vec::new(), vec![0x0a, 0x0b]],
        events,
    }
}
