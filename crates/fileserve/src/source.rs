//! Decides which addresses count as one when it is counted what an address does.

use std::net::{IpAddr, Ipv4Addr};

use http_proto::server::network_of;

/// The address that stands for `address` and those that whoever has it can take as they like: its
/// [network](network_of), and a loopback address for all of them.
pub(crate) fn source_of(address: IpAddr) -> IpAddr {
    match network_of(address) {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        network => network,
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
