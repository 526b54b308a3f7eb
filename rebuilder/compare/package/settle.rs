//! Reads two compared packages once more for findings that depend on several members: whether a digest is that of the
//! entry that it names, and whether a signature is one of the file beside it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _};

use super::{Archive, Package};
use crate::compare::both::{Both, Which};
use crate::compare::cause::Cause;
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::format::FormatReader;
use crate::compare::limits::{Meter, Metered};
use crate::compare::source::Source;

/// Both packages, and how to read them.
pub(in crate::compare) struct Settling<'a> {
    pub format: &'static dyn FormatReader,
    pub sides: Both<&'a Source>,
    pub meter: &'a Meter,
}

/// Members with their bytes, by path.
pub(super) type Members = BTreeMap<String, Vec<u8>>;

/// Maximum number of bytes of all members of one side that are read together.
const MOST_READ: u64 = 64 << 20;

impl Settling<'_> {
    /// The members of both sides whose path is `wanted`; an error if one occurs twice, or they are too large.
    pub fn members(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<Both<Members>> {
        let meter = self.meter.apart();
        self.sides.try_map(|source| {
            let mut found = Found {
                members: Members::new(),
                room: MOST_READ,
            };
            if self.format.name() == "zip" {
                found.by_name(source, wanted, &meter)?;
            } else {
                self.format.walk(source, &meter, &mut |member| {
                    if wanted(&member.path) {
                        found.add(member.path, member.content)?;
                    }
                    Ok(true)
                })?;
            }
            Ok(found.members)
        })
    }

    /// The result of `digest` for each wanted member of one side, by path; `None` for a path that occurs twice.
    pub fn digests<D>(
        &self,
        which: Which,
        wanted: &dyn Fn(&str) -> bool,
        digest: &dyn Fn(&mut dyn io::Read) -> io::Result<D>,
    ) -> io::Result<HashMap<String, Option<D>>> {
        let mut found = HashMap::new();
        self.format
            .walk(self.sides.of(which), &self.meter.apart(), &mut |member| {
                if wanted(&member.path) {
                    let digest = digest(member.content)?;
                    found
                        .entry(member.path)
                        .and_modify(|known| *known = None)
                        .or_insert(Some(digest));
                }
                Ok(true)
            })?;
        Ok(found)
    }
}

/// The members found so far, and the number of bytes that may still be read.
struct Found {
    members: Members,
    room: u64,
}

impl Found {
    fn add(&mut self, path: String, content: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        content.take(self.room).read_to_end(&mut bytes)?;
        self.room = self.room.saturating_sub(bytes.len() as u64);
        if self.room == 0 || self.members.insert(path, bytes).is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    /// Reads entries of a zip archive without walking over all others.
    fn by_name(&mut self, source: &Source, wanted: &dyn Fn(&str) -> bool, meter: &Meter) -> io::Result<()> {
        let reader = io::BufReader::new(source.seekable()?);
        let mut archive = zip::ZipArchive::new(reader)?;
        if archive.has_duplicate_names() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let names = archive.file_names().filter_map(Result::ok);
        let names: Vec<String> = names.filter(|name| wanted(name)).map(Cow::into_owned).collect();
        for name in names {
            let mut inner = archive.by_name(&name)?;
            let mut content = Metered {
                inner: &mut inner,
                meter,
            };
            self.add(name, &mut content)?;
        }
        Ok(())
    }
}

/// Lets the kind of package of both sides adjust the findings. One side may lack the member that identifies the kind,
/// such as a manifest that only signing adds.
pub(in crate::compare) fn settle(released: Option<&'static Package>, settling: &Settling, node: &mut Node) {
    let is_alone = |child: &Node| child.presence != Presence::Both || child.rebuilt_name.is_some();
    let same_names = !node.children.iter().any(is_alone);
    if node.is_same() || (released.is_none() && same_names) {
        return;
    }
    // Archives with the same names are of the same kind.
    let rebuilt = if same_names {
        released
    } else {
        Archive::read(settling.format, settling.sides.rebuilt, settling.meter).kind()
    };
    let kind = released.or(rebuilt);
    let is_kind =
        |own: Option<&Package>| own.is_none_or(|own| kind.is_some_and(|kind| kind.name == own.name));
    if is_kind(released)
        && is_kind(rebuilt)
        && let Some(settle) = kind.and_then(|kind| kind.settle)
    {
        settle(settling, node);
    }
}

/// Compares the types of members in a tar archive of the package. A header that its installer does not read is no other
/// spelling of the same member if only one side has it.
pub(super) fn refuse_types(node: &mut Node, archive: &str, read: &[&str], key: &str) {
    let refused = |headers: &str| {
        let types = headers.split("type ").skip(1);
        let letters = types.map(|rest| rest.split([' ', ',', ';']).next().unwrap_or_default());
        letters.filter(|letter| !read.contains(letter)).count()
    };
    let archives = node.children.iter_mut();
    let members = archives.filter(|child| child.name.starts_with(archive));
    let members = members.flat_map(|archive| &mut archive.children);
    for finding in members.flat_map(|member| &mut member.findings) {
        let is_of_headers = matches!(finding.place.to_string().as_str(), "header" | "extended headers");
        if is_of_headers && refused(&finding.released) != refused(&finding.rebuilt) {
            finding.cause = Cause::AmbiguousArchive;
            key.clone_into(&mut finding.key);
            finding.normalisation = None;
        }
    }
}

/// Replaces the findings about the bytes of a member by `findings`, and keeps those about its fields in the archive.
pub(super) fn replace(node: &mut Node, format: &str, findings: Vec<Finding>) {
    node.findings.retain(|finding| finding.place.field().is_some());
    node.findings.extend(findings);
    format.clone_into(&mut node.format);
}
