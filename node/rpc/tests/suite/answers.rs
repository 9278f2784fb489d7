//! Shows that answers are those of the store, the executor and the pool, and that proofs hold.

use jsonrpsee::core::client::Error;
use kumiki_mempool::Refusal;
use kumiki_protocol::{
    Encode, Header, limits,
    merkle::{self, ListProof},
    state_key,
};
use kumiki_rpc_api::methods::{
    AccountApiClient, ChainApiClient, ContractApiClient, NodeApiClient, SimulationApiClient,
    StateApiClient, TransactionApiClient,
};
use kumiki_rpc_api::{
    ApiError, Bytes, ErrorCode, HealthStatus, ReceiptStatus, SignedHeader, SubmitStatus,
    TransactionState, TransactionsIn,
};
use kumiki_state::{Proof, proof};
use kumiki_testkit::{CHAIN_BALANCE, account};

use crate::live_node::{LiveNode, code, encoded};

fn api_error<T: std::fmt::Debug>(result: Result<T, Error>) -> ApiError {
    match result.unwrap_err() {
        Error::Call(object) => {
            ApiError::from_object(&object).unwrap_or_else(|| panic!("{object:?}"))
        }
        other => panic!("{other:?}"),
    }
}

fn code_of<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    api_error(result).code
}

/// Checks a header as a light client does, and gives it.
fn verified(node: &LiveNode, signed: &SignedHeader) -> Header {
    let header = Header::from(&signed.header);
    let certificate = signed
        .certificate
        .as_ref()
        .unwrap()
        .to_certificate()
        .unwrap();
    assert_eq!(certificate.proposal.block, header.hash());
    let validators = node.genesis.validator_set().unwrap();
    certificate
        .verify(&node.genesis.hash(), &validators)
        .unwrap();
    header
}

#[tokio::test]
async fn a_submitted_transaction_waits_is_sealed_and_is_proved() {
    let mut node = LiveNode::start().await;
    let client = node.http();
    let transaction = node.draft(0, 0).transfer(&account(1).address, 5).sign();
    let hash = transaction.hash();
    assert_eq!(
        client.transaction(hash, None, None).await.unwrap().status,
        TransactionState::Unknown
    );
    assert_eq!(
        code_of(client.receipt(hash, None).await),
        ErrorCode::TransactionUnknown
    );
    for _again in 0..2 {
        let submitted = client.submit(encoded(&transaction)).await.unwrap();
        assert_eq!(
            (submitted.hash, submitted.status),
            (hash, SubmitStatus::Pending)
        );
    }
    assert_eq!(
        client.next_nonce(account(0).address).await.unwrap().nonce,
        1
    );
    assert_eq!(
        code_of(client.receipt(hash, None).await),
        ErrorCode::TransactionPending
    );
    let pending = client.transaction(hash, None, Some(true)).await.unwrap();
    assert_eq!(pending.status, TransactionState::Pending);
    assert_eq!(
        pending.transaction.unwrap().encoded,
        Some(encoded(&transaction))
    );
    node.seal_waiting(1).await;
    let submitted = client.submit(encoded(&transaction)).await.unwrap();
    assert_eq!(
        submitted.status,
        SubmitStatus::Final,
        "a retry is no mistake"
    );
    let found = client.transaction(hash, None, None).await.unwrap();
    assert_eq!(
        (found.status, found.height, found.index),
        (TransactionState::Final, Some(1), Some(0))
    );
    let answer = client.receipt(hash, Some(true)).await.unwrap();
    assert_eq!(answer.receipt.status, ReceiptStatus::Ok);
    let proof = answer.proof.unwrap();
    let header = verified(&node, &proof.signed_header);
    let path: ListProof = kumiki_protocol::decode_bounded(&proof.proof.0, 4_096).unwrap();
    assert!(merkle::verify(
        &header.executed.receipts_root,
        &proof.receipt.0,
        &path
    ));
    let block = client
        .block(Some(1), None, Some(TransactionsIn::Full))
        .await
        .unwrap();
    assert_eq!(block.transaction_hashes, [hash]);
    assert_eq!(block.transactions.unwrap()[0].hash, hash);
}

#[tokio::test]
async fn waiting_for_a_receipt_ends_with_it_or_in_time_or_with_the_reason() {
    let mut node = LiveNode::start().await;
    let client = node.http();
    let first = node.draft(0, 0).sign();
    let waiting = tokio::spawn({
        let (client, first) = (client.clone(), encoded(&first));
        async move { client.submit_and_wait(first, None).await }
    });
    node.seal_waiting(1).await;
    let receipt = waiting.await.unwrap().unwrap();
    assert_eq!(
        (receipt.receipt.transaction, receipt.height),
        (first.hash(), 1)
    );
    let second = node.draft(0, 1).sign();
    let error = api_error(client.submit_and_wait(encoded(&second), Some(50)).await);
    assert_eq!(
        (error.code, error.data.transaction),
        (ErrorCode::WaitTimedOut, Some(second.hash()))
    );
    let waiting = tokio::spawn({
        let (client, second) = (client.clone(), encoded(&second));
        async move { client.submit_and_wait(second, None).await }
    });
    // Whoever waits has handed in before.
    node.until_metrics_show("kumiki_rpc_waiters 1\n").await;
    let better = node.draft(0, 1).gas_price(1_000).sign();
    client.submit(encoded(&better)).await.unwrap();
    assert_eq!(code_of(waiting.await.unwrap()), ErrorCode::Replaced);
}

