//! Whether the files of a bundle are those that its manifest lists, and those that plan and record name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Checks;
use crate::artifact::Sha256;
use crate::bundle::archive::sums;
use crate::bundle::{ATTESTATION, Contents, EQUIVALENCE, MANIFEST, Manifest, OUTPUTS, SIGNATURE, SUMS, sbom};
use crate::evidence::json;
use crate::plan::Plan;
use crate::run::Record;

/// Every file that is listed is there as listed, and no other.
pub(super) fn whole(manifest: &Manifest, contents: &Contents, checks: &mut Checks) {
    let own = [MANIFEST, SUMS, SIGNATURE];
    let listed: BTreeSet<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let extra: Vec<_> = contents
        .digests
        .keys()
        .filter(|name| !listed.contains(name.as_str()) && !own.contains(&name.as_str()))
        .collect();
    let wrong: Vec<_> = manifest
        .files
        .iter()
        .filter(|file| {
            contents.digests.get(&file.path) != Some(&file.sha256)
                || contents.sizes.get(&file.path) != Some(&file.size)
                || own.contains(&file.path.as_str())
        })
        .map(|file| &file.path)
        .collect();
    let once = listed.len() == manifest.files.len();
    let finding = if !once {
        "a file is listed twice".to_owned()
    } else if extra.is_empty() && wrong.is_empty() {
        format!("{} files", manifest.files.len())
    } else {
        format!("not as listed: {wrong:?}; not listed: {extra:?}")
    };
    checks.add(
        "every file matches the manifest",
        once && extra.is_empty() && wrong.is_empty(),
        finding,
    );
    let documents = &contents.documents;
    let again = documents
        .get(MANIFEST)
        .map(|bytes| sums(manifest, Sha256::of(bytes)));
    checks.add(
        "the list for sha256sum matches the manifest",
        documents.get(SUMS).map(Vec::as_slice) == again.as_deref().map(str::as_bytes),
        SUMS,
    );
}

/// Files that a bundle may have, by their names.
const KNOWN: [&str; 17] = [
    MANIFEST,
    SUMS,
    SIGNATURE,
    ATTESTATION,
    EQUIVALENCE,
    "plan.json",
    "record.json",
    "report.html",
    "build.log",
    "claims.json",
    "agreement.json",
    "sbom/build.cdx.json",
    "sbom/build.spdx.json",
    "cdxa.json",
    "cost.json",
    "controls.json",
    "controls.md",
];

/// Every file is one that a bundle has, and what is named by a digest or a record is what is meant there.
pub(super) fn places(contents: &Contents, plan: &Plan, record: &Record, checks: &mut Checks) {
    let claimed: BTreeSet<String> = plan
        .claims
        .iter()
        .filter_map(|claim| claim.document)
        .map(|digest| format!("documents/sha256-{digest}"))
        .collect();
    let mut strange = Vec::new();
    for (name, digest) in &contents.digests {
        let folder = name.split_inclusive('/').next().unwrap_or_default();
        let is_output = OUTPUTS.contains(&folder);
        if is_output {
            let output = name.strip_prefix(folder).unwrap_or_default();
            let mut outputs = record.outputs.iter().filter(|it| it.name == output);
            let wanted = match (outputs.next(), outputs.next()) {
                (Some(only), None) if folder == OUTPUTS[0] => only.rebuilt,
                (Some(only), None) => only.released,
                _ => None,
            };
            checks.add(
                if folder == OUTPUTS[0] {
                    "rebuilt files match the record"
                } else {
                    "released files match the record"
                },
                wanted == Some(*digest),
                output,
            );
            continue;
        }
        let known = KNOWN.contains(&name.as_str())
            || name.starts_with("attestations/others/")
            || name.starts_with("policy/")
            || claimed.contains(name) && *name == format!("documents/sha256-{digest}");
        if !known {
            strange.push(name.as_str());
        }
    }
    checks.add(
        "every file has its place",
        strange.is_empty(),
        if strange.is_empty() {
            format!("{} files", contents.digests.len())
        } else {
            format!("a bundle does not have a file called {strange:?}")
        },
    );
}

/// Both bills of materials have every input of the plan, and nothing else.
pub(super) fn materials(plan: &Plan, files: &BTreeMap<String, Vec<u8>>, checks: &mut Checks) {
    let mut wanted: Vec<String> = sbom::parts(plan)
        .iter()
        .filter_map(|part| part.sha256)
        .map(Sha256::to_hex)
        .collect();
    wanted.extend(plan.expected.iter().map(|expected| expected.file.sha256.to_hex()));
    wanted.sort();
    for (name, list, digest) in [
        ("sbom/build.cdx.json", "/components", "/hashes/0/content"),
        ("sbom/build.spdx.json", "/packages", "/checksums/0/checksumValue"),
    ] {
        let document: Value = files
            .get(name)
            .and_then(|bytes| json::parse_own(bytes).ok())
            .unwrap_or_default();
        let entries = document
            .pointer(list)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let digests = entries
            .iter()
            .filter_map(|entry| entry.pointer(digest)?.as_str().map(str::to_owned));
        let mut found: Vec<String> = digests.collect();
        found.sort();
        checks.add(
            "the bills of materials match the plan",
            found == wanted,
            format!("{name}: {} parts", entries.len()),
        );
    }
}
