//! Count what is taken of something bounded, in total and by IP address: places to wait in, memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded number of places.
#[derive(Debug)]
pub(crate) struct Places {
    total_max: u32,
    per_ip_max: u32,
    by_ip: Mutex<BTreeMap<IpAddr, u32>>,
    total: AtomicU32,
}

/// A taken place; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    ip: IpAddr,
    count: u32,
}

impl Places {
    pub(crate) fn new(total_max: u32, per_ip_max: u32) -> Arc<Self> {
        Arc::new(Self {
            total_max,
            per_ip_max,
            by_ip: Mutex::default(),
            total: AtomicU32::new(0),
        })
    }

    /// A place for `ip`; `None` when all are taken, or its share is.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let mut place = Place {
            places: Arc::clone(self),
            ip: group(ip),
            count: 0,
        };
        place.grow(1).then_some(place)
    }

    /// How many are taken.
    pub(crate) fn total(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }
}

impl Place {
    /// Takes up `count` places in all; false, and nothing changes, when so many are not free or are above the
    /// address's share.
    pub(crate) fn grow(&mut self, count: u32) -> bool {
        let more = count.saturating_sub(self.count);
        let places = &self.places;
        let mut by_ip = places.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ip = by_ip.get(&self.ip).copied().unwrap_or(0);
        let total = places.total.load(Ordering::Relaxed);
        if total.saturating_add(more) > places.total_max
            || of_ip.saturating_add(more) > places.per_ip_max
        {
            return false;
        }
        by_ip.insert(self.ip, of_ip + more);
        places.total.fetch_add(more, Ordering::Relaxed);
        drop(by_ip);
        self.count += more;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.places;
        let mut by_ip = places.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let left = by_ip
            .get(&self.ip)
            .map_or(0, |count| count.saturating_sub(self.count));
        if left == 0 {
            by_ip.remove(&self.ip);
        } else {
            by_ip.insert(self.ip, left);
        }
        places.total.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// A customer of an IPv6 network has 2^64 addresses: they count as one.
pub(crate) fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_ip_and_in_total_and_come_back() {
        let places = Places::new(3, 2);
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        let first = places.enter(one).unwrap();
        let _second = places.enter(one).unwrap();
        assert!(places.enter(one).is_none(), "two from one address");
        let _third = places.enter(other).unwrap();
        assert!(places.enter(other).is_none(), "three in total");
        drop(first);
        assert!(places.enter(one).is_some());
        assert_eq!(places.total(), 2);
    }

    #[test]
    fn a_place_grows_within_both_bounds_and_gives_all_back() {
        let places = Places::new(10, 6);
        let mut one = places.enter("10.0.0.1".parse().unwrap()).unwrap();
        assert!(one.grow(6));
        assert!(one.grow(3), "it has more already");
        assert!(!one.grow(7), "more than its share");
        let mut other = places.enter("10.0.0.2".parse().unwrap()).unwrap();
        assert!(!other.grow(5), "more than there are");
        assert!(other.grow(4));
        drop(one);
        assert_eq!(places.total(), 4);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let places = Places::new(8, 1);
        let _place = places.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(places.enter("2001:db8::2".parse().unwrap()).is_none());
        assert!(places.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
        let _v4 = places.enter("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(places.enter("10.0.0.1".parse().unwrap()).is_none());
    }
}
