//! How much one reader may ask for. Workers are held within other bounds.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use axum::http::HeaderMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;

use super::api::ApiError;

/// A reader may ask for what a page needs at once: this many times the rate.
const BURST: u32 = 10;
/// Most readers that are remembered, before those are forgotten that have not asked lately.
const MOST: usize = 100_000;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Requests of each reader.
pub(super) struct Readers {
    limiter: Option<RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>>,
    /// Where proxies are, besides this machine.
    proxies: Vec<IpNet>,
}

impl Readers {
    /// Lets each reader ask so often in a second on average; `None` lets everyone ask as often as they like.
    pub(super) fn new(rate: Option<NonZeroU32>, proxies: Vec<IpNet>) -> Self {
        let limiter = rate.map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST.saturating_sub(1)));
            RateLimiter::hashmap(Quota::per_second(rate).allow_burst(burst))
        });
        Self { limiter, proxies }
    }

    /// Counts a request.
    pub(super) fn take(&self, peer: Option<Peer>, headers: &HeaderMap) -> Result<(), ApiError> {
        let (Some(limiter), Some(reader)) = (&self.limiter, reader(peer, headers, &self.proxies)) else {
            return Ok(());
        };
        if limiter.len() > MOST {
            limiter.retain_recent();
        }
        limiter.check_key(&reader).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            ApiError::TooOften(wait.as_secs().saturating_add(1))
        })
    }
}

/// Who asks. Behind a proxy it is the address that the proxy saw, which comes last; a program on this machine that asks
/// without a proxy is not held back. One line of IPv6 is one reader.
fn reader(peer: Option<Peer>, headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    let peer = peer?.0.to_canonical();
    if peer.is_loopback() {
        return forwarded(headers);
    }
    let seen = proxies.iter().any(|proxy| proxy.contains(&peer));
    let seen = seen.then(|| forwarded(headers)).flatten();
    Some(seen.unwrap_or_else(|| line(peer)))
}

/// The last address that a proxy saw.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let values = headers.get_all("x-forwarded-for").iter();
    let last = values.filter_map(|value| value.to_str().ok()).next_back()?;
    let last = last.rsplit(',').next()?.trim();
    last.parse().ok().map(line)
}

fn line(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_reader_is_an_address_as_the_proxy_saw_it() {
        for (peer, forwarded, reader_is) in [
            ("192.0.2.1", None, Some("192.0.2.1")),
            ("192.0.2.1", Some("198.51.100.7"), Some("192.0.2.1")),
            (
                "127.0.0.1",
                Some("203.0.113.9, 198.51.100.7"),
                Some("198.51.100.7"),
            ),
            ("::1", Some("2001:db8:1:2:3:4:5:6"), Some("2001:db8:1:2::")),
            ("::ffff:127.0.0.1", None, None),
            ("127.0.0.1", None, None),
            ("127.0.0.1", Some("unknown"), None),
            // Where a proxy is that is not on this machine, and where none is.
            (
                "10.7.0.1",
                Some("203.0.113.9, 198.51.100.7"),
                Some("198.51.100.7"),
            ),
            ("::ffff:10.7.0.1", Some("198.51.100.7"), Some("198.51.100.7")),
            ("10.7.0.1", None, Some("10.7.0.1")),
            ("10.7.0.1", Some("unknown"), Some("10.7.0.1")),
            ("10.7.0.2", Some("198.51.100.7"), Some("10.7.0.2")),
        ] {
            let headers = forwarded.map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap()));
            let headers = HeaderMap::from_iter(headers);
            let proxies = ["10.7.0.1/32".parse().unwrap()];
            let found = reader(Some(Peer(peer.parse().unwrap())), &headers, &proxies);
            assert_eq!(
                found,
                reader_is.map(|text| text.parse().unwrap()),
                "{peer} {forwarded:?}"
            );
        }
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_come_again() {
        let readers = Readers::new(NonZeroU32::new(2), Vec::new());
        let ask = |peer: &str| readers.take(Some(Peer(peer.parse().unwrap())), &HeaderMap::new());
        for _ in 0..20 {
            ask("192.0.2.1").unwrap();
        }
        assert!(matches!(ask("192.0.2.1"), Err(ApiError::TooOften(1))));
        ask("192.0.2.2").unwrap();
        let readers = Readers::new(None, Vec::new());
        for _ in 0..1000 {
            readers
                .take(Some(Peer("192.0.2.1".parse().unwrap())), &HeaderMap::new())
                .unwrap();
        }
    }
}
