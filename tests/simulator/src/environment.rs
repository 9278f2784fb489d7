//! Give one node's engine its environment: the simulated clock, tasks and randomness, and files on a disk of its own.

use std::convert::Infallible;
use std::future::Future;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use commonware_runtime::telemetry::metrics::{Metric, Registered};
use commonware_runtime::{
    BlobVersion, Clock, Error, Handle, Metrics, Name, Spawner, Storage, Supervisor, deterministic,
    signal,
};
use governor::clock::{Clock as RateClock, ReasonablyRealtime};
use rand_core::{TryCryptoRng, TryRng};

use crate::journal_disk::{JournalBlob, JournalDisk};

/// Commonware's deterministic environment, but for files: those forget on a crash what was not synced.
pub(crate) struct NodeEnvironment {
    pub(crate) inner: deterministic::Context,
    pub(crate) disk: JournalDisk,
}

impl NodeEnvironment {
    fn with(&self, inner: deterministic::Context) -> Self {
        Self {
            inner,
            disk: self.disk.clone(),
        }
    }
}

impl Supervisor for NodeEnvironment {
    fn name(&self) -> Name {
        self.inner.name()
    }

    fn child(&self, label: &'static str) -> Self {
        self.with(self.inner.child(label))
    }

    fn with_attribute(self, key: &'static str, value: impl std::fmt::Display) -> Self {
        Self {
            inner: self.inner.with_attribute(key, value),
            disk: self.disk,
        }
    }
}

impl Spawner for NodeEnvironment {
    fn shared(self, blocking: bool) -> Self {
        Self {
            inner: self.inner.shared(blocking),
            disk: self.disk,
        }
    }

    fn dedicated(self) -> Self {
        Self {
            inner: self.inner.dedicated(),
            disk: self.disk,
        }
    }

    fn spawn<F, Fut, T>(self, f: F) -> Handle<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let disk = self.disk;
        self.inner.spawn(move |inner| f(Self { inner, disk }))
    }

    async fn stop(self, value: i32, timeout: Option<Duration>) -> Result<(), Error> {
        self.inner.stop(value, timeout).await
    }

    fn stopped(&self) -> signal::Signal {
        self.inner.stopped()
    }
}

impl Metrics for NodeEnvironment {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(
        &self,
        name: N,
        help: H,
        metric: M,
    ) -> Registered<M> {
        self.inner.register(name, help, metric)
    }

    fn encode(&self) -> String {
        self.inner.encode()
    }
}

impl RateClock for NodeEnvironment {
    type Instant = SystemTime;

    fn now(&self) -> SystemTime {
        self.inner.current()
    }
}

impl ReasonablyRealtime for NodeEnvironment {}

impl Clock for NodeEnvironment {
    fn current(&self) -> SystemTime {
        self.inner.current()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.sleep(duration)
    }

    fn sleep_until(
        &self,
        deadline: SystemTime,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.sleep_until(deadline)
    }
}

impl TryRng for NodeEnvironment {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.inner.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.inner.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.inner.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for NodeEnvironment {}

impl Storage for NodeEnvironment {
    type Blob = JournalBlob;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(JournalBlob, u64, BlobVersion), Error> {
        let opened = self.inner.open_versioned(partition, name, versions).await;
        let (blob, length, version) = opened?;
        Ok((self.disk.watch(partition, name, blob), length, version))
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        self.inner.remove(partition, name).await?;
        self.disk.forget(partition, name);
        Ok(())
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.inner.scan(partition).await
    }
}
