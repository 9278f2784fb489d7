//! Make random steps: which message, by whom, with what; values at the edges of their types and values seen before.

use kumiki_abi::metadata::EntryKind;
use kumiki_abi::type_name::Type;

use super::attempt::{CALLERS, Step};
use super::message::{Message, Part, Shape, Target, Types};
use super::value::Value;

/// Values of one kind that are remembered.
const SEEN_MAX: usize = 32;
/// Elements of a vector, mostly.
const ELEMENTS_MAX: u64 = 4;
/// Nesting below which options and vectors are empty, so that types which hold themselves end.
const DEPTH_MAX: u32 = 6;
const DAY_MS: u128 = 24 * 60 * 60 * 1_000;
const PAID_MAX: u128 = 1_000_000_000_000;

/// A stream of numbers from a seed: SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 on, below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or_default()
    }

    fn wide(&mut self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }

    fn pick<'v, T>(&mut self, values: &'v [T]) -> Option<&'v T> {
        let bound = u64::try_from(values.len()).unwrap_or(u64::MAX);
        values.get(usize::try_from(self.below(bound)).ok()?)
    }
}

/// Values that went in or came out before.
#[derive(Default)]
pub(crate) struct Seen {
    numbers: Vec<u128>,
    texts: Vec<String>,
    addresses: Vec<[u8; 32]>,
    hashes: Vec<[u8; 32]>,
    bytes: Vec<Vec<u8>>,
}

impl Seen {
    pub(crate) fn learn(&mut self, value: &Value) {
        value.walk(&mut |one| match one {
            Value::Unsigned(number) => remember(&mut self.numbers, *number),
            Value::Text(text) => remember(&mut self.texts, text.clone()),
            Value::Address(word) => remember(&mut self.addresses, *word),
            Value::Hash(word) => remember(&mut self.hashes, *word),
            Value::Bytes(bytes) => remember(&mut self.bytes, bytes.clone()),
            _ => {}
        });
    }

    pub(crate) fn learn_number(&mut self, number: u128) {
        remember(&mut self.numbers, number);
    }
}

fn remember<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if values.contains(&value) {
        return;
    }
    if values.len() == SEEN_MAX {
        values.remove(0);
    }
    values.push(value);
}

/// Where random values come from.
pub(crate) struct Source<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) seen: &'a Seen,
    /// How many addresses are known.
    pub(crate) known: usize,
    /// Time and height of the next block.
    pub(crate) clock: [u64; 2],
}

