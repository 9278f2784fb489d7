//! Feed subscriptions: the past first, then what each new head brings, in order, nothing twice, nothing left out.
//!
//! Nothing is buffered for a subscriber besides its connection's few messages: what it has not been sent yet is
//! read from the store when it can take it. One that takes nothing for too long is closed with its last cursor. Those
//! of one connection take turns, a page at a time, as their items go out one after the other anyway.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::{SubscriptionError, SubscriptionResult};
use jsonrpsee::{Extensions, PendingSubscriptionSink, SubscriptionSink};
use kumiki_protocol::{Height, limits};
use kumiki_rpc_api::{ApiError, Cursor, ErrorCode, EventFilter, HeaderView, invalid_params};
use kumiki_storage::Tip;
use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::sync::OwnedSemaphorePermit;

use super::{Node, Rpc};
use crate::calls::StreamTurn;

/// Events read at once.
const PAGE_EVENTS: usize = 32;
/// Headers read at once.
const PAGE_HEADERS: u64 = 64;

/// Why a stream ends.
enum Ended {
    /// The subscriber or its connection is gone, or the node is stopping.
    Gone,
    /// The subscriber is to be told why.
    Error(ApiError),
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// Sends every header from `from` on, by default from the next on.
pub(super) async fn heads(
    rpc: Rpc,
    pending: PendingSubscriptionSink,
    turn: StreamTurn,
    from: Option<Height>,
) -> SubscriptionResult {
    let mut heads = rpc.context.heads.clone();
    let head = heads.borrow_and_update().height;
    let mut next = match from {
        None => head.saturating_add(1),
        Some(from) if from <= head.saturating_add(1) => from,
        Some(_) => {
            let error = rpc.check_height(from).err();
            pending.reject(error.unwrap_or_else(|| ahead(head))).await;
            return Ok(());
        }
    };
    let Ok(sink) = pending.accept().await else {
        return Ok(());
    };
    let stream = async {
        let mut seen = None;
        loop {
            let tip = *heads.borrow_and_update();
            let head = tip.height;
            check_rewound(&rpc, &mut seen, tip)?;
            while next <= head {
                let last = head.min(next.saturating_add(PAGE_HEADERS - 1));
                let heights = next..=last;
                let _turn = await_turn(&sink, &turn).await?;
                let page = read(&rpc, &sink, move |node| {
                    let headers = heights.map(|height| node.header(height));
                    headers.collect::<Result<Vec<_>, _>>()
                });
                for header in page.await? {
                    send(&rpc, &sink, &HeaderView::from(&header), None).await?;
                    next = next.saturating_add(1);
                }
            }
            await_head(&sink, &mut heads).await?;
        }
    };
    finish(stream.await)
}

/// Sends events after the cursor, or from the height on, by default from the next block on.
pub(super) async fn events(
    rpc: Rpc,
    pending: PendingSubscriptionSink,
    turn: StreamTurn,
    filter: EventFilter,
    (from, after): (Option<Height>, Option<Cursor>),
) -> SubscriptionResult {
    let mut heads = rpc.context.heads.clone();
    let head = heads.borrow_and_update().height;
    if filter.topics.len() > limits::EVENT_TOPICS_MAX || (from.is_some() && after.is_some()) {
        let detail = "a filter has at most 4 topics; give from or after, not both";
        pending.reject(invalid_params(detail)).await;
        return Ok(());
    }
    let first = after.map(|cursor| cursor.height).or(from);
    let mut next = first.unwrap_or(head.saturating_add(1));
    if next > head.saturating_add(1) {
        pending.reject(ahead(head)).await;
        return Ok(());
    }
    let Ok(sink) = pending.accept().await else {
        return Ok(());
    };
    let filter = Arc::new(filter);
    let stream = async {
        let (mut after, mut last_sent) = (after, after);
        let mut seen = None;
        loop {
            let tip = *heads.borrow_and_update();
            let head = tip.height;
            check_rewound(&rpc, &mut seen, tip)?;
            while next <= head {
                let (filter, range) = (Arc::clone(&filter), (next, head));
                let _turn = await_turn(&sink, &turn).await?;
                let page = read(&rpc, &sink, move |node| {
                    node.event_page(&filter, range, after, PAGE_EVENTS)
                });
                let (page, more) = page.await?;
                for event in &page {
                    send(&rpc, &sink, event, last_sent).await?;
                    last_sent = event.cursor;
                }
                // A page may be empty and still have more after it.
                match more {
                    Some(cursor) => after = Some(cursor),
                    None => next = head.saturating_add(1),
                }
            }
            await_head(&sink, &mut heads).await?;
        }
    };
    finish(stream.await)
}

/// Ends a stream whose blocks were taken back: what it has sent is true no more, and what comes has the same heights.
/// `seen` is the head that the stream went up to before.
fn check_rewound(rpc: &Rpc, seen: &mut Option<Tip>, head: Tip) -> Result<(), Ended> {
    if rpc.context.developer.is_none() {
        return Ok(());
    }
    if let Some(seen) = seen.replace(head) {
        let found = rpc.context.storage.height_of(&seen.block_hash);
        let found = found.map_err(|error| super::fault(&error))?;
        if found.is_none_or(|height| height > head.height) {
            let detail = format!("block {} was taken back", seen.height);
            return Err(Ended::Error(ApiError::new(ErrorCode::ChainRewound, detail)));
        }
    }
    Ok(())
}

/// What the subscriptions of the calling connection take turns with.
pub(super) fn turn_of(extensions: &Extensions) -> Result<StreamTurn, ApiError> {
    let turn = extensions.get::<StreamTurn>();
    turn.cloned()
        .ok_or_else(|| super::lost("the connection of a call"))
}

/// The right to hold a page, unless nobody wants it any more.
async fn await_turn(
    sink: &SubscriptionSink,
    turn: &StreamTurn,
) -> Result<OwnedSemaphorePermit, Ended> {
    tokio::select! {
        biased;
        () = sink.closed() => Err(Ended::Gone),
        turn = Arc::clone(&turn.0).acquire_owned() => turn.map_err(|_closed| Ended::Gone),
    }
}

/// Reads a page from the store, unless nobody wants it any more: a page may be empty and the next one too.
async fn read<T: Send + 'static>(
    rpc: &Rpc,
    sink: &SubscriptionSink,
    work: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, Ended> {
    tokio::select! {
        biased;
        () = sink.closed() => Err(Ended::Gone),
        page = rpc.read(&rpc.stream_reads, work) => Ok(page?),
    }
}

async fn await_head<T>(
    sink: &SubscriptionSink,
    heads: &mut tokio::sync::watch::Receiver<T>,
) -> Result<(), Ended> {
    tokio::select! {
        changed = heads.changed() => changed.map_err(|_node_is_gone| Ended::Gone),
        () = sink.closed() => Err(Ended::Gone),
    }
}

async fn send(
    rpc: &Rpc,
    sink: &SubscriptionSink,
    item: &impl Serialize,
    last_sent: Option<Cursor>,
) -> Result<(), Ended> {
    let message = to_raw_value(item).map_err(|error| super::fault(&error))?;
    let patience = Duration::from_millis(rpc.limits.slow_reader_ms);
    match sink.send_timeout(message, patience).await {
        Ok(()) => Ok(()),
        Err(_closed) if sink.is_closed() => Err(Ended::Gone),
        Err(_full) => {
            rpc.metrics.count_slow_reader();
            let detail = format!("nothing was read for {} ms", patience.as_millis());
            let mut error = ApiError::new(ErrorCode::ReaderTooSlow, detail);
            error.data.last_cursor = last_sent;
            Err(Ended::Error(error))
        }
    }
}

/// Closes a subscription, with the same object as a failed call would have, where there is something to say.
fn finish(ended: Result<(), Ended>) -> SubscriptionResult {
    let Err(Ended::Error(error)) = ended else {
        return Ok(());
    };
    let object = jsonrpsee::types::ErrorObjectOwned::from(error);
    let json = to_raw_value(&object).map_err(|error| SubscriptionError::from(error.to_string()))?;
    Err(SubscriptionError::from_json(json))
}

fn ahead(head: Height) -> ApiError {
    ApiError::new(
        ErrorCode::HeightUnknown,
        format!(
            "the first height is above the next one, {}",
            head.saturating_add(1)
        ),
    )
}
