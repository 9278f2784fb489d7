//! Own the listener: accept, count and time connections, and route requests.

mod routes;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::connections::Connections;
use crate::methods::{Node, reads_at_once};
use crate::timed_io::TimedIo;
use crate::{ConfigError, RpcContext, ServerConfig};
use routes::Routes;

/// How long [`ServerHandle::stop`] waits for requests that are being answered.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// Pause after the system refused a connection: it is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long it then waits for what is still running, such as a simulation whose caller has gone.
const END_MAX: Duration = Duration::from_secs(30);
/// How often a write that the other end does not take is given the time of a slow reader, before the
/// connection is cut. More than once, so that a closed subscription can still say why.
const STALLS_MAX: u32 = 4;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The chain has no first block yet.
    #[error("the store holds no chain yet; initialise it before serving")]
    NotInitialised,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A running server. It stops at once when this is dropped.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    /// Says that no more is taken on.
    stop: watch::Sender<bool>,
    /// Says that connections end where they are.
    cut: watch::Sender<bool>,
    /// Closed when nothing of the server uses the store any more.
    in_use: watch::Sender<()>,
    connections: Arc<Connections>,
    accepting: JoinHandle<()>,
    method_names: Vec<&'static str>,
}

impl ServerHandle {
    /// The methods that are served, subscriptions and their ends included.
    pub fn method_names(&self) -> impl Iterator<Item = &'static str> {
        self.method_names.iter().copied()
    }

    /// The address that is listened on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets requests under way finish for up to three seconds, and ends the rest. On
    /// return nothing of the server uses the store any more, so that it can be opened again.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if timeout(DRAIN_MAX, self.connections.all_gone())
            .await
            .is_err()
        {
            let left = self.connections.total();
            tracing::warn!(left, "rpc connections did not close in time and are cut");
        }
        self.cut.send_replace(true);
        self.accepting.abort();
        if timeout(END_MAX, self.in_use.closed()).await.is_err() {
            tracing::error!("rpc work did not end in time; the store stays open");
        }
    }
}

/// Starts to serve; on return the address answers.
///
/// # Errors
/// When the configuration makes no sense, the chain is not initialised, or the address is taken.
pub async fn serve(context: RpcContext, config: ServerConfig) -> Result<ServerHandle, ServeError> {
    config.check(context.executor.vm().parallel_calls_max())?;
    if context.storage.tip().is_none() {
        return Err(ServeError::NotInitialised);
    }
    let listen_error = |source| ServeError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let limits = &config.limits;
    let reads = (reads_at_once() / 2).max(1);
    let connections = Connections::new(limits.connections, limits.connections_per_ip, reads);
    let (stop, stopped) = watch::channel(false);
    let (cut, cut_off) = watch::channel(false);
    let (in_use, used) = watch::channel(());
    let node = Arc::new(Node::new(context, &config, used));
    let signals = Signals { stopped, cut_off };
    let routes = Routes::new(&node, &config, Arc::clone(&connections), signals.clone());
    drop(node);
    let method_names = routes.method_names();
    let acceptor = Acceptor {
        routes,
        connections: Arc::clone(&connections),
        header_timeout: Duration::from_millis(limits.header_timeout_ms),
        stall_max: Duration::from_millis(limits.slow_reader_ms) * STALLS_MAX,
        signals,
    };
    let accepting = tokio::spawn(acceptor.run(listener));
    tracing::info!(%address, "rpc server started");
    Ok(ServerHandle {
        address,
        stop,
        cut,
        in_use,
        connections,
        accepting,
        method_names,
    })
}

/// What tells connections to end.
#[derive(Clone, Debug)]
struct Signals {
    /// With what they are doing.
    stopped: watch::Receiver<bool>,
    /// At once.
    cut_off: watch::Receiver<bool>,
}

struct Acceptor {
    routes: Routes,
    connections: Arc<Connections>,
    header_timeout: Duration,
    stall_max: Duration,
    signals: Signals,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _stopped = self.signals.stopped.changed() => return,
            };
            match accepted {
                Ok((socket, from)) => self.admit(socket, from),
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, socket: TcpStream, from: SocketAddr) {
        let Some((connection, displaced)) = self.connections.enter(from.ip()) else {
            self.routes.metrics().count_refusal("connections");
            refuse(&socket);
            return;
        };
        if displaced {
            self.routes.metrics().count_refusal("displaced");
        }
        let local = match socket.set_nodelay(true).and_then(|()| socket.local_addr()) {
            Ok(local) => local.ip(),
            Err(error) => {
                tracing::debug!(%error, "socket closed at once");
                return;
            }
        };
        let io = TokioIo::new(TimedIo::new(socket, self.stall_max));
        let place = Arc::new(connection);
        let (routes, own) = (self.routes.clone(), Arc::clone(&place));
        let answer =
            service_fn(move |request| routes.clone().answer(request, local, Arc::clone(&own)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_headers(64)
            .max_buf_size(64 << 10)
            .serve_connection(io, answer)
            .with_upgrades();
        let Signals {
            mut stopped,
            mut cut_off,
        } = self.signals.clone();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            // A WebSocket goes on after this, and keeps its place itself.
            let place = place;
            let serving = async {
                tokio::select! {
                    ended = connection.as_mut() => return ended,
                    _stopped = stopped.changed() => {}
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            };
            tokio::select! {
                ended = serving => if let Err(error) = ended {
                    tracing::debug!(%error, "rpc connection ended");
                },
                () = place.told_to_leave() => {}
                _cut = cut_off.wait_for(|cut| *cut) => {}
            }
        });
    }
}

/// Tells a connection too many why it is closed, if it takes the answer at once.
fn refuse(socket: &TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
        content-length: 46\r\nconnection: close\r\n\r\n429: too many connections, try again later...\n";
    if let Err(error) = socket.try_write(ANSWER) {
        tracing::debug!(%error, "refused connection did not take its answer");
    }
}