#[tokio::test]
async fn a_transaction_that_was_not_sealed_in_time_is_certainly_expired() {
    let mut node = LiveNode::start().await;
    let client = node.http();
    let never = node.draft(0, 0).valid_until(1).sign().hash();
    let status = client
        .transaction(never, Some(1), None)
        .await
        .unwrap()
        .status;
    assert_eq!(status, TransactionState::Unknown, "it can still come");
    node.seal(Vec::new());
    let status = client
        .transaction(never, Some(1), None)
        .await
        .unwrap()
        .status;
    assert_eq!(
        status,
        TransactionState::Unknown,
        "sealing height 1 may be all this node has heard of"
    );
    node.seal(Vec::new());
    let status = client
        .transaction(never, Some(1), None)
        .await
        .unwrap()
        .status;
    assert_eq!(status, TransactionState::Expired);
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let node = LiveNode::start().await;
    let client = node.http();
    let draft = || node.draft(0, 0).transfer(&account(1).address, 1);
    let mut wrong_chain = draft();
    wrong_chain.body.genesis_hash.0[0] ^= 1;
    let mut forged = draft().sign();
    forged.signature.0[0] ^= 1;
    let cases = [
        (wrong_chain.sign(), ErrorCode::WrongChain),
        (forged, ErrorCode::BadSignature),
        (draft().gas_price(0).sign(), ErrorCode::GasPriceTooLow),
        (draft().gas_limit(1).sign(), ErrorCode::GasLimitOutOfRange),
        (draft().valid_until(0).sign(), ErrorCode::Expired),
        (
            draft().valid_until(1 << 40).sign(),
            ErrorCode::ValidUntilTooFar,
        ),
        (
            draft().transfer(&account(1).address, CHAIN_BALANCE).sign(),
            ErrorCode::InsufficientFunds,
        ),
        (node.draft(0, 1 << 40).sign(), ErrorCode::NonceTooFar),
    ];
    for (transaction, code) in cases {
        let error = api_error(client.submit(encoded(&transaction)).await);
        assert_eq!(
            (error.code, error.data.transaction),
            (code, Some(transaction.hash()))
        );
    }
    let cut = Bytes(draft().sign().encode()[..50].to_vec());
    assert_eq!(code_of(client.submit(cut).await), ErrorCode::Malformed);
    let large = Bytes(vec![0; limits::TRANSACTION_BYTES_MAX + 1]);
    assert_eq!(code_of(client.submit(large).await), ErrorCode::TooLarge);
}

#[test]
fn every_refusal_of_the_pool_is_in_the_error_table_under_its_name() {
    let refusals = [
        Refusal::BadSignature,
        Refusal::Busy,
        Refusal::PoolFull { price_min: 1 },
        Refusal::TooLarge {
            found: 2,
            maximum: 1,
        },
        Refusal::Unavailable {
            reason: String::new(),
        },
        Refusal::NonceTooLow {
            expected: 1,
            found: 0,
        },
        Refusal::NonceTooFar {
            expected: 1,
            found: 9,
            window: 4,
        },
        Refusal::GasPriceTooLow {
            found: 0,
            minimum: 1,
        },
        Refusal::GasLimitOutOfRange {
            found: 0,
            minimum: 1,
            maximum: 2,
        },
        Refusal::Expired {
            valid_until: 0,
            next_height: 1,
        },
        Refusal::ValidUntilTooFar {
            valid_until: 9,
            maximum: 1,
        },
        Refusal::InsufficientFunds {
            balance: 0,
            needed: 1,
            pending: 0,
        },
        Refusal::ReplacementUnderpriced {
            found: 1,
            minimum: 2,
        },
        Refusal::SenderFull {
            count: 1,
            bytes: 1,
            count_max: 1,
            bytes_max: 1,
        },
        Refusal::WrongChain {
            expected: Default::default(),
            found: Default::default(),
        },
        Refusal::Malformed(kumiki_protocol::FormError::NoAction),
    ];
    for refusal in refusals {
        let code = ErrorCode::from_number(refusal.code());
        assert_eq!(code.map(ErrorCode::name), Some(refusal.name()));
    }
}

