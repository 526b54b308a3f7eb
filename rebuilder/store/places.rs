//! Where things are below the data folder: no other module knows its folders by name.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::{Store, StoreError};
use crate::artifact::Sha256;

const BLOBS: &str = "store/sha256";
const QUARANTINE: &str = "quarantine";
const TMP: &str = "tmp";
const ROOTS: &str = "roots";
const LAYERS: &str = "layers";
const SCRATCH: &str = "scratch";
const LOCKS: &str = "locks";
const GIT: &str = "git";
const DERIVED: &str = "derived";
const RUNS: &str = "runs";
const AUDITS: &str = "audits";
const ANSWERS: &str = "answers";
const MEMORY: &str = "memory";
const WATCHED: &str = "watched";
const ARTIFACTS: &str = "artifacts";

/// Folders that every store has.
pub(super) const FOLDERS: [&str; 10] = [
    "store", BLOBS, QUARANTINE, TMP, ROOTS, LAYERS, SCRATCH, LOCKS, GIT, DERIVED,
];

/// Folders that are made when they are needed.
const LATER: [&str; 6] = [RUNS, AUDITS, ANSWERS, MEMORY, WATCHED, ARTIFACTS];

/// Prefix of the names of layers that are not complete yet.
const NEW_LAYER: &str = ".new-";

/// Whether an entry of the data folder is one that this module makes.
pub(super) fn is_ours(name: &OsStr) -> bool {
    FOLDERS.iter().chain(&LATER).any(|ours| name == *ours)
}

/// Places that outlive a single run.
impl Store {
    /// The home of the root filesystem made from the lock with this digest.
    pub fn root(&self, lock: Sha256) -> PathBuf {
        self.data.join(ROOTS).join(lock.to_hex())
    }

    /// The home of the layer that the setup steps with this digest produced.
    pub fn layer(&self, key: Sha256) -> PathBuf {
        self.data.join(LAYERS).join(key.to_hex())
    }

    /// The folder of runs, unless the user names another place.
    pub fn runs(&self) -> PathBuf {
        self.data.join(RUNS)
    }

    /// The folder for a run of this subject that ends now.
    pub fn run_of(&self, title: &str) -> PathBuf {
        let name = title.replace([' ', ':', '%'], "_");
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
        self.runs().join(format!("{name}-{stamp}"))
    }

    /// The folder of audits, unless the user names another place.
    pub fn audits(&self) -> PathBuf {
        self.data.join(AUDITS)
    }

    /// The database file that remembers audits, unless the user names another one.
    pub fn memory(&self) -> PathBuf {
        self.data.join(MEMORY).join("memory.sqlite")
    }

    /// The folder that has the files of workers' runs by content, unless the user names another place.
    pub fn artifacts(&self) -> PathBuf {
        self.data.join(ARTIFACTS)
    }

    /// The answer of a service about an artifact, by the digest of the question.
    pub(super) fn answer(&self, artifact: Sha256, question: Sha256) -> PathBuf {
        let hex = artifact.to_hex();
        let folder = self.data.join(ANSWERS).join(&hex[..2]).join(&hex);
        folder.join(format!("{question}.json"))
    }

    /// What was seen of the public log with this digest.
    pub fn watched(&self, log: Sha256) -> PathBuf {
        self.data.join(WATCHED).join(log.to_hex())
    }

    /// Whether this machine has run builds: then it has roots, layers or runs.
    pub(crate) fn has_builds(&self) -> bool {
        [ROOTS, LAYERS, RUNS].iter().any(|name| {
            let entries = fs::read_dir(self.data.join(name));
            entries.is_ok_and(|mut entries| entries.next().is_some())
        })
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.data.join(BLOBS)
    }

    pub(super) fn blob_path(&self, digest: Sha256) -> PathBuf {
        let hex = digest.to_hex();
        self.blobs().join(&hex[..2]).join(&hex)
    }

    /// A new name for a blob whose bytes changed.
    pub(super) fn set_aside(&self, digest: Sha256) -> PathBuf {
        let now = jiff::Timestamp::now().as_millisecond();
        self.data.join(QUARANTINE).join(format!("{digest}.{now}"))
    }

    /// The repository that has the fetched commits of the git repository with this address.
    pub fn git(&self, repository: &str) -> PathBuf {
        let name = format!("{}.git", Sha256::of(repository));
        self.data.join(GIT).join(name)
    }

    /// The file for the result that was computed from the inputs that this digest names.
    pub(super) fn derived_path(&self, key: Sha256) -> PathBuf {
        self.data.join(DERIVED).join(key.to_hex())
    }

    pub(super) fn git_config(&self) -> PathBuf {
        self.data.join(GIT).join("config")
    }
}

