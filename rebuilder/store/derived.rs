//! Results that were computed from fetched files, kept so that they need not be computed again.
//!
//! A result is found by the digest of everything that went into it, and it is used only if it is, byte for byte, what
//! was written: the first line is the digest of key and content. Anything else is treated as absent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{FileClock, Store, StoreError, write_atomically};
use crate::artifact::Sha256;
use crate::bounded;

/// Maximum number of bytes of a result.
const SIZE: u64 = 1 << 28;
/// A result that is older than this is removed when the next one is kept.
const KEPT: Duration = Duration::from_hours(720);

impl Store {
    /// The result that was computed from the inputs that `key` names.
    pub(crate) fn derived(&self, key: Sha256) -> Option<Vec<u8>> {
        let bytes = bounded::read(&self.derived_path(key), SIZE).ok()?;
        let (head, content) = bytes.split_at_checked(Sha256::of("").to_hex().len().checked_add(1)?)?;
        (head == seal(key, content).as_bytes()).then(|| content.to_vec())
    }

    /// Keeps the result that was computed from the inputs that `key` names; old results are removed.
    pub(crate) fn keep_derived(&self, key: Sha256, content: &[u8]) -> Result<(), StoreError> {
        let path = self.derived_path(key);
        let bytes = [seal(key, content).as_bytes(), content].concat();
        write_atomically(&path, &bytes)?;
        if let Some(folder) = path.parent() {
            sweep(folder);
        }
        Ok(())
    }
}

fn seal(key: Sha256, content: &[u8]) -> String {
    let digest = Sha256::of(content);
    format!("{}\n", Sha256::of(format!("{key} {digest}")).to_hex())
}

fn sweep(folder: &Path) {
    let Ok(clock) = FileClock::of(folder) else {
        return;
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if clock.age(&path).is_ok_and(|age| age > KEPT) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_what_was_written_for_a_key_is_read_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let (key, other) = (Sha256::of("inputs"), Sha256::of("other inputs"));
        assert_eq!(store.derived(key), None);
        store.keep_derived(key, b"content").unwrap();
        assert_eq!(store.derived(key), Some(b"content".to_vec()));

        fs::copy(store.derived_path(key), store.derived_path(other)).unwrap();
        assert_eq!(store.derived(other), None, "made for another key");
        for change in [
            &b""[..],
            b"short",
            b"content without a first line, which is long enough",
        ] {
            fs::write(store.derived_path(key), change).unwrap();
            assert_eq!(store.derived(key), None);
        }
        store.keep_derived(key, b"content").unwrap();
        let mut bytes = fs::read(store.derived_path(key)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(store.derived_path(key), bytes).unwrap();
        assert_eq!(store.derived(key), None, "one bit changed");
    }

    #[test]
    fn what_is_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let (old, new) = (Sha256::of("old"), Sha256::of("new"));
        store.keep_derived(old, b"content").unwrap();
        let long_ago = SystemTime::now() - KEPT - Duration::from_secs(1);
        let file = fs::File::options()
            .write(true)
            .open(store.derived_path(old))
            .unwrap();
        file.set_modified(long_ago).unwrap();
        store.keep_derived(new, b"content").unwrap();
        assert_eq!(
            (store.derived(old), store.derived(new)),
            (None, Some(b"content".to_vec()))
        );
    }
}
