//! Commits of which a mirror on this machine has only some files.

use super::GitError;
use super::checkout::{Checkout, SUBMODULE_MODE};
use super::objects::{Objects, TreeEntry};

/// A file or submodule that the commit's tree names, but the mirror, or the repository, does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Its path from the top.
    pub path: String,
    /// Name of its object.
    pub id: String,
    /// Its mode in the tree, such as `100644`.
    pub mode: String,
}

impl Checkout {
    /// The files of the commit that the mirror does not have; none if the commit was fetched whole.
    pub fn lacking(&self) -> Result<Vec<Lacking>, GitError> {
        if self.parts.is_none() {
            return Ok(Vec::new());
        }
        let entries = self.entries()?;
        let files: Vec<_> = entries
            .iter()
            .filter(|entry| entry.mode != SUBMODULE_MODE)
            .collect();
        let there = Objects::there(self, files.iter().map(|entry| entry.id.as_str()));
        let there = there.map_err(|error| self.unread(&error))?;
        let lacking = files.into_iter().zip(there).filter(|(_, there)| !there);
        lacking.map(|(entry, _)| self.named(entry)).collect()
    }

    /// The submodules of the commit: the name of each is that of the commit that it stands for.
    pub fn links(&self) -> Result<Vec<Lacking>, GitError> {
        let entries = self.entries()?;
        let links = entries.iter().filter(|entry| entry.mode == SUBMODULE_MODE);
        links.map(|entry| self.named(entry)).collect()
    }

    fn named(&self, entry: &TreeEntry) -> Result<Lacking, GitError> {
        let path = String::from_utf8(entry.path.clone()).ok();
        // The sandbox passes the paths to git, one a line.
        let path = path.filter(|path| !path.starts_with('"') && !path.chars().any(char::is_control));
        let path = path.ok_or_else(|| self.content(&"it lacks a file whose path is not plain text"))?;
        Ok(Lacking {
            path,
            id: entry.id.clone(),
            mode: entry.mode.clone(),
        })
    }
}
