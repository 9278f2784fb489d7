//! Let connections in, and when all places are taken, let one go for the newcomer.
//!
//! First goes one that has not been answered anything yet, the oldest of the address with most of these: whoever opens
//! connections and says nothing keeps nobody out. Where all have been answered, an address that has at least two more
//! than the newcomer's gives up one: the oldest that is not being answered, or else the oldest.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::places::group;

/// The connections that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    total_max: usize,
    per_ip_max: usize,
    reads_per_ip: usize,
    open: Mutex<Open>,
    total: watch::Sender<usize>,
}

/// By address, and there by age.
#[derive(Debug, Default)]
struct Open {
    by_ip: BTreeMap<IpAddr, BTreeMap<u64, Arc<Seat>>>,
    /// What the connections of an address read in turns with, as long as there are any.
    reading: BTreeMap<IpAddr, Arc<Semaphore>>,
    /// The number of the next.
    next: u64,
}

/// What is known of a connection.
#[derive(Debug, Default)]
struct Seat {
    /// Messages that are being answered.
    answering: AtomicU32,
    /// Whether anything was answered.
    answered: AtomicBool,
    /// Whether it is to go.
    leave: watch::Sender<bool>,
}

/// An open connection; dropping it frees its place.
#[derive(Debug)]
pub(crate) struct Connection {
    connections: Arc<Connections>,
    ip: IpAddr,
    number: u64,
    seat: Arc<Seat>,
    reading: Arc<Semaphore>,
}

/// Counts a message as being answered until it is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Seat>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.store(true, Ordering::Relaxed);
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    fn is_idle(&self) -> bool {
        self.answering.load(Ordering::Relaxed) == 0
    }

    fn is_silent(&self) -> bool {
        self.is_idle() && !self.answered.load(Ordering::Relaxed)
    }
}

impl Open {
    fn total(&self) -> usize {
        self.by_ip.values().map(BTreeMap::len).sum()
    }

    fn count(&self, ip: &IpAddr) -> usize {
        self.by_ip.get(ip).map_or(0, BTreeMap::len)
    }

    fn remove(&mut self, ip: &IpAddr, number: u64) {
        if let Some(of_ip) = self.by_ip.get_mut(ip) {
            of_ip.remove(&number);
            if of_ip.is_empty() {
                self.by_ip.remove(ip);
                self.reading.remove(ip);
            }
        }
    }

    /// Tells a connection to go for one of an address that has `count`; false where that would be no fairer.
    fn make_room(&mut self, count: usize) -> bool {
        let Some((ip, number)) = self.silent().or_else(|| self.of_most(count)) else {
            return false;
        };
        let seat = self.by_ip.get(&ip).and_then(|of_ip| of_ip.get(&number));
        if let Some(seat) = seat {
            seat.leave.send_replace(true);
        }
        self.remove(&ip, number);
        true
    }

    /// The oldest silent connection of the address with most of them.
    fn silent(&self) -> Option<(IpAddr, u64)> {
        let silent = |of_ip: &BTreeMap<u64, Arc<Seat>>| {
            of_ip.values().filter(|seat| seat.is_silent()).count()
        };
        let (ip, of_ip) = self.by_ip.iter().max_by_key(|(_, of_ip)| silent(of_ip))?;
        let oldest = of_ip.iter().find(|(_, seat)| seat.is_silent());
        oldest.map(|(number, _)| (*ip, *number))
    }

    /// One of the address with most connections, if it has two more than `count`.
    fn of_most(&self, count: usize) -> Option<(IpAddr, u64)> {
        let most = self.by_ip.iter().max_by_key(|(_, of_ip)| of_ip.len());
        let (ip, of_ip) = most.filter(|(_, of_ip)| of_ip.len() > count + 1)?;
        let idle = of_ip.iter().find(|(_, seat)| seat.is_idle());
        let (number, _) = idle.or_else(|| of_ip.first_key_value())?;
        Some((*ip, *number))
    }
}

impl Connections {
    /// `reads_per_ip` is how many calls of one address read at once.
    pub(crate) fn new(total_max: u32, per_ip_max: u32, reads_per_ip: usize) -> Arc<Self> {
        let size = |count| usize::try_from(count).unwrap_or(usize::MAX);
        Arc::new(Self {
            total_max: size(total_max),
            per_ip_max: size(per_ip_max),
            reads_per_ip,
            open: Mutex::default(),
            total: watch::Sender::new(0),
        })
    }

    /// A place for a connection from `ip`, and whether another goes for it; `None` when `ip` has its share, or all
    /// places are taken by others who have been answered and have no more.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<(Connection, bool)> {
        let ip = group(ip);
        let mut open = self.lock();
        let of_ip = open.count(&ip);
        if of_ip >= self.per_ip_max {
            return None;
        }
        let full = open.total() >= self.total_max;
        if full && !open.make_room(of_ip) {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let seat: Arc<Seat> = Arc::default();
        let of_ip = open.by_ip.entry(ip).or_default();
        of_ip.insert(number, Arc::clone(&seat));
        let reading = open.reading.entry(ip);
        let reading = reading.or_insert_with(|| Arc::new(Semaphore::new(self.reads_per_ip)));
        let reading = Arc::clone(reading);
        self.total.send_replace(open.total());
        drop(open);
        let connection = Connection {
            connections: Arc::clone(self),
            ip,
            number,
            seat,
            reading,
        };
        Some((connection, full))
    }

