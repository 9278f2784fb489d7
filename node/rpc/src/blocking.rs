//! Run what may wait for the disk, or takes long, on a bounded number of threads that may block.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// A bounded number of threads, of those that the runtime keeps for blocking.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    free: Arc<Semaphore>,
    count: usize,
}

/// The work panicked, which the log tells of, or the runtime is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work did not end")]
pub(crate) struct Lost;

impl Threads {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            count,
        }
    }

    /// How many are taken.
    pub(crate) fn busy(&self) -> usize {
        self.count.saturating_sub(self.free.available_permits())
    }

    /// The right to a thread, when there is one.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, Lost> {
        let turn = Arc::clone(&self.free).acquire_owned().await;
        turn.map_err(|_closed| Lost)
    }

    /// Runs `work` when it is its turn.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        run_holding(self.turn().await?, work).await
    }
}

/// Runs `work`, which holds `turn` until it has ended, also when nobody waits for it any more: a caller who goes
/// away does not get another thread by it.
pub(crate) async fn run_holding<T: Send + 'static>(
    turn: impl Send + 'static,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Lost> {
    let running = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    running.await.map_err(|error| {
        tracing::error!(%error, "work for a request panicked");
        Lost
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_keeps_its_thread_when_nobody_waits_for_it_any_more() {
        let threads = Threads::new(1);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, may_end) = mpsc::channel::<()>();
        let work = move || {
            begun.send(()).unwrap();
            let _ended = may_end.recv();
        };
        let waiting = tokio::spawn({
            let threads = threads.clone();
            async move { threads.run(work).await }
        });
        has_begun.await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(threads.busy(), 1);
        end.send(()).unwrap();
        threads.run(|| ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_gives_the_thread_back() {
        let threads = Threads::new(1);
        let lost = threads.run(|| panic!("on purpose")).await;
        assert_eq!(lost, Err::<(), _>(Lost));
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }
}
