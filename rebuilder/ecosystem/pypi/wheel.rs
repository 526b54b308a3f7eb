//! What a released wheel shows about the build that made it: backend and version, clock, file modes, umask.
//!
//! Everything concluded here is an inferred value, and the plan says so.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::backend;
use super::dialect::{self, Dialect};
use super::interpreter::{self, Sign};
use crate::compare::{self, Member, MemberError};
use crate::ecosystem::repository;

/// The facts that can be read from a wheel.
#[derive(Debug)]
pub(super) struct WheelFacts {
    /// The name of the project, as the metadata spells it.
    pub name: String,
    /// The `Generator` line of `WHEEL`.
    pub generator: String,
    /// Times and modes.
    pub clock: Clock,
    /// File mode creation mask of the build.
    pub umask: u32,
    /// A bound on the version of the tool that wrote the metadata, from the form of the metadata.
    pub dialect: Option<Dialect>,
    /// Whether every group of requirements is sorted, as only some builds of setuptools write them.
    pub sorted: bool,
    /// Whether the archive was written on Windows, according to its entries.
    pub windows: bool,
    /// Whether `WHEEL` says that the wheel is laid out as one with compiled code.
    pub impure: bool,
    /// Whether the archive stores no mode for its list of files, as Python 2 leaves it.
    pub no_mode: bool,
    /// The Python that built it, if something in it names its version.
    pub python: Option<Sign>,
    /// Addresses in `METADATA`; those called source or repository come first.
    pub addresses: Vec<String>,
}

/// The times that the archive stores, as the build's clock and file system must have shown them.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// The single time of all entries, in Unix seconds; `None` if they differ.
    pub uniform: Option<i64>,
    /// Every entry.
    pub entries: BTreeMap<String, Entry>,
}

impl Clock {
    fn of(members: &[Member]) -> Self {
        // Neither sizes nor modes of folders are needed.
        let files = members.iter().filter(|member| !member.path.ends_with('/'));
        let entry = |(position, member): (usize, &Member)| {
            let entry = Entry {
                position,
                time: member.time.unwrap_or(0),
                mode: permissions(member.mode),
            };
            (member.path.clone(), entry)
        };
        let entries: BTreeMap<_, _> = files.enumerate().map(entry).collect();
        let mut times: Vec<_> = entries.values().map(|entry| entry.time).collect();
        times.sort_unstable();
        times.dedup();
        let uniform = if let [time] = times[..] { Some(time) } else { None };
        Self { uniform, entries }
    }

    /// In the order of `RECORD`, if that differs only for the metadata: versions of the package "wheel" before 0.31 list
    /// files there as they find them in a folder, but store the metadata last, by name.
    fn in_order_of(mut self, record: &str) -> Self {
        let paths = record.lines().filter_map(|line| line.rsplitn(3, ',').nth(2));
        let listed: BTreeMap<&str, usize> = paths.zip(0..).collect();
        let of = |path: &str| listed.get(path).copied();
        let mut others: Vec<_> = self
            .entries
            .iter()
            .filter(|(path, _)| !path.contains(".dist-info/"))
            .collect();
        others.sort_by_key(|(_, entry)| entry.position);
        let agrees = others.is_sorted_by_key(|(path, _)| of(path));
        if agrees && self.entries.keys().all(|path| of(path).is_some()) {
            for (path, entry) in &mut self.entries {
                entry.position = of(path).unwrap_or(entry.position);
            }
        }
        self
    }

    /// The part that the build gets, in the order of the files: names, modes, and times if they differ. None of it depends on
    /// the content of the files, so no build can copy content from it.
    pub fn shown(&self) -> Vec<Value> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.position);
        let shown = entries.into_iter().map(|(path, entry)| match self.uniform {
            Some(_) => json!([path, entry.mode]),
            None => json!([path, entry.mode, entry.time]),
        });
        shown.collect()
    }
}

/// What the archive stores about one file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Unix seconds, the stored time read as UTC.
    pub time: i64,
    /// Permission bits.
    pub mode: u32,
    /// Position in the archive, or in the list of files.
    pub position: usize,
}

/// The permissions that a build may show for a file. No source gives a file another user's rights, so those bits are not
/// taken from the release: they stay a difference.
fn permissions(stored: Option<u32>) -> u32 {
    stored.unwrap_or(0o644) & 0o777
}

