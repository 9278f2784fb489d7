//! Send requests to a whole node in this process, over HTTP: every answer is one of JSON-RPC, and honest callers are
//! served after it.

mod http;
mod request;
mod served;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use kumiki_rpc_api::{ErrorCode, ProtocolError};
use serde_json::Value;

use crate::Verdict;
use crate::choices::Choices;
use served::Served;

/// Requests after which an honest transaction is sent as well.
const TRANSACTION_EVERY: u64 = 32;

static SERVED: Mutex<Option<Served>> = Mutex::new(None);

/// Sends a request to a whole node.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut served = SERVED.lock().unwrap_or_else(PoisonError::into_inner);
    let served = served.get_or_insert_with(Served::start);
    let mut choices = Choices::new(bytes);
    let message = match choices.byte() % 4 {
        0 => choices.rest().to_vec(),
        1 => {
            let text = request::message(&mut choices, served).to_string();
            choices.mutated(text.as_bytes())
        }
        _ => {
            let message = request::message(&mut choices, served);
            message.to_string().into_bytes()
        }
    };
    let (status, answer) = served.http.post(&message);
    assert_eq!(status, 200, "a request within the limits is answered");
    let verdict = hold(&message, &answer);
    served.hold_honest_call();
    if served.requests.is_multiple_of(TRANSACTION_EVERY) {
        served.hold_honest_transaction();
    }
    served.requests += 1;
    verdict
}

/// Stops the node, which has not failed, and removes its files.
pub(crate) fn clean_up() {
    let served = SERVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(served) = served {
        served.stop();
    }
}

/// Holds an answer to JSON-RPC 2.0 and to the table of errors.
fn hold(message: &[u8], answer: &[u8]) -> Verdict {
    // A request may hold numbers and nesting that are no values here, in parameters that the node does not look at.
    let asked: Option<Value> = serde_json::from_slice(message).ok();
    let calls = asked.as_ref().map(|asked| match asked.as_array() {
        Some(calls) => calls.as_slice(),
        None => std::slice::from_ref(asked),
    });
    if answer.is_empty() {
        // Notifications get no answer; in a batch of others they are left out.
        let no_id = |call: &Value| call.get("id").is_none_or(Value::is_null);
        assert!(calls.is_none_or(|calls| calls.iter().all(no_id)));
        return Verdict::Refused;
    }
    let answered: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = String::from_utf8_lossy(answer);
    assert!(!answered.is_null(), "no JSON: {text}");
    let parts = match answered.as_array() {
        Some(parts) => parts.as_slice(),
        None => std::slice::from_ref(&answered),
    };
    assert!(!parts.is_empty(), "{text}");
    assert!(
        calls.is_none_or(|calls| parts.len() <= calls.len().max(1)),
        "{text}"
    );
    let results = parts.iter().filter(|part| is_result(part, calls)).count();
    Verdict::of(results > 0)
}

/// Whether a sound answer to one of `calls` is a result.
fn is_result(answer: &Value, calls: Option<&[Value]>) -> bool {
    let fields = answer.as_object();
    let names: BTreeSet<&str> = fields
        .into_iter()
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect();
    let result = names == BTreeSet::from(["id", "jsonrpc", "result"]);
    let error = names == BTreeSet::from(["error", "id", "jsonrpc"]);
    assert!(result || error, "no answer of JSON-RPC: {answer}");
    assert_eq!(answer.get("jsonrpc"), Some(&Value::from("2.0")));
    let id = answer.get("id");
    let sent = calls.is_none_or(|calls| calls.iter().any(|call| call.get("id") == id));
    assert!(
        sent || (error && id == Some(&Value::Null)),
        "an id nobody sent: {answer}"
    );
    if let Some(error) = answer.get("error") {
        hold_error(error);
    }
    result
}

/// An error is one of the tables, and none that says the node is broken.
fn hold_error(error: &Value) {
    let code = error.get("code").and_then(Value::as_i64);
    let ours = ErrorCode::ALL.iter().map(|one| i64::from(one.number()));
    let protocol = ProtocolError::ALL.iter().map(|one| i64::from(one.number()));
    assert!(
        ours.chain(protocol).any(|known| Some(known) == code),
        "{error}"
    );
    assert!(
        error.get("message").is_some_and(Value::is_string),
        "{error}"
    );
    let broken = [
        i64::from(ErrorCode::NodeFault.number()),
        i64::from(ProtocolError::Internal.number()),
    ];
    assert!(!broken.iter().any(|fault| Some(*fault) == code), "{error}");
}
