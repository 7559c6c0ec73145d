//! Counts the connections of each address, and decides who has too many.
//!
//! The acceptor alone counts; each connection holds a share of its address's count, which ends with
//! the connection wherever that is. So nobody has to be told, and nothing is locked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A connection's share of the count of its address.
pub(crate) type Guest = Arc<()>;

/// How many connections each address has, at most.
pub(crate) struct Addresses {
    /// `None` for any number: then nothing is counted.
    most: Option<usize>,
    /// For each network one share that is nobody's.
    shares: HashMap<IpAddr, Guest>,
    /// How many networks are known when those without a connection are forgotten.
    sweep_at: usize,
}

/// Networks known before any is forgotten.
const SWEEP_MIN: usize = 64;

impl Addresses {
    pub(crate) fn new(most: Option<usize>) -> Addresses {
        Addresses { most, shares: HashMap::new(), sweep_at: SWEEP_MIN }
    }

    /// Counts a connection of `network`: `Some` with what the connection is to hold, `None` if
    /// there are as many as may be.
    pub(crate) fn enter(&mut self, network: IpAddr) -> Option<Option<Guest>> {
        let Some(most) = self.most else { return Some(None) };
        if self.shares.len() >= self.sweep_at {
            self.shares.retain(|_, share| Arc::strong_count(share) > 1);
            // Twice as many as have a connection, so that each pays for the looking but once.
            self.sweep_at = (2 * self.shares.len()).max(SWEEP_MIN);
        }
        let share = self.shares.entry(network).or_default();
        (Arc::strong_count(share) <= most).then(|| Some(Arc::clone(share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_as_it_may_at_once() {
        let mut addresses = Addresses::new(Some(2));
        let mut enter = |address: [u8; 4]| addresses.enter(address.into());
        let (first, second) = (enter([10, 0, 0, 1]), enter([10, 0, 0, 1]));
        assert!(first.is_some() && second.is_some());
        assert!(enter([10, 0, 0, 1]).is_none());
        assert!(enter([10, 0, 0, 2]).is_some());
        drop(second);
        assert!(enter([10, 0, 0, 1]).is_some());
    }

    #[test]
    fn networks_without_a_connection_are_forgotten() {
        let mut addresses = Addresses::new(Some(1));
        let stays = addresses.enter([10, 0, 0, 1].into());
        for address in 0..10_000_u32 {
            assert!(addresses.enter(IpAddr::V4(address.into())).is_some());
        }
        assert!(addresses.shares.len() <= SWEEP_MIN);
        assert!(addresses.enter([10, 0, 0, 1].into()).is_none());
        drop(stays);
    }

    #[test]
    fn without_a_bound_nothing_is_counted() {
        let mut addresses = Addresses::new(None);
        for _ in 0..100 {
            assert!(matches!(addresses.enter([10, 0, 0, 1].into()), Some(None)));
        }
        assert!(addresses.shares.is_empty());
    }
}
