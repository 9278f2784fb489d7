//! Follow events without gap or duplicate, across lost connections and restarts of the node.

use std::time::Duration;

use jsonrpsee::core::client::Subscription;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use kumiki_protocol::Height;
use kumiki_rpc_api::methods::EventsApiClient as _;
use kumiki_rpc_api::{Cursor, EventFilter, EventView};

use crate::{Client, ClientError};

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

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
    // The connection lives as long as its subscription.
    open: Option<(WsClient, Subscription<EventView>)>,
    pause: Duration,
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
            EventStart::Now => EventStart::Height(self.info().await?.head.height + 1),
            given => given,
        };
        Ok(EventStream {
            client: self.clone(),
            filter,
            next,
            open: None,
            pause: PAUSE_MIN,
        })
    }
}

impl EventStream {
    /// The next event; waits for it as long as it takes, reconnecting where needed.
    ///
    /// # Errors
    /// `Api` or `Protocol` when the node answers that this stream cannot go on; a lost connection is no error.
    pub async fn next(&mut self) -> Result<EventView, ClientError> {
        loop {
            let Some((_connection, subscription)) = &mut self.open else {
                self.reopen().await?;
                continue;
            };
            match subscription.next().await {
                Some(Ok(event)) => {
                    self.pause = PAUSE_MIN;
                    if let Some(cursor) = event.cursor {
                        self.next = EventStart::After(cursor);
                    }
                    return Ok(event);
                }
                // The server closed it, with or without a reason: the place is known, so go on there.
                Some(Err(_)) | None => self.open = None,
            }
        }
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        match self.subscribe().await {
            Ok(open) => {
                self.open = Some(open);
                Ok(())
            }
            Err(error) if error.can_retry() => {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn subscribe(&self) -> Result<(WsClient, Subscription<EventView>), ClientError> {
        let url = self.client.url().replacen("http", "ws", 1);
        let connection = WsClientBuilder::default()
            .build(&url)
            .await
            .map_err(|error| ClientError::from_rpc(&url, error))?;
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
}