    /// How many there are.
    pub(crate) fn total(&self) -> u32 {
        u32::try_from(*self.total.borrow()).unwrap_or(u32::MAX)
    }

    /// Returns once there are none.
    pub(crate) async fn all_gone(&self) {
        let mut total = self.total.subscribe();
        // It ends with an error only when the sender is gone, and then so is every connection.
        drop(total.wait_for(|total| *total == 0).await);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// The group of addresses that it counts for.
    pub(crate) const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Says that a message is being answered, as long as what it returns is kept.
    pub(crate) fn answering(&self) -> Answering {
        self.seat.answering.fetch_add(1, Ordering::Relaxed);
        Answering(Arc::clone(&self.seat))
    }

    /// The right to read, of which an address has a few: however many calls of it wait, those of others wait for no
    /// more than these.
    pub(crate) async fn turn_to_read(&self) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        turn.ok()
    }

    /// Says that something was answered.
    pub(crate) fn note_answered(&self) {
        self.seat.answered.store(true, Ordering::Relaxed);
    }

    /// Returns once the connection is to go.
    pub(crate) async fn told_to_leave(&self) {
        let mut leave = self.seat.leave.subscribe();
        drop(leave.wait_for(|leave| *leave).await);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.remove(&self.ip, self.number);
        self.connections.total.send_replace(open.total());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    fn is_told(connection: &Connection) -> bool {
        *connection.seat.leave.borrow()
    }

    /// Connections of an address that have been answered.
    fn answered(connections: &Arc<Connections>, last: u8, count: usize) -> Vec<Connection> {
        let enter = || connections.enter(ip(last)).unwrap().0;
        let all: Vec<Connection> = (0..count).map(|_| enter()).collect();
        all.iter().for_each(Connection::note_answered);
        all
    }

    #[test]
    fn places_are_counted_by_ip_and_in_total_and_come_back() {
        let connections = Connections::new(3, 2, 1);
        let first = answered(&connections, 1, 2);
        assert!(connections.enter(ip(1)).is_none(), "two from one address");
        let _third = answered(&connections, 2, 1);
        assert!(connections.enter(ip(2)).is_none(), "nobody has two more");
        drop(first);
        assert_eq!(connections.total(), 1);
        assert!(connections.enter(ip(2)).is_some());
    }

    #[test]
    fn who_has_many_places_makes_room_for_who_has_none() {
        let connections = Connections::new(4, 4, 1);
        let greedy = answered(&connections, 1, 4);
        let answering = greedy[0].answering();
        let (newcomer, displaced) = connections.enter(ip(2)).unwrap();
        newcomer.note_answered();
        assert!(displaced);
        let told: Vec<bool> = greedy.iter().map(is_told).collect();
        assert_eq!(told, [false, true, false, false], "the oldest that is idle");
        assert_eq!(connections.total(), 4);
        assert!(connections.enter(ip(1)).is_none(), "it has most");
        // Fair is enough: 3 and 1 become 2 and 2, and no less.
        let (second, _) = connections.enter(ip(2)).unwrap();
        second.note_answered();
        assert!(connections.enter(ip(2)).is_none());
        assert!(connections.enter(ip(3)).is_some());
        drop((answering, newcomer, second, greedy));
        assert_eq!(connections.total(), 0);
    }

    #[test]
    fn somebody_whose_connections_are_all_answered_makes_room_too() {
        let connections = Connections::new(3, 3, 1);
        let greedy = answered(&connections, 1, 3);
        let _all: Vec<Answering> = greedy.iter().map(Connection::answering).collect();
        let _newcomer = connections.enter(ip(2)).unwrap();
        let told: Vec<bool> = greedy.iter().map(is_told).collect();
        assert_eq!(told, [true, false, false]);
    }

    #[test]
    fn who_says_nothing_makes_room_for_anybody_from_however_many_addresses() {
        let connections = Connections::new(8, 8, 1);
        let honest = answered(&connections, 1, 2);
        let silent: Vec<Connection> = (0..6)
            .map(|number| connections.enter(ip(2 + number % 3)).unwrap().0)
            .collect();
        let (third, displaced) = connections.enter(ip(1)).unwrap();
        assert!(displaced && silent.iter().filter(|one| is_told(one)).count() == 1);
        // A newcomer that says nothing yet is not the first to go: others have more of these.
        let _more: Vec<_> = (0..4).map(|_| connections.enter(ip(5)).unwrap()).collect();
        assert!(!honest.iter().any(is_told) && !is_told(&third));
    }

    #[tokio::test]
    async fn an_address_reads_in_turns_with_itself_alone() {
        let connections = Connections::new(8, 8, 1);
        let own: Vec<Connection> = (0..2)
            .map(|_| connections.enter(ip(1)).unwrap().0)
            .collect();
        let (other, _) = connections.enter(ip(2)).unwrap();
        let turn = own[0].turn_to_read().await.unwrap();
        assert_eq!(own[1].reading.available_permits(), 0);
        assert!(other.turn_to_read().await.is_some());
        drop(turn);
        assert!(own[1].turn_to_read().await.is_some());
    }
}