/// Places that end with a run, or are swept after it.
impl Store {
    /// The folder of temporary files and folders; those that a killed process left are removed after a day.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.data.join(TMP)
    }

    /// A new temporary folder, removed when it is dropped.
    pub(crate) fn temporary_folder(&self) -> Result<tempfile::TempDir, StoreError> {
        let tmp = self.tmp();
        tempfile::tempdir_in(&tmp).map_err(StoreError::io("make a folder in", &tmp))
    }

    /// A new folder for a layer that is being made; [`Store::layer`] is its home once it is complete.
    pub(crate) fn new_layer(&self) -> Result<PathBuf, StoreError> {
        let layers = self.data.join(LAYERS);
        let folder = tempfile::Builder::new().prefix(NEW_LAYER).tempdir_in(&layers);
        let folder = folder.map_err(StoreError::io("make a folder in", &layers))?;
        Ok(folder.keep())
    }

    /// Folders whose old entries are leftovers, with the prefix of the names of such entries.
    pub(super) fn swept(&self) -> [(PathBuf, &'static str); 2] {
        [(self.tmp(), ""), (self.data.join(LAYERS), NEW_LAYER)]
    }

    pub(super) fn scratch_folders(&self) -> PathBuf {
        self.data.join(SCRATCH)
    }

    /// The scratch folder of the run called `id`, while that run is in progress.
    pub fn scratch_folder(&self, id: &str) -> PathBuf {
        self.scratch_folders().join(id)
    }
}

/// Locks, and the small files that processes of one store share.
impl Store {
    /// Waits until no other process does the work called `name`, and keeps others out until the lock is dropped.
    pub fn exclusive(&self, name: &str) -> Result<Flock<File>, StoreError> {
        let path = self.locks().join(name);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = file.map_err(StoreError::io("open", &path))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| StoreError::io("lock", &path)(error.into()))
    }

    /// The folder of locks; its device and inode distinguish one store from another.
    pub(crate) fn locks(&self) -> PathBuf {
        self.data.join(LOCKS)
    }

    /// The lock file of the container called `name` in an engine.
    pub(crate) fn container_lock(&self, name: &str) -> PathBuf {
        self.locks().join(format!("container-{name}"))
    }

    /// The name under which engines know this store.
    pub(crate) fn engine_owner(&self) -> PathBuf {
        self.locks().join("engine-owner")
    }

    /// The file with the digest of the tar file that an engine's image of this root was made from.
    pub(crate) fn image_record(&self, root: Sha256) -> PathBuf {
        self.locks().join(format!("image-{root}.tar"))
    }

    /// The list of hosts that could not be reached lately.
    pub(super) fn unreachable(&self) -> PathBuf {
        self.locks().join("unreachable.json")
    }

    /// The filter of system calls, for engines that read it from a file.
    pub(crate) fn engine_filter(&self) -> PathBuf {
        self.locks().join("seccomp.json")
    }

    /// An id that distinguishes this store from the others of this machine.
    pub(crate) fn id(&self) -> Sha256 {
        Sha256::of(self.data.as_os_str().as_encoded_bytes())
    }

    /// Megabytes that this user may still write.
    pub(crate) fn free(&self) -> u64 {
        super::error::free(&self.data)
    }

    /// The error for a full disk.
    pub(crate) fn full(&self) -> StoreError {
        StoreError::full(&self.data)
    }

    /// The error for a root that does not fit on the disk; `free` is how many megabytes were free before it was begun.
    pub(crate) fn full_for_root(&self, free: u64) -> StoreError {
        StoreError::Full {
            path: self.data.clone(),
            free,
            needs: "; a root takes about 700",
        }
    }

    /// The data folder, for messages.
    pub(crate) fn display(&self) -> impl std::fmt::Display + '_ {
        Path::display(&self.data)
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// The compiler cannot check this: the data folder is private, but a caller could guess a path below it.
    #[test]
    fn nothing_outside_joins_below_the_data_folder() {
        let names: Vec<_> = FOLDERS
            .iter()
            .filter(|name| !name.contains('/'))
            .copied()
            .collect();
        let guess = Regex::new(&format!(
            r#"\.join\("({})["/]|[sS]tore(\(\))?\.(data|path\(\))"#,
            names.join("|")
        ));
        let guess = guess.unwrap();
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("rebuilder");
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(&top) {
            let entry = entry.unwrap();
            let place = entry.path().strip_prefix(&top).unwrap();
            if place.starts_with("store") || place.extension().is_none_or(|end| end != "rs") {
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in code.lines().filter(|line| guess.is_match(line)) {
                found.push(format!("{}: {}", place.display(), line.trim()));
            }
        }
        assert!(
            found.is_empty(),
            "the store has methods for these:\n{}",
            found.join("\n")
        );
    }
}
