//! What RPC shows of the validators' contract: the same as of any contract, without code.

use kumiki_protocol::{
    Decode, Encode, Hash, PublicKey, VALIDATORS_CONTRACT, ValidatorRecord, ValidatorStatus,
    ValidatorsCall, sha3_256,
};
use kumiki_rpc_api::methods::EventsApiClient;
use kumiki_rpc_api::methods::{ChainApiClient, ContractApiClient, SimulationApiClient};
use kumiki_rpc_api::{Bytes, Decimal, EventFilter, ReceiptStatus};
use kumiki_testkit::{VALIDATOR_STAKE, account, validator};

use crate::live_node::LiveNode;

fn selector(signature: &str) -> Vec<u8> {
    sha3_256(&[signature.as_bytes()]).0[..4].to_vec()
}

#[tokio::test]
async fn the_validators_contract_is_shown_viewed_called_and_its_events_found() {
    let mut node = LiveNode::start().await;
    let client = node.http();
    let shown = client.contract(VALIDATORS_CONTRACT, None).await.unwrap();
    assert_eq!((shown.code_hash, shown.code_size), (Hash::ZERO, 0));
    assert_eq!(shown.balance, Decimal(VALIDATOR_STAKE));
    let described = client.contract_abi(VALIDATORS_CONTRACT, None).await;
    assert_eq!(described.unwrap().abi.name, "Validators");
    let call = ValidatorsCall::join(&node.genesis.hash(), &account(1).address, &validator(5));
    let draft = node.draft(1, 0).action(call.action(VALIDATOR_STAKE));
    let simulated = client
        .simulate_transaction(Bytes(draft.body.encode()))
        .await;
    assert_eq!(simulated.unwrap().receipt.status, ReceiptStatus::Ok);
    node.seal(vec![draft.sign()]);
    let view =
        |input: Vec<u8>| client.simulate_call(VALIDATORS_CONTRACT, Bytes(input), None, None, None);
    let answer = view(selector("validators()")).await.unwrap().data.0;
    let info = client.chain_info().await.unwrap();
    assert_eq!(
        Vec::<PublicKey>::decode(&mut answer.as_slice()),
        Ok(info.validators)
    );
    let joined = validator(5).public_key();
    let input = [selector("validator([u8; 32])"), joined.encode()].concat();
    let answer = view(input).await.unwrap().data.0;
    let record = Option::<ValidatorRecord>::decode(&mut answer.as_slice()).unwrap();
    let status = ValidatorStatus::Queued { ticket: 0 };
    assert_eq!(record.map(|one| one.status), Some(status));
    let filter = EventFilter {
        contract: Some(VALIDATORS_CONTRACT),
        topics: vec![None, Some(Hash(joined.0))],
    };
    let events = client.query_events(Some(filter), None, None, None, None);
    assert_eq!(events.await.unwrap().events.len(), 1);
}