impl Source<'_> {
    /// A step; most are calls that may change something.
    pub(crate) fn step(&mut self, targets: &[Target]) -> Step {
        if self.random.below(8) == 0 {
            return Step::Wait { ms: self.wait_ms() };
        }
        let kind = match self.random.below(6) {
            0 => EntryKind::View,
            _ => EntryKind::Call,
        };
        let places: Vec<(usize, usize)> = targets
            .iter()
            .enumerate()
            .flat_map(|(target, one)| (0..one.messages.len()).map(move |message| (target, message)))
            .collect();
        let message = |(target, message): &(usize, usize)| {
            let target = targets.get(*target)?;
            Some((target, target.messages.get(*message)?))
        };
        let of_kind =
            |place: &&(usize, usize)| message(place).is_some_and(|(_, one)| one.kind == kind);
        let wanted: Vec<(usize, usize)> = places.iter().filter(of_kind).copied().collect();
        let place = self
            .random
            .pick(&wanted)
            .or_else(|| self.random.pick(&places));
        let Some((place, (target, message))) =
            place.and_then(|place| Some((place, message(place)?)))
        else {
            return Step::Wait { ms: 1 };
        };
        Step::Call {
            caller: usize::try_from(self.random.below(CALLERS as u64)).unwrap_or_default(),
            target: place.0,
            message: place.1,
            arguments: self.parts(&message.arguments, &target.types, 0),
            value: self.paid(message),
        }
    }

    fn paid(&mut self, message: &Message) -> u128 {
        if !message.is_payable || self.random.below(8) == 0 {
            return 0;
        }
        self.unsigned(16) % PAID_MAX
    }

    /// Moments, days, or until just before, at or after a time that was seen.
    fn wait_ms(&mut self) -> u64 {
        let [now_ms, _] = self.clock;
        let now = u128::from(now_ms);
        let later = |number: &&u128| **number > now && **number < now + 10_000 * DAY_MS;
        let moments: Vec<u128> = self.seen.numbers.iter().filter(later).copied().collect();
        let ms = match (self.random.below(3), self.random.pick(&moments)) {
            (0, Some(moment)) => {
                (moment - now + u128::from(self.random.below(3))).saturating_sub(1)
            }
            (1, _) => u128::from(1 + self.random.below(40)) * DAY_MS,
            _ => 1 << self.random.below(24),
        };
        u64::try_from(ms).unwrap_or(1).max(1)
    }

    fn parts(&mut self, parts: &[Part], types: &Types, depth: u32) -> Vec<Value> {
        let values = parts.iter().map(|part| self.value(&part.of, types, depth));
        values.collect()
    }

    fn value(&mut self, of: &Type, types: &Types, depth: u32) -> Value {
        let deeper = depth + 1;
        match of {
            Type::Bool => Value::Bool(self.random.below(2) == 1),
            Type::Unsigned(bytes) => Value::Unsigned(self.unsigned(*bytes)),
            Type::Signed(bytes) => Value::Signed(self.signed(*bytes)),
            Type::String => Value::Text(self.text()),
            Type::Address => self.address(),
            Type::Hash => Value::Hash(self.hash()),
            Type::Tuple(of) => {
                Value::List(of.iter().map(|of| self.value(of, types, deeper)).collect())
            }
            Type::Vec(element) if **element == Type::Unsigned(1) => Value::Bytes(self.bytes()),
            Type::Array(element, count) if **element == Type::Unsigned(1) => {
                let fill = self.random.below(2);
                let byte = |_| u8::try_from(fill * self.random.below(256)).unwrap_or_default();
                Value::Bytes((0..*count).map(byte).collect())
            }
            Type::Vec(_) if depth > DEPTH_MAX => Value::List(Vec::new()),
            Type::Vec(element) => {
                let count = self.random.below(ELEMENTS_MAX + 1);
                Value::List(
                    (0..count)
                        .map(|_| self.value(element, types, deeper))
                        .collect(),
                )
            }
            Type::Array(element, count) => Value::List(
                (0..*count)
                    .map(|_| self.value(element, types, deeper))
                    .collect(),
            ),
            Type::Option(_) if depth > DEPTH_MAX || self.random.below(3) == 0 => Value::Absent,
            Type::Option(of) => Value::Present(Box::new(self.value(of, types, deeper))),
            Type::Result(ok, error) => match self.random.below(2) {
                0 => Value::Variant(0, vec![self.value(ok, types, deeper)]),
                _ => Value::Variant(1, vec![self.value(error, types, deeper)]),
            },
            Type::Named(name) => match types.shape(name) {
                Shape::Struct(parts) => Value::List(self.parts(parts, types, deeper)),
                Shape::Enum(variants) => {
                    let bound = u64::try_from(variants.len()).unwrap_or(1);
                    let position = usize::try_from(self.random.below(bound)).unwrap_or_default();
                    let parts = variants.get(position).map_or(&[][..], |one| &one.parts);
                    Value::Variant(position, self.parts(parts, types, deeper))
                }
            },
        }
    }

    fn unsigned(&mut self, bytes: u8) -> u128 {
        let max = u128::MAX >> (128 - 8 * u32::from(bytes));
        let seen = self.random.pick(&self.seen.numbers).copied();
        let number = match (self.random.below(11), seen) {
            (10, _) => {
                let now = self.random.pick(&self.clock).copied().unwrap_or_default();
                let later = match self.random.below(3) {
                    2 => self.random.wide() % DAY_MS,
                    later => u128::from(later),
                };
                u128::from(now) + later
            }
            (0, _) => 0,
            (1, _) => max - u128::from(self.random.below(2)),
            (2, _) => 1 << self.random.below(8 * u64::from(bytes)),
            (3, Some(seen)) => seen.saturating_add(1),
            (4, Some(seen)) => seen.saturating_sub(1),
            (5..=7, Some(seen)) => seen,
            (8, _) => self.random.wide() >> self.random.below(128),
            _ => u128::from(self.random.below(1_000)),
        };
        if number > max { number & max } else { number }
    }

    fn signed(&mut self, bytes: u8) -> i128 {
        let max = i128::MAX >> (128 - 8 * u32::from(bytes));
        let number = i128::try_from(self.unsigned(bytes) >> 1).unwrap_or(max);
        match self.random.below(5) {
            0 => -max - 1,
            1 => max,
            2 | 3 => number,
            _ => -number - 1,
        }
    }

    /// Mostly who takes part; sometimes nobody's address.
    fn address(&mut self) -> Value {
        let seen = self.random.pick(&self.seen.addresses).copied();
        match (self.random.below(12), seen) {
            (0, _) => Value::Address([0; 32]),
            (1, _) => Value::Address(self.word()),
            (2..=3, Some(seen)) => Value::Address(seen),
            _ => {
                let known = u64::try_from(self.known).unwrap_or(1);
                Value::Known(usize::try_from(self.random.below(known)).unwrap_or_default())
            }
        }
    }

    fn hash(&mut self) -> [u8; 32] {
        let seen = self.random.pick(&self.seen.hashes).copied();
        match (self.random.below(6), seen) {
            (0, _) => [0; 32],
            (1, _) | (_, None) => self.word(),
            (_, Some(seen)) => seen,
        }
    }

    fn word(&mut self) -> [u8; 32] {
        let mut word = [0; 32];
        let (left, right) = word.split_at_mut(16);
        left.copy_from_slice(&self.random.wide().to_le_bytes());
        right.copy_from_slice(&self.random.wide().to_le_bytes());
        word
    }

    fn text(&mut self) -> String {
        let seen = self.random.pick(&self.seen.texts).cloned();
        match (self.random.below(12), seen) {
            (0, _) => String::new(),
            (1, _) => "x".repeat(usize::try_from(self.random.below(300)).unwrap_or_default()),
            (2, _) => "Ünïcode \u{1f980}".to_owned(),
            (3, Some(seen)) => seen + "-",
            (4..=8, Some(seen)) => seen,
            _ => {
                let letters = b"abcdefghijklmnopqrstuvwxyz0123456789-";
                let length = 1 + self.random.below(10);
                let letter = |_| self.random.pick(letters).copied().map_or('a', char::from);
                (0..length).map(letter).collect()
            }
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let seen = self.random.pick(&self.seen.bytes).cloned();
        match (self.random.below(6), seen) {
            (0, _) => Vec::new(),
            (1..=2, Some(seen)) => seen,
            (choice, _) => {
                let length = [1, 4, 32, 65][usize::try_from(choice % 4).unwrap_or_default()];
                let byte = |_| u8::try_from(self.random.below(256)).unwrap_or_default();
                (0..length).map(byte).collect()
            }
        }
    }
}
