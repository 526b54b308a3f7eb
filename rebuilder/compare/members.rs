//! Single archives for planners: the list of members, and the bytes of one member.

use std::io::{self, Read};
use std::path::Path;

use super::cause::Cause;
use super::format::{self, HEAD};
use super::limits::{Hit, Limits, Meter, Metered};
use super::source::{Codec, Source};
use super::stored::{self, Fields};
use crate::artifact::Sha256;
use crate::deadline::{Deadline, Over};

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Length of its bytes.
    pub size: u64,
    /// Permission bits, if the format stores them.
    pub mode: Option<u32>,
    /// Ids of its user and its group, if the format stores both.
    pub owner: Option<(u32, u32)>,
    /// Modification time in Unix seconds, if the format stores a time; one without a zone is read as UTC.
    pub time: Option<i64>,
    /// Operating system that the archive was written on, if the format stores it: `Unix`, `Dos` and others.
    pub system: Option<String>,
}

/// A file that begins like an archive but cannot be read as one.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{path} is not a complete archive")]
#[diagnostic(help("the file is truncated or damaged; download it again"))]
pub struct MemberError {
    path: String,
    source: io::Error,
}

impl MemberError {
    /// Why it could not be read to its end.
    pub(crate) fn reason(&self) -> String {
        self.source.to_string()
    }
}

/// Maximum number of bytes that [`read_member`] reads into memory.
const READ_LIMIT: u64 = 64 << 20;

/// The members of an archive, in stored order; `None` if the format is unknown.
pub fn list(path: &Path) -> Result<Option<Vec<Member>>, MemberError> {
    let mut members = Vec::new();
    let walked = Source::file(path).and_then(|source| {
        let Some((format, source)) = open(&source)? else {
            return Ok(false);
        };
        let fields = format.walk(&source, &meter(&source), &mut |member| {
            readable(&member.fields)?;
            let (sha256, size) = Sha256::of_reader(member.content)?;
            members.push(Member {
                path: member.path,
                sha256,
                size,
                mode: stored::mode(&member.fields),
                owner: stored::owner(&member.fields),
                time: stored::time(&member.fields),
                system: stored::system(&member.fields),
            });
            Ok(true)
        })?;
        readable(&fields)?;
        Ok(true)
    });
    match walked {
        Ok(true) => Ok(Some(members)),
        Ok(false) => Ok(None),
        Err(source) => Err(error(path, source)),
    }
}

/// The bytes of the first member whose path matches. Members of tar archives within a Debian package have paths such
/// as `data.tar/usr/bin/jq`.
pub fn read_member(path: &Path, fits: impl Fn(&str) -> bool) -> Result<Option<Vec<u8>>, MemberError> {
    let mut found = None;
    let walked = Source::file(path).and_then(|source| {
        let meter = meter(&source);
        search(&source, "", &meter, &fits, &mut found)
    });
    walked.map(|()| found).map_err(|source| error(path, source))
}

/// Maximum depth of nested archives that are searched, and maximum size of one that can be read only once.
const DEPTH: usize = 4;
const IN_MEMORY: u64 = 64 << 20;
/// Number of bytes that are searched for each byte of a file: sources unpack to less, bombs to more.
const SEARCHED_EXPANSION: u64 = 100;

/// Calls `take` with the path and the bytes of every file in an archive and in the archives inside it. A file that is not
/// an archive is passed with an empty path. Paths of nested archives end with `!`.
pub fn each_file(
    path: &Path,
    deadline: &Deadline,
    take: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), MemberError> {
    let walked = Source::file(path).and_then(|source| {
        let limits = Limits {
            expansion: SEARCHED_EXPANSION,
            ..Limits::default()
        };
        let meter = Meter::new(&limits, deadline, source.size().unwrap_or(0));
        visit(&source, "", &meter, DEPTH, take)
    });
    walked.map_err(|source| error(path, source))
}

fn visit(
    source: &Source,
    path: &str,
    meter: &Meter,
    depth: usize,
    take: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let head = source.head(HEAD)?;
    let plain = Codec::detect(&head).map_or_else(|| source.clone(), |codec| source.decoded(codec));
    let deeper = depth.checked_sub(1);
    let format = match deeper {
        Some(_) => format::detect(&plain.head(HEAD)?),
        None => None,
    };
    let (Some(format), Some(deeper)) = (format, deeper) else {
        return take(
            path,
            &mut Metered {
                inner: plain.open()?,
                meter,
            },
        );
    };
    let fields = format.walk(&plain, meter, &mut |member| {
        let below = if path.is_empty() {
            member.path.clone()
        } else {
            format!("{path}!/{}", member.path)
        };
        if let Some(inner) = &member.source {
            unless_damaged(visit(inner, &below, meter, deeper, take))?;
            return Ok(true);
        }
        // An archive that can be read only once is kept in memory, if it is not too large.
        let mut head = Vec::new();
        let content = member.content;
        content.take(HEAD as u64).read_to_end(&mut head)?;
        if Codec::detect(&head).is_some() || format::detect(&head).is_some() {
            content.take(IN_MEMORY).read_to_end(&mut head)?;
            unless_damaged(visit(&Source::memory(head), &below, meter, deeper, take))?;
        } else {
            take(&below, &mut io::Cursor::new(head).chain(content))?;
        }
        Ok(true)
    })?;
    readable(&fields)
}

/// An error if a part of an archive was not read.
fn readable(fields: &Fields) -> io::Result<()> {
    let unread = fields.iter().find(|(kind, _)| kind.cause == Cause::Unread);
    unread.map_or(Ok(()), |(kind, value)| {
        let what = format!("{}: {value}", kind.name);
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    })
}

/// A damaged nested archive ends only its own search.
fn unless_damaged(walked: io::Result<()>) -> io::Result<()> {
    let damaged = |error: &io::Error| error.kind() != io::ErrorKind::Other;
    match walked {
        Err(error) if Hit::of(&error).is_none() && Over::of(&error).is_none() && damaged(&error) => Ok(()),
        other => other,
    }
}

fn error(path: &Path, source: io::Error) -> MemberError {
    MemberError {
        path: path.display().to_string(),
        source,
    }
}

fn meter(source: &Source) -> Meter {
    let size = source.size().unwrap_or(0);
    let limits = Limits {
        time: Some(Limits::time_for(size)),
        ..Limits::default()
    };
    Meter::new(&limits, &Deadline::default(), size)
}

type Opened = (&'static dyn format::FormatReader, Source);

/// The archive format of a file, also below one layer of compression.
fn open(source: &Source) -> io::Result<Option<Opened>> {
    let head = source.head(HEAD)?;
    let source = Codec::detect(&head).map_or_else(|| source.clone(), |codec| source.decoded(codec));
    Ok(format::detect(&source.head(HEAD)?).map(|format| (format, source)))
}

fn search(
    source: &Source,
    prefix: &str,
    meter: &Meter,
    fits: &dyn Fn(&str) -> bool,
    found: &mut Option<Vec<u8>>,
) -> io::Result<()> {
    let Some((format, source)) = open(source)? else {
        return Ok(());
    };
    let fields = format.walk(&source, meter, &mut |member| {
        let path = format!("{prefix}{}", member.path);
        if fits(&path) {
            let mut content = Vec::new();
            member.content.take(READ_LIMIT).read_to_end(&mut content)?;
            *found = Some(content);
        } else if prefix.is_empty()
            && let (Some(source), Some((stem, _))) = (&member.source, member.path.split_once(".tar"))
        {
            search(source, &format!("{stem}.tar/"), meter, fits, found)?;
        }
        Ok(found.is_none())
    })?;
    readable(&fields)
}
