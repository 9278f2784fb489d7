//! Hold the pool against a model that keeps a plain list and looks everything up the slow way.

use kumiki_protocol::{Action, Address, Transaction};
use kumiki_testkit::{Draft, account, genesis};
use proptest::prelude::*;

use super::*;

const BALANCE: Amount = 1_000;
const LIMITS: MempoolLimits = MempoolLimits {
    count_max: 8,
    bytes_max: 8_000,
    sender_count_max: 4,
    sender_bytes_max: 3_000,
    nonce_window: 6,
    replacement_percent: 10,
};

/// A candidate whose hash, size and cost are what a test says.
fn candidate(
    sender: u8,
    nonce: u64,
    price: u64,
    size: usize,
    cost: Amount,
    until: u64,
) -> Candidate {
    let from = account(sender);
    let body = Draft::new(&genesis(), &from, nonce)
        .gas_price(price)
        .gas_limit(u64::try_from(size).unwrap())
        .valid_until(until)
        .transfer(&account(9).address, cost)
        .body;
    Candidate {
        hash: body.hash(),
        transaction: Arc::new(Transaction {
            body,
            signature: kumiki_protocol::Signature([0; 64]),
        }),
        sender: from.address,
        size,
        cost,
    }
}

fn at_nonce(nonce: Nonce) -> AccountRecord {
    AccountRecord {
        nonce,
        balance: BALANCE,
    }
}

fn nonces(candidates: &[Candidate]) -> Vec<(Address, Nonce)> {
    candidates
        .iter()
        .map(|one| (one.sender, one.transaction.body.nonce))
        .collect()
}

fn address(sender: u8) -> Address {
    account(sender).address
}

/// A pool without indexes.
#[derive(Clone, Default)]
struct Model {
    entries: Vec<(u64, Candidate)>,
    arrivals: u64,
    nonces: BTreeMap<Address, Nonce>,
}

impl Model {
    fn of(&self, sender: Address) -> Vec<&Candidate> {
        let mut own: Vec<&Candidate> = self
            .entries
            .iter()
            .map(|(_, one)| one)
            .filter(|one| one.sender == sender)
            .collect();
        own.sort_by_key(|one| one.transaction.body.nonce);
        own
    }

    fn nonce(&self, sender: &Address) -> Nonce {
        self.nonces.get(sender).copied().unwrap_or(0)
    }

    /// Executable, and the least price among the sender's transactions up to `nonce`.
    fn rank(&self, sender: Address, nonce: Nonce, price: u64) -> (bool, u64) {
        let before: Vec<&Candidate> = self
            .of(sender)
            .into_iter()
            .filter(|one| one.transaction.body.nonce < nonce)
            .collect();
        let executable = (self.nonce(&sender)..nonce).all(|needed| {
            before
                .iter()
                .any(|one| one.transaction.body.nonce == needed)
        });
        let floor = before
            .iter()
            .map(|one| one.transaction.body.gas_price)
            .chain([price])
            .min();
        (executable, floor.unwrap())
    }

    fn position(&self, sender: Address, nonce: Nonce) -> Option<usize> {
        self.entries
            .iter()
            .position(|(_, one)| one.sender == sender && one.transaction.body.nonce == nonce)
    }

