//! The attacks there are.

use std::time::Duration;

use super::{Attack, hostile_calls, http, websocket};

macro_rules! attacks {
    ($($name:literal $what:literal: $callers:literal from $addresses:literal, every $pause:literal ms,
        allowed $allowed:expr, expected $expected:expr, $module:ident $strike:ident;)*) => {
        /// Every attack.
        pub const ATTACKS: &[Attack] = &[$(Attack {
            name: $name,
            what: $what,
            callers: $callers,
            addresses: $addresses,
            pause: Duration::from_millis($pause),
            allowed: &$allowed,
            expected: &$expected,
            strike: |hit| Box::pin($module::$strike(hit)),
        }),*];
    };
}

attacks! {
    "oversized-body" "bodies that say they have 1 GiB": 16 from 4, every 50 ms,
        allowed ["413", "closed"], expected ["413"], http oversized_body;
    "endless-body" "bodies in chunks without end": 16 from 4, every 50 ms,
        allowed ["413", "503", "closed"], expected [], http endless_body;
    "huge-head" "heads of requests without end": 16 from 4, every 50 ms,
        allowed ["431", "closed"], expected [], http huge_head;
    "huge-frame" "WebSocket frames of a terabyte": 16 from 4, every 50 ms,
        allowed ["-32007", "closed", "429"], expected [], websocket huge_frame;
    "endless-fragments" "WebSocket messages in fragments without end": 16 from 4, every 50 ms,
        allowed ["-32007", "closed", "429"], expected [], websocket endless_fragments;
    "claimed-frame" "WebSocket frames that say 2 MB, of which nothing comes": 300 from 4, every 1000 ms,
        allowed ["closed", "429"], expected [], websocket claimed_frame;
    "half-message" "WebSocket messages of 2 MB that stay open": 300 from 4, every 1000 ms,
        allowed ["closed", "429"], expected [], websocket half_message;
    "large-calls" "calls of 2 MB that wait for a turn": 32 from 4, every 10 ms,
        allowed ["-32602", "1002", "1009", "4009", "4012", "result", "closed", "429"],
        expected [], websocket large_calls;
    "long-batch" "batches of 1,000 calls": 8 from 4, every 1 ms,
        allowed ["-32010"], expected ["-32010"], http long_batch;
    "cheap-batch" "batches of 100 cheap calls": 8 from 4, every 1 ms,
        allowed ["result", "closed"], expected ["result"], http cheap_batch;
    "dear-batch" "batches of 100 of the largest reads": 16 from 4, every 1 ms,
        allowed ["-32011", "4012", "result", "closed", "429"], expected ["4012"], http dear_batch;
    "dear-calls" "the dearest reads, views without end and traces": 30 from 4, every 1 ms,
        allowed ["result", "3002", "4003", "4008", "1002", "1009", "4012", "closed"],
        expected ["result"], http dear_calls;
    "slow-head" "heads that come a byte at a time": 300 from 4, every 1000 ms,
        allowed ["408", "closed", "429"], expected [], http slow_head;
    "slow-body" "bodies of 2 MB whose last bytes come one at a time": 300 from 4, every 1000 ms,
        allowed ["408", "503", "closed", "429"], expected ["503"], http slow_body;
    "slow-reader" "large answers that nobody reads": 300 from 4, every 1000 ms,
        allowed ["unread", "closed", "429"], expected ["unread"], http slow_reader;
    "unread-answers" "large answers over WebSockets that nobody reads": 300 from 4, every 1000 ms,
        allowed ["unread", "closed", "429"], expected ["unread"], websocket unread_answers;
    "subscriptions" "all subscriptions from the first block on, and nothing read": 300 from 4, every 1000 ms,
        allowed ["unread", "closed", "429"], expected ["unread"], websocket subscriptions;
    "idle-sockets" "10,000 connections that say nothing, from 80 addresses": 10_000 from 80, every 4000 ms,
        allowed ["closed"], expected ["closed"], http idle;
    "idle-from-one" "10,000 connections that say nothing, from one address": 10_000 from 1, every 4000 ms,
        allowed ["closed"], expected ["closed"], http idle;
    "idle-websockets" "10,000 WebSockets that say nothing, from 80 addresses": 10_000 from 80, every 4000 ms,
        allowed ["closed", "429"], expected ["closed"], websocket idle;
    "churn" "connections that ask and are gone": 32 from 4, every 1 ms,
        allowed ["gone", "closed"], expected ["gone"], http churn;
    "rapid-reset" "HTTP/2, streams opened and reset": 16 from 4, every 5 ms,
        allowed ["400", "505", "closed"], expected [], http rapid_reset;
    "pipelined" "1,000 requests at once on each connection": 8 from 4, every 1 ms,
        allowed ["200", "closed"], expected ["200"], http pipelined;
    "foreign" "foreign Host and Origin, over HTTP and WebSocket": 8 from 4, every 1 ms,
        allowed ["403", "closed"], expected ["403"], http foreign;
    "hostile-json" "hostile values in every parameter of every method": 4 from 4, every 1 ms,
        allowed ["result", "-32700", "-32600", "-32601", "-32602", "-32006", "1001", "1002", "1003", "1004", "1005",
            "1006", "1007", "1008", "1009", "2001", "2002", "3002", "3006", "4001", "4002", "4003", "4006", "4007",
            "4009", "all of 0", "all of 1", "all of 2", "all of 3", "closed"],
        expected ["all of 0", "all of 1", "all of 2", "all of 3", "result", "-32700", "-32602", "1001"], hostile_calls send_all;
}

/// The attack of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Attack> {
    ATTACKS.iter().find(|attack| attack.name == name)
}
