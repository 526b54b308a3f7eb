//! The file names in code objects: one folder that replaces another in all of them.

use super::told::text;
use super::value::{Kind, Tree};
use super::version::Layout;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::comparator::Leaf;
use crate::compare::finding::Finding;

/// Two folders; replacing one by the other turns every file name of one side into that of the other.
#[derive(Debug, Default)]
pub(super) struct Paths {
    folders: Option<(String, String)>,
}

impl Paths {
    /// Checks every code object of both sides.
    pub fn of(layout: &Layout, old: &Tree, new: &Tree) -> Self {
        Self {
            folders: folders(layout, old, new),
        }
    }

    /// Whether two file names are the same file below the two folders.
    pub fn are_of_one_file(&self, released: &str, rebuilt: &str) -> bool {
        let Some((old, new)) = &self.folders else {
            return false;
        };
        without_same_end(released, rebuilt) == Some((old.as_str(), new.as_str()))
    }

    /// Whether replacing one folder by the other is the only difference of two texts.
    pub fn explain(&self, released: &str, rebuilt: &str) -> bool {
        let Some((old, new)) = &self.folders else {
            return false;
        };
        let is_a_folder =
            |folder: &str| folder.starts_with('/') && folder.len() > 1 || folder.contains(":\\");
        is_a_folder(old) && is_a_folder(new) && released.replace(old.as_str(), new) == rebuilt
    }

    pub fn add(&self, leaf: &mut Leaf, place: &str) {
        let Some((old, new)) = &self.folders else { return };
        let told = |folder: &'_ str| if folder.is_empty() { "." } else { folder }.to_owned();
        let (old, new) = (told(old), told(new));
        let key = format!("{old} → {new}");
        leaf.add(
            Finding::new(place, old, new)
                .because(Cause::BuildPath, Confidence::Proven)
                .keyed(key),
        );
    }
}

/// `None` if any two file names are not the same file below the two folders.
fn folders(layout: &Layout, old: &Tree, new: &Tree) -> Option<(String, String)> {
    let (released, rebuilt) = (names(layout, old)?, names(layout, new)?);
    let mut folders: Option<(&str, &str)> = None;
    // Functions are stored in the order of the source, so the names of both sides have the same order.
    if released.len() != rebuilt.len() {
        return None;
    }
    for (released, rebuilt) in released.iter().zip(&rebuilt) {
        let (one, other) = without_same_end(released, rebuilt)?;
        if *folders.get_or_insert((one, other)) != (one, other) {
            return None;
        }
    }
    folders
        .filter(|(one, other)| one != other)
        .map(|(one, other)| (one.to_owned(), other.to_owned()))
}

/// The file names of all code objects, without duplicates, in the order of their first occurrence.
fn names<'t>(layout: &Layout, tree: &'t Tree) -> Option<Vec<&'t str>> {
    const MOST: usize = 100;
    let index = layout.fields().position(|field| field == "file name")?;
    let mut names: Vec<&str> = Vec::new();
    for code in tree.objects.iter().filter(|object| object.kind == Kind::Code) {
        let (_, name) = tree.element(code, index)?;
        let name = text(name)?;
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() > MOST {
            return None;
        }
    }
    Some(names)
}

/// Both names without their common end; `None` if the last components, the names of the files, differ.
fn without_same_end<'t>(released: &'t str, rebuilt: &'t str) -> Option<(&'t str, &'t str)> {
    let (mut old, mut new) = (released, rebuilt);
    let mut any = false;
    loop {
        let last = |path: &'t str| path.rsplit_once('/').unwrap_or(("", path));
        let ((above, name), (above_new, name_new)) = (last(old), last(new));
        if name != name_new {
            break;
        }
        any = true;
        (old, new) = (above, above_new);
        if old.is_empty() || new.is_empty() {
            break;
        }
    }
    any.then_some((old, new))
}
