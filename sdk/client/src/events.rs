//! Follow events without gap or duplicate, across lost connections and restarts of the node.

use std::time::Duration;

use jsonrpsee::core::client::Subscription;
use jsonrpsee::ws_client::{PingConfig, WsClient, WsClientBuilder};
use kumiki_protocol::{ChainKind, Height, TransactionHash};
use kumiki_rpc_api::methods::{
    ChainApiClient as _, EventsApiClient as _, TransactionApiClient as _,
};
use kumiki_rpc_api::{ApiError, Cursor, ErrorCode, EventFilter, EventView};

use crate::{Client, ClientError};

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Pings without any sign of life after which a connection counts as lost: a peer that is cut off or switched off
/// says no goodbye, and a stream that only listens would never find out.
const PINGS_UNANSWERED: u32 = 3;
/// How long a node may take to accept a connection and to answer on it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStart {
    /// With the next block.
    Now,
    /// With the first event of this height.
    Height(Height),
    /// With the event after this one.
    After(Cursor),
}

/// Events in order. Remembers its place and goes on there when the connection is lost.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    filter: EventFilter,
    next: EventStart,
    /// The transaction of the last event.
    last: Option<TransactionHash>,
    // The connection lives as long as its subscription.
    open: Option<(WsClient, Subscription<EventView>)>,
    pause: Duration,
    ping_interval: Duration,
}

impl Client {
    /// Follows events that pass `filter`.
    ///
    /// # Errors
    /// `Unreachable` or `Api` when the place "now" cannot be found out.
    pub async fn follow_events(
        &self,
        filter: EventFilter,
        start: EventStart,
    ) -> Result<EventStream, ClientError> {
        // "Now" is fixed here: a connection lost before the first event must not lose events.
        let next = match start {
            EventStart::Now => EventStart::Height(self.info().await?.head.height.saturating_add(1)),
            given => given,
        };
        Ok(EventStream {
            client: self.clone(),
            filter,
            next,
            last: None,
            open: None,
            pause: PAUSE_MIN,
            ping_interval: PING_INTERVAL,
        })
    }
}

impl EventStream {
    /// The next event; waits for it as long as it takes, reconnecting where needed.
    ///
    /// # Errors
    /// `WrongChain` when the node serves another chain than at first; `Api` or `Protocol` when it answers that this
    /// stream cannot go on, or what no node answers. A lost connection is no error. `Api` with `ChainRewound` when a
    /// developer took the last event back.
    pub async fn next(&mut self) -> Result<EventView, ClientError> {
        loop {
            let Some((_connection, subscription)) = &mut self.open else {
                self.reopen().await?;
                continue;
            };
            match subscription.next().await {
                Some(Ok(event)) => {
                    self.step(&event)?;
                    self.pause = PAUSE_MIN;
                    return Ok(event);
                }
                Some(Err(error)) => {
                    self.open = None;
                    return Err(self.protocol(error.to_string()));
                }
                // The server closed it, with or without a reason: the place is known, so go on there.
                None => {
                    self.open = None;
                    self.rest().await;
                }
            }
        }
    }

    /// Moves this stream's place past `event`, which must come after the place so far.
    fn step(&mut self, event: &EventView) -> Result<(), ClientError> {
        let Some(cursor) = event.cursor else {
            return Err(self.protocol("an event without its place"));
        };
        let in_order = match self.next {
            EventStart::Now => true,
            EventStart::Height(height) => cursor.height >= height,
            EventStart::After(last) => cursor > last,
        };
        if !in_order {
            return Err(self.protocol(format!("event {cursor} again, or out of order")));
        }
        self.next = EventStart::After(cursor);
        self.last = event.transaction;
        Ok(())
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        match self.subscribe().await {
            Ok(open) => self.open = Some(open),
            Err(error) if error.can_retry() => self.rest().await,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits before the next try, longer each time until an event comes.
    async fn rest(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    async fn subscribe(&self) -> Result<(WsClient, Subscription<EventView>), ClientError> {
        let url = self.client.url().replacen("http", "ws", 1);
        let pings = PingConfig::new()
            .ping_interval(self.ping_interval)
            .inactive_limit(self.ping_interval * PINGS_UNANSWERED)
            .max_failures(1);
        let opening = WsClientBuilder::default()
            .request_timeout(ANSWER_TIMEOUT)
            .enable_ws_ping(pings)
            .build(&url);
        // The builder's own limit ends with the TCP connection; what accepts may still never answer.
        let connection = tokio::time::timeout(ANSWER_TIMEOUT, opening)
            .await
            .unwrap_or(Err(jsonrpsee::core::ClientError::RequestTimeout))
            .map_err(|error| ClientError::from_rpc(&url, error))?;
        // On this very connection: a cursor means nothing on the chain of a node that started anew.
        let info = connection
            .chain_info()
            .await
            .map_err(|error| ClientError::from_rpc(&url, error))?;
        self.client.check_genesis(&info)?;
        self.check_rewound(&connection).await?;
        let (from, after) = match self.next {
            EventStart::Now => (None, None),
            EventStart::Height(height) => (Some(height), None),
            EventStart::After(cursor) => (None, Some(cursor)),
        };
        let subscription = connection
            .subscribe_events(Some(self.filter.clone()), from, after)
            .await
            .map_err(|error| ClientError::from_rpc(&url, error))?;
        Ok((connection, subscription))
    }

    /// Whether the last event is still on the chain, which may be another one from there on where a developer took
    /// blocks back.
    async fn check_rewound(&self, connection: &WsClient) -> Result<(), ClientError> {
        let (EventStart::After(cursor), Some(hash), ChainKind::Dev) =
            (self.next, self.last, self.client.kind())
        else {
            return Ok(());
        };
        let found = connection
            .transaction(hash, None, None)
            .await
            .map_err(|error| ClientError::from_rpc(self.client.url(), error))?;
        if found.height == Some(cursor.height) {
            return Ok(());
        }
        let detail = format!("the event at {cursor} was taken back");
        Err(ApiError::new(ErrorCode::ChainRewound, detail).into())
    }

    fn protocol(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Protocol {
            url: self.client.url().to_owned(),
            reason: reason.into(),
        }
    }
}