    fn refusal(&self, new: &Candidate) -> Option<&'static str> {
        let body = &new.transaction.body;
        let nonce = self.nonce(&new.sender);
        let own = self.of(new.sender);
        let others: Vec<_> = own
            .iter()
            .filter(|one| one.transaction.body.nonce != body.nonce)
            .collect();
        let replaced = own
            .iter()
            .find(|one| one.transaction.body.nonce == body.nonce);
        if body.nonce < nonce {
            return Some("nonceTooLow");
        }
        if body.nonce >= nonce + LIMITS.nonce_window {
            return Some("nonceTooFar");
        }
        if replaced.is_some_and(|old| body.gas_price * 100 < old.transaction.body.gas_price * 110) {
            return Some("replacementUnderpriced");
        }
        let bytes: usize = others.iter().map(|one| one.size).sum();
        if others.len() + 1 > LIMITS.sender_count_max || bytes + new.size > LIMITS.sender_bytes_max
        {
            return Some("senderFull");
        }
        let cost: Amount = others.iter().map(|one| one.cost).sum();
        (cost + new.cost > BALANCE).then_some("insufficientFunds")
    }

    fn insert(&mut self, new: Candidate) -> Result<(), &'static str> {
        if self.entries.iter().any(|(_, one)| one.hash == new.hash) {
            return Ok(());
        }
        if let Some(refusal) = self.refusal(&new) {
            return Err(refusal);
        }
        let body = &new.transaction.body;
        let rank = self.rank(new.sender, body.nonce, body.gas_price);
        let mut after = self.clone();
        if let Some(replaced) = after.position(new.sender, body.nonce) {
            after.entries.remove(replaced);
        }
        while after.entries.len() >= LIMITS.count_max
            || after.entries.iter().map(|(_, one)| one.size).sum::<usize>() + new.size
                > LIMITS.bytes_max
        {
            let senders: BTreeSet<Address> =
                after.entries.iter().map(|(_, one)| one.sender).collect();
            let lowest = senders.iter().filter_map(|sender| {
                let last = after.of(*sender).last()?.transaction.body.clone();
                let index = after.position(*sender, last.nonce)?;
                let arrival = after.entries[index].0;
                Some((
                    after.rank(*sender, last.nonce, last.gas_price),
                    Reverse(arrival),
                    index,
                ))
            });
            match lowest.min() {
                Some((found, _, index)) if found < rank => after.entries.remove(index),
                _ => return Err("poolFull"),
            };
        }
        after.arrivals += 1;
        after.entries.push((after.arrivals, new));
        *self = after;
        Ok(())
    }

    fn advance(&mut self, sender: Address, nonce: Nonce) {
        let nonce = nonce.max(self.nonce(&sender));
        self.nonces.insert(sender, nonce);
        self.entries
            .retain(|(_, one)| one.sender != sender || one.transaction.body.nonce >= nonce);
    }

    fn candidates(&self, bytes_max: usize, gas_max: Gas) -> Vec<(Address, Nonce)> {
        let mut next = self.nonces.clone();
        for (_, one) in &self.entries {
            next.entry(one.sender).or_insert(0);
        }
        let mut chosen = Vec::new();
        let (mut bytes, mut gas) = (0, 0);
        loop {
            let best = next
                .iter()
                .filter_map(|(sender, nonce)| self.entries.get(self.position(*sender, *nonce)?))
                .min_by_key(|(arrival, one)| (Reverse(one.transaction.body.gas_price), *arrival));
            let Some((_, one)) = best else {
                return chosen;
            };
            let limit = one.transaction.body.gas_limit;
            if bytes + one.size > bytes_max || gas + limit > gas_max {
                next.remove(&one.sender);
                continue;
            }
            bytes += one.size;
            gas += limit;
            chosen.push((one.sender, one.transaction.body.nonce));
            *next.get_mut(&one.sender).unwrap() += 1;
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert {
        sender: u8,
        nonce: u64,
        price: u64,
        size: usize,
        cost: Amount,
        until: u64,
    },
    Advance {
        sender: u8,
        nonce: u64,
    },
    Expire {
        height: u64,
    },
    Reject {
        sender: u8,
        nonce: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let insert = (
        0_u8..5,
        0_u64..9,
        1_u64..60,
        100_usize..1_500,
        1_u128..400,
        5_u64..30,
    )
        .prop_map(|(sender, nonce, price, size, cost, until)| Step::Insert {
            sender,
            nonce,
            price,
            size,
            cost,
            until,
        });
    prop_oneof![
        12 => insert,
        2 => (0_u8..5, 0_u64..6).prop_map(|(sender, nonce)| Step::Advance { sender, nonce }),
        1 => (0_u64..12).prop_map(|height| Step::Expire { height }),
        1 => (0_u8..5, 0_u64..9).prop_map(|(sender, nonce)| Step::Reject { sender, nonce }),
    ]
}

/// Applies one step to both and checks that they answer the same.
fn apply(step: Step, pool: &mut Mempool, model: &mut Model) {
    match step {
        Step::Insert {
            sender,
            nonce,
            price,
            size,
            cost,
            until,
        } => {
            let new = candidate(sender, nonce, price, size, cost, until);
            let at = at_nonce(model.nonce(&new.sender));
            let found = pool.insert(new.clone(), &at).map(|_how| ());
            let expected = model.insert(new);
            assert_eq!(found.map_err(|refusal| refusal.name()), expected);
        }
        Step::Advance { sender, nonce } => {
            pool.advance(&address(sender), nonce);
            model.advance(address(sender), nonce);
        }
        Step::Expire { height } => {
            let before = model.entries.len();
            model
                .entries
                .retain(|(_, one)| one.transaction.body.valid_until >= height);
            assert_eq!(pool.expire(height), before - model.entries.len());
        }
        Step::Reject { sender, nonce } => {
            if let Some(index) = model.position(address(sender), nonce) {
                let (_, gone) = model.entries.remove(index);
                pool.reject(&gone.hash, Rejection::InsufficientFunds);
                let why = Removal::Rejected(Rejection::InsufficientFunds);
                assert_eq!(pool.removal(&gone.hash), Some(why));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_pool_answers_as_a_plain_list_would(steps in proptest::collection::vec(step(), 1..80)) {
        let mut pool = Mempool::new(LIMITS);
        let mut model = Model::default();
        for step in steps {
            apply(step, &mut pool, &mut model);
            let size = pool.size();
            prop_assert_eq!(size.count, model.entries.len());
            prop_assert_eq!(size.bytes, model.entries.iter().map(|(_, one)| one.size).sum::<usize>());
            for (_, one) in &model.entries {
                prop_assert!(pool.contains(&one.hash));
            }
            for (bytes, gas) in [(usize::MAX, u64::MAX), (2_500, u64::MAX), (usize::MAX, 1_800)] {
                prop_assert_eq!(nonces(&pool.candidates(&BlockRoom { bytes_max: bytes, gas_max: gas, ..BlockRoom::UNLIMITED })), model.candidates(bytes, gas));
            }
            prop_assert_eq!(pool.has_candidates(), !model.candidates(usize::MAX, u64::MAX).is_empty());
        }
    }
}

#[test]
fn a_transaction_that_waits_is_taken_in_again_without_effect() {
    let mut pool = Mempool::new(LIMITS);
    let one = candidate(0, 0, 5, 100, 10, 50);
    assert_eq!(pool.insert(one.clone(), &at_nonce(0)), Ok(Inserted::New));
    assert_eq!(pool.insert(one, &at_nonce(0)), Ok(Inserted::Known));
    assert_eq!(pool.size().count, 1);
}

#[test]
fn a_replacement_pays_a_tenth_more_and_the_replaced_is_remembered() {
    let mut pool = Mempool::new(LIMITS);
    let first = candidate(0, 0, 95, 100, 10, 50);
    pool.insert(first.clone(), &at_nonce(0)).unwrap();
    let refused = pool.insert(candidate(0, 0, 104, 100, 10, 50), &at_nonce(0));
    assert_eq!(
        refused,
        Err(Refusal::ReplacementUnderpriced {
            found: 104,
            minimum: 105
        })
    );
    let taken = pool.insert(candidate(0, 0, 105, 100, 10, 50), &at_nonce(0));
    assert_eq!(taken, Ok(Inserted::Replaced(first.hash)));
    assert_eq!(pool.removal(&first.hash), Some(Removal::Replaced));
}

#[test]
fn a_high_price_behind_a_low_one_does_not_hold_the_low_ones_place() {
    let mut pool = Mempool::new(LIMITS);
    pool.insert(candidate(0, 0, 1, 100, 1, 50), &at_nonce(0))
        .unwrap();
    let bait = candidate(0, 1, 59, 100, 1, 50);
    pool.insert(bait.clone(), &at_nonce(0)).unwrap();
    for (sender, nonce) in [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)] {
        pool.insert(candidate(sender, nonce, 10, 100, 1, 50), &at_nonce(0))
            .unwrap();
    }
    pool.insert(candidate(3, 0, 11, 100, 1, 50), &at_nonce(0))
        .unwrap();
    assert_eq!(pool.removal(&bait.hash), Some(Removal::Evicted));
}

#[test]
fn what_cannot_be_executed_makes_room_first_and_takes_none() {
    let mut pool = Mempool::new(LIMITS);
    let parked = candidate(0, 3, 50, 100, 1, 50);
    pool.insert(parked.clone(), &at_nonce(0)).unwrap();
    for (sender, nonce) in [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0)] {
        pool.insert(candidate(sender, nonce, 2, 100, 1, 50), &at_nonce(0))
            .unwrap();
    }
    pool.insert(candidate(4, 0, 1, 100, 1, 50), &at_nonce(0))
        .unwrap();
    assert_eq!(pool.removal(&parked.hash), Some(Removal::Evicted));
    let refused = pool.insert(candidate(5, 1, 59, 100, 1, 50), &at_nonce(0));
    assert_eq!(refused, Err(Refusal::PoolFull { price_min: 2 }));
}

#[test]
fn a_refused_newcomer_displaces_nobody() {
    let mut pool = Mempool::new(LIMITS);
    for (sender, price) in [(0, 1), (1, 9), (2, 9), (3, 9), (4, 9)] {
        let one = candidate(sender, 0, price, 1_499, 1, 50);
        pool.insert(one, &at_nonce(0)).unwrap();
    }
    let before = nonces(&pool.candidates(&BlockRoom::UNLIMITED));
    // Room for it takes the cheap one and one of the others, which pay more than it does.
    let refused = pool.insert(candidate(5, 0, 5, 2_500, 1, 50), &at_nonce(0));
    assert_eq!(refused, Err(Refusal::PoolFull { price_min: 10 }));
    assert_eq!(nonces(&pool.candidates(&BlockRoom::UNLIMITED)), before);
}

#[test]
fn the_next_nonce_is_after_the_unbroken_run() {
    let mut pool = Mempool::new(LIMITS);
    for nonce in [4, 5, 7] {
        pool.insert(candidate(0, nonce, 5, 100, 1, 50), &at_nonce(4))
            .unwrap();
    }
    assert_eq!(pool.next_nonce(&address(0)), Some(6));
    assert_eq!(pool.next_nonce(&address(1)), None);
    pool.insert(candidate(0, 6, 5, 100, 1, 50), &at_nonce(4))
        .unwrap();
    assert_eq!(pool.next_nonce(&address(0)), Some(8));
}

#[test]
fn a_transaction_behind_a_rejected_one_stays_and_waits() {
    let mut pool = Mempool::new(LIMITS);
    let first = candidate(0, 0, 5, 100, 1, 50);
    let second = candidate(0, 1, 5, 100, 1, 50);
    pool.insert(first.clone(), &at_nonce(0)).unwrap();
    pool.insert(second.clone(), &at_nonce(0)).unwrap();
    pool.reject(&first.hash, Rejection::InsufficientFunds);
    pool.reject(&second.hash, Rejection::NonceGap);
    assert!(pool.contains(&second.hash) && !pool.has_candidates());
}

#[test]
fn what_earlier_blocks_have_already_is_left_out_and_its_successors_are_not() {
    let mut pool = Mempool::new(LIMITS);
    for (sender, nonce) in [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)] {
        let one = candidate(sender, nonce, 5, 100, 1, 50);
        pool.insert(one, &at_nonce(0)).unwrap();
    }
    let in_flight = BTreeMap::from([(address(0), 2), (address(1), 1)]);
    let room = BlockRoom {
        in_flight: &in_flight,
        ..BlockRoom::UNLIMITED
    };
    let chosen = pool.candidates(&room);
    let mut found: Vec<(Address, Nonce)> = chosen
        .iter()
        .map(|one| (one.sender, one.transaction.body.nonce))
        .collect();
    found.sort_unstable();
    let mut expected = vec![(address(0), 2), (address(2), 0)];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn what_is_no_longer_valid_at_the_blocks_height_is_left_out() {
    let mut pool = Mempool::new(LIMITS);
    pool.insert(candidate(0, 0, 5, 100, 1, 50), &at_nonce(0))
        .unwrap();
    let at = |height| BlockRoom {
        height,
        ..BlockRoom::UNLIMITED
    };
    assert_eq!(pool.candidates(&at(50)).len(), 1);
    assert_eq!(pool.candidates(&at(51)).len(), 0);
}

#[test]
fn what_brings_code_has_only_so_much_of_a_block_and_others_the_rest() {
    let mut pool = Mempool::new(LIMITS);
    for (sender, brings_code, price) in [(0, true, 9), (1, true, 8), (2, true, 7), (3, false, 6)] {
        let mut one = candidate(sender, 0, price, 100, 1, 50);
        if brings_code {
            let body = &mut Arc::make_mut(&mut one.transaction).body;
            body.actions.push(Action::Upgrade {
                contract: address(8),
                code: vec![0],
                input: Vec::new(),
            });
            body.gas_limit = if sender == 1 { 90 } else { 50 };
        }
        pool.insert(one, &at_nonce(0)).unwrap();
    }
    let room = BlockRoom {
        code_gas_max: 100,
        ..BlockRoom::UNLIMITED
    };
    let chosen: Vec<Address> = pool
        .candidates(&room)
        .iter()
        .map(|one| one.sender)
        .collect();
    assert_eq!(chosen, [address(0), address(2), address(3)]);
}
