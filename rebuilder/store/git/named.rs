//! Finds files by name, wherever they are in a commit.

use super::GitError;
use super::checkout::{BLOB, Checkout, FILE_LIMIT, LINK_MODE, SUBMODULE_MODE};
use super::objects::Objects;

/// Maximum number of bytes of all files that are read.
const TOTAL_LIMIT: u64 = 256 << 20;

impl Checkout {
    /// Passes the files with this name to `take`, those nearest to the top first, until it returns a value; at most
    /// `most` files. Paths that are not UTF-8 are left out.
    ///
    /// One git process reads all of them.
    pub fn each_named<T>(
        &self,
        name: &str,
        most: usize,
        mut take: impl FnMut(&str, &[u8]) -> Option<T>,
    ) -> Result<Option<T>, GitError> {
        let entries = self.entries()?.into_iter();
        let files = entries.filter(|entry| ![LINK_MODE, SUBMODULE_MODE].contains(&entry.mode.as_str()));
        let paths = files.filter_map(|entry| Some((String::from_utf8(entry.path).ok()?, entry.id)));
        let mut named: Vec<_> = paths
            .filter(|(path, _)| path.rsplit('/').next() == Some(name))
            .collect();
        named.sort_by_key(|(path, _)| (path.matches('/').count(), path.clone()));
        let mut objects = Objects::open(self).map_err(GitError::Missing)?;
        let mut left = TOTAL_LIMIT;
        for (path, id) in named.iter().take(most) {
            let bytes = objects.read(id, BLOB, FILE_LIMIT.min(left));
            let bytes = bytes.map_err(|error| self.unread(&error))?;
            let bytes = bytes.ok_or_else(|| self.damaged(&format!("the {BLOB} {id} is missing")))?;
            left = left.saturating_sub(bytes.len() as u64);
            if let Some(found) = take(path, &bytes) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
