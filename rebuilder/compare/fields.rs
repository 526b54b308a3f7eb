//! What archives store about their members besides the bytes: fields, and the order of members.

use std::collections::{HashMap, HashSet};

use sha2::Digest as _;

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::explain::{Context, explain};
use super::finding::{Finding, Node};
use super::format::FormatReader;
use super::order::sorted_by_locale;
use super::package::{self, Within};
use super::partners;
use super::row::Row;
use super::source::Source;
use super::stored::{FieldKind, Fields, Value, joined};
use super::tree;
use super::walk::Walked;

/// A node with the fields in which two members differ.
pub(super) fn member(format: &str, released: &Row, rebuilt: &Row, within: Within) -> Node {
    let mut findings = field_findings(format, Both::new(&released.fields, &rebuilt.fields), within);
    if package::placed(format, &released.path).is_some_and(|placed| placed.as_stored) {
        findings.iter_mut().for_each(moves_bytes);
    }
    let rebuilt_name = (released.path != rebuilt.path).then(|| rebuilt.path.clone());
    if let Some(other) = &rebuilt_name {
        let context = Context {
            tool: within.named_by_tool(&released.path),
            ..Context::default()
        };
        let finding = || Finding::new("name", &released.path, other);
        let reasons = explain(&released.path, other, context);
        let whole = partners::is_digest(&released.path) && [released, rebuilt].into_iter().all(names_itself);
        let follows = || {
            let rest = Both::new(released, rebuilt).map(without_own_digest);
            rest.released.is_some() && rest.same()
        };
        if whole || follows() {
            findings.push(
                finding()
                    .because(Cause::Checksum, Confidence::Proven)
                    .keyed("names that are digests")
                    .following(),
            );
        } else if partners::without_compression(&released.path) == partners::without_compression(other) {
            findings.push(
                finding()
                    .because(Cause::Compression, Confidence::Proven)
                    .keyed("names of compressed members")
                    .following(),
            );
        } else if reasons.is_empty() {
            findings.push(finding());
        }
        findings.extend(reasons.iter().map(|reason| finding().explained_by(reason)));
    }
    Node {
        name: released.path.clone(),
        rebuilt_name,
        sizes: (Some(released.size), Some(rebuilt.size)),
        findings,
        ..Node::default()
    }
}

/// Whether the digest in a member's name is that of its bytes, as far as the bytes are known.
fn names_itself(row: &Row) -> bool {
    row.sha256()
        .is_none_or(|sha256| row.path.to_ascii_lowercase().contains(&sha256.to_hex()))
}

/// The path without the beginning of a digest of the member's bytes, as in `style.55e7cbb9ba48.css`; `None` if it has
/// none.
fn without_own_digest(row: &Row) -> Option<String> {
    /// Fewer digits may be those of a digest by chance.
    const SHORTEST: usize = 8;
    let mut parts: Vec<&str> = row.path.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    parts.retain(|part| part.len() >= SHORTEST && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if parts.is_empty() {
        // Most names have none, and the digests take time.
        return None;
    }
    let mut digests = vec![row.sha256()?.to_hex()];
    if let Some(Source::Memory(bytes)) = &row.source {
        digests.push(hex::encode(md5::Md5::digest(bytes.as_slice())));
        digests.push(hex::encode(sha1::Sha1::digest(bytes.as_slice())));
    }
    parts.retain(|part| digests.iter().any(|digest| digest.starts_with(part)));
    match parts.as_slice() {
        [own] => Some(row.path.replacen(own, "", 1)),
        _ => None,
    }
}

/// No normalisation sets aside a field that decides which bytes a reader finds: a compression, or a field that only
/// one side has.
fn moves_bytes(finding: &mut Finding) {
    let one_sided = finding.released.is_empty() != finding.rebuilt.is_empty();
    if finding.cause == Cause::Compression || one_sided {
        finding.cause = Cause::Content;
        finding.normalisation = None;
        finding.key = "a member whose bytes are looked for at their place".into();
    }
}

/// Fields in which two members differ.
pub(super) fn field_findings(format: &str, fields: Both<&Fields>, within: Within) -> Vec<Finding> {
    let mut kinds: Vec<&'static FieldKind> = Vec::new();
    for (kind, _) in fields.released.iter().chain(fields.rebuilt) {
        if !kinds.iter().any(|known| std::ptr::eq(*known, *kind)) {
            kinds.push(kind);
        }
    }
    let values = |fields: &Fields, kind: &'static FieldKind| -> Vec<Value> {
        let own = fields.iter().filter(|(other, _)| std::ptr::eq(*other, kind));
        own.map(|(_, value)| value.clone()).collect()
    };
    kinds
        .into_iter()
        .filter_map(|kind| {
            let both = fields.map(|own| values(own, kind));
            (!both.same()).then(|| field_finding(format, kind, &both.released, &both.rebuilt, within))
        })
        .collect()
}

