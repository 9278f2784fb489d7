//! Count who is here, in total and by IP address: connections, and those of them that wait.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A bounded number of places.
#[derive(Debug)]
pub(crate) struct Places {
    total_max: u32,
    per_ip_max: u32,
    by_ip: Mutex<BTreeMap<IpAddr, u32>>,
    total: watch::Sender<u32>,
}

/// A taken place; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    ip: IpAddr,
}

impl Places {
    pub(crate) fn new(total_max: u32, per_ip_max: u32) -> Arc<Self> {
        Arc::new(Self {
            total_max,
            per_ip_max,
            by_ip: Mutex::default(),
            total: watch::Sender::new(0),
        })
    }

    /// A place for `ip`; `None` when all are taken, or its share is.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let ip = group(ip);
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ip = by_ip.get(&ip).copied().unwrap_or(0);
        if *self.total.borrow() >= self.total_max || of_ip >= self.per_ip_max {
            return None;
        }
        by_ip.insert(ip, of_ip + 1);
        self.total.send_modify(|total| *total += 1);
        drop(by_ip);
        Some(Place {
            places: Arc::clone(self),
            ip,
        })
    }

    /// How many are taken.
    pub(crate) fn total(&self) -> u32 {
        *self.total.borrow()
    }

    /// Returns once none is.
    pub(crate) async fn all_free(&self) {
        let mut total = self.total.subscribe();
        // It ends with an error only when the sender is gone, and then so is every place.
        drop(total.wait_for(|total| *total == 0).await);
    }
}

impl Place {
    /// The group of addresses that it counts for.
    pub(crate) const fn ip(&self) -> IpAddr {
        self.ip
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.places;
        let mut by_ip = places.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let left = by_ip
            .get(&self.ip)
            .map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            by_ip.remove(&self.ip);
        } else {
            by_ip.insert(self.ip, left);
        }
        places
            .total
            .send_modify(|total| *total = total.saturating_sub(1));
    }
}

/// A customer of an IPv6 network has 2^64 addresses: they count as one.
fn group(ip: IpAddr) -> IpAddr {
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
    fn addresses_of_one_ipv6_network_count_as_one() {
        let places = Places::new(8, 1);
        let _place = places.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(places.enter("2001:db8::2".parse().unwrap()).is_none());
        assert!(places.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
        let _v4 = places.enter("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(places.enter("10.0.0.1".parse().unwrap()).is_none());
    }
}
