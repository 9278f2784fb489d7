//! Shows that hostile requests are refused, each in its named way, and that the server serves on.

use std::time::Duration;

use kumiki_rpc_api::methods::NodeApiClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::live_node::{LiveNode, encoded};
use crate::raw_ws::RawWs;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"node_getVersion"}"#;

async fn still_serves(node: &LiveNode) {
    assert_eq!(node.http().node_version().await.unwrap().name, "kumiki");
}

fn error_of(body: &str) -> (i64, serde_json::Value) {
    let answer: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    let error = answer["error"].clone();
    (error["code"].as_i64().unwrap_or(0), error["data"].clone())
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_on_http_and_websocket() {
    let node = LiveNode::start().await;
    let own = format!("origin: http://{}\r\n", node.address());
    let websocket = "upgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let cases = [
        (String::new(), 200),
        (own, 200),
        ("host: evil.example\r\n".to_owned(), 403),
        ("host: 127.0.0.1.evil.example\r\n".to_owned(), 403),
        ("origin: http://evil.example\r\n".to_owned(), 403),
        ("origin: null\r\n".to_owned(), 403),
    ];
    for (headers, status) in cases {
        assert_eq!(node.post(&headers, CALL).await.0, status, "{headers}");
        let host = if headers.contains("host:") {
            String::new()
        } else {
            format!("host: {}\r\n", node.address())
        };
        let upgrade =
            format!("GET / HTTP/1.1\r\n{host}connection: upgrade\r\n{websocket}{headers}\r\n");
        let mut socket = TcpStream::connect(node.address()).await.unwrap();
        socket.write_all(upgrade.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        let expected: &[u8] = if status == 200 {
            b"HTTP/1.1 101"
        } else {
            b"HTTP/1.1 403"
        };
        assert_eq!(answer, expected, "{headers}");
    }
}

#[tokio::test]
async fn bodies_over_the_limit_and_of_other_types_are_refused() {
    let node = LiveNode::start_with(|limits| limits.request_bytes = 64 << 10).await;
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tx_submit","params":["0x{}"]}}"#,
        "00".repeat(64 << 10)
    );
    assert_eq!(node.post("", &large).await.0, 413);
    assert_eq!(node.post("content-type: text/plain\r\n", CALL).await.0, 415);
    assert_eq!(node.get("/").await.0, 405);
    assert_eq!(node.get("/unknown").await.0, 404);
    still_serves(&node).await;
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let node = LiveNode::start_with(|limits| {
        limits.header_timeout_ms = 100;
        limits.request_timeout_ms = 100;
    })
    .await;
    // `raw` ends when the server closes: a server that waits for ever would hang these.
    assert_eq!(node.raw(b"POST / HTTP/1.1\r\nhost: loc").await, "");
    assert_eq!(node.raw(b"").await, "");
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
        content-length: 50\r\n\r\n{\"jsonrpc\"";
    assert!(node.raw(head.as_bytes()).await.starts_with("HTTP/1.1 408"));
    still_serves(&node).await;
}

#[tokio::test]
async fn batches_over_the_limit_are_refused_whole() {
    let node = LiveNode::start_with(|limits| limits.batch_calls = 10).await;
    let batch = |count: usize| format!("[{}]", vec![CALL; count].join(","));
    let (status, body) = node.post("", &batch(10)).await;
    let answers: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answers.len()), (200, 10));
    let (_, body) = node.post("", &batch(11)).await;
    assert_eq!(error_of(&body).0, -32010);
}

#[tokio::test]
async fn connections_over_the_limit_are_told_so_and_come_in_later() {
    let node = LiveNode::start_with(|limits| limits.connections_per_ip = 2).await;
    let one = node.ws().await;
    let _two = node.ws().await;
    assert_eq!(node.post("", CALL).await.0, 429);
    drop(one);
    // The place is free when the server has seen the close; each try waits for an answer.
    let let_in = async {
        while node.post("", CALL).await.0 == 429 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), let_in)
        .await
        .expect("the place never comes back");
}

#[tokio::test]
async fn deep_json_is_refused_and_very_deep_json_too() {
    let node = LiveNode::start().await;
    for depth in [17, 1_000, 200_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"state_get","params":{nested}}}"#);
        let (_, answer) = node.post("", &body).await;
        let (code, _) = error_of(&answer);
        assert!(
            code == 4007 || code == -32700 || code == -32600,
            "{depth}: {answer}"
        );
    }
    let unclosed = "[".repeat(200_000);
    assert!(node.post("", &unclosed).await.1.contains("-32"));
    still_serves(&node).await;
}