/// Reads a wheel.
pub(super) fn read(path: &Path) -> Result<Option<WheelFacts>, MemberError> {
    let members = compare::list(path)?.unwrap_or_default();
    let text = compare::read_member(path, |member| member.ends_with(".dist-info/WHEEL"))?;
    let Some(text) = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) else {
        return Ok(None);
    };
    let generator = field(&text, "Generator").unwrap_or_default();
    let impure = is_impure(&text);
    let plain = !text.contains('\r') && backend::runs_on_python_2(generator);

    let windows = !members.is_empty()
        && members
            .iter()
            .all(|member| member.system.as_deref() == Some("Dos"));
    let clock = Clock::of(&members);
    let no_mode = !windows && has_no_mode(&clock.entries);
    let umask = umask(&clock.entries);
    let text = |name: &'static str| -> Result<Option<String>, MemberError> {
        let member = compare::read_member(path, |member| {
            member
                .split_once(".dist-info/")
                .is_some_and(|(_, rest)| rest == name)
        })?;
        Ok(member.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let metadata = text("METADATA")?.unwrap_or_default();
    let entry_points = text("entry_points.txt")?.unwrap_or_default();
    let compiled = clock.entries.keys().find(|path| path.ends_with(".pyc"));
    let bytecode = match compiled {
        Some(compiled) => compare::read_member(path, |member| member == compiled)?,
        None => None,
    };
    let has_licence = clock.entries.keys().any(|path| {
        path.split_once(".dist-info/")
            .is_some_and(|(_, name)| name.starts_with("LICEN") || name.starts_with("COPYING"))
    });
    let clock = clock.in_order_of(&text("RECORD")?.unwrap_or_default());
    let dialect = dialect::of(generator, &metadata, &entry_points, has_licence);
    Ok(Some(WheelFacts {
        name: field(&metadata, "Name").unwrap_or_default().to_owned(),
        generator: generator.to_owned(),
        windows,
        impure,
        no_mode,
        python: python_on_windows(windows && plain, &metadata)
            .or_else(|| interpreter::sign(clock.entries.keys(), &entry_points, bytecode.as_deref())),
        addresses: addresses(&metadata),
        clock,
        umask,
        dialect,
        sorted: dialect::is_sorted(generator, &metadata),
    }))
}

/// Whether a `WHEEL` says that the files are for a platform (`Root-Is-Purelib` of the binary distribution format).
fn is_impure(text: &str) -> bool {
    field(text, "Root-Is-Purelib").is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

/// The value of a field of `WHEEL` or `METADATA`, the first one of that name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    text.lines().find_map(value).map(str::trim)
}

/// On Windows, old versions of the package "wheel" write `METADATA` with the line ends of text files on Python 2 only, and
/// `WHEEL` without them on both.
fn python_on_windows(plain: bool, metadata: &str) -> Option<Sign> {
    let first = metadata.split('\n').next();
    let translated = first.is_some_and(|line| line.ends_with('\r'));
    (plain && translated).then(|| Sign {
        version: "2.7".into(),
        evidence: "line ends of METADATA in the released wheel".into(),
    })
}

/// The package "wheel" writes `RECORD` itself, and some versions give it no mode. Python 3 then stores 0600; only
/// Python 2 stores none.
fn has_no_mode(entries: &BTreeMap<String, Entry>) -> bool {
    let record = |path: &String| path.ends_with(".dist-info/RECORD") && path.matches('/').count() == 1;
    let mut records = entries.iter().filter(|(path, _)| record(path));
    records.any(|(_, entry)| entry.mode == 0)
}

/// Every build writes `METADATA` from scratch, so its mode shows the mask.
fn umask(entries: &BTreeMap<String, Entry>) -> u32 {
    let metadata = entries
        .iter()
        .find(|(path, _)| path.ends_with(".dist-info/METADATA"));
    match metadata.map(|(_, entry)| entry.mode & 0o777) {
        Some(0o664) => 0o002,
        Some(0o600) => 0o077,
        Some(0o640) => 0o027,
        Some(0o666) => 0o000,
        _ => 0o022,
    }
}

/// Addresses in `Project-URL: LABEL, ADDRESS` and `Home-page: ADDRESS`, those that are most likely the source first;
/// then those in the description.
fn addresses(metadata: &str) -> Vec<String> {
    let headers = metadata.lines().take_while(|line| !line.is_empty());
    let mut found: Vec<(usize, String)> = headers
        .filter_map(|line| {
            let (label, address) = match line.strip_prefix("Project-URL:") {
                Some(rest) => rest.split_once(',')?,
                None => ("home", line.strip_prefix("Home-page:")?),
            };
            let label = label.to_lowercase();
            let rank = ["source", "repo", "code", "github", "git", "home"];
            let rank = rank
                .iter()
                .position(|word| label.contains(word))
                .unwrap_or(rank.len());
            Some((rank, address.trim().to_owned()))
        })
        .collect();
    found.sort();
    let declared = found.into_iter().map(|(_, address)| address);
    declared.chain(in_description(metadata)).collect()
}

