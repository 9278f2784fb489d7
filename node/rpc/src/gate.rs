//! Decide by Host and Origin whom to answer, so that no web page reaches a node through its reader's browser.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

/// Names of this machine that no other machine has.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whom to answer.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The Host header names another server.
    Host,
    /// The request comes from a page of another server.
    Origin,
}

impl Refused {
    /// What to tell the caller. It repeats nothing of the request.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Host => {
                "403: this node does not answer for the name in the Host header. Use its address, or add the name \
                 to the node's RPC hosts.\n"
            }
            Self::Origin => {
                "403: this node does not answer pages of this origin. Add it to the node's RPC origins.\n"
            }
        }
    }
}

impl Gate {
    /// Answers for loopback names, the address that a connection came to, `hosts`, and pages of these or of
    /// `origins`.
    pub(crate) fn new(hosts: &[String], origins: &[String]) -> Self {
        Self {
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            origins: origins.iter().map(|one| one.to_ascii_lowercase()).collect(),
        }
    }

    /// The request's Origin when it is a page's that may read the answer; `None` when no page asks. `local` is the
    /// address that the request's connection came to.
    pub(crate) fn check<'a>(
        &self,
        local: IpAddr,
        uri: &Uri,
        headers: &'a HeaderMap,
    ) -> Result<Option<&'a str>, Refused> {
        let host = self.check_host(local, uri, headers)?;
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(None);
        };
        let origin = origin.to_str().map_err(|_not_text| Refused::Origin)?;
        if origins.next().is_some() || !self.allows_origin(origin, &host) {
            return Err(Refused::Origin);
        }
        Ok(Some(origin))
    }

    fn check_host(
        &self,
        local: IpAddr,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Authority, Refused> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refused::Host);
        };
        let host: Authority = host
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(Refused::Host)?;
        // A request line with another server than its Host header is an attack on one of the two.
        let agrees = uri.authority().is_none_or(|authority| *authority == host);
        let name = host.host().to_ascii_lowercase();
        // An address cannot be a name that an attacker's name server points here.
        let known = LOOPBACK.contains(&name.as_str())
            || is_address(&name, local)
            || self.hosts.contains(&name);
        if agrees && !host.as_str().contains('@') && known {
            Ok(host)
        } else {
            Err(Refused::Host)
        }
    }

    fn allows_origin(&self, origin: &str, host: &Authority) -> bool {
        let origin = origin.to_ascii_lowercase();
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        if matches!(scheme, "http" | "https") && host.as_str().eq_ignore_ascii_case(authority) {
            return true;
        }
        let any_port = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) | None => authority,
        };
        let any_port = format!("{scheme}://{any_port}:*");
        self.origins
            .iter()
            .any(|allowed| *allowed == origin || *allowed == any_port)
    }
}

/// Whether `name`, of a Host header, is the address `ip`.
fn is_address(name: &str, ip: IpAddr) -> bool {
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let named: Result<IpAddr, _> = bare.parse();
    named.is_ok_and(|named| named.to_canonical() == ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 7, 9));

    fn verdict(host: &str, origin: Option<&str>) -> Result<bool, Refused> {
        let gate = Gate::new(
            &["node.example".to_owned()],
            &[
                "https://app.example".to_owned(),
                "http://localhost:*".to_owned(),
            ],
        );
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        gate.check(LOCAL, &Uri::from_static("/"), &headers)
            .map(|origin| origin.is_some())
    }

    #[test]
    fn only_names_of_this_server_are_answered_for() {
        for host in [
            "127.0.0.1:8080",
            "LOCALHOST:1",
            "[::1]:8080",
            "node.example",
            "192.168.7.9:8080",
            "[::ffff:192.168.7.9]",
        ] {
            assert_eq!(verdict(host, None), Ok(false), "{host}");
        }
        let foreign = [
            "evil.example",
            "127.0.0.1.evil.example",
            "a@localhost",
            "localhost.",
            "10.0.0.1",
            "192.168.7.10",
            "192.168.7.9.evil.example",
            "0.0.0.0",
        ];
        for host in foreign {
            assert_eq!(verdict(host, None), Err(Refused::Host), "{host}");
        }
    }

    #[test]
    fn only_pages_of_this_server_and_of_named_origins_are_answered() {
        let own = [
            "http://127.0.0.1:8080",
            "https://app.example",
            "http://localhost:5173",
            "http://localhost",
        ];
        for origin in own {
            assert_eq!(
                verdict("127.0.0.1:8080", Some(origin)),
                Ok(true),
                "{origin}"
            );
        }
        let foreign = [
            "null",
            "http://evil.example",
            "https://app.example.evil",
            "https://app.example:444",
            "http://localhost:5173.evil.example",
            "http://localhost.evil:*",
            "file://",
            "",
        ];
        for origin in foreign {
            assert_eq!(
                verdict("127.0.0.1:8080", Some(origin)),
                Err(Refused::Origin),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_request_line_for_another_server_is_refused() {
        let gate = Gate::new(&[], &[]);
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("http://evil.example/");
        assert_eq!(
            gate.check(LOCAL, &uri, &headers),
            Err(Refused::Host),
            "no Host"
        );
        headers.insert(HOST, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(gate.check(LOCAL, &uri, &headers), Err(Refused::Host));
    }
}
