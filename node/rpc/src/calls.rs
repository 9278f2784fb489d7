//! Answer messages: look at every call before its method does, run it where it may run, and count it.

mod check;
mod message;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use jsonrpsee::core::id_providers::RandomIntegerIdProvider;
use jsonrpsee::types::{Id, Params};
use jsonrpsee::{
    BatchResponseBuilder, BoundedSubscriptions, ConnectionId, Extensions, MethodCallback,
    MethodResponse, MethodSink, Methods, SubscriptionState,
};
use kumiki_rpc_api::{ApiError, ErrorCode, MethodSpec, ProtocolError};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connections::Connection;
use crate::memory::{Full, Room};
use crate::methods::Node;
use crate::text::plain;
use check::Transport;
use message::{Call, Entry};
pub(crate) use message::{Message, id_of, read};

/// Methods that read nothing from the store and take microseconds: they run at once, on the runtime's own threads.
/// All other synchronous ones go to threads that may block: they read blocks of megabytes, scan, prove, or work out a
/// state of long ago.
const AT_ONCE: &[&str] = &[
    "rpc.discover",
    "rpc_version",
    "rpc_limits",
    "chain_getInfo",
    "fee_getPrice",
    "node_getHealth",
    "node_getVersion",
];
/// Methods that look up three rows at most, of 64 KiB at most: at the head they run at once too. Handing them over takes
/// 15 us of the 40 us that such a call then costs (account_get over HTTP, eight clients); a row that is not in memory
/// takes 100 us, now and then.
const POINT_READS: &[&str] = &[
    "account_get",
    "account_nextNonce",
    "chain_getHeader",
    "state_get",
];
/// Methods whose answers are small and which mostly wait: those of a batch run side by side, so that submissions are
/// verified together.
const WAITING: &[&str] = &["tx_submit", "tx_submitAndWait"];
/// Other calls of a batch that run side by side.
const BATCH_PARALLEL: usize = 4;

/// The methods, and what all calls share.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) methods: Methods,
    pub(crate) node: Arc<Node>,
}

/// Who calls: what the calls of one connection share.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The connection.
    connection: Arc<Connection>,
    /// The right to read from the store. There is one, and it is kept until the answer is on its way: a connection
    /// makes the node hold one large answer at a time.
    reading: Arc<Semaphore>,
    /// The right to hold a page of what is to be sent to a subscription. There is one, as all go out one after the
    /// other: a connection makes the node hold one page at a time.
    sending: StreamTurn,
    /// Only where it can receive more than answers.
    subscriber: Option<Subscriber>,
}

/// What the subscriptions of a connection take turns with.
#[derive(Clone, Debug)]
pub(crate) struct StreamTurn(pub(crate) Arc<Semaphore>);

#[derive(Debug)]
struct Subscriber {
    connection: ConnectionId,
    sink: MethodSink,
    subscriptions: BoundedSubscriptions,
}

/// What goes back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) json: Box<RawValue>,
    /// Dropped once the answer is on its way.
    pub(crate) held: Option<OwnedSemaphorePermit>,
    /// The memory of a large answer, likewise.
    pub(crate) room: Option<Room>,
}

/// The answer to one call, and what it holds.
type Answered = (MethodResponse, Option<OwnedSemaphorePermit>);

impl Caller {
    /// Who calls over HTTP.
    pub(crate) fn http(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            reading: Arc::new(Semaphore::new(1)),
            sending: StreamTurn(Arc::new(Semaphore::new(1))),
            subscriber: None,
        }
    }

    /// Who calls over the WebSocket with this number, and takes subscriptions at `sink`.
    pub(crate) fn websocket(
        connection: Arc<Connection>,
        number: u32,
        sink: MethodSink,
        subscriptions_max: u32,
    ) -> Self {
        Self {
            subscriber: Some(Subscriber {
                connection: number.into(),
                sink,
                subscriptions: BoundedSubscriptions::new(subscriptions_max),
            }),
            ..Self::http(connection)
        }
    }

    fn extensions(&self) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(Arc::clone(&self.connection));
        extensions.insert(self.sending.clone());
        extensions
    }

    fn transport(&self, in_batch: bool) -> Transport {
        match (&self.subscriber, in_batch) {
            (None, _) => Transport::Http,
            (Some(_), true) => Transport::Batch,
            (Some(_), false) => Transport::WebSocket,
        }
    }
}

