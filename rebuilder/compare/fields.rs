//! What archives store about their members beside the bytes: fields that differ, and the order of members.

use std::collections::HashMap;

use super::cause::{Cause, Confidence};
use super::explain::{Context, explain};
use super::finding::{Finding, Node};
use super::format::FormatReader;
use super::order::sorted_by_locale;
use super::package::{self, Within};
use super::partners;
use super::stored::{FieldKind, Fields, Value, joined};
use super::walk::{Row, Walked};

/// A node with the fields in which two members differ.
pub(super) fn member(format: &str, released: &Row, rebuilt: &Row, within: Within) -> Node {
    let mut findings = field_findings(format, &released.fields, &rebuilt.fields, within);
    let rebuilt_name = (released.path != rebuilt.path).then(|| rebuilt.path.clone());
    if let Some(other) = &rebuilt_name {
        let context = Context {
            tool: package::named_by_tool(&released.path),
            ..Context::default()
        };
        let finding = || Finding::new("name", &released.path, other);
        let reasons = explain(&released.path, other, context);
        if partners::is_digest(&released.path) {
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
    let mut finding = Finding::new(kind, joined(old), joined(new))
        .because(kind.cause, Confidence::Proven)
        .keyed(format!("{format}: {}", kind.name))
        .set_aside_by(kind.normalisation);
    if kind.cause == Cause::Content {
        finding.key = String::new();
    }
    if kind.installed && within.installs {
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
    if let Some(reason) = kind.refine.and_then(|refine| refine(old, new)) {
        finding = finding.because(reason.cause, reason.confidence).keyed(reason.key);
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
pub(super) fn order(format: &dyn FormatReader, walked: &Walked, within: Within) -> Option<Finding> {
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
    let normalisation = format.order().filter(|_| !walked.order_matters);
    let old: Vec<String> = pairs.iter().map(|pair| name(pair.0)).collect();
    let new: Vec<String> = expected
        .iter()
        .filter_map(|place| Some(name(*by_rebuilt.get(place)?)))
        .collect();
    let locale = sorted_by_locale(&old, &new);
    let finding = Finding::new("order of members", a, b)
        .because(
            if locale.is_some() {
                Cause::Locale
            } else {
                Cause::Order
            },
            Confidence::Proven,
        )
        .keyed(locale.map_or_else(|| format!("{} members", format.name()), str::to_owned))
        .set_aside_by(normalisation)
        .times(moved as u64);
    Some(within.set_aside(finding))
}
