//! Ranges of addresses, as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// From one address to another of its family, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// Reads `10.0.0.0/24`, `10.0.0.10-10.0.0.20` or `10.0.0.7`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { first: address, last: address });
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return if network.trunc() == network {
                Ok(Self::of(network))
            } else {
                Err("has address bits behind its length: write the network, or from-to")
            };
        }
        let ends = text.split_once('-').map(|(first, last)| (first.parse(), last.parse()));
        let Some((Ok(first), Ok(last))) = ends else {
            return Err("is no network, no range from-to and no address");
        };
        let (first, last): (IpAddr, IpAddr) = (first, last);
        if first.is_ipv4() != last.is_ipv4() {
            Err("begins and ends in different families")
        } else if last < first {
            Err("ends before it begins")
        } else {
            Ok(Self { first, last })
        }
    }

    /// Gives the addresses of a network that hosts may have: all but its first one, which means the network
    /// or any of its routers (RFC 4291 section 2.6.1), and IPv4's last one, which means all hosts.
    #[must_use]
    pub fn of(network: IpNet) -> Self {
        let (mut first, mut last) = (network.network(), network.broadcast());
        if network.max_prefix_len() - network.prefix_len() >= 2 {
            first = following(first).unwrap_or(first);
            if let IpAddr::V4(address) = last {
                last = Ipv4Addr::from_bits(address.to_bits().saturating_sub(1)).into();
            }
        }
        Self { first, last }
    }

    /// Gives its first address.
    #[must_use]
    pub const fn first(self) -> IpAddr {
        self.first
    }

    /// Gives its last address.
    #[must_use]
    pub const fn last(self) -> IpAddr {
        self.last
    }

    /// Says whether an address is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        // All of IPv4 is less than all of IPv6.
        self.first <= address && address <= self.last
    }

    /// Says whether both have an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Gives how many addresses it has; at most 2^128 - 1.
    #[must_use]
    pub fn count(self) -> u128 {
        (bits(self.last) - bits(self.first)).saturating_add(1)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Gives the next address of the family, if there is one.
pub(super) fn following(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_people_write_them() {
        for (text, shown, count) in [
            ("10.0.0.0/24", "10.0.0.1-10.0.0.254", 254),
            ("10.0.0.4/31", "10.0.0.4-10.0.0.5", 2),
            ("10.0.0.4/32", "10.0.0.4", 1),
            ("10.0.0.10-10.0.0.20", "10.0.0.10-10.0.0.20", 11),
            ("10.0.0.7", "10.0.0.7", 1),
            ("fd00::/126", "fd00::1-fd00::3", 3),
            ("fd00::a-fd00::b", "fd00::a-fd00::b", 2),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", u128::MAX),
        ] {
            let range = AddressRange::parse(text).expect(text);
            assert_eq!(range.count(), count, "{text}");
            assert!(shown.is_empty() || range.to_string() == shown, "{text}: {range}");
        }
        for (text, why) in [
            ("10.0.0.9/24", "bits behind"),
            ("10.0.0.9-10.0.0.1", "before"),
            ("10.0.0.9-fd00::1", "families"),
            ("10.0.0.0/33", "no network"),
            ("10.0.0.1-", "no network"),
            ("shop", "no network"),
        ] {
            let error = AddressRange::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn families_never_overlap() {
        let range = |text| AddressRange::parse(text).expect("a range");
        assert!(!range("10.0.0.0/8").overlaps(range("::/0")));
        assert!(range("10.0.0.0/24").overlaps(range("10.0.0.254-10.0.1.3")));
        assert!(!range("10.0.0.0/24").overlaps(range("10.0.0.255-10.0.1.3")));
        assert!(!range("::/0").contains("10.0.0.1".parse().expect("an address")));
    }
}