impl Answer {
    /// An answer that holds nothing.
    pub(crate) fn error(id: Id<'_>, error: jsonrpsee::types::ErrorObjectOwned) -> Self {
        Self {
            json: MethodResponse::error(id, error).into_json(),
            held: None,
            room: None,
        }
    }

    /// An answer that there is no memory for something.
    pub(crate) fn full(id: Id<'_>, full: Full) -> Self {
        let error = ApiError::new(ErrorCode::MemoryFull, full.to_string());
        Self::error(id, error.into())
    }
}

impl Calls {
    /// Memory for something large of a connection.
    pub(crate) fn room(&self, connection: &Connection) -> Room {
        self.node.memory.room(connection.ip())
    }

    /// The answer to `message`; `None` where there is none: to notifications, and where a subscription has
    /// answered for itself.
    pub(crate) async fn answer(&self, caller: &Caller, message: Message) -> Option<Answer> {
        let _answering = caller.connection.answering();
        let id = id_of(&message);
        match message {
            Message::Single(entry) => {
                let (response, held) = self.entry(caller, entry, false).await?;
                let json = (!response.is_subscription()).then(|| response.into_json())?;
                let mut room = self.room(&caller.connection);
                if let Err(full) = room.grow(json.get().len()) {
                    return Some(Answer::full(id, full));
                }
                let room = Some(room);
                Some(Answer { json, held, room })
            }
            Message::Batch(entries) => self.batch(caller, entries).await,
        }
    }

    /// Gathers the answers as they come, and stops when they become too large together.
    async fn batch(&self, caller: &Caller, entries: Vec<Entry>) -> Option<Answer> {
        let waits = |entry: &Entry| matches!(entry, Entry::Call(call) if WAITING.contains(&call.method.as_str()));
        let (waiting, others): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(waits);
        let side_by_side = waiting.len().max(1);
        let run = |entry| self.entry(caller, entry, true);
        let waiting = stream::iter(waiting)
            .map(run)
            .buffer_unordered(side_by_side);
        let others = stream::iter(others)
            .map(run)
            .buffer_unordered(BATCH_PARALLEL);
        let mut answers = std::pin::pin!(stream::select(waiting, others));
        let bytes_max = self.response_bytes_max();
        let mut builder = BatchResponseBuilder::new_with_limit(bytes_max);
        let (mut room, mut bytes) = (self.room(&caller.connection), 0_usize);
        while let Some(answer) = answers.next().await {
            let Some((response, _held)) = answer else {
                continue;
            };
            bytes = bytes.saturating_add(response.as_ref().len());
            // Answers wait here for those that come later.
            if let Err(full) = room.grow(bytes.min(bytes_max)) {
                return Some(Answer::full(Id::Null, full));
            }
            if builder.append(response).is_err() {
                let detail = format!("the answers have more than {bytes_max} bytes");
                let error = ProtocolError::BatchAnswerTooLarge.object(detail);
                return Some(Answer::error(Id::Null, error));
            }
        }
        // Only notifications were sent.
        if builder.is_empty() {
            return None;
        }
        Some(Answer {
            json: MethodResponse::from_batch(builder.finish()).into_json(),
            held: None,
            room: Some(room),
        })
    }

    async fn entry(&self, caller: &Caller, entry: Entry, in_batch: bool) -> Option<Answered> {
        match entry {
            Entry::Call(call) => Some(self.call(caller, call, in_batch).await),
            Entry::Notification => None,
            Entry::Refused(id, error) => {
                let code = Some(error.code());
                self.node.metrics.count_call("none", code, Duration::ZERO);
                Some((MethodResponse::error(id, error), None))
            }
        }
    }

    async fn call(&self, caller: &Caller, call: Call, in_batch: bool) -> Answered {
        let start = Instant::now();
        let depth_max = self.node.limits.parameter_depth;
        let (name, answered) = match check::check(&call, caller.transport(in_batch), depth_max) {
            Ok(spec) => {
                let id = call.id.clone();
                let (response, held) = self.run(caller, spec, call).await;
                (spec.name, (with_data(id, response), held))
            }
            Err(error) => {
                let name = check::spec_of(&call.method).map_or("unknown", |spec| spec.name);
                (name, (MethodResponse::error(call.id, error), None))
            }
        };
        let code = answered.0.as_error_code();
        self.node.metrics.count_call(name, code, start.elapsed());
        answered
    }

