//! Which store a container belongs to, and whether its worker is still alive.
//!
//! Several rebuilders may use one engine: as other users, in other containers, on other machines. A process id means
//! nothing across them. So a container's labels name its store, the place of that store on the running kernel, and a
//! lock file in it, which the worker holds as long as it lives. Only a rebuilder with the same store can tell that the
//! lock is free; all others leave the container alone.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use crate::sandbox::SandboxError;
use crate::store::{Store, write_atomically};

/// The label that names the store of a container.
pub(super) const STORE: &str = "rebuilder.store";
const PLACE: &str = "rebuilder.place";
const RUN: &str = "rebuilder.run";
const SECONDS: &str = "rebuilder.seconds";

/// How many seconds after its time limit a container's worker must have removed it.
const GRACE: u64 = 900;

/// A store, as the labels of its containers name it.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    store: String,
    place: String,
    at: Store,
}

/// A running job; its lock is held until this value is dropped.
#[derive(Debug)]
pub(super) struct RunClaim {
    name: String,
    path: PathBuf,
    _lock: Flock<File>,
}

impl RunClaim {
    /// A name that no other run has, on any machine.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for RunClaim {
    fn drop(&mut self) {
        // If the lock file stays, it is free, which says the same.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Owner {
    /// The owner for this store; names the store if it has no name yet.
    pub(super) fn of(store: &Store) -> Result<Self, SandboxError> {
        let file = store.engine_owner();
        let _lock = store.exclusive("engine-owner-lock")?;
        let known = std::fs::read_to_string(&file).unwrap_or_default();
        let name = if is_name(&known) {
            known
        } else {
            let name = random()?;
            write_atomically(&file, name.as_bytes())?;
            name
        };
        let about =
            std::fs::metadata(store.locks()).map_err(SandboxError::io("look at the store's locks"))?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(Self {
            store: name,
            place: format!("{}/{}/{}", boot.trim(), about.dev(), about.ino()),
            at: store.clone(),
        })
    }

    /// The store's name, as in the label [`STORE`].
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// Claims a name for one run.
    pub(super) fn claim(&self) -> Result<RunClaim, SandboxError> {
        let name = random()?;
        let path = self.lock_file(&name);
        let file = File::create_new(&path).map_err(SandboxError::io("make a lock file"))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| SandboxError::io("lock a new file")(error.into()))?;
        Ok(RunClaim {
            name,
            path,
            _lock: lock,
        })
    }

    /// The labels of a container of this claim, which may run for this number of seconds.
    pub(super) fn labels(&self, claim: &RunClaim, seconds: u64) -> HashMap<String, String> {
        HashMap::from([
            (STORE.to_owned(), self.store.clone()),
            (PLACE.to_owned(), self.place.clone()),
            (RUN.to_owned(), claim.name.clone()),
            (SECONDS.to_owned(), seconds.to_string()),
        ])
    }

    /// Whether a container with these labels, made this many seconds ago, belongs to this store and has lost its
    /// worker.
    pub(super) fn has_left(&self, labels: &HashMap<String, String>, age: Option<u64>) -> bool {
        let label = |name| labels.get(name).map(String::as_str).unwrap_or_default();
        if label(STORE) != self.store || !is_name(label(RUN)) {
            return false;
        }
        // The lock cannot be checked on another machine, for a container from before a restart, or in a copy of this
        // store. But every worker removes its container soon after its time limit.
        let expired = age
            .zip(label(SECONDS).parse().ok())
            .is_some_and(|(age, seconds): (u64, u64)| age > seconds.saturating_add(GRACE));
        expired || (label(PLACE) == self.place && self.is_free(label(RUN)))
    }

    fn is_free(&self, name: &str) -> bool {
        let path = self.lock_file(name);
        match File::open(&path) {
            Ok(file) => match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(_free) => {
                    let _ = std::fs::remove_file(&path);
                    true
                }
                Err(_) => false,
            },
            // The worker or another process's sweep removed it.
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    fn lock_file(&self, name: &str) -> PathBuf {
        self.at.container_lock(name)
    }
}

/// Labels come from the engine, which others use too: only a name of our form may become part of a path.
fn is_name(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn random() -> Result<String, SandboxError> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(SandboxError::io("read random bytes"))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_provably_left_behind_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let owner = Owner::of(&store).unwrap();
        let claim = owner.claim().unwrap();
        let running = owner.labels(&claim, 60);
        let with = |name: &str, value: &str| {
            let mut labels = running.clone();
            labels.insert(name.to_owned(), value.to_owned());
            labels
        };
        let gone = "0".repeat(32);

        // The worker is alive; seen by the same process and by another one with this store.
        assert!(!owner.has_left(&running, Some(10)));
        assert!(!Owner::of(&store).unwrap().has_left(&running, Some(10)));
        // The worker has ended.
        assert!(owner.has_left(&with(RUN, &gone), Some(10)));
        // The same, but of another store, of another boot or machine, or of a copy of this store elsewhere.
        let mut of_another = with(RUN, &gone);
        of_another.insert(STORE.to_owned(), "f".repeat(32));
        assert!(!owner.has_left(&of_another, Some(1_000_000)));
        for place in ["another-boot/1/2", ""] {
            let mut labels = with(RUN, &gone);
            labels.insert(PLACE.to_owned(), place.to_owned());
            assert!(!owner.has_left(&labels, Some(10)), "{place}");
            assert!(owner.has_left(&labels, Some(60 + GRACE + 1)), "{place}");
            assert!(!owner.has_left(&labels, None), "{place}");
        }
        // Labels that others wrote.
        for name in ["", "../../../etc/passwd", "0", "..", &"/".repeat(32)] {
            assert!(!owner.has_left(&with(RUN, name), Some(1_000_000)), "{name}");
        }
        assert!(!owner.has_left(&HashMap::new(), Some(1_000_000)));
        assert!(!owner.has_left(&with(SECONDS, "18446744073709551616"), Some(u64::MAX)));

        drop(claim);
        assert!(owner.has_left(&running, Some(10)));
    }

    #[test]
    fn a_store_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let first = Owner::of(&store).unwrap();
        assert_eq!(first.store(), Owner::of(&store).unwrap().store());
        std::fs::write(store.engine_owner(), "../x").unwrap();
        assert!(is_name(Owner::of(&store).unwrap().store()));
    }
}
