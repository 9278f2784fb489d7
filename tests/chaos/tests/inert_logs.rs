//! What callers send cannot command an operator's terminal through the log, nor forge a line of it, at the most talkative
//! level.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use kumiki_chaos::LoneNode;
use kumiki_chaos::rpc_attack::messages;
use kumiki_protocol::Address;

/// Begins a line that only an attacker would write.
const FORGED: &str = "2026-01-01T00:00:00.000000Z ERROR forged";

/// Sends bytes, and reads until the node ends the connection. Whether it takes them is not the question here.
fn send(address: &str, bytes: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // A refused sender may find the connection closed before all is sent.
    let _refused = stream.write_all(bytes);
    let _ended = stream.shutdown(Shutdown::Write);
    let _closed = stream.read_to_end(&mut Vec::new());
    Ok(())
}

fn post(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST / HTTP/1.1\r\n{head}connection: close\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// What has no body worth mentioning: lines of a request's head that a log may repeat.
fn heads(address: &str) -> Vec<Vec<u8>> {
    let texts = [
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{202e}gnp.exe\u{2066}",
        "\r\u{9b}31m",
        "%s%n{}{0}",
    ];
    let forged = format!("\n{FORGED}\n");
    let mut all = Vec::new();
    for text in texts.into_iter().chain([forged.as_str()]) {
        for name in [
            "origin",
            "host",
            "user-agent",
            "x-forwarded-for",
            "content-type",
            text,
        ] {
            let host = if name == "host" {
                String::new()
            } else {
                format!("host: {address}\r\n")
            };
            all.push(post(&format!("{host}{name}: {text}\r\n"), b"{}"));
            all.push(
                format!(
                    "GET / HTTP/1.1\r\n{host}connection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: {text}\r\n{name}: {text}\r\n\r\n"
                )
                .into_bytes(),
            );
        }
        all.push(format!("{text} / HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes());
        all.push(format!("GET /{text} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes());
        all.push(text.as_bytes().to_vec());
    }
    all
}

/// Whether a terminal shows it and nothing else comes of it.
fn is_inert(line: &str) -> bool {
    line.chars().all(|one| {
        let reorders = matches!(one, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !reorders && !one.is_control()
    })
}

fn set_level(home: &Path, level: &str) -> io::Result<()> {
    let file = home.join("node.toml");
    let settings = std::fs::read_to_string(&file)?;
    let lines = settings
        .lines()
        .map(|line| match line.starts_with("#level = ") {
            true => format!("level = \"{level}\"\n"),
            false => format!("{line}\n"),
        });
    let changed: String = lines.collect();
    assert_ne!(changed, settings);
    std::fs::write(file, changed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_send_neither_commands_a_terminal_nor_forges_a_line_in_the_log() {
    let scratch = tempfile::tempdir().unwrap();
    let mut node = LoneNode::make(scratch.path()).unwrap();
    set_level(
        &scratch.path().join("node"),
        "trace,libp2p_swarm=info,multistream_select=info,yamux=info",
    )
    .unwrap();
    node.start().unwrap();
    node.nodes.client_soon(0).await.unwrap();
    let address = node.nodes.rpc[0].trim_start_matches("http://").to_owned();
    let contract = Address([7; 32]).to_string();
    let sender = tokio::task::spawn_blocking(move || {
        let usual = format!("host: {address}\r\ncontent-type: application/json\r\n");
        // Each value comes at several of the places, as their number and this one have no divisor in common.
        for message in messages(&contract).iter().step_by(7) {
            send(&address, &post(&usual, &message.bytes)).unwrap();
        }
        let variant = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"chain_getBlock\",\"params\":{\"height\":1,\"transactions\":\"\u{202e}gnp.exe\"}}";
        send(&address, &post(&usual, variant.as_bytes())).unwrap();
        let method = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a\n{FORGED}\n"}}"#);
        send(&address, &post(&usual, method.as_bytes())).unwrap();
        for head in heads(&address) {
            send(&address, &head).unwrap();
        }
    });
    sender.await.unwrap();
    assert_eq!(node.stop().await.unwrap(), Some(0));
    let log = node.nodes.log(0);
    assert!(
        log.contains(" TRACE ") && log.contains(" DEBUG "),
        "nothing was logged"
    );
    assert!(log.contains("gnp.exe"), "what callers sent was not logged");
    let bad: Vec<&str> = log
        .split('\n')
        .filter(|line| !is_inert(line) || line.starts_with(FORGED))
        .take(20)
        .collect();
    assert_eq!(
        bad,
        Vec::<&str>::new(),
        "{} lines in all",
        log.lines().count()
    );
}