fn field_finding(
    format: &str,
    kind: &'static FieldKind,
    old: &[Value],
    new: &[Value],
    within: Within,
) -> Finding {
    let mut finding = Finding::new(kind, joined(old), joined(new))
        .because(kind.cause, Confidence::Proven)
        .keyed(format!("{format}: {}", kind.name))
        .set_aside_by(kind.normalisation);
    if kind.cause == Cause::Content {
        finding.key = String::new();
    }
    if let ([Value::Mode(released)], [Value::Mode(rebuilt)]) = (old, new) {
        let changed = released ^ rebuilt;
        if changed.trailing_zeros() >= 12 {
            finding.key = format!("{format}: type within the mode");
        } else if changed & 0o7000 != 0 {
            // A set-id bit changes what a program may do.
            finding = finding
                .because(Cause::Content, Confidence::Proven)
                .keyed("set-id and sticky bits");
            finding.normalisation = None;
        } else if changed & 0o700 != 0 {
            // No umask removes these bits.
            finding = finding
                .because(Cause::Content, Confidence::Proven)
                .keyed("what the owner may do");
            finding.normalisation = None;
        } else if kind.installed && (released & 0o111 == 0) != (rebuilt & 0o111 == 0) {
            // pip makes a file executable for everyone if anyone may execute it.
            finding.normalisation = None;
        } else if let Some(key) = umask(*released, *rebuilt) {
            finding.key = format!("{format}: {key}");
        }
    }
    if let Some(reason) = kind.refine.and_then(|refine| refine(old, new)) {
        finding = finding.because(reason.cause, reason.confidence).keyed(reason.key);
    }
    let finding = within.set_aside(finding);
    if kind.looked_up {
        return keep_spelling(finding, within);
    }
    finding
}

/// Owners and modes count, unless the installer that unpacks the archive is known to set its own. Only the names of
/// all members tell that.
pub(super) fn keep_owners(
    nodes: &mut [(usize, Node)],
    format: &dyn FormatReader,
    walked: &Walked,
    within: Within,
) {
    let findings = nodes.iter_mut().flat_map(|(_, node)| &mut node.findings);
    let mut installed = findings
        .filter(|finding| finding.place.field().is_some_and(|kind| kind.installed))
        .peekable();
    if installed.peek().is_none() {
        return;
    }
    let complete = walked.names.len() >= walked.pairs.len();
    let alone = walked.alone.as_ref().each();
    let alone = alone
        .into_iter()
        .flat_map(|(_, rows)| rows.iter().map(|row| &row.path));
    let names = walked.names.values().chain(alone).filter(|_| complete);
    let installer = within.installer(format.name(), names.cloned().collect());
    for finding in installed {
        if !installer.is_some_and(|package| package.ignores(finding)) {
            finding.normalisation = None;
        }
    }
}

/// The spelling of a path counts, unless the program that reads the archive is known to clean it. `--strip-components`
/// of tar and npm, for example, count a leading `.`, and RubyGems looks for the very name.
fn keep_spelling(mut finding: Finding, within: Within) -> Finding {
    match within.cleans_paths() {
        Some(true) => {}
        Some(false) => {
            finding = finding
                .because(Cause::Content, Confidence::Proven)
                .keyed("paths that the installer takes for others");
            finding.normalisation = None;
        }
        None => finding.normalisation = None,
    }
    finding
}

/// The two masks that would produce these two modes from one.
fn umask(released: u32, rebuilt: u32) -> Option<String> {
    const MASKS: [u32; 5] = [0o000, 0o002, 0o022, 0o027, 0o077];
    let full = if released & rebuilt & 0o100 != 0 {
        0o777
    } else {
        0o666
    };
    let mask = |mode: u32| MASKS.into_iter().find(|mask| full & !mask == mode & 0o777);
    let (released, rebuilt) = (mask(released)?, mask(rebuilt)?);
    (released != rebuilt).then(|| format!("umask {released:03o} → {rebuilt:03o}"))
}

/// The members that readers search one after another, in their order.
fn in_turn<'n>(format: &dyn FormatReader, names: &'n [String]) -> impl Iterator<Item = &'n String> {
    let format = format.name();
    let searched = move |name: &&String| package::placed(format, name).is_some_and(|placed| placed.in_turn);
    names.iter().filter(searched)
}

