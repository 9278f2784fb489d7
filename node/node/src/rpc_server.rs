//! Run the RPC on threads of its own, which give way to those that vote, execute and talk to peers.
//!
//! What callers ask for may then keep all threads of the RPC busy: blocks do not wait behind it, neither in a queue of
//! tasks nor, on a machine whose cores are all taken, for a core.

use kumiki_rpc::{RpcContext, ServerConfig, ServerHandle};
use tokio::runtime::{Builder, Runtime};

use crate::{Fatal, NodeError};

/// Threads that serve connections.
const WORKERS: usize = 2;
/// Threads for what blocks: reads of calls and of subscriptions, and simulations.
const BLOCKING_MAX: usize = 32;
/// How much these threads give way. Each step is about a tenth of the processor time that they get where other threads
/// of the node want it too: this is a third of theirs.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// The running server, with its threads.
pub(crate) struct RpcServer {
    handle: ServerHandle,
    _threads: RpcThreads,
}

/// Dropping it does not wait for what still runs on them.
struct RpcThreads(Option<Runtime>);

impl Drop for RpcThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl RpcServer {
    /// Starts to serve; on return the address answers.
    pub(crate) async fn start(
        context: RpcContext,
        config: ServerConfig,
    ) -> Result<Self, NodeError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING_MAX)
            .thread_name("kumiki-rpc")
            .on_thread_start(give_way)
            .enable_all()
            .build()
            .map_err(|source| NodeError::Io {
                operation: "start the threads of the RPC",
                source,
            })?;
        let starting = runtime.spawn(kumiki_rpc::serve(context, config));
        let threads = RpcThreads(Some(runtime));
        let started = starting.await;
        let handle = started.map_err(|_panic| Fatal::Panicked { thread: "rpc" })??;
        Ok(Self {
            handle,
            _threads: threads,
        })
    }

    /// Where it answers.
    pub(crate) const fn address(&self) -> std::net::SocketAddr {
        self.handle.address()
    }

    /// Stops it. On return nothing of it uses the store any more.
    pub(crate) async fn stop(self) {
        self.handle.stop().await;
    }
}

/// Has the calling thread give way to others of this process.
#[cfg(target_os = "linux")]
fn give_way() {
    // On Linux "the process 0" is the calling thread.
    #[expect(
        unsafe_code,
        reason = "a call of the C library without a safe counterpart here"
    )]
    // SAFETY: it takes three numbers and touches no memory of ours.
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) } != 0;
    if failed {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "rpc thread keeps its priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}
