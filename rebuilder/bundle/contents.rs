//! What goes into an evidence bundle, from a run and what others say of the same files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ATTESTATION, BundleError, Content, EQUIVALENCE, File, Manifest, controls, sbom};
use crate::agreement::Agreement;
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::attest::predicate::OwnPredicate;
use crate::attest::{VerifiedRun, read_bundle, verify_run};
use crate::bundle::declarations::{Assessor, declarations};
use crate::evidence::assess::{self, Stated};
use crate::evidence::document;
use crate::evidence::json::put;
use crate::evidence::statement::Statement;
use crate::plan::Plan;
use crate::policy::{Policy, PolicyFile};
use crate::run::{Cost, Page, Record, RunFolder};
use crate::store::Store;

/// What an evidence bundle is made from.
pub struct Material<'a> {
    /// The run.
    pub run: RunFolder,
    /// Attestations of others about the same files.
    pub attestations: Vec<PathBuf>,
    /// The policy that they were held against.
    pub policy: &'a Policy,
    /// What was concluded of them, for each released file.
    pub agreements: Vec<Agreement>,
    /// Where the documents lie that the plan's claims were read from.
    pub store: Option<&'a Store>,
    /// Who states it; none: the key's name.
    pub assessor: Option<Assessor>,
    /// Makes the page of a run again.
    pub page: Page,
    /// Whether the rebuilt files, and the released ones that differ, go in too.
    pub with_outputs: bool,
}

/// Collects the files; everything in the run is verified first.
pub fn collect(material: &Material) -> Result<(Vec<File>, Manifest), BundleError> {
    let verified = verify_run(&material.run, material.page)?;
    let VerifiedRun { record, plan, .. } = &verified;
    let manifest = Manifest {
        version: 1,
        subject: plan.subject.clone(),
        run: record.id.clone(),
        verdict: record.verdict.to_string(),
        created: record.finished,
        rebuilder: env!("CARGO_PKG_VERSION").into(),
        files: Vec::new(),
    };
    let mut files = Files(Vec::new());
    files.of_run(&material.run)?;
    let claims = serialise::pretty("the claims", &claims(plan))?;
    files.add(
        "claims.json",
        "the claims about the release, and how far they were verified",
        claims,
    );
    let statement = files.attestations(&material.run)?;
    files.of_others(&verified, material)?;
    files.derived(&verified, &manifest, material, statement.as_ref())?;
    if material.with_outputs {
        files.0.extend(outputs(&material.run, record));
    }
    files.controls(&controls::Facts {
        files: files.0.iter().map(|file| file.path.clone()).collect(),
        plan,
        record,
        statement: statement.as_ref(),
        agreements: &material.agreements,
        policy: material.policy.file(),
    })?;
    Ok((files.0, manifest))
}

/// The files of a bundle, as far as they are collected.
struct Files(Vec<File>);

impl Files {
    fn add(&mut self, path: &str, what: &'static str, bytes: Vec<u8>) {
        self.0.push(File {
            path: path.to_owned(),
            what,
            content: Content::Document(bytes),
        });
    }

    fn of_run(&mut self, run: &RunFolder) -> Result<(), BundleError> {
        for (name, what) in [
            ("plan.json", "every input and assumption of the build, pinned"),
            (
                "record.json",
                "the rebuilt files, compared with the released ones",
            ),
            ("report.html", "the same, for people"),
            ("build.log", "the output of the build"),
        ] {
            self.add(name, what, read(&run.path().join(name))?);
        }
        Ok(())
    }

    /// What this rebuild attests; returns the first statement.
    fn attestations(&mut self, run: &RunFolder) -> Result<Option<Statement>, BundleError> {
        let mut found = None;
        for (path, name) in [(run.bundle(), ATTESTATION), (run.equivalence(), EQUIVALENCE)] {
            if let Some(bytes) = read_bundle(&path)? {
                found = found.or_else(|| statement(name, &bytes));
                self.add(name, "the attestation of this rebuild", bytes);
            }
        }
        Ok(found)
    }

    /// What others attest, the documents that claims were read from, and the policy.
    fn of_others(&mut self, verified: &VerifiedRun, material: &Material) -> Result<(), BundleError> {
        for (number, path) in others(&material.attestations).iter().enumerate() {
            // What others call their files must not mean anything in the archive.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.replace(|c: char| c.is_control() || c == '\\', "_");
            let name = name.trim().trim_end_matches('.');
            let place = format!("attestations/others/{number:03}-{name}");
            self.add(&place, "an attestation of another party", read(path)?);
        }
        for (name, bytes) in documents(verified, material) {
            self.add(&name, "a document that a claim was read from", bytes);
        }
        if let Some(policy) = material.policy.file() {
            for (path, bytes) in policy_files(policy) {
                self.add(&path, "the requirements on the evidence", bytes);
            }
        }
        Ok(())
    }

