//! Shows that a verifier that trusts only genesis is given all it needs, also where a later block decides.

use jsonrpsee::core::client::Error;
use kumiki_protocol::{Genesis, TrustedValidators, decode_bounded, limits, state_key};
use kumiki_rpc_api::methods::{ChainApiClient, StateApiClient, TransactionApiClient};
use kumiki_rpc_api::{ApiError, Bytes, ErrorCode};
use kumiki_testkit::account;

use crate::live_node::LiveNode;

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    match result.unwrap_err() {
        Error::Call(object) => ApiError::from_object(&object).unwrap().code,
        other => panic!("{other:?}"),
    }
}

/// Blocks 1 to 5, of which 1 and 4 have certificates; the second has a transaction.
async fn five_blocks() -> LiveNode {
    let mut node = LiveNode::with_short_epochs().await;
    node.seal(Vec::new());
    let transfer = node.draft(0, 0).transfer(&account(1).address, 5).sign();
    node.seal_uncertified(vec![transfer]);
    node.seal_uncertified(Vec::new());
    node.seal(Vec::new());
    node.seal_uncertified(Vec::new());
    node
}

#[tokio::test]
async fn a_block_is_shown_to_be_final_by_the_first_certificate_from_it_on() {
    let node = five_blocks().await;
    let client = node.http();
    let trusted = TrustedValidators::of_genesis(&node.genesis).unwrap();
    for (height, last) in [(0, 1), (1, 1), (2, 4), (3, 4), (4, 4)] {
        let answer = client.finality(height).await.unwrap();
        let heights: Vec<u64> = answer.headers.iter().map(|one| one.height).collect();
        assert_eq!(heights, (height..=last).collect::<Vec<_>>());
        let proof = answer.to_proof().unwrap();
        assert_eq!(trusted.verify(&proof).unwrap().height, height);
    }
    assert_eq!(code(client.finality(5).await), ErrorCode::ProofNotReady);
    assert_eq!(code(client.finality(6).await), ErrorCode::HeightUnknown);
}

#[tokio::test]
async fn proofs_whose_header_has_no_certificate_come_with_the_descendants_that_decide_it() {
    let node = five_blocks().await;
    let client = node.http();
    let trusted = TrustedValidators::of_genesis(&node.genesis).unwrap();
    let key = || Bytes(state_key::account(&account(1).address));
    for (at, last) in [
        (0, Some(1)),
        (1, None),
        (2, Some(4)),
        (3, Some(4)),
        (4, None),
    ] {
        let answer = client.state_proof(key(), None, Some(at)).await.unwrap();
        assert_eq!(answer.signed_header.certificate.is_some(), last.is_none());
        let shown = answer.descendants.as_ref();
        let highest = shown.map(|later| later.headers.last().unwrap().height);
        assert_eq!(highest, last);
        let proof = answer.signed_header.to_finality_proof(shown).unwrap();
        let header = trusted.verify(&proof).unwrap();
        assert_eq!(header.executed.state_root, answer.state_root);
    }
    let not_yet = client.state_proof(key(), None, Some(5)).await;
    assert_eq!(code(not_yet), ErrorCode::ProofNotReady);
    let newest = client.state_proof(key(), None, None).await.unwrap();
    assert_eq!(newest.height, 4, "the last that is decided");

    let block = client.block(Some(2), None, None).await.unwrap();
    let receipt = client
        .receipt(block.transaction_hashes[0], Some(true))
        .await;
    let proof = receipt.unwrap().proof.unwrap();
    let finality = proof
        .signed_header
        .to_finality_proof(proof.descendants.as_ref())
        .unwrap();
    assert_eq!(trusted.verify(&finality).unwrap().height, 2);
}

#[tokio::test]
async fn genesis_and_the_end_of_an_epoch_lead_a_verifier_to_the_next_validators() {
    let mut node = five_blocks().await;
    let client = node.http();
    assert_eq!(code(client.epoch_end(0).await), ErrorCode::HeightUnknown);
    node.seal(Vec::new());
    node.seal(Vec::new());
    let answer = client.genesis().await.unwrap();
    let genesis: Genesis = decode_bounded(&answer.genesis.0, limits::GENESIS_BYTES_MAX).unwrap();
    assert_eq!(genesis, *node.genesis);
    assert_eq!(genesis.hash(), answer.genesis_hash);
    let mut trusted = TrustedValidators::of_genesis(&genesis).unwrap();
    let end = client.epoch_end(0).await.unwrap().to_epoch_end().unwrap();
    trusted.enter_next(&end).unwrap();
    assert_eq!(trusted.epoch(), 1);
    for epoch in [1, 1 << 40, u64::MAX] {
        assert_eq!(
            code(client.epoch_end(epoch).await),
            ErrorCode::HeightUnknown
        );
    }
}
