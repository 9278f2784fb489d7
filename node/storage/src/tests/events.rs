//! Hold event queries to a filter over everything.

use kumiki_protocol::{Address, Hash};
use tempfile::TempDir;

use super::chain::TestChain;
use crate::interface::PageBudget;
use crate::{EventCursor, EventFilter, EventPage, Storage, StorageOptions};

fn open(dir: &TempDir) -> Storage {
    Storage::open(dir.path(), StorageOptions::default()).unwrap()
}

fn expected(chain: &TestChain, filter: &EventFilter) -> EventPage {
    let tip = chain.made.len() as u64 - 1;
    let examined_to = filter.to_height.unwrap_or(tip).min(tip);
    let mut items = Vec::new();
    for (height, made) in (0..).zip(&chain.made) {
        for (transaction, receipt) in (0..).zip(&made.receipts) {
            for (index, event) in (0..).zip(&receipt.events) {
                let cursor = EventCursor {
                    height,
                    transaction,
                    index,
                };
                if (filter.from_height..=examined_to).contains(&height) && filter.passes(event) {
                    items.push((cursor, receipt.transaction, event.clone()));
                }
            }
        }
    }
    EventPage {
        items,
        next: None,
        examined_to,
    }
}

fn filters() -> Vec<EventFilter> {
    let topic = |byte| Some(Hash([byte; 32]));
    let mut filters = Vec::new();
    for contract in [None, Some(Address([1; 32])), Some(Address([9; 32]))] {
        for topics in [
            vec![],
            vec![topic(1)],
            vec![None, topic(2)],
            vec![topic(0), None, topic(2)],
            vec![None, None],
        ] {
            for (from_height, to_height) in [(0, None), (5, Some(20)), (30, Some(10))] {
                filters.push(EventFilter {
                    contract,
                    topics: topics.clone(),
                    from_height,
                    to_height,
                });
            }
        }
    }
    filters
}

fn check(chain: &TestChain, storage: &Storage) {
    let mut found = 0;
    for filter in filters() {
        let expected = expected(chain, &filter);
        found += expected.items.len();
        assert_eq!(storage.events(&filter, None, 10_000).unwrap(), expected);
        // In pages of two, each going on from the cursor of the one before: no gap, nothing twice.
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = storage.events(&filter, after, 2).unwrap();
            paged.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, expected.items);
    }
    assert!(found > 100);
}

#[test]
fn every_filter_finds_its_events_in_order_however_they_are_paged() {
    let dir = TempDir::new().unwrap();
    let storage = open(&dir);
    let mut chain = TestChain::new(21);
    chain.initialise(&storage).unwrap();
    for _ in 0..40 {
        chain.commit_next(&storage).unwrap();
    }
    check(&chain, &storage);
    drop(storage);
    check(&chain, &open(&dir));
}

#[test]
fn a_page_that_is_large_or_took_much_reading_ends_early_and_the_next_goes_on() {
    let dir = TempDir::new().unwrap();
    let storage = open(&dir);
    let mut chain = TestChain::new(23);
    chain.initialise(&storage).unwrap();
    for _ in 0..40 {
        chain.commit_next(&storage).unwrap();
    }
    let of_contract = EventFilter {
        contract: Some(Address([1; 32])),
        ..EventFilter::default()
    };
    // Looked for by its contract, whose every event has to be looked at.
    let nothing_passes = EventFilter {
        topics: vec![Some(Hash([0xff; 32]))],
        ..of_contract.clone()
    };
    let looked_at = expected(&chain, &of_contract).items.len();
    let standard = PageBudget::STANDARD;
    let budgets = [
        PageBudget {
            read_bytes: 1,
            ..standard
        },
        PageBudget {
            event_bytes: 1,
            ..standard
        },
        PageBudget {
            rows: 1,
            ..standard
        },
    ];
    let head = storage.head.read().unwrap().clone().unwrap();
    for filter in [of_contract, nothing_passes] {
        for budget in budgets {
            let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = storage.index.find(&head, &filter, after, budget).unwrap();
                found.extend(page.items);
                pages += 1;
                let Some(next) = page.next else { break };
                assert!(
                    after < Some(next),
                    "no page begins where the one before did"
                );
                after = Some(next);
            }
            assert_eq!(found, expected(&chain, &filter).items);
            let by_found = budget.event_bytes == 1;
            let stops = if by_found { found.len() } else { looked_at };
            assert!(pages > stops / 2, "{pages} pages, {stops} places to stop");
        }
    }
}

#[test]
fn index_that_is_gone_or_unreadable_is_made_again() {
    let dir = TempDir::new().unwrap();
    let storage = open(&dir);
    let mut chain = TestChain::new(22);
    chain.initialise(&storage).unwrap();
    for _ in 0..40 {
        chain.commit_next(&storage).unwrap();
    }
    drop(storage);
    let index = dir.path().join("index.redb");
    std::fs::remove_file(&index).unwrap();
    check(&chain, &open(&dir));
    std::fs::write(&index, b"no database").unwrap();
    check(&chain, &open(&dir));
    let mut bytes = std::fs::read(&index).unwrap();
    for byte in bytes.iter_mut().skip(8_192).step_by(50) {
        *byte ^= 0x10;
    }
    std::fs::write(&index, bytes).unwrap();
    check(&chain, &open(&dir));
}

#[test]
fn index_of_another_chain_is_not_believed() {
    let dir = TempDir::new().unwrap();
    for seed in [31, 32] {
        // Only the chain is replaced, the index is left behind.
        let chain_file = dir.path().join("chain.redb");
        if chain_file.exists() {
            std::fs::remove_file(&chain_file).unwrap();
        }
        let storage = open(&dir);
        let mut chain = TestChain::new(seed);
        chain.initialise(&storage).unwrap();
        for _ in 0..40 {
            chain.commit_next(&storage).unwrap();
        }
        check(&chain, &storage);
    }
}
