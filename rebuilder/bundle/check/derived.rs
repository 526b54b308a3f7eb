//! What follows from plan, record and attestation, derived again.

use serde_json::Value;

use super::form::exactly;
use super::parties::Again;
use super::{CheckResult, Checks};
use crate::artifact::serialise::SerialiseError;
use crate::bundle::contents::claims;
use crate::bundle::declarations::{Assessor, declarations};
use crate::bundle::{ATTESTATION, Contents, EQUIVALENCE, Manifest, controls, sbom};
use crate::evidence::json::{self, member};
use crate::evidence::statement::Statement;
use crate::plan::Plan;
use crate::run::{Page, Record};

/// A run, as far as the rest of a bundle follows from it.
pub(super) struct Run<'a> {
    pub manifest: &'a Manifest,
    pub plan: &'a Plan,
    pub record: &'a Record,
    pub statement: Option<&'a Statement>,
    pub agreements: &'a Again,
    pub page: Page,
}

/// What follows from plan, record and attestation is derived again, and must be the same.
pub(super) fn derived(run: &Run, contents: &Contents, checks: &mut Checks) -> Result<(), SerialiseError> {
    let Run {
        manifest,
        plan,
        record,
        ..
    } = run;
    let files = &contents.documents;
    let read = |name: &str| files.get(name).and_then(|bytes| json::parse_own(bytes).ok());
    let mut compare = |name: &str, by: &str, same: bool| compared(name, by, same, checks);
    let by = manifest.rebuilder.as_str();
    compare("claims.json", by, read("claims.json") == Some(claims(plan)));
    compare(
        "sbom/build.cdx.json",
        by,
        read("sbom/build.cdx.json") == Some(sbom::cyclonedx(plan, manifest)?),
    );
    compare(
        "sbom/build.spdx.json",
        by,
        read("sbom/build.spdx.json") == Some(sbom::spdx(plan, manifest)?),
    );
    let cdxa = read("cdxa.json");
    let assessor = assessor_of(cdxa.as_ref());
    let digest = contents.digests.get("record.json").copied();
    let again = match digest {
        Some(digest) => declarations(plan, record, manifest, &assessor, digest)?,
        None => None,
    };
    compare(
        "cdxa.json",
        by,
        cdxa == again && files.contains_key("cdxa.json") == again.is_some(),
    );
    let page = (run.page)(plan, record);
    compare(
        "report.html",
        &record.rebuilder,
        files.get("report.html").map(Vec::as_slice) == page.as_deref().map(str::as_bytes),
    );
    cost(run, contents, &mut compare);
    controls_follow(run, contents, &mut compare);
    Ok(())
}

/// Notes whether a file that `by` derived is the same as the one that was derived again.
fn compared(name: &str, by: &str, same: bool, checks: &mut Checks) {
    const CHECK: &str = "derived files follow from the run";
    let own = env!("CARGO_PKG_VERSION");
    let (outcome, finding) = match (same, by == own) {
        (true, _) => (CheckResult::Holds, name.to_owned()),
        (false, true) => (
            CheckResult::Fails,
            format!("{name} differs from the file that follows from the run"),
        ),
        // Another version may have derived it differently, which this one cannot judge.
        (false, false) if by.is_empty() => (
            CheckResult::Open,
            format!("{name} was made by a rebuilder of unknown version, but this is {own}"),
        ),
        (false, false) => (
            CheckResult::Open,
            format!("{name} was made by rebuilder {by:?}, but this is {own}"),
        ),
    };
    checks.push(CHECK, outcome, finding);
}

/// Who assessed, by the declarations that are there.
fn assessor_of(declarations: Option<&Value>) -> Assessor {
    let organisation = declarations
        .and_then(|it| member(it, ["declarations", "assessors"]).get(0))
        .map(|assessor| assessor["organization"].clone())
        .unwrap_or_default();
    let name = member(&organisation, ["name"]).as_str();
    Assessor {
        name: name.unwrap_or_default().to_owned(),
        url: member(&organisation, ["url"])[0].as_str().map(str::to_owned),
    }
}

/// The controls that the run is evidence of, for programs and for people.
fn controls_follow(run: &Run, contents: &Contents, compare: &mut impl FnMut(&str, &str, bool)) {
    let Run { manifest, .. } = run;
    let listed = manifest.files.iter().map(|file| file.path.clone());
    let map = controls::map(&controls::Facts {
        files: listed.filter(|path| !path.starts_with("controls.")).collect(),
        plan: run.plan,
        record: run.record,
        statement: run.statement,
        agreements: &run.agreements.agreements,
        policy: run.agreements.policy.file(),
    });
    let files = &contents.documents;
    let stored = files.get("controls.json");
    let stored: Option<Value> = stored.and_then(|bytes| json::parse_own(bytes).ok());
    let by = &manifest.rebuilder;
    compare("controls.json", by, stored == serde_json::to_value(&map).ok());
    compare(
        "controls.md",
        by,
        files.get("controls.md").map(Vec::as_slice) == Some(controls::markdown(&map).as_bytes()),
    );
}

/// The cost, as far as it follows from the bundle.
fn cost(run: &Run, contents: &Contents, compare: &mut impl FnMut(&str, &str, bool)) {
    let stored = contents.documents.get("cost.json");
    let stored: Option<crate::run::Cost> = stored.and_then(|bytes| exactly("cost.json", bytes).ok());
    let size = |name: &str| contents.sizes.get(name).copied().unwrap_or(0);
    let inputs = run
        .plan
        .materials()
        .iter()
        .map(|material| material.size)
        .fold(0, u64::saturating_add);
    let same = stored.is_some_and(|cost| {
        cost.seconds.to_bits() == run.record.timings.everything().to_bits()
            && cost.build_seconds.to_bits() == run.record.timings.build.to_bits()
            && cost.attestation_bytes == size(ATTESTATION).saturating_add(size(EQUIVALENCE))
            && cost.input_bytes == inputs
    });
    compare("cost.json", &run.manifest.rebuilder, same);
}

/// Every control points at a file of the bundle.
pub(super) fn pointers(contents: &Contents, checks: &mut Checks) {
    let files = &contents.documents;
    let map: Value = files
        .get("controls.json")
        .and_then(|bytes| json::parse_own(bytes).ok())
        .unwrap_or_default();
    let controls = map.as_array().cloned().unwrap_or_default();
    let evidence = controls
        .iter()
        .flat_map(|control| control["evidence"].as_array().cloned().unwrap_or_default());
    let dangling: Vec<_> = evidence
        .filter_map(|pointer| member(&pointer, ["file"]).as_str().map(str::to_owned))
        .filter(|file| !contents.digests.contains_key(file))
        .collect();
    let without = controls
        .iter()
        .filter(|control| control["status"] == "no evidence")
        .count();
    checks.add(
        "controls point at existing files",
        dangling.is_empty() && !controls.is_empty(),
        format!("{} controls, {without} without evidence", controls.len()),
    );
}
