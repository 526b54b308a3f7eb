//! Compares two manifests, first by meaning, then by their form.

use std::collections::{BTreeMap, BTreeSet};

use super::attribute;
use super::clauses;
use super::manifest::{Manifest, Values};
use super::writing;
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

/// Findings for each attribute of the main sections, and for the named sections except digests of entries.
pub(super) fn compare(sides: Both<&Manifest>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let main = sides.map(|side| side.main.values());
    section("", &main.released, &main.rebuilt, &mut findings);
    let named = sides.map(Manifest::merged);
    let names: BTreeSet<&str> = named
        .released
        .keys()
        .chain(named.rebuilt.keys())
        .copied()
        .collect();
    let none = Values::new();
    for name in names {
        let only_named = |named: &BTreeMap<&str, Values>| named.get(name).is_none_or(Values::is_empty);
        if named.as_ref().all(only_named) && !named.as_ref().all(|named| named.contains_key(name)) {
            let there = |named: &BTreeMap<&str, Values>| if named.contains_key(name) { name } else { "" };
            let sides = named.as_ref().map(there);
            findings.push(Finding::new(
                "section without attributes",
                sides.released,
                sides.rebuilt,
            ));
        }
        let values = named.as_ref().map(|named| named.get(name).unwrap_or(&none));
        section(name, values.released, values.rebuilt, &mut findings);
    }
    if sides.released.unended != sides.rebuilt.unended {
        let text = |side: &Manifest| {
            let line = side.unended.as_deref().unwrap_or_default();
            String::from_utf8_lossy(line).into_owned()
        };
        let finding = Finding::new(
            "last line without an end",
            text(sides.released),
            text(sides.rebuilt),
        );
        findings.push(finding.keyed("a line that only some readers take"));
    }
    findings.extend(writing::compare(sides));
    findings
}

/// The algorithm, if an attribute of a named section is the digest of an entry.
pub(super) fn digest_of_entry(attribute: &str) -> Option<&str> {
    attribute.strip_suffix("-digest")
}

fn section(name: &str, released: &Values, rebuilt: &Values, findings: &mut Vec<Finding>) {
    let attributes: BTreeSet<&String> = released.keys().chain(rebuilt.keys()).collect();
    for attribute in attributes {
        let own = |values: &Values| values.get(attribute).map(|own| own.join("\n"));
        let values = Both::new(own(released), own(rebuilt));
        if values.same() || (!name.is_empty() && digest_of_entry(attribute).is_some()) {
            continue;
        }
        let place = if name.is_empty() {
            attribute.clone()
        } else {
            format!("{name}, {attribute}")
        };
        let sides = (values.released.as_deref(), values.rebuilt.as_deref());
        let all: Vec<&str> = [released, rebuilt]
            .iter()
            .filter_map(|values| values.get(attribute))
            .flatten()
            .copied()
            .collect();
        findings.extend(different(name, attribute, &place, sides, &all));
    }
}

/// Findings for one attribute whose values differ; `all` has the attributes of both sides.
fn different(
    section: &str,
    attribute: &str,
    place: &str,
    (released, rebuilt): (Option<&str>, Option<&str>),
    all: &[&str],
) -> Vec<Finding> {
    let (old, new) = (released.unwrap_or_default(), rebuilt.unwrap_or_default());
    let finding = || Finding::new(place, old, new);
    if let Some(known) = attribute::known(attribute).filter(|_| section.is_empty()) {
        if !known.fits(all) {
            return vec![finding().keyed(format!("{attribute} without the form that it has"))];
        }
        let key = match known.cause {
            Cause::ToolVersion => format!("{attribute}: {old} → {new}"),
            _ => format!("{attribute} in MANIFEST.MF"),
        };
        let finding = finding().because(known.cause, Confidence::Proven).keyed(key);
        return vec![finding.set_aside_by(Normalisation::JarBuildMetadata)];
    }
    let one_each = all.len() == 2 && released.is_some() && rebuilt.is_some();
    if one_each && clauses::only_order(attribute, old, new) {
        let finding = finding()
            .because(Cause::Order, Confidence::Proven)
            .keyed(format!("clauses of {attribute}"));
        return vec![finding.set_aside_by(Normalisation::JarAttributeValueOrder)];
    }
    let reasons = if one_each && section.is_empty() && !is_read(attribute) {
        let context = Context {
            field: attribute,
            ..Context::default()
        };
        explain(old, new, context)
    } else {
        Vec::new()
    };
    let is_left_behind = |cause| {
        matches!(
            cause,
            Cause::Timestamp | Cause::Timezone | Cause::BuildPath | Cause::BuildHost | Cause::SourceDateEpoch
        )
    };
    if reasons.is_empty() || !reasons.iter().all(|reason| is_left_behind(reason.cause)) {
        return vec![finding()];
    }
    reasons
        .iter()
        .map(|reason| finding().explained_by(reason))
        .collect()
}

/// Whether a JVM, a launcher, a framework or a container bases decisions on an attribute.
fn is_read(attribute: &str) -> bool {
    const BEGINNINGS: [&str; 12] = [
        "add-",
        "agent-",
        "application-",
        "boot-",
        "bundle-",
        "can-",
        "export-",
        "import-",
        "launcher-",
        "require",
        "spring-boot-",
        "start-",
    ];
    const NAMES: [&str; 19] = [
        "automatic-module-name",
        "caller-allowable-codebase",
        "class-path",
        "codebase",
        "dynamicimport-package",
        "enable-native-access",
        "entry-point",
        "extension-list",
        "fragment-host",
        "implementation-version",
        "main-class",
        "manifest-version",
        "multi-release",
        "permissions",
        "premain-class",
        "provide-capability",
        "sealed",
        "signature-version",
        "trusted-only",
    ];
    NAMES.contains(&attribute)
        || BEGINNINGS
            .iter()
            .any(|beginning| attribute.starts_with(beginning))
}
