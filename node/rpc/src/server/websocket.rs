//! Serve one WebSocket: bounded in messages that are being answered, in answers that wait, and in silence.
//!
//! What a client makes this node hold is bounded by counting: a call has a permit from the moment it is read until
//! its answer is written. A client that sends more is told so; one that does not take even that is not read from any
//! more, and its socket is cut by [`TimedIo`](crate::timed_io::TimedIo).

mod inbox;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::io::BufWriter;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use jsonrpsee::MethodSink;
use jsonrpsee::types::Id;
use kumiki_rpc_api::{ApiError, ErrorCode, Limits, ProtocolError};
use serde_json::value::RawValue;
use soketto::Sender;
use soketto::connection::Error as SocketError;
use soketto::data::ByteSlice125;
use soketto::handshake::http::Server as Handshake;
use tokio::io::{Empty, Join, ReadHalf, WriteHalf, empty, join, split};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use self::inbox::Received;
use super::Signals;
use crate::calls::{Answer, Caller, Calls, Message, id_of, read};
use crate::config::BATCH_WEIGHT;
use crate::connections::Connection;
use crate::memory::Room;

/// Answers that wait for the socket. They have a permit each besides.
const ANSWERS_WAITING: usize = 64;
/// Items of subscriptions that wait for the socket.
const ITEMS_WAITING: usize = 16;
/// After so many intervals between pings without a sign of life the connection is closed.
const SILENT_INTERVALS: u32 = 2;

/// What is written to; nothing is read from it.
type Outbox = BufWriter<Compat<Join<Empty, WriteHalf<TokioIo<Upgraded>>>>>;
/// What messages are read from.
type Inbox = inbox::Inbox<ReadHalf<TokioIo<Upgraded>>>;

/// What goes out, and what is free once it has.
struct Outgoing {
    json: Box<RawValue>,
    permits: (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit),
    room: Option<Room>,
}

/// One connection.
struct Session {
    calls: Arc<Calls>,
    caller: Caller,
    limits: Limits,
    /// Calls that may still come in before an answer goes out.
    in_flight: Arc<Semaphore>,
    /// Refusals wait here for the socket, one at a time: while one does, nothing is read.
    refusal: Arc<Semaphore>,
    outgoing: mpsc::Sender<Outgoing>,
    pongs: mpsc::Sender<Vec<u8>>,
    /// When the client was last heard of.
    heard: watch::Sender<Instant>,
}

/// How reading ended.
enum Ended {
    /// The client is gone, or does not speak the protocol.
    Gone,
    /// The server stops.
    Stopped,
}

