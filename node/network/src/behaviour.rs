//! Put together what the swarm does.

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, autonat, dcutr, identify, kad, mdns, ping, relay};

use crate::channel::streams::Streams;
use crate::config::{ChannelSpec, TopicSpec};
use crate::gate::Gate;
use crate::gossip::{self, Gossip};
use crate::{NetworkConfig, NetworkError};

/// Time between two pings of a peer. Both sides ping, so a peer that is there is heard as often, at least.
const PING_INTERVAL: Duration = Duration::from_secs(3);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two times that peers say who they are.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(300);
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything the swarm does. The gate is first: what it refuses nobody else sees.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: Gate,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) streams: Streams,
    pub(crate) gossip: Gossip,
    pub(crate) kad: Toggle<kad::Behaviour<MemoryStore>>,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(crate) relay_server: Toggle<relay::Behaviour>,
    pub(crate) relay_client: Toggle<relay::client::Behaviour>,
    pub(crate) dcutr: Toggle<dcutr::Behaviour>,
    pub(crate) autonat_client: Toggle<autonat::v2::client::Behaviour>,
    pub(crate) autonat_server: Toggle<autonat::v2::server::Behaviour>,
}

impl Behaviour {
    /// What `config` says to do, with these channels and topics.
    pub(crate) fn new(
        config: &NetworkConfig,
        keypair: &Keypair,
        channels: &[ChannelSpec],
        topics: &[TopicSpec],
        relay_client: Option<relay::client::Behaviour>,
    ) -> Result<Self, NetworkError> {
        let own = keypair.public().to_peer_id();
        let protocols: Result<Vec<_>, _> = channels
            .iter()
            .map(|spec| config.protocol(&format!("channel/{}/1", spec.name)))
            .collect();
        let identify = identify::Config::new(protocol_version(config), keypair.public())
            .with_agent_version(config.agent.clone())
            .with_interval(IDENTIFY_INTERVAL)
            .with_push_listen_addr_updates(true)
            // Addresses are kept in our own book, which judges them.
            .with_cache_size(0);
        let ping = ping::Config::new()
            .with_interval(PING_INTERVAL)
            .with_timeout(PING_TIMEOUT);
        let kad = config.discovery.then(|| kad(config, own)).transpose()?;
        let mdns = config
            .mdns
            .then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), own))
            .transpose()
            .map_err(|error| NetworkError::Setup {
                part: "mDNS",
                problem: error.to_string(),
            })?;
        let relay_server = config
            .relay_server
            .then(|| relay::Behaviour::new(own, relay::Config::default()));
        let dcutr = (config.dcutr && config.relay_client).then(|| dcutr::Behaviour::new(own));
        let autonat_client = config.autonat.then(autonat::v2::client::Behaviour::default);
        let autonat_server = config.autonat.then(autonat::v2::server::Behaviour::default);
        Ok(Self {
            gate: Gate::new(config.limits.clone()),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            streams: Streams::new(protocols?),
            gossip: gossip::behaviour(config, topics)?,
            kad: kad.into(),
            mdns: mdns.into(),
            relay_server: relay_server.into(),
            relay_client: relay_client.into(),
            dcutr: dcutr.into(),
            autonat_client: autonat_client.into(),
            autonat_server: autonat_server.into(),
        })
    }
}

/// What peers of this chain call their protocol family.
pub(crate) fn protocol_version(config: &NetworkConfig) -> String {
    format!("{}/1", config.protocol_prefix())
}

fn kad(config: &NetworkConfig, own: PeerId) -> Result<kad::Behaviour<MemoryStore>, NetworkError> {
    let mut kad = kad::Config::new(config.protocol("kad/1")?);
    kad.disjoint_query_paths(true)
        .set_query_timeout(QUERY_TIMEOUT)
        // Records of others come to us as events, and are dropped.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_ttl(None)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None);
    let store = MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: 0,
        max_provided_keys: 0,
    };
    let store = MemoryStore::with_config(own, store);
    Ok(kad::Behaviour::with_config(own, store, kad))
}
