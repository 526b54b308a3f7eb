//! How old files are, by the clock of their file system.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What the time is where files are written.
///
/// It stamps the files, so their ages are right even if the clock of this process is not that of other processes of the
/// same store: in another container, on another host, or under a tool that shows programs another time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileClock(SystemTime);

impl FileClock {
    /// Looks at the clock by making a file without a name in the folder.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self(file.metadata()?.modified()?))
    }

    /// How long ago the file, folder or link was changed.
    pub(crate) fn age(self, path: &Path) -> io::Result<Duration> {
        let changed = fs::symlink_metadata(path)?.modified()?;
        Ok(self.0.duration_since(changed).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_from_the_future_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let hour = Duration::from_hours(1);
        let made = |name: &str, changed: SystemTime| {
            let path = folder.path().join(name);
            fs::File::create(&path).unwrap().set_modified(changed).unwrap();
            path
        };
        let now = SystemTime::now();
        let (old, new) = (made("old", now - hour * 2), made("new", now + hour));
        let clock = FileClock::of(folder.path()).unwrap();
        let age = clock.age(&old).unwrap();
        // The kernel stamps files with the time of its last tick.
        assert!(age > hour && age < hour * 3, "{age:?}");
        assert_eq!(clock.age(&new).unwrap(), Duration::ZERO);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