/// Addresses in the description of repositories with the package's own name, which may be its source even if no field
/// says so.
fn in_description(metadata: &str) -> Vec<String> {
    let (head, description) = metadata.split_once("\n\n").unwrap_or((metadata, ""));
    let Some(name) = field(head, "Name") else {
        return Vec::new();
    };
    let ends = |c: char| c.is_whitespace() || "<>()[]{}\"'`|,;".contains(c);
    let addresses = description
        .split(ends)
        .filter(|word| word.starts_with("https://"));
    addresses
        .filter(|address| repository::is_named(address, name))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_says_whether_it_is_laid_out_for_a_platform() {
        for (text, expected) in [
            (
                "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
                true,
            ),
            ("Root-Is-Purelib: False\r\n", true),
            ("Root-Is-Purelib: true\n", false),
            ("Tag: py3-none-any\n", false),
        ] {
            assert_eq!(is_impure(text), expected, "{text}");
        }
    }

    #[test]
    fn a_list_of_files_shows_the_order_in_a_folder_that_the_archive_does_not() {
        let stored = [
            "a/x.py",
            "a/b.py",
            "a-1.dist-info/METADATA",
            "a-1.dist-info/RECORD",
        ];
        for (record, expected) in [
            // The list as wheel 0.29 writes it.
            (
                &[
                    "a-1.dist-info/RECORD",
                    "a-1.dist-info/METADATA",
                    "a/x.py",
                    "a/b.py",
                ][..],
                [2, 3, 1, 0],
            ),
            (&stored, [0, 1, 2, 3]),
            // In order by name, another tool wrote it: it shows nothing.
            (
                &[
                    "a-1.dist-info/METADATA",
                    "a-1.dist-info/RECORD",
                    "a/b.py",
                    "a/x.py",
                ],
                [0, 1, 2, 3],
            ),
            (&["a/x.py", "a/b.py"], [0, 1, 2, 3]),
            (&[], [0, 1, 2, 3]),
        ] {
            let entry = |position| Entry {
                time: 0,
                mode: 0o644,
                position,
            };
            let entries = stored.into_iter().zip(0..);
            let clock = Clock {
                uniform: Some(0),
                entries: entries.map(|(path, at)| (path.to_owned(), entry(at))).collect(),
            };
            let lines: Vec<_> = record
                .iter()
                .map(|path| format!("{path},sha256=x,1\r\n"))
                .collect();
            let text = lines.concat();
            let found = clock.in_order_of(&text).entries;
            assert_eq!(stored.map(|path| found[path].position), expected, "{record:?}");
        }
    }

    #[test]
    fn on_windows_the_line_ends_of_metadata_tell_python_2() {
        for (plain, metadata, expected) in [
            (true, "Metadata-Version: 2.1\r\nName: a\r\n", true),
            (false, "Metadata-Version: 2.1\r\nName: a\r\n", false),
            (true, "Metadata-Version: 2.1\nName: a\n\ntext\r\n", false),
            (true, "", false),
        ] {
            assert_eq!(
                python_on_windows(plain, metadata).is_some(),
                expected,
                "{metadata:?}"
            );
        }
    }

    #[test]
    fn the_rights_of_another_user_are_not_taken_from_the_release() {
        for (stored, expected) in [
            (None, 0o644),
            (Some(0), 0),
            (Some(0o755), 0o755),
            (Some(0o4755), 0o755),
            (Some(0o2755), 0o755),
            (Some(0o1777), 0o777),
        ] {
            assert_eq!(permissions(stored), expected, "{stored:?}");
        }
    }

    #[test]
    fn only_a_list_of_files_without_a_mode_is_from_python_2() {
        for (path, mode, expected) in [
            ("a-1.dist-info/RECORD", 0, true),
            ("a-1.dist-info/RECORD", 0o600, false),
            ("a-1.dist-info/METADATA", 0, false),
            ("a/_vendor/b-1.dist-info/RECORD", 0, false),
        ] {
            let entry = Entry {
                time: 0,
                mode,
                position: 0,
            };
            let entries = BTreeMap::from([(path.to_owned(), entry)]);
            assert_eq!(has_no_mode(&entries), expected, "{path} {mode:o}");
        }
    }
}
