//! `kumiki events`: show events, and follow new ones without gaps.

use std::collections::BTreeMap;

use kumiki_client::EventStart;
use kumiki_client::abi::Abi;
use kumiki_protocol::Address;
use kumiki_rpc_api::{Cursor, EventFilter, EventView};

use crate::arguments::EventsArguments;
use crate::failure::{Exit, Failure, Outcome, closest};
use crate::network::Network;
use crate::output::Output;
use crate::render::{event_json, event_text};

/// Events of one page.
const PAGE: u32 = 100;

pub(crate) async fn run(arguments: &EventsArguments, output: Output) -> Outcome<()> {
    let network = Network::connect(&arguments.node).await?;
    let mut printer = Printer {
        network: &network,
        abis: BTreeMap::new(),
        output,
    };
    let filter = printer.filter(arguments).await?;
    let start = arguments.from.as_deref().map(parse_start).transpose()?;
    if arguments.follow {
        let start = start.unwrap_or(EventStart::Now);
        let mut stream = network.client.follow_events(filter, start).await?;
        loop {
            let event = stream.next().await?;
            printer.print(&event).await;
        }
    }
    let (from, mut after) = match start {
        Some(EventStart::Height(height)) => (Some(height), None),
        Some(EventStart::After(cursor)) => (None, Some(cursor)),
        Some(EventStart::Now) | None => (Some(0), None),
    };
    let mut left = arguments.limit;
    while left > 0 {
        let from = from.filter(|_| after.is_none());
        let limit = Some(left.min(PAGE));
        let page = network
            .client
            .events(filter.clone(), from, after, limit)
            .await?;
        for event in page.events.iter().take(left as usize) {
            printer.print(event).await;
        }
        left = left.saturating_sub(u32::try_from(page.events.len()).unwrap_or(u32::MAX));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(())
}

/// One JSON document per event and line, or one line of text.
struct Printer<'a> {
    network: &'a Network,
    /// What each contract says of itself, asked once; `None` where it says nothing.
    abis: BTreeMap<Address, Option<Abi>>,
    output: Output,
}

impl Printer<'_> {
    async fn filter(&mut self, arguments: &EventsArguments) -> Outcome<EventFilter> {
        let Some(name) = &arguments.contract else {
            return Ok(EventFilter::default());
        };
        let contract = self.network.contract_address(name)?;
        let topics = match &arguments.event {
            None => Vec::new(),
            Some(event) => {
                let abi = self.network.abi(contract, name).await?;
                vec![Some(event_id(&abi, event, name)?)]
            }
        };
        Ok(EventFilter {
            contract: Some(contract),
            topics,
        })
    }

    async fn print(&mut self, event: &EventView) {
        if !self.abis.contains_key(&event.contract) {
            let abi = self.network.client.abi(event.contract).await.ok();
            self.abis.insert(event.contract, abi);
        }
        let abi = self.abis.get(&event.contract).and_then(Option::as_ref);
        self.output
            .data(&event_json(event, abi), &event_text(event, abi));
    }
}

fn event_id(abi: &Abi, name: &str, contract: &str) -> Outcome<kumiki_protocol::Hash> {
    let events = &abi.metadata().events;
    let found = events.iter().find(|one| one.name == name);
    if let Some(id) = found.and_then(|one| one.id.parse().ok()) {
        return Ok(id);
    }
    let known: Vec<&str> = events.iter().map(|one| one.name.as_str()).collect();
    let meant = closest(name, known.iter().copied()).or(known.first().copied());
    let failure = Failure::new(
        Exit::Usage,
        "eventUnknown",
        format!("contract '{contract}' has no event '{name}'"),
    )
    .expected(format!("one of {}", known.join(", ")))
    .found(name);
    Err(match meant {
        Some(meant) => failure.next(format!("kumiki events {contract} --event {meant}")),
        None => failure.next(format!("kumiki events {contract}")),
    })
}

fn parse_start(text: &str) -> Outcome<EventStart> {
    if let Ok(height) = text.parse() {
        return Ok(EventStart::Height(height));
    }
    text.parse::<Cursor>()
        .map(EventStart::After)
        .map_err(|error| {
            Failure::new(
                Exit::Usage,
                "cursorMalformed",
                "this is no place in the chain",
            )
            .expected(format!("{error}, or a height"))
            .found(text)
            .next("kumiki events --from 0")
        })
}
