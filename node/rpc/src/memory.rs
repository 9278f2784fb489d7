//! Bound the memory of large messages and answers, in total and by IP address.
//!
//! A small one needs no leave: there are as many as connections and calls at most. A large one takes room from its
//! first byte beyond that until it is dropped, so that many callers, each within the limits of its connection, cannot
//! have the node hold more than this together.

use std::net::IpAddr;
use std::sync::Arc;

use crate::places::{Place, Places};

/// What needs no leave.
const SMALL_BYTES: usize = 128 << 10;
/// What all large ones may take together.
const TOTAL_KIB: u32 = 128 << 10;
/// What those of one address may: two of the largest answers. Of such addresses, it takes four to leave no room.
const PER_IP_KIB: u32 = 32 << 10;
/// Room is taken in pieces of so much.
const PIECE_BYTES: usize = 256 << 10;

/// The room there is.
#[derive(Debug)]
pub(crate) struct Memory(Arc<Places>);

/// Room of one message or answer, which begins with none taken.
#[derive(Debug)]
pub(crate) struct Room {
    places: Arc<Places>,
    ip: IpAddr,
    taken: Option<Place>,
}

/// There is no room for more, in total or for this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "large messages and answers of this address, or of all, take as much memory as this node gives them"
)]
pub(crate) struct Full;

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Places::new(TOTAL_KIB, PER_IP_KIB))
    }

    /// Room for something of `ip`.
    pub(crate) fn room(&self, ip: IpAddr) -> Room {
        Room {
            places: Arc::clone(&self.0),
            ip,
            taken: None,
        }
    }
}

impl Room {
    /// Room for something else of the same address.
    pub(crate) fn another(&self) -> Self {
        Self {
            places: Arc::clone(&self.places),
            ip: self.ip,
            taken: None,
        }
    }

    /// Sees that there is room for `bytes` in all.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes <= SMALL_BYTES {
            return Ok(());
        }
        let kib = (bytes.div_ceil(PIECE_BYTES) * PIECE_BYTES) >> 10;
        let kib = u32::try_from(kib).map_err(|_too_large| Full)?;
        if self.taken.is_none() {
            self.taken = self.places.enter(self.ip);
        }
        match self.taken.as_mut().is_some_and(|taken| taken.grow(kib)) {
            true => Ok(()),
            false => Err(Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ones_of_an_address_have_a_bound_and_small_ones_none() {
        let memory = Memory::new();
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        let mut rooms: Vec<Room> = Vec::new();
        for _ in 0..16 {
            let mut room = memory.room(ip);
            assert_eq!(room.grow(2 << 20), Ok(()));
            rooms.push(room);
        }
        let mut one_more = memory.room(ip);
        assert_eq!(one_more.grow(SMALL_BYTES), Ok(()));
        assert_eq!(one_more.grow(SMALL_BYTES + 1), Err(Full));
        let mut of_another = memory.room("10.0.0.2".parse().unwrap());
        assert_eq!(of_another.grow(2 << 20), Ok(()));
        rooms.pop();
        assert_eq!(one_more.grow(1 << 20), Ok(()));
    }
}
