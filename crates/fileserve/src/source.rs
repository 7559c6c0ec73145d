//! Decides which addresses count as one when it is counted what an address does.

use std::net::{IpAddr, Ipv4Addr};

/// The address that stands for `address` and those that whoever has it can take as they like: an
/// IPv6 address for its /64, as a household has, and a loopback address for all of them.
pub(crate) fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_place_are_one() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("127.9.8.7", "127.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let address = address.parse().expect(address);
            assert_eq!(source_of(address).to_string(), expected);
        }
    }
}