#[tokio::test]
async fn numbers_beyond_exactness_are_errors_and_ids_come_back_exact() {
    let node = LiveNode::start().await;
    for height in ["9007199254740993", "18446744073709551615"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":9007199254740993,"method":"chain_getBlock","params":{{"height":{height}}}}}"#
        );
        let (_, answer) = node.post("", &body).await;
        let (code, data) = error_of(&answer);
        assert_eq!(code, 1001);
        assert!(data["detail"].as_str().unwrap().contains(height));
        assert!(answer.contains(r#""id":9007199254740993"#), "{answer}");
    }
    for height in ["18446744073709551616", "-1", "1e3", "1.5", "\"1\"", "[]"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"chain_getBlock","params":{{"height":{height}}}}}"#
        );
        let (code, data) = error_of(&node.post("", &body).await.1);
        assert_eq!(
            (code, data["name"].as_str()),
            (-32602, Some("invalidParams")),
            "{height}"
        );
    }
    let mut draft = node.draft(0, 0);
    draft.body.nonce = 1 << 53;
    let hex = serde_json::to_string(&encoded(&draft.sign())).unwrap();
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tx_submit","params":[{hex}]}}"#);
    let (code, data) = error_of(&node.post("", &body).await.1);
    assert_eq!((code, data["name"].as_str()), (2001, Some("malformed")));
}

#[tokio::test]
async fn hostile_texts_are_repeated_harmless_and_short() {
    let node = LiveNode::start().await;
    let texts = [
        "\\u001b[31mred",
        "<script>alert(1)</script>",
        "\\u202egnp.exe",
        "kumi1'--",
        "\\ud800",
        "\\u0000",
    ];
    for text in texts {
        let bodies = [
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"account_get","params":{{"address":"{text}"}}}}"#
            ),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"account_get","params":{{"{text}":1}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{text}"}}"#),
        ];
        for body in bodies {
            let (_, answer) = node.post("", &body).await;
            let (code, data) = error_of(&answer);
            assert!(code < 0, "{answer}");
            let detail = data["detail"].as_str().unwrap_or_default();
            assert!(!detail.contains(['\u{1b}', '\u{202e}', '\0']), "{answer}");
        }
    }
    let long = "x".repeat(1 << 20);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"account_get","params":{{"address":"{long}"}}}}"#
    );
    let (_, answer) = node.post("", &body).await;
    assert_eq!(error_of(&answer).0, -32602);
    assert!(answer.len() < 2_000, "{} bytes repeated", answer.len());
    still_serves(&node).await;
}

/// A chain with more events than sockets and a connection's messages hold, and a reader of all of them that was
/// accepted and has read none.
async fn slow_reader(node: &mut LiveNode) -> RawWs {
    let contract = node.deploy();
    for nonce in 0..100 {
        let calls = (0..32).fold(node.draft(1, nonce).gas_limit(300_000_000), |draft, _| {
            draft.call(&contract, &[7; 4_096])
        });
        node.seal(vec![calls.sign()]);
    }
    let mut socket = RawWs::open(node).await;
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"events_subscribe","params":{"from":0}}"#;
    socket.send(subscribe).await.unwrap();
    let accepted = socket.next().await;
    assert!(accepted["result"].is_u64(), "{accepted}");
    socket
}

#[tokio::test]
async fn a_reader_that_does_not_keep_up_is_told_where_to_resume() {
    let mut node = LiveNode::start_with(|limits| limits.slow_reader_ms = 500).await;
    let mut socket = slow_reader(&mut node).await;
    node.until_metrics_show("kumiki_rpc_slow_readers_total 1\n")
        .await;
    let mut last_cursor = serde_json::Value::Null;
    let error = loop {
        let params = socket.next().await["params"].take();
        if params["error"].is_object() {
            break params["error"].clone();
        }
        last_cursor = params["result"]["cursor"].clone();
    };
    assert_eq!(
        (&error["code"], &error["data"]["name"]),
        (&4005.into(), &"readerTooSlow".into())
    );
    assert!(last_cursor.is_string());
    assert_eq!(error["data"]["lastCursor"], last_cursor);
}

#[tokio::test]
async fn a_reader_that_never_reads_loses_its_connection_and_nothing_else() {
    let mut node = LiveNode::start_with(|limits| limits.slow_reader_ms = 100).await;
    let socket = slow_reader(&mut node).await;
    // The only connection left is the one that asks.
    node.until_metrics_show("kumiki_rpc_connections 1\n").await;
    still_serves(&node).await;
    drop(socket);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_on_all_addresses_answers_for_the_one_a_connection_came_to() {
    let node = LiveNode::configured(|config| {
        config.listen = (std::net::Ipv4Addr::UNSPECIFIED, 0).into();
        config.hosts = vec!["node.example".to_owned()];
    })
    .await;
    let address = format!("127.0.0.2:{}", node.address().port());
    let cases = [
        (address.as_str(), "HTTP/1.1 200"),
        ("node.example", "HTTP/1.1 200"),
        ("127.0.0.3", "HTTP/1.1 403"),
        ("0.0.0.0", "HTTP/1.1 403"),
        ("evil.example", "HTTP/1.1 403"),
    ];
    for (host, expected) in cases {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET /health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{host}: {answer}");
    }
}
