//! Route a request by its path, after the gate, with body and time bounded.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, RETRY_AFTER, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::StreamExt;
use hyper::body::{Body as _, Incoming};
use kumiki_rpc_api::HealthStatus;
use soketto::handshake::http::is_upgrade_request;
use tokio::time::timeout;
use tower::ServiceExt;

use super::{Signals, websocket};
use crate::ServerConfig;
use crate::calls::{Answer, Caller, Calls, read};
use crate::connections::{Connection, Connections};
use crate::gate::Gate;
use crate::memory::Room;
use crate::methods::{Node, all_methods};
use crate::metrics::{Metrics, Readings};

/// All that requests are answered with.
#[derive(Clone)]
pub(super) struct Routes {
    router: Router,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    calls: Arc<Calls>,
    connections: Arc<Connections>,
    signals: Signals,
}

impl Routes {
    pub(super) fn new(
        node: &Arc<Node>,
        config: &ServerConfig,
        connections: Arc<Connections>,
        signals: Signals,
    ) -> Self {
        let shared = Arc::new(Shared {
            gate: Gate::new(&config.hosts, &config.origins),
            calls: Arc::new(Calls {
                methods: all_methods(node),
                node: Arc::clone(node),
            }),
            connections,
            signals,
        });
        let router = Router::new()
            .route("/health", get(|| async { "ok\n" }))
            .route("/ready", get(answer_ready))
            .route("/metrics", get(answer_metrics))
            .route("/openrpc.json", get(answer_document))
            .with_state(Arc::clone(&shared));
        Self { router, shared }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.calls.node.metrics
    }

    pub(super) fn method_names(&self) -> Vec<&'static str> {
        self.shared.calls.methods.method_names().collect()
    }

    /// Answers one request of a connection that came to the address `local`.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
        local: IpAddr,
        connection: Arc<Connection>,
    ) -> Result<Response<Body>, Infallible> {
        let gate = &self.shared.gate;
        let origin = match gate.check(local, request.uri(), request.headers()) {
            Ok(origin) => origin.and_then(|origin| HeaderValue::from_str(origin).ok()),
            Err(refused) => {
                self.metrics().count_refusal("gate");
                return Ok((StatusCode::FORBIDDEN, refused.text()).into_response());
            }
        };
        let mut response = if origin.is_some() && request.method() == Method::OPTIONS {
            StatusCode::NO_CONTENT.into_response()
        } else {
            let response = self.route(request, Arc::clone(&connection)).await;
            if response.status().is_success() {
                connection.note_answered();
            }
            response
        };
        if let Some(origin) = origin {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("content-type"),
            );
            headers.insert(VARY, HeaderValue::from_static("origin"));
        }
        Ok(response)
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> Response<Body> {
        if request.uri().path() != "/" {
            let request = request.map(|_unread| Body::empty());
            return match self.router.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
        let calls = &self.shared.calls;
        if is_upgrade_request(&request) {
            let request = request.map(|_unread| Body::empty());
            let signals = self.shared.signals.clone();
            return websocket::upgrade(request, Arc::clone(calls), connection, signals);
        }
        if request.method() != Method::POST {
            let text = "405: calls are sent by POST, or over a WebSocket.\n";
            return (StatusCode::METHOD_NOT_ALLOWED, text).into_response();
        }
        if !is_json(request.headers()) {
            let text = "415: calls are sent as application/json.\n";
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
        }
        // Held until the answer is there: calls have copies of what they need.
        let mut room = calls.room(&connection);
        let message = match self.body_of(request.into_body(), &mut room).await {
            Ok(body) => read(&body, calls.node.limits.batch_calls),
            Err(refused) => return self.refused(refused),
        };
        match calls.answer(&Caller::http(connection), message).await {
            Some(answer) => {
                let body = Body::from(Bytes::from_owner(HeldAnswer(answer)));
                ([(CONTENT_TYPE, "application/json")], body).into_response()
            }
            None => StatusCode::OK.into_response(),
        }
    }

    /// The whole body, before any of it is parsed.
    async fn body_of(&self, body: Incoming, room: &mut Room) -> Result<Vec<u8>, Refused> {
        let limits = &self.shared.calls.node.limits;
        let bytes_max = usize::try_from(limits.request_bytes).unwrap_or(usize::MAX);
        if body.size_hint().lower() > u64::from(limits.request_bytes) {
            return Err(Refused::TooLarge);
        }
        let reading = async {
            let mut pieces = Body::new(body).into_data_stream();
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|_closed| Refused::CutOff)?;
                let length = bytes.len().saturating_add(piece.len());
                if length > bytes_max {
                    return Err(Refused::TooLarge);
                }
                room.grow(length).map_err(|_full| Refused::NoRoom)?;
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        let time_max = Duration::from_millis(limits.request_timeout_ms);
        timeout(time_max, reading)
            .await
            .unwrap_or(Err(Refused::TooSlow))
    }

    fn refused(&self, refused: Refused) -> Response<Body> {
        self.metrics().count_refusal("body");
        let (status, text) = match refused {
            Refused::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "413: the body is larger than requestBytes of rpc_limits.\n",
            ),
            Refused::CutOff => (StatusCode::BAD_REQUEST, "400: the body was cut off.\n"),
            Refused::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "408: the body took longer than requestTimeoutMs of rpc_limits.\n",
            ),
            Refused::NoRoom => {
                let text =
                    "503: large bodies and answers take as much memory as this node gives them.\n";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return (status, [(RETRY_AFTER, "1")], text).into_response();
            }
        };
        (status, text).into_response()
    }
}

/// Why a body is not read to its end.
#[derive(Clone, Copy, Debug)]
enum Refused {
    TooLarge,
    CutOff,
    TooSlow,
    NoRoom,
}

/// An answer that goes out; with its last byte it gives back the memory that was granted for it.
struct HeldAnswer(Answer);

impl AsRef<[u8]> for HeldAnswer {
    fn as_ref(&self) -> &[u8] {
        self.0.json.get().as_bytes()
    }
}

/// Whether the body is said to be JSON. A web page elsewhere can send other types without being asked whether it may.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media_type = content_type.and_then(|text| text.split(|byte| *byte == b';').next());
    media_type.is_some_and(|text| {
        let text = text.trim_ascii();
        text.eq_ignore_ascii_case(b"application/json")
            || text.eq_ignore_ascii_case(b"application/json-rpc")
    })
}

async fn answer_ready(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    match shared.calls.node.status() {
        HealthStatus::Ready => (StatusCode::OK, "ready\n"),
        HealthStatus::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        HealthStatus::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        HealthStatus::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed\n"),
    }
}

async fn answer_metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let node = &shared.calls.node;
    let readings = Readings {
        connections: shared.connections.total(),
        simulations: node.simulations.busy(),
        waiters: node.waiters.total(),
        head_height: node.head().height,
        pending_transactions: node.context.mempool.size().count,
    };
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, TYPE)], node.metrics.text(&readings))
}

async fn answer_document(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json")],
        shared.calls.node.document.get().to_owned(),
    )
}
