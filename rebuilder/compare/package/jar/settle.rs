//! Findings that depend on several entries of two jars: manifests with digests, signatures, and properties.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

use super::attributes::{self, digest_of_entry};
use super::manifest::Manifest;
use super::properties;
use super::signature::{self, Signed};
use crate::compare::both::{Both, Which};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::normalise::Normalisation;
use crate::compare::package::cms;
use crate::compare::package::digest::{Algorithm, Digests, base64};
use crate::compare::package::settle::{Members, Settling, replace};
use crate::compare::stale;

/// The JVM finds a manifest regardless of case.
fn is_manifest(path: &str) -> bool {
    path.eq_ignore_ascii_case("META-INF/MANIFEST.MF")
}

fn is_known(path: &str) -> bool {
    is_manifest(path) || signature::kind(path).is_some() || properties::kind(path).is_some()
}

pub(super) fn settle(settling: &Settling, node: &mut Node) {
    if !node
        .children
        .iter()
        .any(|child| child.other_bytes || is_known(&child.name))
    {
        return;
    }
    let Ok(members) = settling.members(&is_known) else {
        return;
    };
    for child in &mut node.children {
        settle_properties(child, &members);
    }
    let _ = settle_manifests(settling, node, &members);
}

fn settle_properties(child: &mut Node, members: &Both<Members>) {
    let Some(kind) = properties::kind(&child.name).filter(|_| is_pair(child)) else {
        return;
    };
    let bytes = members.as_ref().map(|members| members.get(&child.name));
    if let (Some(released), Some(rebuilt)) = (bytes.released, bytes.rebuilt)
        && released != rebuilt
        && let Some(findings) = properties::compare(kind, released, rebuilt)
    {
        replace(child, "Java properties", findings);
    }
}

/// Whether both sides have a member with this path.
fn is_pair(child: &Node) -> bool {
    child.presence == Presence::Both && child.rebuilt_name.is_none()
}

/// The single manifest of each side; `None` if there are several.
fn manifests(members: &Both<Members>) -> Option<Both<(&str, &[u8])>> {
    let only = |members: &'_ Members| members.keys().filter(|path| is_manifest(path)).count() <= 1;
    if !members.as_ref().all(only) {
        return None;
    }
    Some(members.as_ref().map(|members| {
        members
            .iter()
            .find(|(path, _)| is_manifest(path))
            .map_or(("", [].as_slice()), |(path, bytes)| {
                (path.as_str(), bytes.as_slice())
            })
    }))
}

fn settle_manifests(settling: &Settling, node: &mut Node, members: &Both<Members>) -> Option<()> {
    let found = manifests(members)?;
    let parsed = found.map(|(_, bytes)| Manifest::parse(bytes));
    let sides = match (&parsed.released, &parsed.rebuilt) {
        (Ok(released), Ok(rebuilt)) => Both::new(released, rebuilt),
        (released, rebuilt) => {
            let refused = |side: &Result<Manifest, &'static str>| side.as_ref().err().copied().unwrap_or("");
            let finding = Finding::new(
                "a manifest that the JVM refuses",
                refused(released),
                refused(rebuilt),
            );
            let child = node.children.iter_mut().find(|child| is_manifest(&child.name))?;
            child.findings.push(finding);
            return None;
        }
    };
    let stale = stale_digests(sides, &stale::differing(node.children.iter()));
    node.findings.extend(stale);
    let signed = Both::new(
        Signed {
            manifest: sides.released,
            bytes: found.released.1,
        },
        Signed {
            manifest: sides.rebuilt,
            bytes: found.rebuilt.1,
        },
    );
    node.findings.extend(stale_signatures(members, &signed));
    let signed_here = settle_signatures(node, members, &signed);
    let child = node.children.iter_mut().find(|child| is_manifest(&child.name))?;
    if child.rebuilt_name.is_some() || found.released.1 == found.rebuilt.1 {
        return None;
    }
    let mut findings = attributes::compare(sides);
    findings.extend(digests(settling, sides).ok()?);
    if child.presence != Presence::Both {
        // A signer adds a manifest that contains only what the signature covers.
        findings.retain(|finding| {
            let is_form = finding.normalisation == Some(Normalisation::JarManifestForm);
            !is_form && !finding.place.is_words("manifest-version")
        });
        if !signed_here || findings.iter().any(|finding| finding.normalisation.is_none()) {
            return None;
        }
    }
    if findings.is_empty() {
        findings.push(super::writing::of_form(
            "line ends",
            "mixed".into(),
            "mixed".into(),
            Cause::HostSystem,
        ));
    }
    replace(child, "jar manifest", findings);
    Some(())
}

/// Sets aside confirmed signatures of the jar; returns whether there is one.
fn settle_signatures(node: &mut Node, members: &Both<Members>, signed: &Both<Signed>) -> bool {
    let mut found = false;
    for child in &mut node.children {
        if signature::kind(&child.name).is_some() && are_signatures(child, members, signed) {
            let finding = Finding::new("the signature", "", "")
                .because(Cause::Signature, Confidence::Proven)
                .keyed("signature of the jar")
                .set_aside_by(Normalisation::JarSignature);
            replace(child, "signature", vec![finding]);
            found = true;
        }
    }
    found
}

