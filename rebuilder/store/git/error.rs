//! Errors of git sources.

use std::io;
use std::path::PathBuf;

use crate::artifact::Sha256;
use crate::store::StoreError;
use crate::store::address::Barred;
use crate::store::download::RequestFailure;

/// A source that cannot be fetched from git, or cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum GitError {
    #[error("cannot start git")]
    #[diagnostic(help("install git (Debian package git)"))]
    Missing(#[source] io::Error),
    #[error("cannot fetch commit {commit} of {repository}: {reason}")]
    #[diagnostic(help(
        "check the network, or name a mirror of the repository: --git-mirror https://HOST/PATH=FOLDER"
    ))]
    Fetch {
        repository: String,
        commit: String,
        reason: String,
    },
    #[error("commit {commit} of {repository} is not in the store, and this run is offline")]
    #[diagnostic(help(
        "run once without --offline, or name a mirror of the repository: --git-mirror https://HOST/PATH=FOLDER"
    ))]
    Offline { repository: String, commit: String },
    #[error("cannot list the tags of {repository}: {reason}")]
    #[diagnostic(help(
        "check the network, or name a mirror of the repository: --git-mirror https://HOST/PATH=FOLDER"
    ))]
    Tags { repository: String, reason: String },
    #[error("cannot fetch {repository}: refused to follow the address {address}: {reason}")]
    #[diagnostic(help(
        "addresses in evidence and packages may only point to public https hosts; if you trust this one, \
        use --allow-host HOST[:PORT], or name a mirror of the repository: --git-mirror \
        https://HOST/PATH=PLACE"
    ))]
    Barred {
        repository: String,
        address: String,
        reason: String,
    },
    #[error("{repository} does not name a commit to build from")]
    #[diagnostic(help("a branch or a tag can mean any commit; the evidence must name one"))]
    NoCommit { repository: String },
    #[error("the stored copy of {repository} is damaged: {reason}")]
    #[diagnostic(help("remove it, and run again: {}", path.display()))]
    Damaged {
        repository: String,
        path: PathBuf,
        reason: String,
    },
    #[error(
        "the archive of {repository} at {commit} does not match the plan: expected {expected}, found {found}"
    )]
    Differs {
        repository: String,
        commit: String,
        expected: Sha256,
        found: Sha256,
    },
    #[error("{repository} at {commit}: {reason}")]
    Content {
        repository: String,
        commit: String,
        reason: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl GitError {
    /// Whether an address was not followed, rather than something being unavailable.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Barred { .. })
    }

    pub(super) fn refused(
        repository: &str,
        refusal: RequestFailure,
        failed: impl Fn(String) -> Self,
    ) -> Self {
        match refusal {
            RequestFailure::Barred(Barred { address, reason }) => Self::Barred {
                repository: crate::text::redacted(repository),
                address,
                reason,
            },
            RequestFailure::Store(error) => Self::Store(error),
            RequestFailure::Status(status) => failed(format!("HTTP status {status}")),
            RequestFailure::Trouble(reason) => failed(reason),
            RequestFailure::TooLarge => failed("it is too large".to_owned()),
        }
    }
}
