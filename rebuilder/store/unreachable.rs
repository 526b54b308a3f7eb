//! Hosts that could not be connected to, remembered for a while, so that no process waits for them again.
//!
//! The memory says which hosts not to wait for, and nothing about their content. A file that must come from such a
//! host is still requested, once and without a second try; work that can do without it (`Fetcher::is_unreachable`)
//! skips the request. The processes of a store share the memory, and a host that answers is removed from it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Store, write_atomically};

/// How long a failed host is remembered.
const MEMORY: SignedDuration = SignedDuration::from_mins(10);
/// How long the process that could not connect does not try again: a short network failure must not end an audit.
const REST: SignedDuration = SignedDuration::from_mins(1);
/// Maximum number of hosts that are remembered: documents of others name them.
const MOST: usize = 64;
/// Maximum size of the memory, in bytes.
const SIZE: u64 = 64 << 10;

/// A failed connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    at: Timestamp,
    reason: String,
    /// Whether this process made the attempt.
    #[serde(skip)]
    own: bool,
}

/// The prospects of a connection to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Nothing speaks against it.
    Fair,
    /// A process of this store could not connect to it lately.
    Poor,
    /// This process could not connect to it a moment ago, for this reason.
    Hopeless(String),
}

/// The memory of one process, and that of its store.
#[derive(Debug, Clone)]
pub(super) struct Unreachable {
    known: Arc<Mutex<Known>>,
    file: PathBuf,
}

#[derive(Debug, Default)]
struct Known {
    failed: BTreeMap<String, Failure>,
    /// Hosts that have answered this process: if one fails for a moment, it is asked again.
    answered: BTreeSet<String>,
}

impl Unreachable {
    pub(super) fn remembered(store: &Store) -> Self {
        let file = store.unreachable();
        let known = Known {
            failed: read(&file),
            answered: BTreeSet::new(),
        };
        Self {
            known: Arc::new(Mutex::new(known)),
            file,
        }
    }

    pub(super) fn outlook(&self, url: &Url) -> Outlook {
        let now = Timestamp::now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = place(url).and_then(|place| known.failed.get(&place).cloned());
        match failure.filter(|failure| is_within(failure, now, MEMORY)) {
            None => Outlook::Fair,
            Some(failure) if failure.own && is_within(&failure, now, REST) => {
                Outlook::Hopeless(failure.reason)
            }
            Some(_) => Outlook::Poor,
        }
    }

    /// Notes that no connection could be made.
    pub(super) fn failed(&self, url: &Url, reason: &str) {
        let failure = Failure {
            at: Timestamp::now(),
            reason: reason.to_owned(),
            own: true,
        };
        self.change(url, Some(failure));
    }

    /// Notes that the host answered.
    pub(super) fn answered(&self, url: &Url) {
        self.change(url, None);
    }

    fn change(&self, url: &Url, failure: Option<Failure>) {
        let Some(place) = place(url) else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &failure {
            None => {
                let had_failed = known.failed.remove(&place).is_some();
                known.answered.insert(place.clone());
                if !had_failed {
                    return;
                }
            }
            Some(_) if known.answered.contains(&place) || known.failed.len() >= MOST => return,
            Some(failure) => {
                known.failed.insert(place.clone(), failure.clone());
            }
        }
        // Other processes may have written meanwhile; a line that gets lost costs no more than a wait.
        let mut kept = read(&self.file);
        match failure {
            Some(failure) => kept.insert(place, failure),
            None => kept.remove(&place),
        };
        let now = Timestamp::now();
        kept.retain(|_, failure| is_within(failure, now, MEMORY));
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            let _ = write_atomically(&self.file, &bytes);
        }
    }
}

fn read(file: &std::path::Path) -> BTreeMap<String, Failure> {
    let bytes = crate::bounded::read(file, SIZE).unwrap_or_default();
    let mut known: BTreeMap<String, Failure> = serde_json::from_slice(&bytes).unwrap_or_default();
    while known.len() > MOST {
        known.pop_last();
    }
    known
}

/// Whether a failure is recent; one in the future comes from a clock that was wrong.
fn is_within(failure: &Failure, now: Timestamp, span: SignedDuration) -> bool {
    let age = now.duration_since(failure.at);
    !age.is_negative() && age < span
}

/// The host and the port that a connection is made to.
fn place(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        "https://snapshot.example/archive".parse().unwrap()
    }

    #[test]
    fn a_failure_is_shared_for_a_while_and_forgotten_with_the_next_answer() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let first = Unreachable::remembered(&store);
        assert_eq!(first.outlook(&url()), Outlook::Fair);
        first.failed(&url(), "no such host");
        assert_eq!(first.outlook(&url()), Outlook::Hopeless("no such host".into()));

        let second = Unreachable::remembered(&store);
        assert_eq!(second.outlook(&url()), Outlook::Poor);
        let other: Url = "https://snapshot.example:8443/".parse().unwrap();
        assert_eq!(second.outlook(&other), Outlook::Fair);
        second.answered(&url());
        assert_eq!(Unreachable::remembered(&store).outlook(&url()), Outlook::Fair);
        second.failed(&url(), "it was silent for a moment");
        assert_eq!(second.outlook(&url()), Outlook::Fair);
    }

    /// The process that failed tries again after a minute; work that can do without the host skips it for ten.
    #[test]
    fn only_a_recent_failure_counts() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let hopeless = || Outlook::Hopeless(String::new());
        for (age, of_this_process, of_another) in [
            (0, hopeless(), Outlook::Poor),
            (59, hopeless(), Outlook::Poor),
            (61, Outlook::Poor, Outlook::Poor),
            (601, Outlook::Fair, Outlook::Fair),
            (86_400, Outlook::Fair, Outlook::Fair),
            (-60, Outlook::Fair, Outlook::Fair),
        ] {
            for (own, expected) in [(true, of_this_process), (false, of_another)] {
                let failure = Failure {
                    at: Timestamp::now()
                        .checked_sub(SignedDuration::from_secs(age))
                        .unwrap(),
                    reason: String::new(),
                    own,
                };
                let memory = Unreachable::remembered(&store);
                memory
                    .known
                    .lock()
                    .unwrap()
                    .failed
                    .insert(place(&url()).unwrap(), failure);
                assert_eq!(memory.outlook(&url()), expected, "{age} s ago, own: {own}");
            }
        }
    }

    #[test]
    fn a_damaged_memory_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        for bytes in [b"{\"a".to_vec(), b"[]".to_vec(), vec![0xff; 100_000]] {
            std::fs::write(store.unreachable(), bytes).unwrap();
            assert_eq!(Unreachable::remembered(&store).outlook(&url()), Outlook::Fair);
        }
    }
}
