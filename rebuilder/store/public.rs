//! Which machines are part of the public internet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::Url;

/// Endings of names that have a meaning only inside one network (RFC 6761, 6762, 8375, 9476, and common use).
const INNER: [&str; 14] = [
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "test",
    "alt",
];

/// IPv4 blocks of IANA's special-purpose registry, together with multicast and the reserved rest.
const SPECIAL_V4: [([u8; 4], u8); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([192, 175, 48, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

/// The same for IPv6, within the only block of public addresses.
const PUBLIC_V6: &str = "2000::/3";
const SPECIAL_V6: [&str; 5] = [
    // Protocol assignments, including Teredo, which carries an IPv4 address.
    "2001::/23",
    "2001:db8::/32",
    // 6to4, which carries an IPv4 address too.
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];
/// NAT64 (RFC 6052): IPv6-only networks write each IPv4 address in this block.
const NAT64: &str = "64:ff9b::/96";

/// Whether an address belongs to a machine on the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    let net = |text: &str| text.parse::<Ipv6Net>();
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(block, length)| {
            Ipv4Net::new(Ipv4Addr::from(*block), *length).is_ok_and(|net| net.contains(&address))
        }),
        IpAddr::V6(address) => {
            if let Some(inner) = address.to_ipv4_mapped() {
                return is_public(inner.into());
            }
            if net(NAT64).is_ok_and(|net| net.contains(&address)) {
                let [.., a, b, c, d] = address.octets();
                return is_public(Ipv4Addr::new(a, b, c, d).into());
            }
            net(PUBLIC_V6).is_ok_and(|net| net.contains(&address))
                && !SPECIAL_V6
                    .iter()
                    .any(|block| net(block).is_ok_and(|net| net.contains(&address)))
        }
    }
}

/// Whether a name may belong to a host on the public internet.
pub(super) fn is_public_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.rsplit_once('.') {
        Some((_, last)) => !last.is_empty() && !INNER.contains(&last.to_ascii_lowercase().as_str()),
        // A name of one label is looked up in this machine's search domains.
        None => false,
    }
}

/// The hosts of the proxies that the environment names.
pub(super) fn proxies() -> Vec<String> {
    let names = [
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "all_proxy",
        "ALL_PROXY",
    ];
    let texts = names.iter().filter_map(|name| std::env::var(name).ok());
    let host = |text: String| {
        let whole = if text.contains("://") {
            text
        } else {
            format!("http://{text}")
        };
        Url::parse(&whole).ok()?.host_str().map(str::to_ascii_lowercase)
    };
    texts.filter_map(host).collect()
}

/// A name that resolves to no public address.
#[derive(Debug, thiserror::Error)]
#[error("{host} resolves to {address}, which is not a public address")]
pub(super) struct NotPublic {
    pub host: String,
    pub address: IpAddr,
}

/// The public addresses of a host.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, std::io::Error> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let (public, other): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| is_public(found.ip()));
    match other.first() {
        Some(first) if public.is_empty() => Err(std::io::Error::other(NotPublic {
            host: host.to_owned(),
            address: first.ip(),
        })),
        _ => Ok(public),
    }
}

/// Resolves names for connections to hosts that the user did not choose, at the moment of the connection.
pub(super) struct PublicOnly;

impl reqwest::dns::Resolve for PublicOnly {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_ascii_lowercase();
        Box::pin(async move {
            let addresses = if proxies().contains(&host) {
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect()
            } else {
                resolve(&host, 0).await?
            };
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_addresses_that_are_not_public() {
        for (address, expected) in [
            ("93.184.215.14", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("127.8.8.8", false),
            ("169.254.169.254", false),
            ("172.31.255.255", false),
            ("172.32.0.1", true),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("203.0.113.80", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::6810:85e5", true),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:93.184.215.14", true),
            ("64:ff9b::a00:1", false),
            ("64:ff9b::5db8:d70e", true),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("3fff::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("5f00::1", false),
            ("100::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}
