//! Released bytes against rebuilt bytes: whether they are the same, and where they first differ.
//!
//! The first level of where: which members of the archive differ, in content or in metadata. A format joins
//! by implementing [`FormatReader`] and standing in the table.

mod deb;
mod tarball;
mod wheel;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;

/// One member of an archive, however deep: its path, its content by digest, and what else is stored about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Path through the archive, such as `data.tar/usr/bin/jq`.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Length of its bytes.
    pub size: u64,
    /// Mode, time, owner, link target, compression: whatever the format stores.
    pub metadata: BTreeMap<&'static str, String>,
}

/// A file that claims to be of a format and is not.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{name} is not a whole {format} file")]
#[diagnostic(help("the file is truncated or damaged"))]
pub struct CompareError {
    name: String,
    format: &'static str,
    source: io::Error,
}

/// Called for each member with its path, metadata and bytes; returns whether to go on.
type Visit<'a> = &'a mut dyn FnMut(String, BTreeMap<&'static str, String>, &mut dyn Read) -> io::Result<bool>;

/// Reads one archive format as a stream of members.
trait FormatReader: Sync {
    /// Name for people.
    fn name(&self) -> &'static str;
    /// Ending of file names.
    fn ending(&self) -> &'static str;
    /// Walks the members in stored order.
    fn walk(&self, file: File, visit: Visit) -> io::Result<()>;
}

const FORMATS: &[&dyn FormatReader] = &[
    &deb::Deb,
    &wheel::Wheel,
    &tarball::Tarball("tgz"),
    &tarball::Tarball("gz"),
    &tarball::Tarball("crate"),
];

fn format_of(name: &str) -> Option<&'static dyn FormatReader> {
    let ending = name.rsplit('.').next()?;
    FORMATS.iter().copied().find(|format| format.ending() == ending)
}

/// How one member differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Path through the archive.
    pub path: String,
    /// In what way.
    #[serde(flatten)]
    pub kind: DifferenceKind,
}

/// In what way a member differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// Its bytes.
    Content {
        /// Lengths in bytes, released first.
        sizes: (u64, u64),
    },
    /// Only what is stored about it.
    Metadata {
        /// Field, released value, rebuilt value.
        fields: Vec<(String, String, String)>,
    },
    /// Only the released archive has it.
    OnlyReleased,
    /// Only the rebuilt archive has it.
    OnlyRebuilt,
}

/// How two archives differ at the level of their members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Where {
    /// Members that differ; in path order.
    pub members: Vec<Difference>,
    /// How many members are the same.
    pub same: usize,
    /// Whether the same members stand in another order.
    pub reordered: bool,
    /// Why the members could not be read, where one of the files is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// Says where two files differ; nothing where their format has no reader.
///
/// The rebuilt file may be anything; one that cannot be read differs all the same, and the reason is kept.
pub fn locate(name: &str, released: &Path, rebuilt: &Path) -> Option<Where> {
    let format = format_of(name)?;
    let both = members(format, name, released).and_then(|old| Ok((old, members(format, name, rebuilt)?)));
    Some(match both {
        Ok((old, new)) => difference(&old, &new),
        Err(error) => Where {
            unreadable: Some(format!("{error}: {}", error.source)),
            ..Where::default()
        },
    })
}

fn difference(old: &[Member], new: &[Member]) -> Where {
    let index = |members: &[Member]| -> BTreeMap<String, Member> {
        members
            .iter()
            .map(|member| (member.path.clone(), member.clone()))
            .collect()
    };
    let (before, after) = (index(old), index(new));
    let mut found = Where::default();
    for (path, member) in &before {
        let kind = match after.get(path) {
            None => DifferenceKind::OnlyReleased,
            Some(other) if other.sha256 != member.sha256 => DifferenceKind::Content {
                sizes: (member.size, other.size),
            },
            Some(other) if other.metadata != member.metadata => DifferenceKind::Metadata {
                fields: changed_fields(&member.metadata, &other.metadata),
            },
            Some(_) => {
                found.same += 1;
                continue;
            }
        };
        found.members.push(Difference {
            path: path.clone(),
            kind,
        });
    }
    let extra = after.keys().filter(|path| !before.contains_key(*path));
    found.members.extend(extra.map(|path| Difference {
        path: path.clone(),
        kind: DifferenceKind::OnlyRebuilt,
    }));
    found.members.sort_by(|a, b| a.path.cmp(&b.path));
    let order = |members: &[Member], other: &BTreeMap<String, Member>| -> Vec<String> {
        members
            .iter()
            .map(|member| member.path.clone())
            .filter(|path| other.contains_key(path))
            .collect()
    };
    found.reordered = order(old, &after) != order(new, &before);
    found
}

fn changed_fields(
    old: &BTreeMap<&'static str, String>,
    new: &BTreeMap<&'static str, String>,
) -> Vec<(String, String, String)> {
    let value = |map: &BTreeMap<&'static str, String>, key| map.get(key).cloned().unwrap_or_default();
    let mut keys: Vec<_> = old.keys().chain(new.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| (key.to_owned(), value(old, key), value(new, key)))
        .collect()
}

fn members(format: &dyn FormatReader, name: &str, path: &Path) -> Result<Vec<Member>, CompareError> {
    let mut members = Vec::new();
    let mut room = MOST_BYTES;
    let walked = File::open(path).and_then(|file| {
        format.walk(file, &mut |path, metadata, bytes| {
            let (sha256, size) = Sha256::of_reader(bytes.take(room))?;
            room -= size;
            members.push(Member {
                path,
                sha256,
                size,
                metadata,
            });
            if room == 0 || members.len() > MOST_MEMBERS {
                return Err(io::Error::other("it unpacks to more than any real package holds"));
            }
            Ok(true)
        })
    });
    let error = |source| CompareError {
        name: name.to_owned(),
        format: format.name(),
        source,
    };
    walked.map(|()| members).map_err(error)
}

/// The members of an archive, in stored order.
pub fn list(name: &str, path: &Path) -> Result<Option<Vec<Member>>, CompareError> {
    format_of(name)
        .map(|format| members(format, name, path))
        .transpose()
}

/// Most bytes and members that an archive may unpack to; beyond, it is a bomb.
const MOST_BYTES: u64 = 64 << 30;
const MOST_MEMBERS: usize = 1_000_000;
/// Most bytes that [`read_member`] takes into memory.
const READ_LIMIT: u64 = 64 << 20;

/// The bytes of the first member whose path fits; `ending` is that of the archive's name.
pub fn read_member(
    path: &Path,
    ending: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Option<Vec<u8>>, CompareError> {
    let Some(format) = format_of(&format!("x.{ending}")) else {
        return Ok(None);
    };
    let mut found = None;
    let walked = File::open(path).and_then(|file| {
        format.walk(file, &mut |path, _, bytes| {
            if fits(&path) {
                let mut content = Vec::new();
                bytes.take(READ_LIMIT).read_to_end(&mut content)?;
                found = Some(content);
            }
            Ok(found.is_none())
        })
    });
    let error = |source| CompareError {
        name: path.display().to_string(),
        format: format.name(),
        source,
    };
    walked.map(|()| found).map_err(error)
}
