//! Answer about events.

use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::{Extensions, PendingSubscriptionSink};
use kumiki_protocol::{Height, limits};
use kumiki_rpc_api::methods::EventsApiServer;
use kumiki_rpc_api::{ApiError, Cursor, EventFilter, EventPage, EventView, invalid_params};
use kumiki_storage::{EventCursor, EventFilter as StoredFilter};

use super::chain::pruned;
use super::state::page_limit;
use super::stream::turn_of;
use super::{Node, Rpc, fault, stream};

impl Node {
    /// One page of events of heights `from` to `to` after the cursor `after`, and where the next begins.
    pub(super) fn event_page(
        &self,
        filter: &EventFilter,
        (from, to): (Height, Height),
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<EventView>, Option<Cursor>), ApiError> {
        if from < self.earliest()? {
            return Err(pruned(from));
        }
        let stored = StoredFilter {
            contract: filter.contract,
            topics: filter.topics.clone(),
            from_height: from,
            to_height: Some(to),
        };
        let after = after.map(|cursor| EventCursor {
            height: cursor.height,
            transaction: cursor.transaction,
            index: cursor.index,
        });
        let page = self.context.storage.events(&stored, after, limit);
        let page = page.map_err(|error| fault(&error))?;
        let shown = page.items.iter().map(|(cursor, transaction, event)| {
            EventView::placed(event, shown_cursor(*cursor), *transaction)
        });
        Ok((shown.collect(), page.next.map(shown_cursor)))
    }
}

#[async_trait]
impl EventsApiServer for Rpc {
    fn query_events(
        &self,
        filter: Option<EventFilter>,
        from: Option<Height>,
        to: Option<Height>,
        after: Option<Cursor>,
        limit: Option<u32>,
    ) -> RpcResult<EventPage> {
        let limit = page_limit(limit, self.limits.event_page_events)?;
        let filter = filter.unwrap_or_default();
        if filter.topics.len() > limits::EVENT_TOPICS_MAX {
            return Err(invalid_params("a filter has at most 4 topics"));
        }
        let to = self.check_height(to)?;
        let from = from.map_or_else(|| self.earliest(), Ok)?;
        let (events, next) = if from > to {
            (Vec::new(), None)
        } else {
            self.event_page(&filter, (from, to), after, limit)?
        };
        Ok(EventPage {
            events,
            next,
            height: to,
        })
    }

    async fn subscribe_events(
        &self,
        pending: PendingSubscriptionSink,
        extensions: &Extensions,
        filter: Option<EventFilter>,
        from: Option<Height>,
        after: Option<Cursor>,
    ) -> SubscriptionResult {
        let filter = filter.unwrap_or_default();
        let turn = turn_of(extensions)?;
        stream::events(self.clone(), pending, turn, filter, (from, after)).await
    }
}

fn shown_cursor(cursor: EventCursor) -> Cursor {
    Cursor {
        height: cursor.height,
        transaction: cursor.transaction,
        index: cursor.index,
    }
}
