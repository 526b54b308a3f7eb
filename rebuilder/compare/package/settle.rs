//! Two packages whose members were compared, to be read once more for what only several members together tell: whether
//! a digest is that of the entry that it names, and whether a signature is one of the file beside it.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _};

use super::{Archive, Package};
use crate::compare::both::{Both, Which};
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::format::FormatReader;
use crate::compare::limits::Meter;
use crate::compare::source::Source;

/// Both packages, and how they are read.
pub(in crate::compare) struct Settling<'a> {
    pub format: &'static dyn FormatReader,
    pub sides: Both<&'a Source>,
    pub meter: &'a Meter,
}

/// Members with their bytes, by path.
pub(super) type Members = BTreeMap<String, Vec<u8>>;

/// Most bytes of all members of one side that are read together.
const MOST_READ: u64 = 64 << 20;

impl Settling<'_> {
    /// The members of both sides whose path is `wanted`; an error if one is repeated or too large.
    pub fn members(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<Both<Members>> {
        self.sides.try_map(|source| {
            let mut found = Members::new();
            let mut room = MOST_READ;
            self.format.walk(source, &self.meter.apart(), &mut |member| {
                if !wanted(&member.path) {
                    return Ok(true);
                }
                let mut bytes = Vec::new();
                member.content.take(room).read_to_end(&mut bytes)?;
                room = room.saturating_sub(bytes.len() as u64);
                if room == 0 || found.insert(member.path, bytes).is_some() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Ok(true)
            })?;
            Ok(found)
        })
    }

    /// What `digest` makes of each member of one side that is `wanted`, by path; none for a path that is repeated.
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

/// Lets the kind of package that both sides are judge again what it alone can tell. One side may lack what makes it a
/// package of that kind, such as a manifest that only signing adds.
pub(in crate::compare) fn settle(released: Option<&'static Package>, settling: &Settling, node: &mut Node) {
    let alone = node
        .children
        .iter()
        .any(|child| child.presence == Presence::OnlyRebuilt);
    if node.children.is_empty() || (released.is_none() && !alone) {
        return;
    }
    let rebuilt = Archive::read(settling.format, settling.sides.rebuilt, settling.meter).kind();
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

/// Puts `findings` in the place of what was found in the bytes of a member; its fields in the archive are kept.
pub(super) fn replace(node: &mut Node, format: &str, findings: Vec<Finding>) {
    node.findings.retain(|finding| finding.place.field().is_some());
    node.findings.extend(findings);
    format.clone_into(&mut node.format);
}
