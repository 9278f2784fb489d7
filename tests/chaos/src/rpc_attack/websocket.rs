//! Attack the RPC over WebSockets: frames, subscriptions and answers that nobody reads, silence.

use std::io;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Hit;
use super::wire::{Window, Wire, frame_head, text_frame};

/// Written at a time.
const PIECE: usize = 64 << 10;
/// Just below what a node reads of one message.
const LARGE_MESSAGE: u64 = 2_000_000;
/// As many as one connection may have.
const SUBSCRIPTIONS: usize = 32;
/// More than may wait for their answers on one connection.
const CALLS: usize = 200;
/// How long somebody who reads nothing does so, before beginning anew.
const UNREAD: Duration = Duration::from_secs(40);
const ANSWER: Duration = Duration::from_secs(30);

/// Sends pieces until the node closes.
async fn pour(hit: &Hit<'_>, mut wire: Wire, piece: &[u8]) -> io::Result<()> {
    while wire.send(piece).await.is_ok() {}
    match timeout(ANSWER, wire.message()).await {
        Ok(Ok(message)) => hit.note_json(200, &message),
        Ok(Err(_)) | Err(_) => hit.note("closed"),
    }
    Ok(())
}

/// A frame that says it is a terabyte, and its bytes.
pub(super) async fn huge_frame(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Usual).await?;
    wire.send(&frame_head(0x81, 1 << 40)).await?;
    pour(&hit, wire, &[b' '; PIECE]).await
}

/// Frames of one message that never ends.
pub(super) async fn endless_fragments(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Usual).await?;
    let length = u64::try_from(PIECE).unwrap_or(0);
    let payload = [b' '; PIECE];
    wire.send(&[&frame_head(0x01, length)[..], &payload].concat())
        .await?;
    pour(
        &hit,
        wire,
        &[&frame_head(0x00, length)[..], &payload].concat(),
    )
    .await
}

/// A frame that says it is as large as may be, of which nothing comes.
pub(super) async fn claimed_frame(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Usual).await?;
    wire.send(&frame_head(0x81, LARGE_MESSAGE)).await?;
    wire.closed().await?;
    hit.note("closed");
    Ok(())
}

/// A message as large as may be, whose end does not come.
pub(super) async fn half_message(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Usual).await?;
    wire.send(&frame_head(0x81, LARGE_MESSAGE)).await?;
    let most = usize::try_from(LARGE_MESSAGE).unwrap_or(0) - PIECE;
    wire.send(&vec![b' '; most]).await?;
    wire.closed().await?;
    hit.note("closed");
    Ok(())
}

/// Upgrades, and says nothing.
pub(super) async fn idle(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Usual).await?;
    wire.closed().await?;
    hit.note("closed");
    Ok(())
}

/// All subscriptions that there may be, from the first block on, and nothing is read.
pub(super) async fn subscriptions(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Narrow).await?;
    for id in 0..=SUBSCRIPTIONS {
        let method = match id % 2 {
            0 => "events_subscribe",
            _ => "chain_subscribeHeads",
        };
        let call =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"from":1}}}}"#);
        wire.send(&text_frame(call.as_bytes())).await?;
    }
    hit.note("unread");
    sleep(UNREAD).await;
    Ok(())
}

/// The largest answers there are, more of them than may wait, and nothing is read.
pub(super) async fn unread_answers(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Narrow).await?;
    let call = text_frame(hit.target.largest().as_bytes());
    for _ in 0..CALLS {
        if timeout(ANSWER, wire.send(&call)).await.is_err() {
            break;
        }
    }
    hit.note("unread");
    sleep(UNREAD).await;
    Ok(())
}

/// Large calls that wait for their turn to read, as many as may.
pub(super) async fn large_calls(hit: Hit<'_>) -> io::Result<()> {
    let mut wire = hit.open_websocket(Window::Usual).await?;
    let padding = "0".repeat(1_900_000);
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"state_getPrefix","params":{{"prefix":"0x{padding}","at":1}}}}"#
    );
    let call = text_frame(call.as_bytes());
    for _ in 0..8 {
        wire.send(&call).await?;
    }
    for _ in 0..8 {
        let answer = timeout(ANSWER, wire.message()).await??;
        hit.note_json(200, &answer);
    }
    Ok(())
}
