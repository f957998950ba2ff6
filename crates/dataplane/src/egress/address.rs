//! Which addresses may be reached.
//!
//! The tables are those of IANA (IPv4 and IPv6 Special-Purpose Address Registries), with what carries an IPv4 address
//! inside an IPv6 one looked at as that address.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

/// Addresses that are never reached: they lead to nobody, to many, or to the machine's own cloud.
const NEVER: &[&str] = &[
    "0.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "fe80::/10",
    "ff00::/8",
];

/// Addresses that are reached where the operator allows it.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fec0::/10",
];

static NEVER_NETS: LazyLock<Vec<IpNet>> = LazyLock::new(|| nets(NEVER));
static PRIVATE_NETS: LazyLock<Vec<IpNet>> = LazyLock::new(|| nets(PRIVATE));

fn nets(texts: &[&str]) -> Vec<IpNet> {
    let parsed = texts.iter().map(|text| text.parse());
    parsed
        .collect::<Result<_, _>>()
        .expect("constants that a test reads")
}

/// What an address is to egress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The wide world.
    Public,
    /// The operator's own network, or what is set aside for one.
    Private,
    /// Nowhere that anybody should go.
    Never,
}

/// What `address` is.
pub(super) fn reach(address: IpAddr) -> Reach {
    let address = carried(address);
    let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
    if within(&NEVER_NETS) {
        Reach::Never
    } else if within(&PRIVATE_NETS) {
        Reach::Private
    } else {
        Reach::Public
    }
}

/// The IPv4 address that an IPv6 one carries: mapped, translated (NAT64, RFC 6052), 6to4 (RFC 3056).
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    let inner = match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, a, b]
        | [0x2002, a, b, ..]
        | [0, 0, 0, 0, 0, 0, a @ 1..=u16::MAX, b] => {
            let [a, b, c, d] = join(a, b);
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    };
    inner.map_or(IpAddr::V6(v6), IpAddr::V4)
}

fn join(a: u16, b: u16) -> [u8; 4] {
    let ([w, x], [y, z]) = (a.to_be_bytes(), b.to_be_bytes());
    [w, x, y, z]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn special_addresses_are_known_in_every_guise() {
        let of = |text: &str| reach(text.parse().unwrap());
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert_eq!(of(public), Reach::Public, "{public}");
        }
        for private in [
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "fd00::1",
            "2001::1",
            "2001:db8::1",
        ] {
            assert_eq!(of(private), Reach::Private, "{private}");
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert_eq!(of(never), Reach::Never, "{never}");
        }
    }
}
