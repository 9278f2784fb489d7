//! Take decisions from bytes: front to back, so that a fuzzer that changes one byte changes one decision.

/// Bytes that decide. When none is left, every decision is the first one.
pub(crate) struct Choices<'a>(&'a [u8]);

/// Changes that [`Choices::mutated`] makes, at most.
const MUTATIONS_MAX: usize = 8;

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// A number below `bound`, which is at most 65,536; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let drawn = match bound {
            0 | 1 => return 0,
            2..=256 => usize::from(self.byte()),
            _ => usize::from(u16::from_le_bytes(self.array())),
        };
        drawn % bound
    }

    /// True once in `count` times, and never when no byte is left.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count.saturating_sub(1)
    }

    /// A number of any size, small ones and those at the edges more often.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0..=3 => u64::from(self.byte()),
            4 => u64::from(u16::from_le_bytes(self.array())),
            5 => u64::MAX - u64::from(self.byte()),
            6 => 1_u64.rotate_left(u32::from(self.byte())).wrapping_sub(1),
            _ => u64::from_le_bytes(self.array()),
        }
    }

    /// At most so many bytes.
    pub(crate) fn bytes(&mut self, max: usize) -> &'a [u8] {
        let length = self.below(max.saturating_add(1)).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// One of `all`.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn one_of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        let at = self.below(all.len());
        all.get(at).expect("something to choose from")
    }

    pub(crate) const fn are_left(&self) -> bool {
        !self.0.is_empty()
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// `bytes` with some changes; none when no decision is left.
    pub(crate) fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..MUTATIONS_MAX {
            if !self.are_left() {
                break;
            }
            let at = self.below(bytes.len().min(1 << 16));
            self.mutate(&mut bytes, at);
        }
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let kind = self.byte() % 8;
        match kind {
            0..=3 => {
                let drawn = self.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match kind {
                        0 | 1 => *byte ^ (1 << (drawn % 8)),
                        2 => drawn,
                        _ => byte.wrapping_add(drawn),
                    };
                }
            }
            4 => {
                let end = bytes.len().min(at + 1 + self.below(40));
                bytes.drain(at.min(end)..end);
            }
            5 => {
                let added = self.bytes(16);
                bytes.splice(at..at, added.iter().copied());
            }
            6 => bytes.truncate(at),
            _ => {
                let end = bytes.len().min(at + 1 + self.below(64));
                let copied = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = self.below(bytes.len().min(1 << 16));
                bytes.splice(to..to, copied);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_those_of_the_bytes_and_end_with_them() {
        let mut choices = Choices::new(&[7, 200, 1, 0]);
        assert_eq!(choices.below(5), 2);
        assert_eq!(choices.byte(), 200);
        assert_eq!(choices.below(1_000), 1);
        assert!(!choices.are_left());
        assert_eq!((choices.number(), choices.one_in(2)), (0, false));
        assert_eq!(choices.mutated(&[1, 2, 3]), [1, 2, 3]);
    }

    #[test]
    fn every_kind_of_mutation_can_happen_and_none_panics() {
        let base: Vec<u8> = (0..60).collect();
        let mut lengths = std::collections::BTreeSet::new();
        for kind in 0..8 {
            for at in [0, 30, 59] {
                let bytes = [at, kind, 9, 4, 5, 6];
                let mut choices = Choices::new(&bytes);
                lengths.insert(choices.mutated(&base).len().cmp(&base.len()));
                let nothing = Choices::new(&[at, kind, 9, 4]).mutated(&[]);
                assert!(nothing.len() <= 2);
            }
        }
        assert_eq!(lengths.len(), 3);
    }
}
