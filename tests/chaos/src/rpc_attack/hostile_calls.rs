//! Send the messages of [`hostile_json`](super::hostile_json) over HTTP and WebSockets, and hold the answers to what
//! they must be.

use std::io;

use super::Hit;
use super::wire::{Window, Wire, text_frame};

/// Sends hostile messages one after the other, a caller in four all of a fourth, and judges the answers.
pub(super) async fn send_all(hit: Hit<'_>) -> io::Result<()> {
    let over_http = hit.number.is_multiple_of(2);
    let mut wire = match over_http {
        true => hit.open(Window::Usual).await?,
        false => hit.open_websocket(Window::Usual).await?,
    };
    for message in hit.target.messages.iter().skip(hit.number % 4).step_by(4) {
        let answer = match over_http {
            true => {
                let answer = wire.post(&message.bytes).await?;
                if answer.status != 200 {
                    hit.note(&answer.status.to_string());
                    continue;
                }
                answer.body
            }
            false => {
                wire.send(&text_frame(&message.bytes)).await?;
                answer_of(&mut wire).await?
            }
        };
        match message.judge(&answer) {
            Ok(counted) => hit.note(&counted),
            Err(broken) => hit.note(&broken),
        }
    }
    hit.note(&format!("all of {}", hit.number));
    Ok(())
}

/// The next answer; items of subscriptions are passed over.
async fn answer_of(wire: &mut Wire) -> io::Result<Vec<u8>> {
    loop {
        let message = wire.message().await?;
        // Items begin with the method; answers have none.
        let start = message.get(..60).unwrap_or(&message);
        if !start.windows(9).any(|part| part == b"\"method\":") {
            return Ok(message);
        }
    }
}
