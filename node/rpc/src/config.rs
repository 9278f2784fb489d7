//! Say where to listen, for whom, and within which limits.

use std::net::{Ipv4Addr, SocketAddr};

use kumiki_protocol::limits;
use kumiki_rpc_api::Limits;

/// How to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host names, without port, to answer for besides `localhost` and the address that is listened on.
    pub hosts: Vec<String>,
    /// Origins of web pages to answer besides the server's own: `https://app.example`, or with `:*` for every
    /// port, as in `http://localhost:*`.
    pub origins: Vec<String>,
    /// What to allow.
    pub limits: Limits,
}

/// Why a configuration cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A limit is zero, or so large that it is none.
    #[error("RPC limit {name} is {found}, expected {min} to {max}")]
    Limit {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// An origin is not `scheme://host`, perhaps with a port.
    #[error("RPC origin '{found}' must be scheme://host, scheme://host:port or scheme://host:*")]
    Origin {
        /// The origin.
        found: String,
    },
}

impl ServerConfig {
    /// Loopback only, on `port`, for no foreign page, with [`default_limits`].
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, port).into(),
            hosts: Vec::new(),
            origins: Vec::new(),
            limits: default_limits(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let ranges: [(&'static str, u64, u64, u64); 12] = [
            (
                "request_bytes",
                limits.request_bytes.into(),
                4 << 10,
                64 << 20,
            ),
            (
                "response_bytes",
                limits.response_bytes.into(),
                64 << 10,
                256 << 20,
            ),
            ("batch_calls", limits.batch_calls.into(), 1, 10_000),
            ("parameter_depth", limits.parameter_depth.into(), 4, 64),
            ("connections", limits.connections.into(), 1, 100_000),
            (
                "connections_per_ip",
                limits.connections_per_ip.into(),
                1,
                100_000,
            ),
            (
                "state_page_entries",
                limits.state_page_entries.into(),
                1,
                10_000,
            ),
            (
                "event_page_events",
                limits.event_page_events.into(),
                1,
                10_000,
            ),
            ("simulations", limits.simulations.into(), 1, 1_024),
            ("header_timeout_ms", limits.header_timeout_ms, 10, 600_000),
            ("request_timeout_ms", limits.request_timeout_ms, 10, 600_000),
            ("ping_interval_ms", limits.ping_interval_ms, 10, 600_000),
        ];
        for (name, found, min, max) in ranges {
            if !(min..=max).contains(&found) {
                return Err(ConfigError::Limit {
                    name,
                    found,
                    min,
                    max,
                });
            }
        }
        match self.origins.iter().find(|origin| !is_origin(origin)) {
            Some(found) => Err(ConfigError::Origin {
                found: found.clone(),
            }),
            None => Ok(()),
        }
    }
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, authority)| {
        !scheme.is_empty() && !authority.is_empty() && !authority.contains('/')
    })
}

/// The limits of a node that says nothing else.
///
/// A request of 2 MiB holds the largest transaction (640 KiB, twice that in hex). A batch of 100 lets one
/// connection submit faster than a chain executes.
#[must_use]
pub fn default_limits() -> Limits {
    Limits {
        request_bytes: 2 << 20,
        response_bytes: 16 << 20,
        batch_calls: 100,
        parameter_depth: 16,
        connections: 256,
        connections_per_ip: 128,
        subscriptions_per_connection: 32,
        transaction_bytes: u32::try_from(limits::TRANSACTION_BYTES_MAX)
            .expect("a protocol constant below 2^32"),
        state_page_entries: 256,
        state_page_bytes: 1 << 20,
        event_page_events: 256,
        simulation_gas: 2_000_000_000,
        simulations: 4,
        waiters: 4_096,
        wait_ms: 60_000,
        header_timeout_ms: 10_000,
        request_timeout_ms: 20_000,
        ping_interval_ms: 30_000,
        slow_reader_ms: 5_000,
    }
}
