//! Client addresses and the networks of an IP list.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Where an SMTP client connects from, as Postfix tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientAddress {
    /// An address; IPv4-mapped IPv6 has been folded into its IPv4.
    Known(IpAddr),
    /// Postfix does not know it (empty, `unknown`), or sent something that is no address.
    /// Users that have an IP list are refused.
    Unknown,
}

impl ClientAddress {
    /// Reads `rip=`, `client_address=` or `{client_addr}`. Postfix writes IPv6 with or without
    /// the `IPv6:` tag of RFC 5321 4.1.3, depending on the interface.
    pub fn parse(text: &str) -> ClientAddress {
        let bare = match text.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &text[5..],
            _ => text,
        };
        match bare.parse::<IpAddr>() {
            Ok(address) => ClientAddress::Known(address.to_canonical()),
            Err(_) => ClientAddress::Unknown,
        }
    }

    /// The network in which guesses at passwords are counted: /32 for IPv4, /64 for IPv6 (the
    /// least that one IPv6 customer gets). `None` for the unknown.
    pub fn neighbourhood(self) -> Option<IpNet> {
        match self {
            ClientAddress::Known(IpAddr::V4(v4)) => Some(IpNet::V4(Ipv4Net::from(v4))),
            ClientAddress::Known(IpAddr::V6(v6)) => {
                let prefix = Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX));
                Ipv6Net::new(prefix, 64).ok().map(IpNet::V6)
            }
            ClientAddress::Unknown => None,
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientAddress::Known(address) => address.fmt(f),
            ClientAddress::Unknown => f.write_str("unknown"),
        }
    }
}

/// One entry of a user's IP list: an address or a CIDR, stored as its network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Network(IpNet);

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not an IP address or network (192.0.2.7, 192.0.2.0/24, 2001:db8::/32)")]
pub struct NetworkError(String);

impl Network {
    /// Parses an address or CIDR; host bits are cleared, IPv4-mapped IPv6 becomes IPv4.
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => widest,
            Some(digits) => decimal(digits).filter(|p| *p <= widest).ok_or_else(wrong)?,
        };
        let folded = address.to_canonical();
        let net = match (address, folded) {
            (IpAddr::V6(_), IpAddr::V4(v4)) if prefix >= 96 => {
                IpNet::V4(Ipv4Net::new(v4, prefix - 96).map_err(|_| wrong())?)
            }
            _ => IpNet::new(address, prefix).map_err(|_| wrong())?,
        };
        Ok(Network(net.trunc()))
    }

    /// Whether the address lies in this network. Addresses are folded already
    /// ([`ClientAddress`]), so families never mix.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// The network.
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Whether this is an IPv4 network.
    pub fn is_ipv4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }
}

/// A prefix length: plain decimal digits, no sign, no leading zero.
fn decimal(digits: &str) -> Option<u8> {
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        Network::parse(text)
    }
}

impl fmt::Display for Network {
    /// A single address is written without its prefix length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

impl From<Ipv4Addr> for Network {
    fn from(address: Ipv4Addr) -> Network {
        Network(IpNet::V4(Ipv4Net::from(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_stored_without_host_bits() {
        for (text, stored) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("2001:DB8::1/32", "2001:db8::/32"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
            ("::ffff:192.0.2.9/120", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), stored, "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "192.0.2.0/33",
            "192.0.2.0/+24",
            "192.0.2.0/024",
            "192.0.2.0/",
            "192.0.2",
            "192.0.2.1 ",
            "192.0.2.01",
            "0x7f.1",
            "::1/129",
            "fe80::1%eth0",
            "example.com",
            "192.0.2.0/24/24",
            "*",
        ] {
            assert!(Network::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn addresses_come_in_the_forms_that_postfix_writes() {
        let v4 = ClientAddress::Known("192.0.2.7".parse().unwrap());
        for text in ["192.0.2.7", "::ffff:192.0.2.7", "IPv6:::ffff:192.0.2.7"] {
            assert_eq!(ClientAddress::parse(text), v4, "{text}");
        }
        assert_eq!(
            ClientAddress::parse("IPv6:2001:DB8::1").to_string(),
            "2001:db8::1"
        );
        for text in [
            "",
            "unknown",
            "192.0.2.7.",
            "::192.0.2.x",
            "IPv6:",
            "[192.0.2.7]",
        ] {
            assert_eq!(ClientAddress::parse(text), ClientAddress::Unknown, "{text}");
        }
        let neighbourhood = ClientAddress::parse("2001:db8:1:2:3:4:5:6").neighbourhood();
        assert_eq!(neighbourhood.unwrap().to_string(), "2001:db8:1:2::/64");
    }
}