/// Answers the request for a WebSocket, and serves it in a task until it ends or `cut` says so.
pub(super) fn upgrade(
    request: Request<Body>,
    calls: Arc<Calls>,
    connection: Arc<Connection>,
    signals: Signals,
) -> Response<Body> {
    let mut handshake = Handshake::new();
    let response = match handshake.receive_request(&request) {
        Ok(response) => response.map(|()| Body::empty()),
        Err(error) => {
            tracing::debug!(%error, "websocket refused");
            let text = "400: this is no request for a WebSocket of version 13.\n";
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let Signals {
        stopped,
        mut cut_off,
    } = signals;
    tokio::spawn(async move {
        let own = Arc::clone(&connection);
        let serve = async {
            match hyper::upgrade::on(request).await {
                Ok(upgraded) => serve(handshake, upgraded, calls, own, stopped).await,
                Err(error) => tracing::debug!(%error, "websocket not upgraded"),
            }
        };
        tokio::select! {
            () = serve => {}
            () = connection.told_to_leave() => {}
            _cut = cut_off.wait_for(|cut| *cut) => {}
        }
    });
    response
}

async fn serve(
    handshake: Handshake,
    upgraded: Upgraded,
    calls: Arc<Calls>,
    connection: Arc<Connection>,
    stopped: watch::Receiver<bool>,
) {
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);

    let limits = calls.node.limits;
    let (reader, writer) = split(TokioIo::new(upgraded));
    let socket = BufWriter::new(join(empty(), writer).compat());
    let (sender, _reads_nothing) = handshake.into_builder(socket).finish();
    let bytes_max = usize::try_from(limits.request_bytes).unwrap_or(usize::MAX);
    let inbox = Inbox::new(reader, bytes_max, calls.room(&connection));
    let (outgoing, answers) = mpsc::channel(ANSWERS_WAITING);
    let (sink, items) = mpsc::channel(ITEMS_WAITING);
    // Of pings that come faster than they are answered, only one is.
    let (pongs, pongs_to_send) = mpsc::channel(1);
    let (heard, last_heard) = watch::channel(Instant::now());
    // The number keeps subscriptions of connections apart.
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let subscriptions_max = limits.subscriptions_per_connection;
    let in_flight = usize::try_from(limits.calls_per_connection).unwrap_or(1);
    let session = Session {
        caller: Caller::websocket(connection, number, MethodSink::new(sink), subscriptions_max),
        calls,
        limits,
        in_flight: Arc::new(Semaphore::new(in_flight)),
        refusal: Arc::new(Semaphore::new(1)),
        outgoing,
        pongs,
        heard,
    };
    let ping = Duration::from_millis(limits.ping_interval_ms);
    let mut writing = std::pin::pin!(write(
        sender,
        (answers, items, pongs_to_send),
        ping,
        last_heard
    ));
    tokio::select! {
        // Nobody takes answers any more: the calls end with the session.
        () = &mut writing => return,
        () = run(Arc::new(session), inbox, stopped) => {}
    }
    // What was answered before the end goes out.
    writing.await;
}

/// Reads calls and has them answered, until the client goes or the server stops.
async fn run(session: Arc<Session>, mut inbox: Inbox, mut stopped: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let ended = tokio::select! {
        ended = read_all(&session, &mut inbox, &mut running) => ended,
        _stopped = stopped.wait_for(|stop| *stop) => Ended::Stopped,
    };
    match ended {
        Ended::Stopped => while running.join_next().await.is_some() {},
        // Dropping the set ends the calls.
        Ended::Gone => {}
    }
}

async fn read_all(session: &Arc<Session>, inbox: &mut Inbox, running: &mut JoinSet<()>) -> Ended {
    loop {
        let received = inbox.receive().await;
        session.heard.send_replace(Instant::now());
        // Calls that have ended leave their places.
        while running.try_join_next().is_some() {}
        let taken = match received {
            Received::Message(bytes, room) => session.take(bytes, room, running).await,
            Received::Ping(payload) => {
                // One that waits already is answer enough.
                let _waits = session.pongs.try_send(payload);
                Ok(())
            }
            Received::Pong => Ok(()),
            Received::TooLarge { bytes, passed } => {
                let max = session.limits.request_bytes;
                let detail = format!("{bytes} bytes, expected at most {max}");
                let error = ProtocolError::RequestTooLarge.object(detail);
                let refused = session.refuse(Answer::error(Id::Null, error)).await;
                refused.and(passed.then_some(()).ok_or(Closed))
            }
            Received::NoRoom(full) => {
                let refused = session.refuse(Answer::full(Id::Null, full)).await;
                refused.and(Err(Closed))
            }
            Received::Closed => return Ended::Gone,
        };
        if taken.is_err() {
            return Ended::Gone;
        }
    }
}

/// Nothing goes out any more.
struct Closed;

impl Session {
    /// Has a message answered in a task of its own, or refuses it.
    async fn take(
        self: &Arc<Self>,
        bytes: Vec<u8>,
        room: Room,
        running: &mut JoinSet<()>,
    ) -> Result<(), Closed> {
        let message = read(&bytes, self.limits.batch_calls);
        drop(bytes);
        let weight = match message {
            Message::Batch(_) => BATCH_WEIGHT,
            Message::Single(_) => 1,
        };
        let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_many_owned(weight) else {
            let max = self.limits.calls_per_connection;
            let detail =
                format!("{max} calls wait for their answers, a batch counted as {BATCH_WEIGHT}");
            let error = ApiError::new(ErrorCode::CallsTooMany, detail);
            return self
                .refuse(Answer::error(id_of(&message), error.into()))
                .await;
        };
        let session = Arc::clone(self);
        running.spawn(async move {
            let answer = session.calls.answer(&session.caller, message).await;
            // Calls have copies of what they need, up to here.
            drop(room);
            if let Some(answer) = answer {
                drop(session.send(answer, permit).await);
            }
        });
        Ok(())
    }

    /// Sends what refuses a message. Until the one before is written, nothing else is read.
    async fn refuse(&self, answer: Answer) -> Result<(), Closed> {
        let permit = Arc::clone(&self.refusal).acquire_owned().await;
        self.send(answer, permit.map_err(|_closed| Closed)?).await
    }

    async fn send(&self, answer: Answer, permit: OwnedSemaphorePermit) -> Result<(), Closed> {
        let outgoing = Outgoing {
            json: answer.json,
            permits: (answer.held, permit),
            room: answer.room,
        };
        let sent = self.outgoing.send(outgoing).await;
        sent.map_err(|_nobody_writes| Closed)
    }
}

/// Answers, items of subscriptions and what pings are answered with.
type Waiting = (
    mpsc::Receiver<Outgoing>,
    mpsc::Receiver<Box<RawValue>>,
    mpsc::Receiver<Vec<u8>>,
);

/// Writes answers, items of subscriptions and pings, until there are no more answers or the client is gone.
async fn write(
    mut sender: Sender<Outbox>,
    (mut answers, mut items, mut pongs): Waiting,
    ping_interval: Duration,
    last_heard: watch::Receiver<Instant>,
) {
    let mut ping = interval(ping_interval);
    loop {
        let (json, held) = tokio::select! {
            answer = answers.recv() => match answer {
                Some(Outgoing { json, permits, room }) => (json, Some((permits, room))),
                None => break,
            },
            Some(payload) = pongs.recv() => {
                if send_pong(&mut sender, &payload).await.is_err() {
                    break;
                }
                continue;
            }
            Some(item) = items.recv() => (item, None),
            _tick = ping.tick() => {
                let silent = last_heard.borrow().elapsed();
                if silent > ping_interval * SILENT_INTERVALS || send_ping(&mut sender).await.is_err() {
                    break;
                }
                continue;
            }
        };
        let text = String::from(Box::<str>::from(json));
        if sender.send_text_owned(text).await.is_err() || sender.flush().await.is_err() {
            return;
        }
        drop(held);
    }
    if let Err(error) = sender.close().await {
        tracing::debug!(%error, "websocket closed by its client");
    }
}

async fn send_ping(sender: &mut Sender<Outbox>) -> Result<(), SocketError> {
    let nothing: &[u8] = &[];
    let nothing = ByteSlice125::try_from(nothing).map_err(|_too_long| SocketError::Closed)?;
    sender.send_ping(nothing).await?;
    sender.flush().await
}

async fn send_pong(sender: &mut Sender<Outbox>, payload: &[u8]) -> Result<(), SocketError> {
    let payload = ByteSlice125::try_from(payload).map_err(|_too_long| SocketError::Closed)?;
    sender.send_pong(payload).await?;
    sender.flush().await
}
