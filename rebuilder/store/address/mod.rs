//! Which addresses may be followed, and where they lead.
//!
//! Most addresses are written by others: in indexes, lock files, provenance, registries and redirects. They may lead
//! only to public `https` hosts. Addresses that the user typed, or that the catalogue of containers names, count as
//! the user's own choice: a mirror may be a folder, plain HTTP or a private host, but only for what is below it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use url::{Host, Url};

use super::hosts::{AllowedHost, OURS};
use super::mirror::{MirrorMap, below, joined};
use super::public::{is_public_name, proxies};
use crate::text::redacted;

/// An address that is not followed; credentials are removed from its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused to follow the address {address}: {reason}")]
pub(super) struct Barred {
    pub address: String,
    pub reason: String,
}

impl Barred {
    pub(super) fn new(address: &str, reason: impl Into<String>) -> Self {
        Self {
            address: redacted(address),
            reason: reason.into(),
        }
    }
}

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// To a file below a folder that the user named; to the named file itself if there are no parts.
    File { root: PathBuf, parts: Vec<String> },
    /// To a host.
    Http { url: Url, trust: AddressTrust },
}

/// Who chose a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressTrust {
    /// The user or this program: the host may be anywhere.
    Chosen,
    /// Only a document: the host must be public.
    Outside,
}

/// The choices of the user and the catalogue of containers.
#[derive(Debug, Default)]
pub(super) struct Word {
    mirrors: Vec<MirrorMap>,
    hosts: Vec<AllowedHost>,
    /// Prefixes that were typed, or that the catalogue names.
    chosen: Mutex<Vec<Url>>,
    /// Prefixes for which plain HTTP is enough, since signatures and digests check the content.
    plain: Mutex<Vec<Url>>,
}

impl Word {
    pub(super) fn new(mirrors: Vec<MirrorMap>) -> Self {
        Self {
            mirrors,
            ..Self::default()
        }
    }

    /// A copy with the hosts that the user allows.
    pub(super) fn with_hosts(&self, hosts: Vec<AllowedHost>) -> Self {
        Self {
            hosts,
            ..Self::new(self.mirrors.clone())
        }
    }

    /// Takes an address, and all below it, as the user's own choice.
    pub(super) fn choose(&self, prefix: &str) {
        add(&self.chosen, prefix);
    }

    /// Lets addresses below this one be plain HTTP.
    pub(super) fn allow_plain(&self, prefix: &str) {
        add(&self.plain, prefix);
    }

    /// Where an address leads, mirrors considered; every address is checked here before anything is opened.
    pub(super) fn route(&self, address: &str) -> Result<Route, Barred> {
        let url = parsed(address)?;
        for map in &self.mirrors {
            if let Some(rest) = below(url.as_str(), &map.prefix) {
                return map.lead(rest, address);
            }
        }
        let trust = self.admit(&url)?;
        Ok(Route::Http { url, trust })
    }

    /// Whether an address that is on no mirror may be followed.
    pub(super) fn admit(&self, url: &Url) -> Result<AddressTrust, Barred> {
        let barred = |reason: String| Err(Barred::new(url.as_str(), reason));
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            "file" => return barred("files are read only where --mirror names their folder".into()),
            other => return barred(format!("{other:?} is not https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return barred("it carries credentials".into());
        }
        let Some(host) = url.host() else {
            return barred("it names no host".into());
        };
        let host = host.to_owned();
        let port = url.port_or_known_default();
        let allows =
            |allowed: &AllowedHost| allowed.host == host && (allowed.port.is_none() || allowed.port == port);
        if self.hosts.iter().any(allows) || any_above(&self.chosen, url) {
            return Ok(AddressTrust::Chosen);
        }
        if is_plain && !any_above(&self.plain, url) {
            return barred("it is plain HTTP, which anyone on the way can change".into());
        }
        match &host {
            Host::Domain(name) if OURS.contains(&name.as_str()) && port == Some(443) => {
                Ok(AddressTrust::Chosen)
            }
            Host::Domain(name) if !is_public_name(name) => {
                barred(format!("{name} is a name of an inner network"))
            }
            // The user chose the proxy as a way to other hosts, not as a host to fetch from.
            Host::Domain(name) if proxies().iter().any(|proxy| proxy == name) => {
                barred(format!("{name} is this machine's proxy"))
            }
            Host::Domain(_) => Ok(AddressTrust::Outside),
            Host::Ipv4(address) => barred(format!("it names a machine by number ({address})")),
            Host::Ipv6(address) => barred(format!("it names a machine by number ({address})")),
        }
    }

    /// Whether a redirect may be followed, and who chose its target.
    pub(super) fn redirect(&self, from: &Url, trust: AddressTrust, to: &Url) -> Result<AddressTrust, Barred> {
        if from.scheme() == "https" && to.scheme() != "https" {
            return Err(Barred::new(
                &place(to),
                format!("{} redirects to it, and it is not https", place(from)),
            ));
        }
        let without = to.username().is_empty() && to.password().is_none();
        // A chosen host may redirect within itself, for example to add a slash.
        if trust == AddressTrust::Chosen && from.origin() == to.origin() && without {
            return Ok(trust);
        }
        self.admit(to).map_err(|barred| {
            Barred::new(
                &place(to),
                format!("{} redirects to it, and {}", place(from), barred.reason),
            )
        })
    }

    /// Where an image's repository is: the name for its registry, and whether the user chose it.
    pub(super) fn image(&self, repository: &str) -> Result<(String, bool), Barred> {
        let address = format!("docker://{repository}");
        for map in &self.mirrors {
            let Some(rest) = below(&address, &map.prefix) else {
                continue;
            };
            if map.replacement.scheme() != "docker" {
                return Err(Barred::new(
                    &address,
                    "its mirror is not a registry (docker://HOST/PATH)",
                ));
            }
            let name = joined(map.replacement.as_str(), rest);
            return Ok((name.trim_start_matches("docker://").to_owned(), true));
        }
        Ok((repository.to_owned(), false))
    }
}

/// An address in its canonical form: dots in paths are resolved, and numeric hosts have the usual form.
pub(super) fn parsed(address: &str) -> Result<Url, Barred> {
    Url::parse(address).map_err(|error| Barred::new(address, format!("it is not an address: {error}")))
}

/// Scheme, host and port: what an error may show of an address that a redirect names.
pub(super) fn place(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        (Some(host), None) => format!("{}://{host}", url.scheme()),
        (None, _) => format!("{}:", url.scheme()),
    }
}

fn add(list: &Mutex<Vec<Url>>, prefix: &str) {
    if let Ok(url) = Url::parse(prefix) {
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        if !list.contains(&url) {
            list.push(url);
        }
    }
}

/// Whether one of the prefixes is above the address.
fn any_above(list: &Mutex<Vec<Url>>, url: &Url) -> bool {
    let list = list.lock().unwrap_or_else(PoisonError::into_inner);
    list.iter().any(|prefix| {
        prefix.origin() == url.origin() && below(url.path(), prefix.path().trim_end_matches('/')).is_some()
    })
}

#[cfg(test)]
mod tests;
