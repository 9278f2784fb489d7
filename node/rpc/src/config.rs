//! Say where to listen, for whom, and within which limits.

use std::net::{Ipv4Addr, SocketAddr};

use axum::http::uri::Authority;
use kumiki_protocol::limits;
use kumiki_rpc_api::Limits;

/// Calls that a batch counts as, of those of a connection: its answers are gathered before they are sent.
pub(crate) const BATCH_WEIGHT: u32 = 16;

/// How to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host names, without port, to answer for besides `localhost` and the address that a connection came to.
    pub hosts: Vec<String>,
    /// Origins of web pages to answer besides the server's own: `https://app.example`, or with `:*` for every
    /// port, as in `http://localhost:*`.
    pub origins: Vec<String>,
    /// Serve `debug_…`, which have the node execute blocks again: for developers.
    pub debug: bool,
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
    /// A host is not a name or an address alone.
    #[error("RPC host '{found}' must be a name or an address, without scheme, port and path")]
    Host {
        /// The host.
        found: String,
    },
    /// An origin is not `scheme://host`, perhaps with a port.
    #[error("RPC origin '{found}' must be scheme://host, scheme://host:port or scheme://host:*")]
    Origin {
        /// The origin.
        found: String,
    },
}

impl ServerConfig {
    /// Loopback only, on `port`, for no foreign page, without `debug_…`, with [`default_limits`].
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, port).into(),
            hosts: Vec::new(),
            origins: Vec::new(),
            debug: false,
            limits: default_limits(),
        }
    }

    /// `parallel_calls` is what the virtual machine runs at once: simulations leave one of these free, so that
    /// blocks never wait for them.
    pub(crate) fn check(&self, parallel_calls: u32) -> Result<(), ConfigError> {
        let ranges = ranges(&self.limits, parallel_calls);
        let wrong = ranges
            .into_iter()
            .find(|(_, found, min, max)| !(min..=max).contains(&found));
        if let Some((name, found, min, max)) = wrong {
            return Err(ConfigError::Limit {
                name,
                found,
                min,
                max,
            });
        }
        if let Some(found) = self.hosts.iter().find(|host| !is_host(host)) {
            let found = found.clone();
            return Err(ConfigError::Host { found });
        }
        match self.origins.iter().find(|origin| !is_origin(origin)) {
            Some(found) => Err(ConfigError::Origin {
                found: found.clone(),
            }),
            None => Ok(()),
        }
    }
}

macro_rules! ranges {
    ($limits:ident: $($name:ident $min:expr, $max:expr;)*) => {
        vec![$((stringify!($name), u64::from($limits.$name), $min, $max)),*]
    };
}

/// Every limit: name, value, least and most.
fn ranges(limits: &Limits, parallel_calls: u32) -> Vec<(&'static str, u64, u64, u64)> {
    let transaction_bytes = u64::try_from(limits::TRANSACTION_BYTES_MAX).unwrap_or(u64::MAX);
    ranges! { limits:
        request_bytes 4 << 10, 64 << 20;
        response_bytes 64 << 10, 256 << 20;
        batch_calls 1, 10_000;
        parameter_depth 4, 64;
        connections 1, 100_000;
        connections_per_ip 1, 100_000;
        subscriptions_per_connection 1, 1_024;
        calls_per_connection u64::from(BATCH_WEIGHT), 1_024;
        // Told to clients; the protocol sets it.
        transaction_bytes transaction_bytes, transaction_bytes;
        state_page_entries 1, 10_000;
        state_page_bytes 1 << 10, 64 << 20;
        event_page_events 1, 10_000;
        simulation_gas 1, 100_000_000_000;
        simulations 1, u64::from(parallel_calls.saturating_sub(1));
        waiters 1, 1_000_000;
        waiters_per_ip 1, 1_000_000;
        wait_ms 1, 3_600_000;
        header_timeout_ms 10, 600_000;
        request_timeout_ms 10, 600_000;
        ping_interval_ms 10, 600_000;
        slow_reader_ms 10, 600_000;
    }
}

/// A name or an address without scheme, port or path; IPv6 in brackets.
fn is_host(text: &str) -> bool {
    let authority: Result<Authority, _> = text.parse();
    authority.is_ok_and(|authority| authority.host() == text)
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, authority)| {
        !scheme.is_empty() && !authority.is_empty() && !authority.contains('/')
    })
}

/// The limits of a node that says nothing else.
///
/// A request of 2 MiB holds the largest transaction (640 KiB, twice that in hex). A batch of 100 lets one
/// connection submit faster than a chain executes. Of the addresses that wait for receipts, it takes four to leave
/// no place for others.
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
        calls_per_connection: 64,
        transaction_bytes: u32::try_from(limits::TRANSACTION_BYTES_MAX)
            .expect("a protocol constant below 2^32"),
        state_page_entries: 256,
        state_page_bytes: 1 << 20,
        event_page_events: 256,
        simulation_gas: 2_000_000_000,
        simulations: 4,
        waiters: 4_096,
        waiters_per_ip: 1_024,
        wait_ms: 60_000,
        header_timeout_ms: 10_000,
        request_timeout_ms: 20_000,
        ping_interval_ms: 30_000,
        slow_reader_ms: 5_000,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    const PARALLEL_CALLS: u32 = 8;

    fn with(name: &str, value: u64) -> Option<ConfigError> {
        let mut config = ServerConfig::loopback(0);
        let mut limits: Map<String, Value> = serde_json::from_value(json!(config.limits)).unwrap();
        limits.insert(name.to_owned(), value.into());
        config.limits = serde_json::from_value(limits.into()).unwrap();
        config.check(PARALLEL_CALLS).err()
    }

    #[test]
    fn every_limit_has_a_range() {
        let limits: Map<String, Value> = serde_json::from_value(json!(default_limits())).unwrap();
        assert!(limits.len() > 20);
        for (name, value) in &limits {
            // `simulationGas` is small for 32 bits, times are larger than any.
            for outside in [0, u64::from(u32::MAX)] {
                let outside = if name == "simulationGas" {
                    outside << 20
                } else {
                    outside
                };
                let refused = with(name, outside);
                assert!(
                    matches!(refused, Some(ConfigError::Limit { found, .. }) if found == outside),
                    "{name} = {outside}: {refused:?}"
                );
            }
            assert_eq!(with(name, value.as_u64().unwrap()), None);
        }
    }

    #[test]
    fn simulations_leave_a_call_of_the_machine_to_blocks() {
        let most = u64::from(PARALLEL_CALLS - 1);
        assert_eq!(with("simulations", most), None);
        assert!(with("simulations", most + 1).is_some());
        let refused = ServerConfig::loopback(0).check(1).unwrap_err();
        assert!(matches!(
            refused,
            ConfigError::Limit {
                name: "simulations",
                ..
            }
        ));
    }

    #[test]
    fn hosts_are_names_without_anything_around_them() {
        let refused = |host: &str| {
            let mut config = ServerConfig::loopback(0);
            config.hosts = vec![host.to_owned()];
            config.check(PARALLEL_CALLS).is_err()
        };
        for host in ["node.example", "10.0.0.7", "[fe80::1]"] {
            assert!(!refused(host), "{host}");
        }
        for host in [
            "",
            "http://node.example",
            "node.example:80",
            "a/b",
            "u@node",
            "fe80::1",
        ] {
            assert!(refused(host), "{host}");
        }
    }
}
