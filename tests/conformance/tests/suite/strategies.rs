//! Generate values of protocol types for property tests, small ones first.

use kumiki_protocol::{
    Action, Address, Block, Certificate, CertificateSignature, Event, ExecutedState, Hash, Header,
    Proposal, PublicKey, Receipt, Rejection, ResultCode, Signature, Status, Transaction,
    TransactionBody, limits,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..80)
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 32]>().prop_map(Address)
}

fn public_key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn signature() -> impl Strategy<Value = Signature> {
    any::<([u8; 32], [u8; 32])>().prop_map(|(left, right)| {
        let mut both = [0; 64];
        both[..32].copy_from_slice(&left);
        both[32..].copy_from_slice(&right);
        Signature(both)
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (address(), any::<u128>()).prop_map(|(to, amount)| Action::Transfer { to, amount }),
        (address(), bytes(), any::<u128>()).prop_map(|(contract, input, value)| Action::Call {
            contract,
            input,
            value
        }),
        (
            bytes(),
            any::<[u8; 32]>(),
            bytes(),
            any::<u128>(),
            proptest::option::of(address())
        )
            .prop_map(|(code, salt, input, value, admin)| Action::Deploy {
                code,
                salt,
                input,
                value,
                admin
            }),
        (address(), bytes(), bytes()).prop_map(|(contract, code, input)| Action::Upgrade {
            contract,
            code,
            input
        }),
        (address(), bytes()).prop_map(|(contract, code)| Action::ReplaceCode { contract, code }),
    ]
}

/// Of good form, with a signature that need not verify.
pub(crate) fn transaction() -> impl Strategy<Value = Transaction> {
    let exact = || 0..=limits::JSON_INTEGER_MAX;
    let numbers = (exact(), exact(), any::<u64>(), exact());
    (
        hash(),
        public_key(),
        numbers,
        vec(action(), 1..6),
        signature(),
    )
        .prop_map(
            |(
                genesis_hash,
                sender,
                (nonce, gas_limit, gas_price, valid_until),
                actions,
                signature,
            )| {
                Transaction {
                    body: TransactionBody {
                        version: TransactionBody::current_version(),
                        genesis_hash,
                        sender,
                        nonce,
                        gas_limit,
                        gas_price,
                        valid_until,
                        actions,
                    },
                    signature,
                }
            },
        )
}

fn executed() -> impl Strategy<Value = ExecutedState> {
    (any::<u64>(), hash(), any::<u64>(), hash(), hash()).prop_map(
        |(height, state_root, state_entries, receipts_root, next_validators_hash)| ExecutedState {
            height,
            state_root,
            state_entries,
            receipts_root,
            next_validators_hash,
        },
    )
}

/// With a header that commits to the transactions.
pub(crate) fn block() -> impl Strategy<Value = Block> {
    let ids = (hash(), hash(), public_key());
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>());
    (ids, numbers, executed(), vec(transaction(), 0..4)).prop_map(
        |((genesis_hash, parent, proposer), (version, height, time_ms), executed, transactions)| {
            Block {
                header: Header {
                    version,
                    genesis_hash,
                    height,
                    parent,
                    time_ms,
                    proposer,
                    transactions_root: Block::transactions_root(&transactions),
                    transactions_count: u32::try_from(transactions.len()).unwrap_or(u32::MAX),
                    executed,
                },
                transactions,
            }
        },
    )
}

/// That proves nothing.
pub(crate) fn certificate() -> impl Strategy<Value = Certificate> {
    let signatures = vec((any::<u16>(), signature()), 0..8);
    let proposal = (any::<u64>(), any::<u64>(), any::<u64>(), hash());
    (proposal, signatures).prop_map(
        |((epoch, view, parent_view, block), signatures)| Certificate {
            proposal: Proposal {
                epoch,
                view,
                parent_view,
                block,
            },
            signatures: signatures
                .into_iter()
                .map(|(validator, signature)| CertificateSignature {
                    validator,
                    signature,
                })
                .collect(),
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    let code = prop::sample::select(ResultCode::ALL.to_vec());
    prop_oneof![
        Just(Status::Ok),
        (any::<u16>(), code, bytes()).prop_map(|(action, code, data)| Status::Failed {
            action,
            code,
            data
        }),
        prop::sample::select(vec![Rejection::WrongChain, Rejection::Expired])
            .prop_map(Status::Rejected),
    ]
}

/// Of any shape that decodes.
pub(crate) fn receipt() -> impl Strategy<Value = Receipt> {
    let event =
        (address(), vec(hash(), 0..5), bytes()).prop_map(|(contract, topics, data)| Event {
            contract,
            topics,
            data,
        });
    let numbers = (any::<u64>(), any::<u128>());
    (
        hash(),
        status(),
        numbers,
        vec(bytes(), 0..5),
        vec(event, 0..5),
    )
        .prop_map(
            |(transaction, status, (gas_used, fee), outputs, events)| Receipt {
                transaction,
                status,
                gas_used,
                fee,
                outputs,
                events,
            },
        )
}
