//! Times, modes and owners of the publisher's files, and the time of packing, which cargo copied into crates until
//! Rust 1.49.
//!
//! No document declares them. They are read from the released crate, and they do not determine the content of any
//! file.

use std::fmt::Write as _;

use super::age::{Age, GENERATED};
use crate::compare::Member;
use crate::plan::{Assumption, InlineFile, Origin, assume, places};
use crate::text::plural;

/// The last release that copies the metadata of files.
const LAST_COPYING: i64 = 49;

/// What a crate records of the file system that it was packed on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FileMetadata {
    /// The lines of the list.
    list: String,
    /// The time of packing, in Unix seconds.
    packed: Option<i64>,
}

impl FileMetadata {
    /// Reads it from the members of a crate of this age.
    pub fn of(members: &[Member], age: &Age) -> Self {
        let below = |member: &'_ Member| Some((member.path.split_once('/')?.1.to_owned(), member.clone()));
        let files: Vec<_> = members.iter().filter_map(below).collect();
        let mut found = Self::default();
        if age.last > LAST_COPYING {
            return found;
        }
        let mut generated = files
            .iter()
            .filter(|(path, _)| GENERATED.contains(&path.as_str()));
        // Until 1.39 these files had no time.
        found.packed = generated
            .find_map(|(_, member)| member.time)
            .filter(|time| *time > 0);
        for (path, member) in &files {
            let path = match path.as_str() {
                // The publisher's file; cargo's own version is packed beside it.
                "Cargo.toml.orig" => "Cargo.toml",
                path if GENERATED.contains(&path) => continue,
                path => path,
            };
            let (Some(time), Some(mode), Some((user, group))) = (member.time, member.mode, member.owner)
            else {
                continue;
            };
            let is_plain = !path.chars().any(char::is_control) && !path.split('/').any(|part| part == "..");
            if is_plain {
                // The other bits are the type of the file.
                let mode = mode & 0o777;
                let _ = writeln!(found.list, "{time} {mode:03o} {user}:{group} {path}");
            }
        }
        found
    }

    /// The time of packing, in the recipe's form.
    pub fn packed(&self) -> String {
        self.packed.map_or_else(String::new, |time| time.to_string())
    }

    /// The list, if it is not empty.
    pub fn file(&self) -> Option<InlineFile> {
        (!self.list.is_empty()).then(|| InlineFile {
            place: places::FILE_METADATA.into(),
            text: self.list.clone(),
        })
    }

    pub fn assumptions(&self) -> Vec<Assumption> {
        let from = || Origin::Inferred("the released crate, whose cargo copied them".into());
        let mut found = Vec::new();
        let files = self.list.lines().count();
        if files > 0 {
            let value = format!("those of {}", plural(files, "file"));
            found.push(assume("times, modes and owners of files", value, from()));
        }
        let time = self
            .packed
            .and_then(|time| jiff::Timestamp::from_second(time).ok());
        found.extend(time.map(|time| assume("time of packing", time.to_string(), from())));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Sha256;

    #[test]
    fn a_crate_tells_of_its_publishers_file_system_as_far_as_its_cargo_did() {
        let member = |path: &str, time| Member {
            path: format!("a-1.0.0/{path}"),
            sha256: Sha256::of(path),
            size: 0,
            mode: Some(0o100_664),
            time: Some(time),
            owner: Some((501, 20)),
            system: None,
        };
        let members = [
            member("Cargo.toml.orig", 10),
            member("Cargo.toml", 99),
            member("src/two words.rs", 11),
            member("src/../../x.rs", 12),
            member("src/\nx.rs", 12),
        ];
        let list = "10 664 501:20 Cargo.toml\n11 664 501:20 src/two words.rs\n";
        for (age, expected, packed) in [
            ("1.1 to 1.49", list, "99"),
            ("1.50 to 1.53", "", ""),
            ("1.54 to 1.79", "", ""),
            ("1.93 or later", "", ""),
        ] {
            let found = FileMetadata::of(&members, &Age::read(age).unwrap());
            assert_eq!(
                (found.list.as_str(), found.packed().as_str()),
                (expected, packed),
                "{age}"
            );
            let assumed = found.assumptions();
            assert_eq!(
                assumed.len(),
                usize::from(!expected.is_empty()) + usize::from(!packed.is_empty()),
                "{age}"
            );
        }
    }
}
