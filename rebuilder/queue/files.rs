//! Which lists of files can be the files of one run.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::wire::{self, RunFile};

/// Maximum length of a path in a run, and of a part of it, in bytes: the limits of file systems.
const PATH: usize = 1024;
const NAME: usize = 255;

/// Why these files cannot be laid out in one folder, if so.
pub fn unfit(files: &[RunFile]) -> Option<String> {
    if files.len() > wire::FILES {
        return Some("the run has too many files".into());
    }
    let total = files
        .iter()
        .fold(0_u64, |sum, file| sum.saturating_add(file.size));
    if total > wire::RUN {
        return Some(format!("the files of a run have at most {} bytes", wire::RUN));
    }
    let mut paths = BTreeSet::new();
    for file in files {
        if !is_plain(&file.path) {
            return Some(format!("no file of a run can be called {:?}", shown(&file.path)));
        }
        if !paths.insert(file.path.as_str()) {
            return Some(format!("the run has {:?} twice", shown(&file.path)));
        }
    }
    let inside = |path: &&&str| {
        let above = Path::new(path).ancestors().skip(1).filter_map(Path::to_str);
        above.into_iter().any(|folder| paths.contains(folder))
    };
    let inside = paths.iter().find(inside);
    inside.map(|path| format!("{:?} is in a folder that is a file of the run too", shown(path)))
}

fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}

/// Whether a path stays inside of a run's folder, is written in one way only, and can be made.
fn is_plain(path: &str) -> bool {
    let parts = Path::new(path).components();
    path.len() < PATH
        && !path.contains('\0')
        && path.split('/').all(|name| !name.is_empty() && name.len() <= NAME)
        && parts.clone().all(|part| matches!(part, Component::Normal(_)))
        // "a/./b" has the parts of "a/b".
        && parts.count() == path.split('/').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Sha256;

    #[test]
    fn files_of_a_run_can_be_laid_out_inside_of_its_folder() {
        let long = "n".repeat(256);
        let fits = "n".repeat(255);
        for (paths, fit) in [
            (&["record.json", "rebuilt/a-1.whl", "rebuilt/b"][..], true),
            (&[fits.as_str(), "a-b", "a/b", "a.b"], true),
            (&[""], false),
            (&["/etc/passwd"], false),
            (&["../x"], false),
            (&["a/../../x"], false),
            (&["./a"], false),
            (&["a/./b"], false),
            (&["a//b"], false),
            (&["a/"], false),
            (&["a\0"], false),
            (&[long.as_str()], false),
            (&["x", "x"], false),
            (&["a", "a-b", "a/b"], false),
            (&["a/b/c", "a"], false),
        ] {
            let file = |path: &&str| RunFile {
                path: (*path).to_owned(),
                sha256: Sha256::of(""),
                size: 0,
            };
            let files: Vec<_> = paths.iter().map(file).collect();
            assert_eq!(unfit(&files).is_none(), fit, "{paths:?}");
        }
        let large = |path: &str| RunFile {
            path: path.into(),
            sha256: Sha256::of(""),
            size: wire::ARTIFACT,
        };
        let many: Vec<_> = ["a", "b", "c", "d", "e"].map(large).into();
        assert!(unfit(&many).is_some() && unfit(&many[..4]).is_none());
    }
}
