//! Route a request by its path, after the gate, with body and time bounded.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::body::Incoming;
use kumiki_rpc_api::HealthStatus;
use soketto::handshake::http::is_upgrade_request;
use tokio::time::timeout;
use tower::ServiceExt;

use super::{Signals, websocket};
use crate::ServerConfig;
use crate::calls::{Caller, Calls, read};
use crate::gate::Gate;
use crate::methods::{Node, all_methods};
use crate::metrics::{Metrics, Readings};
use crate::places::{Place, Places};

/// All that requests are answered with.
#[derive(Clone)]
pub(super) struct Routes {
    router: Router,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    calls: Arc<Calls>,
    connections: Arc<Places>,
    signals: Signals,
}

impl Routes {
    pub(super) fn new(
        node: &Arc<Node>,
        config: &ServerConfig,
        connections: Arc<Places>,
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

    /// Answers one request of the connection that holds `place` and came to the address `local`.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
        local: IpAddr,
        place: Arc<Place>,
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
            self.route(request, place).await
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

    async fn route(&self, request: Request<Incoming>, place: Arc<Place>) -> Response<Body> {
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
            return websocket::upgrade(request, Arc::clone(calls), place, signals);
        }
        if request.method() != Method::POST {
            let text = "405: calls are sent by POST, or over a WebSocket.\n";
            return (StatusCode::METHOD_NOT_ALLOWED, text).into_response();
        }
        if !is_json(request.headers()) {
            let text = "415: calls are sent as application/json.\n";
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
        }
        let message = match self.body_of(request.into_body()).await {
            Ok(body) => read(&body, calls.node.limits.batch_calls),
            Err(refused) => {
                self.metrics().count_refusal("body");
                return refused.into_response();
            }
        };
        match calls.answer(&Caller::http(place), message).await {
            Some(answer) => {
                let text = String::from(Box::<str>::from(answer.json));
                ([(CONTENT_TYPE, "application/json")], text).into_response()
            }
            None => StatusCode::OK.into_response(),
        }
    }

    /// The whole body, before any of it is parsed.
    async fn body_of(&self, body: Incoming) -> Result<Bytes, (StatusCode, &'static str)> {
        let limits = &self.shared.calls.node.limits;
        let bytes_max = usize::try_from(limits.request_bytes).unwrap_or(usize::MAX);
        let time_max = Duration::from_millis(limits.request_timeout_ms);
        match timeout(time_max, to_bytes(Body::new(body), bytes_max)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(_too_long_or_cut)) => Err((
                StatusCode::PAYLOAD_TOO_LARGE,
                "413: the body is larger than requestBytes of rpc_limits, or was cut off.\n",
            )),
            Err(_elapsed) => Err((
                StatusCode::REQUEST_TIMEOUT,
                "408: the body took longer than requestTimeoutMs of rpc_limits.\n",
            )),
        }
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
