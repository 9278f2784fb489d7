//! Use every part of the SDK once, so that tests can hold native Rust and Wasm to the same results.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod probe {
    use kumiki_contract::math::mul_div_floor;
    use kumiki_contract::prelude::*;

    /// A price in base units.
    pub type Price = u64;

    /// One of each handle. `owner` and `value` are where the counter keeps its own, so that a counter can become this.
    #[storage]
    pub struct Probe {
        owner: Item<Address>,
        value: Item<u64>,
        names: Map<String, Vec<u8>>,
        flags: Map<u32, ()>,
        log: List<Entry>,
        orders: OrderedMap<(Price, i32), Order>,
        words: OrderedMap<String, u8>,
    }

    /// What a counter stored.
    #[old_storage]
    struct CounterStorage {
        value: Item<u64>,
    }

    /// An offer.
    #[data]
    pub struct Order {
        /// Who offers.
        pub maker: Address,
        /// Buy or sell.
        pub side: Side,
        /// Anything.
        pub note: Option<String>,
    }

    /// What an offer is for.
    #[data]
    #[derive(Copy)]
    pub enum Side {
        /// To get.
        Buy,
        /// To give, at most so much.
        Sell {
            /// How much.
            limit: u64,
        },
    }

    /// A line of the log.
    #[data]
    pub struct Entry(pub u8, pub String);

    /// Everything in one event.
    #[event]
    pub struct Seen {
        /// Fits a topic.
        #[indexed]
        pub number: i64,
        /// Does not fit one.
        #[indexed]
        pub text: String,
        /// Is in the data only.
        pub side: Side,
    }

    /// Why it refuses.
    #[error]
    pub enum Error {
        /// With a value.
        Because(String),
        /// The called counter refused.
        CounterRefused,
        /// The native tokens could not be sent.
        TransferFailed,
    }

    /// A counter, known by its messages only.
    #[contract_ref]
    pub trait CounterHandle {
        /// Adds to it.
        fn increase(&mut self, amount: u64) -> Result<u64, CounterError>;
        /// What it is.
        fn value(&self) -> u64;
    }

    /// The counter's errors, as far as this contract tells them apart.
    #[data]
    pub enum CounterError {
        /// The sum does not fit.
        Overflow,
        /// The caller may not.
        NotOwner,
    }

    impl Probe {
        /// Takes native tokens from the start.
        #[init]
        #[payable]
        pub fn init(&mut self, fail: Option<String>) -> Result<(), Error> {
            let owner = self.env().caller();
            self.owner.set(&owner);
            fail.map_or(Ok(()), |why| Err(Error::Because(why)))
        }

        /// Takes over a counter, whose value it keeps.
        #[migrate]
        pub fn migrate(&mut self, add: u64) {
            let value = CounterStorage::open(self).value.get_or_default();
            self.value.set(&(value + add));
        }

        /// Gives back what it was given.
        pub fn echo(&self, order: Order, pair: (Balance, i8), bytes: [u8; 3]) -> (Order, Balance) {
            let sum = pair.0 + u128::from(pair.1.unsigned_abs()) + u128::from(bytes[0]);
            (order, sum)
        }

        /// Keeps bytes under a name; none removes them.
        pub fn set_name(&mut self, name: String, bytes: Option<Vec<u8>>) {
            match bytes {
                Some(bytes) => self.names.set(&name, &bytes),
                None => self.names.remove(&name),
            }
        }

        /// The bytes under a name.
        pub fn name(&self, name: String) -> Option<Vec<u8>> {
            self.names.get(&name)
        }

        /// Raises a flag, and says whether it was up.
        pub fn flag(&mut self, number: u32) -> bool {
            let was_up = self.flags.get(&number).is_some();
            self.flags.set(&number, &());
            was_up
        }

        /// Adds a line to the log.
        pub fn append(&mut self, entry: Entry) -> u32 {
            self.log.push(&entry)
        }

        /// Takes lines out of the log: one in the middle, then the last.
        pub fn drop_lines(&mut self, index: u32) -> (Option<Entry>, Option<Entry>) {
            (self.log.swap_remove(index), self.log.pop())
        }

        /// The log from a line on.
        pub fn log_from(&self, start: u32) -> Vec<Entry> {
            self.log.iter_from(start).collect()
        }

        /// Places an offer.
        pub fn place(&mut self, price: Price, rank: i32, order: Order) {
            self.orders.set(&(price, rank), &order);
        }

        /// Withdraws an offer.
        pub fn withdraw(&mut self, price: Price, rank: i32) {
            self.orders.remove(&(price, rank));
        }

        /// Keys of the offers from one to another price, the second not included, dearest first if asked.
        pub fn between(&self, low: Price, high: Price, dearest_first: bool) -> Vec<(Price, i32)> {
            let range = self
                .orders
                .range((low, i32::MIN)..(high, i32::MIN))
                .page_of(2);
            let range = if dearest_first {
                range.descending()
            } else {
                range
            };
            range.map(|(key, _)| key).collect()
        }

        /// Ranks of the offers at one price.
        pub fn ranks(&self, price: Price) -> Vec<i32> {
            self.orders
                .prefix(&(price,))
                .map(|((_, rank), _)| rank)
                .collect()
        }

        /// The cheapest and the dearest offer.
        pub fn ends(&self) -> (Option<(Price, i32)>, Option<(Price, i32)>) {
            let key = |entry: ((Price, i32), Order)| entry.0;
            (self.orders.first().map(key), self.orders.last().map(key))
        }

        /// Adds words, and returns all in order.
        pub fn sort(&mut self, words: Vec<String>) -> Vec<String> {
            for word in &words {
                self.words.set(word, &0);
            }
            self.words.iter().map(|(word, _)| word).collect()
        }

        /// Emits an event.
        pub fn see(&mut self, number: i64, text: String) {
            let side = Side::Sell { limit: 7 };
            self.emit(Seen { number, text, side });
        }

        /// Where and when this runs.
        pub fn context(&self) -> (Address, u64, u64, String, Balance) {
            let env = self.env();
            let me = env.self_address();
            (
                me,
                env.height(),
                env.time_ms(),
                env.chain_id(),
                env.balance(me),
            )
        }

        /// All hashes of bytes.
        pub fn hashes(&self, bytes: Vec<u8>) -> (Hash, Hash, Hash, Hash) {
            let env = self.env();
            (
                env.sha3_256(&bytes),
                env.keccak_256(&bytes),
                env.sha2_256(&bytes),
                env.blake2b_256(&bytes),
            )
        }

        /// Whether an ed25519 signature verifies.
        pub fn verify(&self, key: [u8; 32], signature: [u8; 64], message: Vec<u8>) -> bool {
            self.env().ed25519_verify(&key, &signature, &message)
        }

        /// Takes native tokens and passes half of them on.
        #[payable]
        pub fn split(&mut self, to: Address) -> Result<Balance, Error> {
            let half = self.env().value() / 2;
            let sent = self.env_mut().transfer(to, half);
            sent.map_err(|_code| Error::TransferFailed)?;
            Ok(half)
        }

        /// Adds to a counter and reads it back; both must agree.
        pub fn count(&mut self, counter: Address, amount: u64) -> Result<u64, Error> {
            let counter = CounterHandle::at(counter);
            let called = counter.increase(amount).try_send(self.env_mut());
            let value = called.map_err(|_refused| Error::CounterRefused)?;
            assert!(
                counter.value().send(self.env()) == value,
                "the counter says one thing and keeps another"
            );
            Ok(value)
        }

        /// Adds to a counter, and fails with it.
        pub fn count_or_fail(&mut self, counter: Address, amount: u64) -> u64 {
            CounterHandle::at(counter)
                .increase(amount)
                .send(self.env_mut())
        }

        /// Panics, if asked to.
        pub fn panic(&mut self, really: bool) {
            self.value.set(&1);
            assert!(!really, "asked to panic");
        }

        /// `a * b / c`, or a panic.
        pub fn scale(&self, a: Balance, b: Balance, c: Balance) -> Balance {
            mul_div_floor(a, b, c).expect("the result fits")
        }

        /// A number less, which must not pass zero.
        pub fn less(&self, from: u64, by: u64) -> u64 {
            from - by
        }

        /// The number kept.
        pub fn value(&self) -> u64 {
            self.value.get_or_default()
        }
    }
}
