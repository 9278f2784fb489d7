//! Holds traces to the chain: what they tell is what was executed, as long as the state before is kept.

use jsonrpsee::core::ClientError;
use kumiki_protocol::Encode as _;
use kumiki_rpc_api::methods::{DebugApiClient as _, TransactionApiClient as _};
use kumiki_rpc_api::{ApiError, Bytes, DiagnosticKind, ErrorCode, ReceiptStatus, StepView};

use crate::live_node::{LiveNode, code};

fn code_of(error: &ClientError) -> Option<ErrorCode> {
    let ClientError::Call(object) = error else {
        return None;
    };
    ApiError::from_object(object).map(|error| error.code)
}

#[tokio::test]
async fn a_trace_tells_what_a_transaction_did_in_its_block() {
    let mut node = LiveNode::start().await;
    let contract = node.deploy();
    // Each sees what the one before it has left.
    let calls = [b"first".as_slice(), b"second", b"third"];
    let calls: Vec<_> = (0_u8..)
        .zip(calls)
        .map(|(number, input)| node.draft(number + 1, 0).call(&contract, input).sign())
        .collect();
    let hashes: Vec<_> = calls
        .iter()
        .map(kumiki_protocol::Transaction::hash)
        .collect();
    node.seal(calls);
    node.seal(Vec::new());
    let http = node.http();
    for (index, hash) in (0_u32..).zip(&hashes) {
        let receipt = http.receipt(*hash, None).await.unwrap();
        let trace = http.trace_transaction(*hash).await.unwrap();
        assert_eq!(trace.receipt, receipt.receipt);
        assert_eq!((trace.state_height, trace.index), (1, Some(index)));
        let of_actions: u64 = trace.actions.iter().map(|one| one.gas_used).sum();
        assert_eq!(trace.intrinsic_gas + of_actions, receipt.receipt.gas_used);
        let call = trace.actions[0].call.as_ref().unwrap();
        let StepView::Write { before, after, .. } = &call.steps[0] else {
            panic!("{call:?}");
        };
        let before = before.as_ref().map(|one| one.bytes.0.clone());
        let expected = [None, Some(b"first".to_vec()), Some(b"second".to_vec())];
        assert_eq!(before, expected[usize::try_from(index).unwrap()]);
        assert_eq!(
            after.as_ref().map(|one| &one.bytes.0),
            Some(&call.input.bytes.0)
        );
        assert!(matches!(call.steps[1], StepView::Event { .. }));
        assert!(!trace.truncated);
    }
}

#[tokio::test]
async fn a_trace_of_what_nobody_has_sent_tells_where_it_fails() {
    let mut node = LiveNode::start().await;
    let contract = node.deploy();
    // Nothing cannot be stored.
    let call = node.draft(1, 0).call(&contract, &[]).sign();
    let body = Bytes(call.body.encode());
    let trace = node.http().trace_call(body).await.unwrap();
    assert_eq!(trace.receipt.status, ReceiptStatus::Failed);
    assert_eq!((trace.state_height, trace.index), (1, None));
    let call = trace.actions[0].call.as_ref().unwrap();
    assert_eq!((call.result.as_str(), call.contract), ("limit", contract));
    let said = &trace.diagnostics[0];
    assert_eq!(
        (said.kind, said.message.as_str()),
        (DiagnosticKind::Ended, "limit")
    );
    const CALL: u8 = 0x10;
    let code = code();
    let at = said
        .wasm_offsets
        .first()
        .map(|offset| code[usize::try_from(*offset).unwrap()]);
    assert_eq!(at, Some(CALL), "the position of the call of storage_set");
}

#[tokio::test]
async fn what_cannot_be_traced_says_why() {
    let mut node = LiveNode::start().await;
    let contract = node.deploy();
    let call = node.draft(1, 0).call(&contract, b"x").sign();
    let hash = call.hash();
    let http = node.http();
    let unknown = http.trace_transaction(hash).await.unwrap_err();
    assert_eq!(code_of(&unknown), Some(ErrorCode::TransactionUnknown));
    node.seal(vec![call]);
    assert!(http.trace_transaction(hash).await.is_ok());
    for _ in 0..66 {
        node.seal(Vec::new());
    }
    let gone = http.trace_transaction(hash).await.unwrap_err();
    assert_eq!(code_of(&gone), Some(ErrorCode::HeightPruned));
}