    /// What follows from the run and the attestations.
    fn derived(
        &mut self,
        verified: &VerifiedRun,
        manifest: &Manifest,
        material: &Material,
        statement: Option<&Statement>,
    ) -> Result<(), BundleError> {
        let VerifiedRun {
            record, plan, digest, ..
        } = verified;
        if !material.agreements.is_empty() {
            let agreements = serialise::tree("the agreements", &material.agreements)?;
            let text = serialise::pretty("the agreements", &without_cost(&agreements))?;
            self.add("agreement.json", "whether the parties agree", text);
        }
        let cyclonedx = serialise::pretty("the bill of materials", &sbom::cyclonedx(plan, manifest)?)?;
        self.add(
            "sbom/build.cdx.json",
            "the inputs of the build, CycloneDX 1.6",
            cyclonedx,
        );
        let spdx = serialise::pretty("the bill of materials", &sbom::spdx(plan, manifest)?)?;
        self.add("sbom/build.spdx.json", "the inputs of the build, SPDX 2.3", spdx);
        let assessor = assessor(material, statement);
        if let Some(declared) = declarations(plan, record, manifest, &assessor, *digest)? {
            let text = serialise::pretty("the declarations", &declared)?;
            self.add("cdxa.json", "the verdict as a CycloneDX attestation", text);
        }
        let mut cost = Cost::of(&material.run, plan, record);
        let own = self.0.iter().filter_map(|file| match &file.content {
            Content::Document(bytes) if [ATTESTATION, EQUIVALENCE].contains(&&*file.path) => {
                Some(bytes.len() as u64)
            }
            _ => None,
        });
        cost.attestation_bytes = own.sum();
        let cost = serialise::pretty("the cost", &cost)?;
        self.add("cost.json", "the cost of the rebuild", cost);
        Ok(())
    }

    fn controls(&mut self, facts: &controls::Facts) -> Result<(), BundleError> {
        let map = controls::map(facts);
        let text = serialise::pretty("the controls", &map)?;
        self.add("controls.json", "the evidence for each control", text);
        let page = controls::markdown(&map).into_bytes();
        self.add("controls.md", "the same, for people", page);
        Ok(())
    }
}

/// Who states what the bundle states: the one that was named, or the builder that the attestation names.
fn assessor(material: &Material, statement: Option<&Statement>) -> Assessor {
    let named = |name: String| Assessor { name, url: None };
    let builder = || OwnPredicate::read(statement?).ok()??.builder().map(str::to_owned);
    let own = material.assessor.clone();
    own.unwrap_or_else(|| named(builder().unwrap_or_else(|| "an unnamed rebuilder".into())))
}

/// What was claimed of the release, as the plan has it.
pub(super) fn claims(plan: &Plan) -> Value {
    json!({"claims": plan.claims, "policy": plan.policy})
}

/// The rebuilt files, and the released files that differ.
///
/// Files that were not compared are left out: the record does not have their digests.
fn outputs(run: &RunFolder, record: &Record) -> Vec<File> {
    let folders = [
        (run.rebuilt(), "a rebuilt file"),
        (run.released(), "a released file"),
    ];
    let is_compared = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        record.outputs.iter().any(|output| output.name == name)
    };
    let files = folders.iter().flat_map(|(folder, what)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.is_file() && is_compared(path))
            .map(|path| (path, *what))
    });
    files
        .map(|(path, what)| File {
            path: path
                .strip_prefix(run.path())
                .unwrap_or(&path)
                .display()
                .to_string(),
            what,
            content: Content::Output(path),
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    std::fs::read(path).map_err(|source| BundleError::Run {
        path: path.to_owned(),
        source,
    })
}

/// Seconds differ each time, and the same evidence must give the same archive.
pub(super) fn without_cost(agreements: &Value) -> Value {
    let mut agreements = agreements.clone();
    for agreement in agreements.as_array_mut().into_iter().flatten() {
        if let Some(fields) = agreement.as_object_mut() {
            fields.remove("cost");
        }
        let parties = agreement.get_mut("parties").and_then(Value::as_array_mut);
        for party in parties.into_iter().flatten() {
            let origin = party["origin"].as_str().unwrap_or_default();
            let last = json!(origin.rsplit('/').next());
            put(party, "origin", last);
        }
    }
    agreements
}

/// Every file at some places, in order.
fn others(places: &[PathBuf]) -> Vec<PathBuf> {
    let walk = places
        .iter()
        .flat_map(|place| walkdir::WalkDir::new(place).sort_by_file_name());
    let files = walk.flatten().filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}

/// The documents that the plan's claims name by digest, as far as the run or the store has them.
fn documents(verified: &VerifiedRun, material: &Material) -> BTreeMap<String, Vec<u8>> {
    let digests = verified.plan.claims.iter().filter_map(|claim| claim.document);
    let read = |digest: Sha256| {
        let name = format!("documents/sha256-{digest}");
        if let Ok(bytes) = std::fs::read(material.run.documents().join(digest.to_hex())) {
            return (Sha256::of(&bytes) == digest).then_some((name, bytes));
        }
        let blob = material.store?.get(digest).ok()??;
        // Indexes of whole distributions are public, and too large to pack.
        let small = blob.size <= crate::evidence::json::SIZE_LIMIT;
        Some((name, std::fs::read(blob.path).ok().filter(|_| small)?))
    };
    digests.filter_map(read).collect()
}

/// A policy with the key files beside it, so that it can be read again.
fn policy_files(policy: &PolicyFile) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("policy/policy.toml".to_owned(), policy.text().as_bytes().to_vec())];
    for (path, bytes) in policy.key_files() {
        let plain = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if plain {
            files.push((format!("policy/{}", path.display()), bytes.clone()));
        }
    }
    files
}

/// The statement in a bundle of this rebuild, for the map of controls; its signature is not verified here.
pub(super) fn statement(name: &str, bundle: &[u8]) -> Option<Statement> {
    let document = document::read_bundle(name, bundle).ok()?;
    match assess::payload(&document).unverified() {
        Stated::Statement(statement) => Some((**statement).clone()),
        _ => None,
    }
}
