//! Why a file could not be fetched.

use std::fmt;

use crate::store::StoreError;
use crate::store::address::Barred;

/// A file that could not be fetched.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum FetchError {
    #[error("{name} does not exist: {url} answered {status}")]
    #[diagnostic(help("check the name and the version"))]
    NotFound { name: String, url: String, status: u16 },
    #[error("cannot fetch {name}: {}", Attempts(attempts))]
    #[diagnostic(help(
        "check the network, or map the address to a working mirror with --mirror URL-PREFIX=URL"
    ))]
    Unavailable { name: String, attempts: Vec<Attempt> },
    #[error("{name} is not in the store, and this run is offline")]
    #[diagnostic(help("run once without --offline to fetch it"))]
    Offline { name: String },
    #[error("{name} has the wrong {what}: expected {expected}, found {found} at {url}")]
    #[diagnostic(help(
        "the mirror may be in the middle of an update, or the file was changed; try another mirror"
    ))]
    Differs {
        name: String,
        what: &'static str,
        expected: String,
        found: String,
        url: String,
    },
    #[error("{name} at {url} is larger than {limit} bytes")]
    TooLarge { name: String, url: String, limit: u64 },
    #[error("cannot fetch {name}: refused to follow the address {address}: {reason}")]
    #[diagnostic(help(
        "addresses in indexes, lock files, provenance and redirects may only point to public https hosts; \
        if you trust this one, use --allow-host HOST[:PORT], or map it to your own mirror with --mirror \
        URL-PREFIX=URL"
    ))]
    Barred {
        name: String,
        address: String,
        reason: String,
    },
    #[error("cannot read {name} from {url}: {reason}")]
    #[diagnostic(help("it was not kept; try another mirror, or report it to the registry"))]
    Unreadable {
        name: String,
        url: String,
        reason: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

/// An address that did not give the file.
#[derive(Debug)]
pub struct Attempt {
    pub(in super::super) url: String,
    pub(in super::super) reason: NotGiven,
}

/// Why an address did not give a file.
#[derive(Debug)]
pub(in super::super) enum NotGiven {
    /// It answered with this HTTP status.
    Status(u16),
    /// Something else, in words.
    Trouble(String),
}

impl fmt::Display for NotGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::Trouble(reason) => f.write_str(reason),
        }
    }
}

/// Whether a server that answers with this status says that it has no such file.
pub(super) fn says_no(status: u16) -> bool {
    matches!(status, 404 | 410)
}

struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no address is known for it");
        }
        for (index, Attempt { url, reason }) in self.0.iter().enumerate() {
            write!(f, "{}{url}: {reason}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl Attempt {
    pub(in super::super) fn new(url: String, reason: NotGiven) -> Self {
        Self { url, reason }
    }
}

impl FetchError {
    /// The only address of a file did not give it.
    pub(in super::super) fn unavailable(name: String, url: String, reason: NotGiven) -> Self {
        Self::Unavailable {
            name,
            attempts: vec![Attempt::new(url, reason)],
        }
    }

    pub(in super::super) fn barred(name: &str, Barred { address, reason }: Barred) -> Self {
        Self::Barred {
            name: name.to_owned(),
            address,
            reason,
        }
    }

    /// Whether an address was not followed, rather than something being unavailable.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Barred { .. })
    }

    /// Whether every address answered that it has no such file.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::Unavailable { attempts, .. } => {
                let says_no =
                    |attempt: &Attempt| matches!(attempt.reason, NotGiven::Status(status) if says_no(status));
                !attempts.is_empty() && attempts.iter().all(says_no)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_gone_only_if_every_address_says_so() {
        let status = NotGiven::Status;
        let trouble = |reason: &str| NotGiven::Trouble(reason.to_owned());
        for (reasons, gone) in [
            (vec![], false),
            (vec![status(404)], true),
            (vec![status(404), status(410)], true),
            (vec![status(404), status(503)], false),
            (vec![status(404), trouble("it took too long")], false),
            (vec![trouble("the gateway answered with status 404")], false),
        ] {
            let error = FetchError::Unavailable {
                name: "a".into(),
                attempts: reasons
                    .into_iter()
                    .map(|reason| Attempt::new("https://h/a".into(), reason))
                    .collect(),
            };
            assert_eq!(error.is_gone(), gone, "{error}");
        }
    }
}