/// Whether members of two top folders are the same file, or a file and its folder, without the first component.
fn meet_without_top(names: &[String]) -> bool {
    let tops: HashSet<&str> = names
        .iter()
        .filter_map(|name| Some(name.split_once('/')?.0))
        .collect();
    if tops.len() < 2 {
        return false;
    }
    let mut seen: HashMap<String, &str> = HashMap::new();
    let parts = || names.iter().filter_map(|name| name.split_once('/'));
    for (top, rest) in parts() {
        // Some file systems ignore case.
        if seen
            .insert(rest.to_lowercase(), top)
            .is_some_and(|other| other != top)
        {
            return true;
        }
    }
    parts().any(|(top, rest)| {
        let rest = rest.to_lowercase();
        let mut above = rest.match_indices('/').filter_map(|(at, _)| rest.get(..at));
        above.any(|folder| seen.get(folder).is_some_and(|other| *other != top))
    })
}

/// The finding if the same members are in another order.
pub(super) fn order(format: &dyn FormatReader, walked: &Walked, within: Within) -> Option<Finding> {
    let mut pairs = walked.pairs.clone();
    pairs.sort_unstable();
    let mut expected: Vec<usize> = pairs.iter().map(|(_, rebuilt)| *rebuilt).collect();
    expected.sort_unstable();
    let mut moved = pairs
        .iter()
        .zip(&expected)
        .filter(|((_, rebuilt), expected)| rebuilt != *expected)
        .peekable();
    let ((first, _), instead) = moved.peek()?;
    let by_rebuilt: HashMap<usize, usize> = pairs
        .iter()
        .map(|(released, rebuilt)| (*rebuilt, *released))
        .collect();
    let name = |released: &usize| walked.names.get(released).cloned().unwrap_or_default();
    let rebuilt_name = |rebuilt: &usize| by_rebuilt.get(rebuilt).map(name).unwrap_or_default();
    let (released, rebuilt) = (name(first), rebuilt_name(instead));
    let old: Vec<String> = pairs.iter().map(|(released, _)| name(released)).collect();
    let new: Vec<String> = expected.iter().map(rebuilt_name).collect();
    // For a package, its installer decides; for anything else, what unpackers of the format do.
    let folders_first = match within.installs() {
        Some(as_they_are) => as_they_are && (format.streams() || format.folders_first()),
        None => format.folders_first(),
    };
    if let Some(why) = tree::order_matters(walked.outlines.as_ref(), folders_first) {
        let told = |why: String, name: String| if why.is_empty() { name } else { why };
        return Some(
            Finding::new(
                "order of members",
                told(why.released, released),
                told(why.rebuilt, rebuilt),
            )
            .keyed("an order that changes what is unpacked")
            .times(moved.count() as u64),
        );
    }
    if within.strips_top() && meet_without_top(&old) {
        return Some(
            Finding::new("order of members", released, rebuilt)
                .keyed("an order that changes what is unpacked")
                .times(moved.count() as u64),
        );
    }
    let mut searched = in_turn(format, &old).zip(in_turn(format, &new));
    if let Some((own, other)) = searched.find(|(own, other)| own != other) {
        return Some(
            Finding::new("order of members", own, other)
                .keyed("an order in which classes are looked for")
                .times(moved.count() as u64),
        );
    }
    let (cause, key) = match sorted_by_locale(&old, &new) {
        Some(locale) => (Cause::Locale, locale.to_owned()),
        None => (Cause::Order, format!("{} members", format.name())),
    };
    let finding = Finding::new("order of members", released, rebuilt)
        .because(cause, Confidence::Proven)
        .keyed(key)
        .set_aside_by(format.order())
        .times(moved.count() as u64);
    Some(within.set_aside(finding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::package::samples::{sample, tar};
    use crate::compare::{Options, compare_bytes};

    #[test]
    fn a_name_follows_if_it_has_the_digest_of_the_bytes_on_both_sides() {
        let digests: [fn(&[u8]) -> String; 3] = [
            |bytes| hex::encode(md5::Md5::digest(bytes)),
            |bytes| hex::encode(sha1::Sha1::digest(bytes)),
            |bytes| hex::encode(sha2::Sha256::digest(bytes)),
        ];
        let (old, new) = ("/* built 2024-01-01 */\n", "/* built 2024-01-02 */\n");
        let pack = |digest: &str, text: &str, ending: &str| {
            let name = format!("css/style.{}{ending}", digest.get(..12).unwrap());
            tar(&[sample(&name, text)])
        };
        let first = |released: &[u8], rebuilt: &[u8]| {
            compare_bytes("x.tar", released, rebuilt, &Options::default()).causes[0].cause
        };
        for digest in digests {
            let (one, other) = (digest(old.as_bytes()), digest(new.as_bytes()));
            let released = pack(&one, old, ".css");
            for (rebuilt, wanted) in [
                (pack(&other, new, ".css"), Cause::Timestamp),
                (pack(&other, new, ".js"), Cause::Content),
                (pack(&digest(b"other"), new, ".css"), Cause::Content),
            ] {
                assert_eq!(first(&released, &rebuilt), wanted, "{one}");
            }
        }
    }
}
