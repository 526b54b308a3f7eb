//! What archives store about their members beside the bytes: fields that differ, and the order of members.

use std::collections::HashMap;

use super::cause::Cause;
use super::explain::{Context, explain};
use super::file;
use super::finding::{Confidence, Finding, Node};
use super::format::{FieldKind, Fields, Value};
use super::pair::Within;
use super::roles;
use super::walk::{Row, Walked};

/// A node with the fields in which two members differ.
pub(super) fn member(format: &str, released: &Row, rebuilt: &Row, within: Within) -> Node {
    let mut findings = field_findings(format, &released.fields, &rebuilt.fields, within);
    let rebuilt_name = (released.path != rebuilt.path).then(|| rebuilt.path.clone());
    if let Some(other) = &rebuilt_name {
        let context = Context {
            tool: released.path.contains("py3") || released.path.contains("cpython"),
            ..Context::default()
        };
        let finding = || Finding::new("name", &released.path, other);
        let reasons = explain(&released.path, other, context);
        if roles::is_digest(&released.path) {
            findings.push(
                finding()
                    .because(Cause::Checksum, Confidence::Proven)
                    .keyed("names that are digests")
                    .following(),
            );
        } else if roles::without_compression(&released.path) == roles::without_compression(other) {
            findings.push(
                finding()
                    .because(Cause::Compression, Confidence::Proven)
                    .keyed("names of compressed members")
                    .following(),
            );
        } else if reasons.is_empty() {
            findings.push(finding());
        }
        findings.extend(reasons.into_iter().map(|reason| {
            finding()
                .because(reason.cause, reason.confidence)
                .keyed(reason.key)
        }));
    }
    Node {
        name: released.path.clone(),
        rebuilt_name,
        sizes: (Some(released.size), Some(rebuilt.size)),
        findings,
        ..Node::default()
    }
}

/// Fields in which two members differ.
pub(super) fn field_findings(format: &str, old: &Fields, new: &Fields, within: Within) -> Vec<Finding> {
    let mut kinds: Vec<&'static FieldKind> = Vec::new();
    for (kind, _) in old.iter().chain(new) {
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
            let (a, b) = (values(old, kind), values(new, kind));
            (a != b).then(|| field_finding(format, kind, &a, &b, within))
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
    let text = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let mut finding = Finding::new(kind.name, text(old), text(new))
        .because(kind.cause, Confidence::Proven)
        .keyed(format!("{format}: {}", kind.name))
        .set_aside_by(kind.normalisation);
    if kind.cause == Cause::Content {
        finding.key = String::new();
    }
    let owned = matches!(kind.cause, Cause::Ownership | Cause::Permissions);
    if owned && within.installs && format != "ar" {
        finding.normalisation = None;
    }
    if let ([Value::Mode(a)], [Value::Mode(b)]) = (old, new) {
        let changed = a ^ b;
        if changed & 0o7000 != 0 {
            // A set-id bit is what a program may do.
            finding = finding
                .because(Cause::Content, Confidence::Proven)
                .keyed("set-id and sticky bits");
            finding.normalisation = None;
        } else if changed & 0o100 != 0 {
            finding.normalisation = None;
        } else if let Some(key) = umask(*a, *b) {
            finding.key = format!("{format}: {key}");
        }
    }
    if kind.name == "pax times" && (old.is_empty() || new.is_empty()) {
        finding = finding
            .because(Cause::ArchiveDialect, Confidence::Proven)
            .keyed("tar: pax times on one side only");
    }
    if kind.name == "extended headers" && old != new {
        let without = |text: String| -> String {
            let mut rest = String::new();
            let mut parts = text.split("PaxHeaders.");
            rest.push_str(parts.next().unwrap_or_default());
            for part in parts {
                rest.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
            }
            rest
        };
        if without(text(old)) == without(text(new)) {
            finding = finding
                .because(Cause::Randomness, Confidence::Proven)
                .keyed("process number in names of pax headers");
        }
    }
    within.set_aside(finding)
}

/// The two masks that would make these two modes of one.
fn umask(a: u32, b: u32) -> Option<String> {
    const MASKS: [u32; 5] = [0o000, 0o002, 0o022, 0o027, 0o077];
    let full = if (a | b) & 0o100 != 0 { 0o777 } else { 0o666 };
    let mask = |mode: u32| MASKS.into_iter().find(|mask| full & !mask == mode & 0o777);
    let (a, b) = (mask(a)?, mask(b)?);
    Some(format!("umask {a:03o} → {b:03o}"))
}

/// Whether the same members stand in another order.
pub(super) fn order(format: &str, walked: &Walked, within: Within) -> Option<Finding> {
    let mut pairs = walked.pairs.clone();
    pairs.sort_unstable();
    let mut expected: Vec<usize> = pairs.iter().map(|pair| pair.1).collect();
    expected.sort_unstable();
    let moved = pairs
        .iter()
        .zip(&expected)
        .filter(|(pair, expected)| pair.1 != **expected)
        .count();
    if moved == 0 {
        return None;
    }
    let name = |place: usize| walked.names.get(&place).cloned().unwrap_or_default();
    let by_rebuilt: HashMap<usize, usize> = pairs.iter().map(|pair| (pair.1, pair.0)).collect();
    let first = pairs
        .iter()
        .zip(&expected)
        .find(|(pair, expected)| pair.1 != **expected);
    let (a, b) = first.map_or_else(Default::default, |(pair, expected)| {
        (
            name(pair.0),
            by_rebuilt
                .get(expected)
                .map(|place| name(*place))
                .unwrap_or_default(),
        )
    });
    let normalisation = match format {
        "tar" if !walked.order_matters => Some("tar-file-order"),
        "zip" if !walked.order_matters => Some("zip-file-order"),
        _ => None,
    };
    let old: Vec<String> = pairs.iter().map(|pair| name(pair.0)).collect();
    let new: Vec<String> = expected
        .iter()
        .filter_map(|place| Some(name(*by_rebuilt.get(place)?)))
        .collect();
    let locale = file::sorted_by_locale(&old, &new);
    let finding = Finding::new("order of members", a, b)
        .because(
            if locale.is_some() {
                Cause::Locale
            } else {
                Cause::Order
            },
            Confidence::Proven,
        )
        .keyed(locale.map_or_else(|| format!("{format} members"), str::to_owned))
        .set_aside_by(normalisation)
        .times(moved as u64);
    Some(within.set_aside(finding))
}

/// Times that all differ by one whole number of quarter hours were written in two time zones.
pub(super) fn one_zone(children: &mut [Node]) {
    let is_time = |finding: &Finding| finding.key == "zip: time";
    let seconds = |text: &str| {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(jiff::Timestamp::as_second)
    };
    let mut apart = None;
    for finding in children
        .iter()
        .flat_map(|child| &child.findings)
        .filter(|finding| is_time(finding))
    {
        let (Some(a), Some(b)) = (seconds(&finding.released), seconds(&finding.rebuilt)) else {
            return;
        };
        let own = a - b;
        if own == 0 || own % 900 != 0 || own.abs() > 26 * 3600 || apart.is_some_and(|apart| apart != own) {
            return;
        }
        apart = Some(own);
    }
    if apart.is_none() {
        return;
    }
    for child in children {
        let stamped = child
            .findings
            .iter()
            .any(|finding| finding.place.contains("extra field"));
        for finding in child.findings.iter_mut().filter(|finding| is_time(finding)) {
            finding.cause = Cause::Timezone;
            finding.confidence = if stamped {
                Confidence::Likely
            } else {
                Confidence::Proven
            };
            finding.key = "local times of zip entries".into();
        }
    }
}