#[tokio::test]
async fn state_is_read_paged_and_proved_at_any_kept_height() {
    let mut node = LiveNode::start().await;
    let client = node.http();
    let contract = node.deploy();
    node.seal(vec![node.draft(1, 0).call(&contract, b"first").sign()]);
    node.seal(vec![node.draft(1, 1).call(&contract, b"second").sign()]);
    let key = || Bytes(b"k".to_vec());
    let value = |at| client.state_entry(key(), Some(contract), at);
    assert_eq!(
        value(None).await.unwrap().value,
        Some(Bytes(b"second".to_vec()))
    );
    assert_eq!(
        value(Some(2)).await.unwrap().value,
        Some(Bytes(b"first".to_vec()))
    );
    assert_eq!(value(Some(1)).await.unwrap().value, None);
    assert_eq!(code_of(value(Some(4)).await), ErrorCode::HeightUnknown);
    for (key, contract) in [
        (key(), Some(contract)),
        (Bytes(vec![0x77]), Some(contract)),
        (Bytes(state_key::account(&account(2).address)), None),
    ] {
        let answer = client.state_proof(key, contract, None).await.unwrap();
        let header = verified(&node, &answer.signed_header);
        assert_eq!(header.executed.state_root, answer.state_root);
        let path = Proof::decode_checked(&answer.proof.0).unwrap();
        let value = answer.value.as_ref().map(AsRef::as_ref);
        proof::verify(&header.executed.state_root, &answer.key.0, value, &path).unwrap();
        let other = Some(&b"other"[..]);
        assert!(proof::verify(&header.executed.state_root, &answer.key.0, other, &path).is_err());
    }
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = client
            .state_prefix(Bytes(vec![1]), None, after, Some(3), Some(3))
            .await
            .unwrap();
        assert!(page.entries.len() <= 3);
        all.extend(page.entries.into_iter().map(|entry| entry.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(
        all.is_sorted() && all.len() >= 10,
        "ten accounts at least, in order: {}",
        all.len()
    );
    all.dedup();
    let whole = client
        .state_prefix(Bytes(vec![1]), None, None, None, Some(3))
        .await
        .unwrap();
    assert_eq!(whole.entries.len(), all.len());
    let zero = client
        .state_prefix(Bytes(vec![1]), None, None, Some(0), None)
        .await;
    assert_eq!(code_of(zero), ErrorCode::PageOutOfRange);
}

#[tokio::test]
async fn contracts_are_shown_viewed_and_simulated() {
    let mut node = LiveNode::start().await;
    let client = node.http();
    let contract = node.deploy();
    let shown = client.contract(contract, None).await.unwrap();
    assert_eq!((shown.admin, shown.height), (Some(account(0).address), 1));
    assert_eq!(
        client.contract_abi(contract, None).await.unwrap().abi.name,
        "Echo"
    );
    let stored = client
        .contract_code(None, Some(shown.code_hash), None)
        .await
        .unwrap();
    assert_eq!(stored.code.0, code());
    assert_eq!(
        code_of(client.contract(contract, Some(0)).await),
        ErrorCode::ContractUnknown
    );
    let call = node.draft(1, 0).call(&contract, b"kept");
    let simulated = client
        .simulate_transaction(Bytes(call.body.encode()))
        .await
        .unwrap();
    assert_eq!(simulated.receipt.status, ReceiptStatus::Ok);
    assert_eq!(simulated.receipt.events[0].data, Bytes(b"kept".to_vec()));
    assert!(simulated.suggested_gas_limit >= simulated.receipt.gas_used);
    let unchanged = client.account(account(1).address, None).await.unwrap();
    assert_eq!(unchanged.nonce, 0, "a simulation leaves no trace");
    node.seal(vec![call.sign()]);
    let view =
        |input: &[u8], gas| client.simulate_call(contract, Bytes(input.to_vec()), None, gas, None);
    assert_eq!(view(b"", None).await.unwrap().data, Bytes(b"kept".to_vec()));
    let error = api_error(view(b"no", None).await);
    assert_eq!(
        (error.code, error.data.revert_data),
        (ErrorCode::Reverted, Some(Bytes(b"no".to_vec())))
    );
    assert_eq!(code_of(view(b"", Some(1)).await), ErrorCode::OutOfGas);
    assert_eq!(
        code_of(view(b"", Some(u64::MAX)).await),
        ErrorCode::GasOutOfRange
    );
    let body = Bytes(node.draft(1, 0).transfer(&contract, 1).body.encode());
    assert_eq!(
        code_of(client.simulate_transaction(body).await),
        ErrorCode::NonceTooLow
    );
}

#[tokio::test]
async fn health_ready_and_metrics_tell_how_the_node_is() {
    let mut node = LiveNode::start().await;
    node.seal(Vec::new());
    assert_eq!(node.get("/health").await.0, 200);
    assert_eq!(node.get("/ready").await.0, 200);
    assert!(
        node.get("/metrics")
            .await
            .1
            .contains("kumiki_chain_head_height 1\n")
    );
    let health = node.http().health().await.unwrap();
    assert_eq!((health.status, health.height), (HealthStatus::Ready, 1));
    node.status.send_replace(HealthStatus::Failed);
    assert_eq!(node.get("/ready").await.0, 503);
    assert_eq!(node.get("/health").await.0, 200, "the process lives");
    let info = node.http().chain_info().await.unwrap();
    assert_eq!(
        (info.genesis_hash, info.head.height),
        (node.genesis.hash(), 1)
    );
}
