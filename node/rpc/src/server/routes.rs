//! Route a request by its path, after the gate, with body and time bounded.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use hyper::body::Incoming;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::ws::is_upgrade_request;
use jsonrpsee::server::{
    BatchRequestConfig, Methods, PingConfig, ServerConfig as RpcConfig, StopHandle,
    TowerServiceBuilder,
};
use kumiki_rpc_api::{HealthStatus, Limits};
use tokio::time::timeout;
use tower::layer::util::{Identity, Stack};
use tower::{Layer, Service, ServiceExt};

use super::HeldPlace;
use crate::calls::{Calls, Transport};
use crate::connections::Connections;
use crate::gate::Gate;
use crate::methods::{Node, all_methods};
use crate::metrics::{Metrics, Readings};
use crate::{RpcContext, ServerConfig};

/// Messages that wait for a WebSocket to take them, per connection.
const MESSAGE_BUFFER: u32 = 64;

/// All that requests are answered with.
#[derive(Clone)]
pub(super) struct Routes {
    router: Router,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    limits: Limits,
    methods: Methods,
    service: TowerServiceBuilder<Stack<CallsLayer, Identity>, Identity>,
    rpc_stopped: StopHandle,
    node: Arc<Node>,
    metrics: Arc<Metrics>,
    connections: Arc<Connections>,
    document: String,
}

#[derive(Clone)]
struct CallsLayer {
    metrics: Arc<Metrics>,
    limits: Limits,
}

impl<S> Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls {
            inner,
            metrics: Arc::clone(&self.metrics),
            depth_max: self.limits.parameter_depth,
            response_bytes_max: usize::try_from(self.limits.response_bytes).unwrap_or(usize::MAX),
        }
    }
}

impl Routes {
    pub(super) fn new(
        mut context: RpcContext,
        config: &ServerConfig,
        address: SocketAddr,
        connections: Arc<Connections>,
        rpc_stopped: StopHandle,
    ) -> Self {
        let metrics = Metrics::new(std::mem::take(&mut context.metrics));
        let node = Arc::new(Node::new(context, config.limits));
        let layer = CallsLayer {
            metrics: Arc::clone(&metrics),
            limits: config.limits,
        };
        let service = jsonrpsee::server::Server::builder()
            .set_config(rpc_config(&config.limits))
            .set_rpc_middleware(RpcServiceBuilder::new().layer(layer))
            .to_service_builder();
        let shared = Arc::new(Shared {
            gate: Gate::new(address, &config.hosts, &config.origins),
            limits: config.limits,
            methods: all_methods(&node),
            service,
            rpc_stopped,
            node,
            metrics,
            connections,
            document: kumiki_rpc_api::document().to_string(),
        });
        let router = Router::new()
            .route("/", any(answer_call))
            .route("/health", get(|| async { "ok\n" }))
            .route("/ready", get(answer_ready))
            .route("/metrics", get(answer_metrics))
            .route("/openrpc.json", get(answer_document))
            .with_state(Arc::clone(&shared));
        Self { router, shared }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(super) fn method_names(&self) -> Vec<&'static str> {
        self.shared.methods.method_names().collect()
    }

    /// Answers one request of the connection that holds `place`.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
        place: HeldPlace,
    ) -> Result<Response<Body>, Infallible> {
        let origin = match self.shared.gate.check(request.uri(), request.headers()) {
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

    async fn route(&self, request: Request<Incoming>, place: HeldPlace) -> Response<Body> {
        let upgrade = is_upgrade_request(&request);
        let (mut parts, body) = request.into_parts();
        let body = if upgrade {
            Body::empty()
        } else {
            match self.read(body).await {
                Ok(body) => body,
                Err(refused) => {
                    self.metrics().count_refusal("body");
                    return refused.into_response();
                }
            }
        };
        // A WebSocket keeps the extensions of its request, and with them the connection's place.
        parts.extensions.insert(place);
        parts.extensions.insert(if upgrade {
            Transport::WebSocket
        } else {
            Transport::Http
        });
        let request = Request::from_parts(parts, body);
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The whole body, before any of it is parsed.
    async fn read(&self, body: Incoming) -> Result<Body, (StatusCode, &'static str)> {
        let limits = &self.shared.limits;
        let bytes_max = usize::try_from(limits.request_bytes).unwrap_or(usize::MAX);
        let time_max = Duration::from_millis(limits.request_timeout_ms);
        match timeout(time_max, to_bytes(Body::new(body), bytes_max)).await {
            Ok(Ok(bytes)) => Ok(Body::from(bytes)),
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

fn rpc_config(limits: &Limits) -> RpcConfig {
    let ping = Duration::from_millis(limits.ping_interval_ms);
    RpcConfig::builder()
        .max_request_body_size(limits.request_bytes)
        .max_response_body_size(limits.response_bytes)
        // Connections are counted before they come here; a request more per connection never waits.
        .max_connections(limits.connections.saturating_mul(2))
        .max_subscriptions_per_connection(limits.subscriptions_per_connection)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch_calls))
        .set_message_buffer_capacity(MESSAGE_BUFFER)
        .enable_ws_ping(
            PingConfig::new()
                .ping_interval(ping)
                .inactive_limit(ping.saturating_mul(2))
                .max_failures(1),
        )
        .build()
}

async fn answer_call(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let mut service = shared
        .service
        .clone()
        .build(shared.methods.clone(), shared.rpc_stopped.clone());
    match service.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(%error, "rpc service failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn answer_ready(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    match shared.node.status() {
        HealthStatus::Ready => (StatusCode::OK, "ready\n"),
        HealthStatus::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        HealthStatus::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        HealthStatus::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed\n"),
    }
}

async fn answer_metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let readings = Readings {
        connections: shared.connections.total(),
        head_height: shared.node.head().height,
        pending_transactions: shared.node.context.mempool.size().count,
    };
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, TYPE)], shared.metrics.text(&readings))
}

async fn answer_document(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json")],
        shared.document.clone(),
    )
}