/// A finding for each signature file or block that is the same on both sides, but right on one side alone.
fn stale_signatures(members: &Both<Members>, signed: &Both<Signed>) -> Vec<Finding> {
    let same = members
        .released
        .iter()
        .filter(|(path, bytes)| signature::kind(path).is_some() && members.rebuilt.get(*path) == Some(bytes));
    let is = |which: Which, path: &str| is_signature(path, members.of(which), signed.of(which));
    let wrong = same.filter(|(path, _)| is(Which::Released, path) != is(Which::Rebuilt, path));
    wrong.map(|(path, _)| stale::signature(path)).collect()
}

/// Whether a member is a signature file of the manifest, or a block for such a file.
fn is_signature(path: &str, members: &Members, signed: &Signed) -> bool {
    let Some(bytes) = members.get(path) else {
        return false;
    };
    match signature::kind(path) {
        Some(signature::Kind::File) => signature::is_file(bytes, signed),
        Some(signature::Kind::Block) => {
            let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
            let mut files = members.iter().filter(|(path, _)| {
                let file = path.rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
                signature::kind(path) == Some(signature::Kind::File) && file.eq_ignore_ascii_case(stem)
            });
            files.any(|(_, file)| signature::is_file(file, signed) && cms::signs(bytes, file))
        }
        None => false,
    }
}

/// Whether, on each side that has it, a member is a signature file of the manifest, or a block for such a file.
fn are_signatures(child: &Node, members: &Both<Members>, signed: &Both<Signed>) -> bool {
    let is = |which: Which, path: &str| is_signature(path, members.of(which), signed.of(which));
    let other = child.rebuilt_name.as_deref().unwrap_or(&child.name);
    match child.presence {
        Presence::Both => is(Which::Released, &child.name) && is(Which::Rebuilt, other),
        Presence::OnlyReleased => is(Which::Released, &child.name),
        Presence::OnlyRebuilt => is(Which::Rebuilt, &child.name),
    }
}

/// Digests of entries in a manifest: the values by section and attribute.
type Claims<'a> = BTreeMap<(&'a str, String), String>;

fn claims(manifest: &Manifest) -> Claims<'_> {
    let mut claims = Claims::new();
    for (section, values) in manifest.merged() {
        for (attribute, values) in values {
            if digest_of_entry(&attribute).is_some() {
                claims.insert((section, attribute), values.join("\n"));
            }
        }
    }
    claims
}

/// Digests that both manifests share for an entry that differs between the sides.
fn stale_digests(sides: Both<&Manifest>, differing: &HashSet<&str>) -> Vec<Finding> {
    if differing.is_empty() {
        return Vec::new();
    }
    let claims = sides.map(claims);
    let own = claims.released.iter();
    own.filter(|((section, _), _)| differing.contains(section))
        .filter(|(key, value)| claims.rebuilt.get(*key) == Some(*value))
        .map(|((section, attribute), value)| {
            Finding::new(format!("{section}, {attribute}"), value, value)
                .keyed("a checksum that is the same for two different files")
        })
        .collect()
}

/// Findings for the digests that differ between two manifests: correct ones follow from the entries and the signer.
fn digests(settling: &Settling, sides: Both<&Manifest>) -> io::Result<Vec<Finding>> {
    let claims = sides.map(claims);
    let differing: BTreeSet<&(&str, String)> = claims
        .as_ref()
        .map(|own| own.keys().collect::<Vec<_>>())
        .each()
        .into_iter()
        .flat_map(|(_, keys)| keys)
        .filter(|key| claims.released.get(*key) != claims.rebuilt.get(*key))
        .collect();
    if differing.is_empty() {
        return Ok(Vec::new());
    }
    let mut algorithms: Vec<Algorithm> = Vec::new();
    for (_, attribute) in &differing {
        let named = digest_of_entry(attribute).and_then(Algorithm::named);
        algorithms.extend(named.filter(|named| !algorithms.contains(named)));
    }
    let sections: BTreeSet<&str> = differing.iter().map(|(section, _)| *section).collect();
    let mut computed: Both<HashMap<String, Option<Digests>>> = Both::default();
    for which in [Which::Released, Which::Rebuilt] {
        *computed.of_mut(which) = settling.digests(which, &|path| sections.contains(path), &|content| {
            Digests::read(content, algorithms.iter().copied())
        })?;
    }
    let is_right = |which: Which, key: &(&str, String)| {
        let Some(claimed) = claims.of(which).get(key) else {
            return true;
        };
        let digests = computed.of(which).get(key.0).and_then(Option::as_ref);
        let algorithm = digest_of_entry(&key.1).and_then(Algorithm::named);
        let right = algorithm.and_then(|algorithm| digests?.get(algorithm));
        right.is_some_and(|right| base64(claimed).is_some_and(|claimed| claimed == right))
    };
    let (right, wrong): (Vec<_>, Vec<_>) = differing
        .into_iter()
        .partition(|key| is_right(Which::Released, key) && is_right(Which::Rebuilt, key));
    let finding = |key: &(&str, String)| {
        let place = format!("{}, {}", key.0, key.1);
        let value = |which: Which| claims.of(which).get(key).map_or("", String::as_str);
        Finding::new(place, value(Which::Released), value(Which::Rebuilt))
    };
    let mut findings: Vec<Finding> = Vec::new();
    if let Some(first) = right.first() {
        let finding = finding(first)
            .because(Cause::Checksum, Confidence::Proven)
            .keyed("digests of entries in MANIFEST.MF")
            .set_aside_by(Normalisation::JarSignature);
        findings.push(finding.following().times(right.len() as u64));
    }
    if let Some(first) = wrong.first() {
        let finding = finding(first).keyed("a digest that is not that of the entry");
        findings.push(finding.times(wrong.len() as u64));
    }
    Ok(findings)
}