    async fn run(&self, caller: &Caller, spec: &MethodSpec, call: Call) -> Answered {
        let Call { id, params, .. } = call;
        let extensions = caller.extensions();
        let bytes_max = self.response_bytes_max();
        let lost = |id: Id<'static>| {
            let error = ProtocolError::Internal.object("the method did not end");
            (MethodResponse::error(id, error), None)
        };
        let Some((name, method)) = self.methods.method_with_name(spec.name) else {
            let detail = format!("this node does not serve '{}'", spec.name);
            let error = ProtocolError::MethodNotFound.object(detail);
            return (MethodResponse::error(id, error), None);
        };
        let response = match (method, &caller.subscriber) {
            (MethodCallback::Sync(callback), _) if runs_at_once(name, &params) => {
                callback(id, params, bytes_max, extensions)
            }
            (MethodCallback::Sync(callback), _) => {
                let Ok(held) = Arc::clone(&caller.reading).acquire_owned().await else {
                    return lost(id);
                };
                let _turn = caller.connection.turn_to_read().await;
                let (callback, own_id) = (Arc::clone(callback), id.clone());
                let work = move || callback(own_id, params, bytes_max, extensions);
                return match self.node.reads.run(work).await {
                    Ok(response) => (response, Some(held)),
                    Err(_lost) => lost(id),
                };
            }
            (MethodCallback::Async(callback), _) => {
                let connection = ConnectionId(0);
                callback(id, params, connection, bytes_max, extensions).await
            }
            (MethodCallback::Subscription(callback), Some(subscriber)) => {
                let Some(permit) = subscriber.subscriptions.acquire() else {
                    let max = subscriber.subscriptions.max();
                    let detail = format!("{max} subscriptions, as many as there may be");
                    let error = ProtocolError::SubscriptionsTooMany.object(detail);
                    return (MethodResponse::error(id, error), None);
                };
                let state = SubscriptionState {
                    conn_id: subscriber.connection,
                    id_provider: &RandomIntegerIdProvider,
                    subscription_permit: permit,
                };
                let sink = subscriber.sink.clone();
                callback(id, params, sink, state, extensions).await
            }
            (MethodCallback::Unsubscription(callback), Some(subscriber)) => {
                callback(id, params, subscriber.connection, bytes_max, extensions)
            }
            // `check` has refused these.
            (MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_), None) => {
                return lost(id);
            }
        };
        (response, None)
    }

    fn response_bytes_max(&self) -> usize {
        usize::try_from(self.node.limits.response_bytes).unwrap_or(usize::MAX)
    }
}

/// Whether a call takes microseconds whatever is in it. One that may name a height below the head does not: that
/// state is made from all that changed since.
fn runs_at_once(name: &str, params: &Params<'_>) -> bool {
    let text = params.as_str().unwrap_or_default();
    // By position a height has no name, and an escape could spell one.
    let names_height = text.starts_with('[') || text.contains(r#""at""#) || text.contains('\\');
    AT_ONCE.contains(&name) || (POINT_READS.contains(&name) && !names_height)
}

/// Gives the library's own errors the `data` that all our errors have.
fn with_data(id: Id<'static>, response: MethodResponse) -> MethodResponse {
    let Some(error) = response
        .as_error_code()
        .and_then(ProtocolError::from_number)
        .filter(|_| !response.is_subscription())
    else {
        return response;
    };
    let answer: Value = serde_json::from_str(response.as_ref()).unwrap_or_default();
    let detail = match &answer["error"]["data"] {
        Value::Object(_) => return response,
        Value::String(text) => plain(text),
        _ => error.meaning().to_owned(),
    };
    MethodResponse::error(id, error.object(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_of_the_past_never_run_at_once_however_they_are_spelt() {
        let at_once = |name: &str, params: &str| runs_at_once(name, &Params::new(Some(params)));
        assert!(at_once("state_get", r#"{"key":"0x6b"}"#));
        assert!(at_once("account_get", r#"{"address":"kumi1at"}"#));
        for params in [
            r#"{"key":"0x6b","at":1}"#,
            r#"{"key":"0x6b", "at" : 1}"#,
            r#"{"key":"0x6b","\u0061t":1}"#,
            r#"["0x6b",null,1]"#,
        ] {
            assert!(!at_once("state_get", params), "{params}");
        }
        assert!(!at_once("chain_getBlock", "{}"));
        assert!(!at_once("events_query", "{}"));
    }

    #[test]
    fn named_methods_exist() {
        for name in AT_ONCE.iter().chain(POINT_READS).chain(WAITING) {
            assert!(check::spec_of(name).is_some(), "{name}");
        }
    }
}
