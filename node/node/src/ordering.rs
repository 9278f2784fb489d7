//! Start the ordering engine of a chain, and end it.

use std::sync::Arc;
use std::thread::JoinHandle;

use commonware_runtime::Runner as _;
use kumiki_consensus::simplex::{
    self, Beginning, Channels, Pace, Peers, SimplexConfig, Timeouts, message_bytes_max,
};
use kumiki_consensus::{Ended, Solo, Tip};
use kumiki_network::{
    Audience, Channel, ChannelQuota, ChannelReceiver, ChannelSender, ChannelSpec, Network, WhenFull,
};
use kumiki_protocol::{Genesis, SecretKey};
use kumiki_storage::{Storage, StorageError};
use tokio::sync::watch;

use crate::threads::Alarm;
use crate::{Chain, NodeError};

/// Threads of the engine's runtime.
const WORKERS: usize = 2;
/// A panic in a task of the engine must end the engine, and with it the node.
const CATCH_PANICS: bool = false;

/// A running engine. It ends when `stop` turns true or its chain is gone.
pub(crate) enum Ordering {
    Solo(tokio::task::JoinHandle<Ended>),
    Simplex(JoinHandle<Ended>),
}

impl Ordering {
    /// Waits for its end; `false`: it panicked.
    pub(crate) async fn ended(self) -> bool {
        match self {
            Self::Solo(task) => task.await.is_ok(),
            Self::Simplex(thread) => tokio::task::spawn_blocking(move || thread.join().is_ok())
                .await
                .unwrap_or(false),
        }
    }
}

/// Starts the solo engine.
pub(crate) fn start_solo(
    solo: Solo<Chain>,
    tip: Tip,
    stop: watch::Receiver<bool>,
    alarm: Alarm,
) -> Ordering {
    Ordering::Solo(tokio::spawn(async move {
        let _alarm = alarm;
        solo.run(tip, stop).await
    }))
}

/// Where the stored chain begins.
pub(crate) fn beginning(storage: &Storage) -> Result<Beginning, StorageError> {
    let Some(base) = storage.base()? else {
        let block = storage.block(0)?.ok_or(StorageError::NotInitialised)?;
        return Ok(Beginning::Genesis(Arc::new(block)));
    };
    let validators = storage.validators_of(base.certificate.proposal.epoch)?;
    Ok(Beginning::Fetched {
        validators: validators.ok_or(StorageError::NotInitialised)?,
        certificate: base.certificate,
    })
}

/// What Simplex is started with.
pub(crate) struct SimplexParts {
    pub(crate) key: SecretKey,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) beginning: Beginning,
    pub(crate) pace: Pace,
    pub(crate) chain: Chain,
    pub(crate) network: Network,
    pub(crate) channels: Vec<Channel>,
    pub(crate) folder: std::path::PathBuf,
    pub(crate) keeps_up: watch::Sender<bool>,
}

/// Starts Simplex on a thread and a runtime of its own: votes must not wait behind requests.
pub(crate) fn start_simplex(
    parts: SimplexParts,
    stop: watch::Receiver<bool>,
    alarm: Alarm,
) -> Result<Ordering, NodeError> {
    let oracle = parts.network.oracle();
    let peers = Peers {
        manager: oracle.clone(),
        blocker: oracle,
    };
    let config = SimplexConfig {
        key: parts.key,
        genesis: parts.genesis,
        beginning: parts.beginning,
        pace: parts.pace,
        timeouts: Timeouts::for_heartbeat(parts.pace.heartbeat),
        partition_prefix: String::new(),
        keeps_up: parts.keeps_up,
    };
    let channels = in_order(parts.channels);
    let runtime = commonware_runtime::tokio::Config::new()
        .with_storage_directory(parts.folder)
        .with_worker_threads(WORKERS)
        .with_catch_panics(CATCH_PANICS);
    let chain = Arc::new(parts.chain);
    let thread = std::thread::Builder::new()
        .name("kumiki-ordering".to_owned())
        .spawn(move || {
            let _alarm = alarm;
            commonware_runtime::tokio::Runner::new(runtime)
                .start(|env| simplex::run(env, config, chain, peers, channels, stop))
        })
        .map_err(|source| NodeError::Io {
            operation: "start the ordering thread",
            source,
        })?;
    Ok(Ordering::Simplex(thread))
}

/// The channels that Simplex speaks over, in the order of [`Channels`].
pub(crate) fn channel_specs(genesis: &Genesis) -> Vec<ChannelSpec> {
    let block = u32::try_from(message_bytes_max(genesis)).unwrap_or(u32::MAX);
    // A certificate of the largest set, with some room.
    let certificate = 128 * 1024;
    let validators = Audience::Primary;
    let small = |name: &str, bytes_max, audience, when_full| ChannelSpec {
        name: name.to_owned(),
        message_bytes_max: bytes_max,
        outbound_queue: 1_024,
        inbound_queue: 4_096,
        quota: quota(4_096, 8 << 20),
        when_full,
        audience,
    };
    let large = |name: &str, queue, audience, bytes_per_second| ChannelSpec {
        name: name.to_owned(),
        message_bytes_max: block,
        outbound_queue: queue,
        inbound_queue: 256,
        quota: quota(1_024, bytes_per_second),
        when_full: WhenFull::DropOldest,
        audience,
    };
    vec![
        small("votes", 1_024, validators, WhenFull::DropOldest),
        small(
            "certificates",
            certificate,
            validators,
            WhenFull::DropOldest,
        ),
        small("views", certificate, validators, WhenFull::DropNewest),
        large("proposals", 64, validators, 256 << 20),
        large("blocks", 64, Audience::Everyone, 64 << 20),
        small(
            "news",
            certificate,
            Audience::Everyone,
            WhenFull::DropOldest,
        ),
    ]
}

fn quota(messages_per_second: u32, bytes_per_second: u64) -> ChannelQuota {
    ChannelQuota {
        messages_per_second: std::num::NonZeroU32::new(messages_per_second)
            .unwrap_or(std::num::NonZeroU32::MIN),
        bytes_per_second: std::num::NonZeroU64::new(bytes_per_second)
            .unwrap_or(std::num::NonZeroU64::MIN),
    }
}

fn in_order(channels: Vec<Channel>) -> Channels<ChannelSender, ChannelReceiver> {
    let mut opened = channels.into_iter();
    let mut next = || {
        let channel = opened
            .next()
            .expect("the network opens one channel per specification");
        (channel.sender, channel.receiver)
    };
    Channels {
        votes: next(),
        certificates: next(),
        views: next(),
        proposals: next(),
        blocks: next(),
        news: next(),
    }
}
