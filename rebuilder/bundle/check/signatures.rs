//! What the signed statements of a bundle say of its run, and who signed them.

use std::collections::BTreeMap;

use serde::Deserialize as _;

use super::{Attested, CheckResult, Checks};
use crate::artifact::Sha256;
use crate::attest::predicate::SignedManifest;
use crate::bundle::attested::{self, differences, differences_of_equivalence};
use crate::bundle::{ATTESTATION, EQUIVALENCE, MANIFEST, Manifest, PREDICATE, SIGNATURE};
use crate::evidence::assess::{self, Stated};
use crate::evidence::statement::Statement;
use crate::evidence::trust::Trust;
use crate::evidence::{Standing, document};
use crate::plan::Plan;
use crate::run::Record;

/// What a bundle of the archive states, and whether a trusted key signed that very statement.
///
/// Who signed is a check of its own. The statement is returned whether or not a trusted key signed it, so that what speaks
/// against the bundle is seen without a key; the name of the signer says whether it may speak for it.
fn signed_statement(
    what: &str,
    name: &str,
    bytes: &[u8],
    trust: &Trust,
    checks: &mut Checks,
) -> Option<(Statement, Option<String>)> {
    let document = match document::read_bundle(name, bytes) {
        Ok(document) => document,
        Err(error) => {
            checks.push(SIGNED, CheckResult::Fails, error.to_string());
            return None;
        }
    };
    let payload = assess::payload(&document);
    let verified = payload.verify_signature(trust);
    let (standing, signer, note) = match &verified {
        Ok(signed) => (
            Standing::Verified,
            Some(&signed.signature.signer),
            signed.signature.note.as_str(),
        ),
        Err(unproven) => (unproven.standing(), unproven.signer(), unproven.note()),
    };
    let by = signer.map(|signer| signer.name.clone());
    let outcome = match standing {
        Standing::Verified => CheckResult::Holds,
        Standing::Invalid | Standing::SubjectMismatch => CheckResult::Fails,
        _ => CheckResult::Open,
    };
    checks.push(
        SIGNED,
        outcome,
        format!(
            "{what}: {}{} ({})",
            standing.word(),
            by.as_deref().map_or_else(String::new, |by| format!(" by {by}")),
            note
        ),
    );
    match verified {
        Ok(signed) => match signed.stated {
            Stated::Statement(statement) => Some(((**statement).clone(), by)),
            _ => None,
        },
        Err(_) => match payload.unverified() {
            Stated::Statement(statement) => Some(((**statement).clone(), None)),
            _ => None,
        },
    }
}

const SIGNED: &str = "signed by a key that you trust";

/// A check of what a statement says: it fails for any signer, and holds only by a valid signature.
fn said(check: &'static str, differences: &[String], by: Option<&String>, good: String, checks: &mut Checks) {
    match (differences, by) {
        ([], Some(_)) => checks.push(check, CheckResult::Holds, good),
        ([], None) => checks.push(
            check,
            CheckResult::Open,
            format!("{good}; not signed by a key that you trust"),
        ),
        (several, _) => checks.push(check, CheckResult::Fails, several.join("; ")),
    }
}

/// What this rebuild attests is about this run, says the same as the rest of the bundle, and is signed.
pub(super) fn attestation(
    record: &Record,
    plan: &Plan,
    report: Sha256,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) -> Option<(Attested, Statement)> {
    const CHECK: &str = "the attestation is about this run";
    let Some(bytes) = files.get(ATTESTATION) else {
        checks.push(
            "the rebuild is attested",
            CheckResult::Open,
            "the bundle has no attestation",
        );
        return None;
    };
    let found = signed_statement(
        "the attestation of the rebuild",
        ATTESTATION,
        bytes,
        trust,
        checks,
    );
    let Some((statement, by)) = found else {
        checks.push(CHECK, CheckResult::Fails, "it has no readable statement");
        return None;
    };
    let differences = differences(&statement, plan, record, report);
    let good = format!("{} subjects, as in plan and record", statement.subject.len());
    said(CHECK, &differences, by.as_ref(), good, checks);
    let verdict = attested::verdict(&statement, record).ok()?;
    let attested = Attested {
        verdict,
        subjects: statement
            .subject
            .iter()
            .map(|subject| subject.label().to_owned())
            .collect(),
        by,
    };
    Some((attested, statement))
}

/// The statement of equivalence says the same as the record, and is there only where that is the verdict.
pub(super) fn equivalence(
    record: &Record,
    report: Sha256,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) {
    const CHECK: &str = "the statement of equivalence is about this run";
    let Some(bytes) = files.get(EQUIVALENCE) else {
        return;
    };
    match signed_statement("the statement of equivalence", EQUIVALENCE, bytes, trust, checks) {
        Some((statement, by)) => {
            let differences = differences_of_equivalence(&statement, record, report);
            let good = format!("{} files", statement.subject.len());
            said(CHECK, &differences, by.as_ref(), good, checks);
        }
        None => checks.push(CHECK, CheckResult::Fails, "it has no readable statement"),
    }
}

/// The manifest is signed, as a manifest, and this one.
pub(super) fn manifest_signature(
    manifest: &Manifest,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) {
    const CHECK: &str = "the signed manifest is this one";
    let Some(bytes) = files.get(SIGNATURE) else {
        checks.push(SIGNED, CheckResult::Open, "manifest.json is not signed");
        return;
    };
    let Some((statement, by)) = signed_statement(MANIFEST, SIGNATURE, bytes, trust, checks) else {
        checks.push(CHECK, CheckResult::Fails, "it has no readable statement");
        return;
    };
    let own = files.get(MANIFEST).map(|bytes| Sha256::of(bytes).to_hex());
    let about = match statement.subject.as_slice() {
        [only] => {
            only.name.as_deref() == Some(MANIFEST)
                && only.digest.len() == 1
                && only.digest.get("sha256") == own.as_ref()
        }
        _ => false,
    };
    let mut differences = Vec::new();
    if statement.predicate_type != PREDICATE {
        differences.push(format!(
            "a statement of type {} is not a signature of a manifest",
            statement.predicate_type
        ));
    }
    if !about {
        differences.push(format!(
            "it is about {}",
            statement.subject.first().map_or("nothing", |it| it.label())
        ));
    }
    let named = SignedManifest::deserialize(&statement.predicate);
    if named.ok() != Some(manifest.signed()) {
        differences.push("it names a different package, run or verdict".to_owned());
    }
    said(CHECK, &differences, by.as_ref(), MANIFEST.to_owned(), checks);
}
