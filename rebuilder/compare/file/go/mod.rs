//! Go programs: the linker's record of the build (`debug/buildinfo`), in any format of executable.
//!
//! If both records have the same length, the rebuilt one and the build ID replace the released ones; the rest of the
//! files is then compared as if there were no record. Records of different lengths move everything after them, and so do
//! the names of source files: `relink` proves for ELF programs that nothing else differs. Otherwise the records are named
//! beside a change of content.

mod elf;
mod files;
mod modules;
mod moves;
mod record;
mod relink;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use record::{BuildId, Record};

use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Go;

impl FileComparator for Go {
    fn example(&self) -> (&'static str, &'static [u8]) {
        (
            "go-program",
            b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0\xff Go buildinf:\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08go1.19.8\0",
        )
    }

    fn recognises(&self, pair: &Pair) -> bool {
        let known = |bytes: &[u8]| record::is_executable(bytes) && record::read(bytes).is_some();
        known(pair.released) && known(pair.rebuilt)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (record::read(pair.released)?, record::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("Go program");
        let mut released = Cow::Borrowed(pair.released);
        if let Some(finding) = build_id(&mut released, pair) {
            leaf.add(finding);
        }
        let substituted = substitute(&mut released, &old, &new);
        let all = *released == *pair.rebuilt;
        let own = if substituted { &new } else { &old };
        let relinked = if all {
            None
        } else {
            relink::follows(&released, pair.rebuilt, (own, &new))
        };
        let confidence = if substituted || relinked.is_some() {
            Confidence::Proven
        } else {
            Confidence::Possible
        };
        modules::compare(&mut leaf, (&old, &new), confidence);
        if let Some(relinked) = relinked {
            leaf.add(moved());
            leaf.findings.extend(relinked.names);
            if !relinked.debug.is_empty() {
                leaf.add(debug_information(&relinked.debug));
            }
            return Some(leaf);
        }
        if all {
            return Some(leaf);
        }
        let rest = super::read_as_another(self, &Pair::new(pair.file, &released, pair.rebuilt));
        leaf.format = rest.format;
        let moved = !substituted && old != new;
        leaf.append(rest);
        if moved {
            for finding in leaf
                .findings
                .iter_mut()
                .filter(|finding| finding.cause == Cause::Content)
            {
                let place = format!(
                    "{}, which may follow from the Go build information",
                    finding.place
                );
                finding.place = place.into();
            }
        }
        Some(leaf)
    }
}

/// The finding for debug information, which has the names of source files too.
fn debug_information(sections: &[String]) -> Finding {
    Finding::new(sections.join(", "), "not loaded", "not loaded")
        .because(Cause::DebugInformation, Confidence::Likely)
        .keyed("debug information and symbol tables")
        .times(sections.len() as u64)
        .following()
}

/// The finding for everything that lies elsewhere because something in front of it has another length.
fn moved() -> Finding {
    let place = "addresses of what lies behind the Go build information and the names of source files";
    Finding::new(place, "", "")
        .because(Cause::MovedAddress, Confidence::Proven)
        .keyed("addresses in code and tables")
        .following()
}

/// Replaces the released record with the rebuilt one, everywhere it occurs; only if the lengths are equal, so that
/// nothing moves.
fn substitute(released: &mut Cow<[u8]>, old: &Record, new: &Record) -> bool {
    if old == new || old.modules.len() != new.modules.len() || old.version != new.version {
        return false;
    }
    for at in record::framed(released, &old.modules) {
        let end = at.saturating_add(new.modules.len());
        if let Some(place) = released.to_mut().get_mut(at..end) {
            place.copy_from_slice(&new.modules);
        }
    }
    true
}

/// The build ID is derived from digests of the inputs and of the result, so it follows from any other difference.
fn build_id(released: &mut Cow<[u8]>, pair: &Pair) -> Option<Finding> {
    let (old, new) = (BuildId::read(pair.released)?, BuildId::read(pair.rebuilt)?);
    if old == new || old.at != new.at || old.text.len() != new.text.len() {
        return None;
    }
    let place = released
        .to_mut()
        .get_mut(old.at..old.at.checked_add(old.text.len())?)?;
    place.copy_from_slice(new.text.as_bytes());
    Some(
        Finding::new("Go build ID", old.text, new.text)
            .because(Cause::BuildId, Confidence::Proven)
            .keyed("Go build IDs")
            .following(),
    )
}
