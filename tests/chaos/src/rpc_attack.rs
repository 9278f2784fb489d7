//! Callers of the RPC that mean harm: what each does, how many of them there are, and what a node may answer.
//!
//! Each is a plain async function over raw sockets. They come from loopback addresses of their own, 127.0.0.2 and
//! up, so that limits by address hold them apart from honest callers on 127.0.0.1, as on a network.

mod bait;
mod hostile_calls;
mod hostile_json;
mod http;
mod table;
mod target;
mod websocket;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use bait::lay_bait;
pub use hostile_json::{Message, messages};
pub use table::{ATTACKS, find};
pub use target::Target;
use wire::{Answer, Window, Wire};

/// A call that costs a node nearly nothing.
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"node_getVersion"}"#;
/// The first of the attackers' addresses.
const FIRST_ADDRESS: u8 = 2;

type Strike = for<'a> fn(Hit<'a>) -> BoxFuture<'a, io::Result<()>>;

/// A way to attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// What it is called.
    pub name: &'static str,
    /// What is done, for people.
    pub what: &'static str,
    /// Attackers at once; each has one connection at a time.
    pub callers: usize,
    /// Addresses that they come from.
    pub addresses: usize,
    /// How long each waits between two strikes.
    pub pause: Duration,
    /// What a node may do to them: HTTP status, error code, `result`, `closed`; `unread`, `gone` and `all of …` are theirs.
    pub allowed: &'static [&'static str],
    /// What it must do to some of them, where there is time for it.
    pub expected: &'static [&'static str],
    strike: Strike,
}

impl std::fmt::Debug for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What nodes did to attackers, counted.
pub type Outcomes = BTreeMap<String, u64>;

/// One caller's strike.
#[derive(Clone, Copy)]
struct Hit<'a> {
    target: &'a Target,
    outcomes: &'a Mutex<Outcomes>,
    /// The last number of the loopback address that it comes from.
    from: u8,
    /// Which caller it is.
    number: usize,
}

impl Hit<'_> {
    async fn open(&self, window: Window) -> io::Result<Wire> {
        Wire::open(self.target.rpc, self.from, window).await
    }

    async fn open_websocket(&self, window: Window) -> io::Result<Wire> {
        let opened = Wire::open_websocket(self.target.rpc, self.from, window).await;
        if let Err(error) = &opened
            && error.kind() == io::ErrorKind::Other
        {
            self.note(&error.to_string());
        }
        opened
    }

    fn note(&self, what: &str) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        *outcomes.entry(what.to_owned()).or_default() += 1;
    }

    /// Counts an answer over HTTP by its status.
    fn note_answer<E>(&self, answer: Result<io::Result<Answer>, E>) {
        match answer {
            Ok(Ok(answer)) => self.note(&answer.status.to_string()),
            Ok(Err(_closed)) => self.note("closed"),
            Err(_elapsed) => self.note("silent"),
        }
    }

    /// Counts an answer by the code of its error, a batch by the first.
    fn note_json(&self, status: u16, body: &[u8]) {
        if status != 200 {
            return self.note(&status.to_string());
        }
        let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let one = answer.get(0).unwrap_or(&answer);
        match one["error"]["code"].as_i64() {
            Some(code) => self.note(&code.to_string()),
            None if one["result"].is_null() => self.note("no JSON-RPC"),
            None => self.note("result"),
        }
    }
}

/// An attack that goes on. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    callers: JoinSet<()>,
    /// Callers that have begun.
    begun: Arc<AtomicUsize>,
    outcomes: Arc<Mutex<Outcomes>>,
}

impl Running {
    /// Whether every caller of the attack has begun, and the node has done what it must.
    #[must_use]
    pub fn has_shown(&self, attack: &Attack) -> bool {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut expected = attack.expected.iter();
        self.begun.load(Ordering::Relaxed) >= attack.callers
            && expected.all(|what| outcomes.contains_key(*what))
    }

    /// Ends it, its connections too, and says what came of it.
    pub async fn stop(mut self) -> Outcomes {
        self.callers.shutdown().await;
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut outcomes)
    }
}

/// Begins to attack.
#[must_use]
pub fn start(attack: &Attack, target: &Target) -> Running {
    let outcomes: Arc<Mutex<Outcomes>> = Arc::default();
    let target = Arc::new(target.clone());
    let begun: Arc<AtomicUsize> = Arc::default();
    let mut callers = JoinSet::new();
    for number in 0..attack.callers {
        let (target, outcomes) = (Arc::clone(&target), Arc::clone(&outcomes));
        let (strike, pause) = (attack.strike, attack.pause);
        let address = u8::try_from(number % attack.addresses.max(1)).unwrap_or(0);
        let begins = Arc::clone(&begun);
        callers.spawn(async move {
            begins.fetch_add(1, Ordering::Relaxed);
            loop {
                let hit = Hit {
                    target: &target,
                    outcomes: &outcomes,
                    from: FIRST_ADDRESS.saturating_add(address),
                    number,
                };
                if let Err(error) = strike(hit).await
                    && error.kind() != io::ErrorKind::Other
                {
                    hit.note("closed");
                }
                sleep(pause).await;
            }
        });
    }
    Running {
        callers,
        begun,
        outcomes,
    }
}
