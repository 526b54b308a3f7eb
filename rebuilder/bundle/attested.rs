//! What a statement about a run says, compared with everything else that the bundle says of that run.
//!
//! The statement is the signer's; anyone can write record, report and manifest. If they differ, the bundle does not
//! hold, whichever of them is right.

use serde::Serialize;
use serde_json::{Value, json};

use crate::artifact::Sha256;
use crate::attest::attempts;
use crate::attest::predicate::{
    EquivalenceDefinition, FailedRebuild, LOG, OutputDigests, OwnPredicate, PLAN, REPORT, RebuildDefinition,
    Resource, SlsaProvenance, TestOutcome,
};
use crate::evidence::statement::{Descriptor, Statement};
use crate::plan::Plan;
use crate::run::{OutputResult, Record, Verdict};

/// The verdict that a statement of this tool about a run attests.
pub(super) fn verdict(statement: &Statement, record: &Record) -> Result<&'static str, String> {
    verdict_of(statement, &own(statement)?, record)
}

/// The predicate, if it is one of this tool and nothing in it is spelt otherwise.
fn own(statement: &Statement) -> Result<OwnPredicate, String> {
    OwnPredicate::exactly(statement)?.ok_or_else(|| not_a_rebuild(statement))
}

fn not_a_rebuild(statement: &Statement) -> String {
    format!(
        "it is not an attestation of a rebuild, but of type {}",
        statement.predicate_type
    )
}

fn verdict_of(statement: &Statement, own: &OwnPredicate, record: &Record) -> Result<&'static str, String> {
    match own {
        OwnPredicate::Rebuild(_) => {
            // An equivalent run attests the rebuilt files, a reproduced one the released files.
            let released = |subject: &Descriptor| {
                let mut outputs = record.outputs.iter();
                outputs.any(|output| {
                    Some(output.name.as_str()) == subject.name.as_deref()
                        && output.released.map(Sha256::to_hex).as_ref() == subject.digest.get("sha256")
                })
            };
            Ok(if statement.subject.iter().all(released) {
                "reproduced"
            } else {
                "equivalent"
            })
        }
        OwnPredicate::Failed(own) => Ok(match own.result {
            TestOutcome::Failed => "mismatch",
            TestOutcome::Warned => "not-reproduced",
        }),
        OwnPredicate::Equivalence(_) | OwnPredicate::Result(_) => Err(not_a_rebuild(statement)),
    }
}

/// What the statement of a rebuild says otherwise than plan, record and the bundle's files do.
pub(super) fn differences(
    statement: &Statement,
    plan: &Plan,
    record: &Record,
    report: Sha256,
) -> Vec<String> {
    let read = own(statement).and_then(|own| Ok((verdict_of(statement, &own, record)?, own)));
    let (attested, own) = match read {
        Ok(read) => read,
        Err(reason) => return vec![reason],
    };
    let mut found = Differences(Vec::new());
    found.same("verdict", attested, record.verdict.word());
    match own {
        OwnPredicate::Rebuild(own) => positive(statement, &own, plan, record, report, &mut found),
        OwnPredicate::Failed(own) => negative(statement, &own, plan, record, report, &mut found),
        OwnPredicate::Equivalence(_) | OwnPredicate::Result(_) => {}
    }
    found.0
}

struct Differences(Vec<String>);

impl Differences {
    fn same<T: Serialize + PartialEq + ?Sized>(&mut self, what: &str, attested: &T, own: &T) {
        if attested != own {
            let short = |value: &T| json!(value).to_string().chars().take(160).collect::<String>();
            self.0.push(format!(
                "the attestation says of the {what} {}, and the bundle {}",
                short(attested),
                short(own)
            ));
        }
    }

    /// The same for what not every version of the signer states.
    fn same_if_stated<T: Serialize + PartialEq>(&mut self, what: &str, attested: Option<&T>, own: &T) {
        if let Some(attested) = attested {
            self.same(what, attested, own);
        }
    }

    fn digest(&mut self, what: &str, attested: Option<&str>, own: Sha256) {
        self.same(what, &attested, &Some(own.to_hex().as_str()));
    }

    fn subjects(&mut self, statement: &Statement, own: impl Iterator<Item = (String, Sha256)>) {
        let mut own: Vec<Value> = own
            .map(|(name, sha256)| json!([name, {"sha256": sha256}]))
            .collect();
        let subjects = statement.subject.iter();
        let mut attested: Vec<Value> = subjects.map(|it| json!([it.name, it.digest])).collect();
        own.sort_by_key(Value::to_string);
        attested.sort_by_key(Value::to_string);
        self.same("subjects", &attested, &own);
    }
}

fn positive(
    statement: &Statement,
    attested: &SlsaProvenance<RebuildDefinition>,
    plan: &Plan,
    record: &Record,
    report: Sha256,
    found: &mut Differences,
) {
    if record.verdict == Verdict::Equivalent {
        let outputs = record.outputs.iter();
        let rebuilt = outputs.filter_map(|output| Some((output.name.clone(), output.rebuilt?)));
        found.subjects(statement, rebuilt);
    } else {
        found.subjects(statement, released(plan));
    }
    let (definition, run) = (&attested.build_definition, &attested.run_details);
    let (request, context) = (&definition.external_parameters, &definition.internal_parameters);
    let names = released(plan).map(|(name, _)| name).collect();
    found.same("package", &request.subject, &plan.subject);
    found.same("released files", &request.outputs, &names);
    found.digest("plan", context.plan.get_sha256(), record.plan);
    found.same_if_stated("evidence", context.evidence.as_ref(), &record.evidence);
    found.same_if_stated("backend", context.backend.as_ref(), &record.backend);
    found.same_if_stated("limits", context.not_enforced.as_ref(), &record.not_enforced);
    found.same_if_stated("attempts", context.attempts.as_ref(), &attempts(record));
    let metadata = &run.metadata;
    found.same("run", &metadata.invocation_id.as_ref(), &Some(&record.id));
    found.same("beginning", &metadata.started_on, &Some(record.started));
    found.same("end", &metadata.finished_on, &Some(record.finished));
    let version = run.builder.version.as_ref();
    let version = version.and_then(|version| version.rebuilder.as_ref());
    found.same_if_stated("version", version, &record.rebuilder);
    found.digest("log", digest_of(&run.byproducts, LOG), record.log);
    found.digest("report", digest_of(&run.byproducts, REPORT), report);
}

fn negative(
    statement: &Statement,
    attested: &FailedRebuild,
    plan: &Plan,
    record: &Record,
    report: Sha256,
    found: &mut Differences,
) {
    let is_reproduced = |name: &str| {
        let mut outputs = record.outputs.iter();
        outputs.any(|output| output.name == name && output.reproduced())
    };
    let failed: Vec<_> = released(plan).filter(|(name, _)| !is_reproduced(name)).collect();
    let of_whole = failed.is_empty();
    let about = released(plan).filter(|pair| of_whole || failed.contains(pair));
    found.subjects(statement, about);
    let (passed, lost): (Vec<_>, Vec<_>) = released(plan)
        .map(|(name, _)| name)
        .partition(|name| is_reproduced(name));
    let extra = record.outputs.iter().filter(|output| output.released.is_none());
    let lost: Vec<_> = lost
        .into_iter()
        .chain(extra.map(|output| output.name.clone()))
        .collect();
    found.same("reproduced files", &attested.passed_tests, &passed);
    let told = match attested.result {
        TestOutcome::Failed => &attested.failed_tests,
        TestOutcome::Warned => &attested.warned_tests,
    };
    found.same("files that were not reproduced", told, &lost);
    let entries = &attested.configuration;
    found.digest("plan", digest_of(entries, PLAN), record.plan);
    found.digest("log", digest_of(entries, LOG), record.log);
    found.digest("report", digest_of(entries, REPORT), report);
    let notes = attested.of_name(PLAN).and_then(|plan| plan.annotations.clone());
    let notes = notes.unwrap_or_default();
    let outputs: Vec<_> = record.outputs.iter().map(OutputDigests::from).collect();
    found.same("outputs", &notes.outputs, &outputs);
    found.same("end", &notes.finished_on, &Some(record.finished));
    found.same_if_stated("evidence", notes.evidence.as_ref(), &record.evidence);
}

/// What the statement of equivalence says otherwise than the record does.
pub(super) fn differences_of_equivalence(
    statement: &Statement,
    record: &Record,
    report: Sha256,
) -> Vec<String> {
    match OwnPredicate::exactly(statement) {
        Ok(Some(OwnPredicate::Equivalence(own))) => equivalent(statement, &own, record, report),
        Ok(_) => vec![format!(
            "it is not a statement of equivalence, but of type {}",
            statement.predicate_type
        )],
        Err(reason) => vec![reason],
    }
}

fn equivalent(
    statement: &Statement,
    attested: &SlsaProvenance<EquivalenceDefinition>,
    record: &Record,
    report: Sha256,
) -> Vec<String> {
    let mut found = Differences(Vec::new());
    found.same("verdict", "equivalent", record.verdict.word());
    let outputs: Vec<&OutputResult> = record
        .outputs
        .iter()
        .filter(|output| output.equivalent())
        .collect();
    let released = outputs.iter();
    let released = released.filter_map(|output| Some((output.name.clone(), output.released?)));
    found.subjects(statement, released);
    let definition = &attested.build_definition;
    let digests = definition.resolved_dependencies.iter();
    let digests: Vec<_> = digests
        .map(|file| file.digest.get_sha256().map(str::to_owned))
        .collect();
    let own: Vec<_> = outputs
        .iter()
        .flat_map(|output| [output.rebuilt, output.released])
        .map(|digest| digest.map(Sha256::to_hex))
        .collect();
    found.same("files that were compared", &digests, &own);
    let pairs = definition.external_parameters.pairs().iter();
    let set_aside: Vec<_> = pairs.map(|pair| pair.normalisations.as_ref()).collect();
    let own: Vec<_> = outputs
        .iter()
        .map(|output| output.differs.as_ref().map(|differs| &differs.normalisations))
        .collect();
    found.same("normalisations", &set_aside, &own);
    let run = &attested.run_details;
    let invocation = run.metadata.invocation_id.as_ref();
    found.same("run", &invocation, &Some(&record.id));
    found.digest("report", digest_of(&run.byproducts, REPORT), report);
    found.0
}

fn released(plan: &Plan) -> impl Iterator<Item = (String, Sha256)> {
    plan.expected
        .iter()
        .map(|expected| (expected.file.name.clone(), expected.file.sha256))
}

/// The SHA-256 of an entry of a list by its name; `None` if there is no such entry, or more than one.
fn digest_of<'a, A>(list: &'a [Resource<A>], name: &str) -> Option<&'a str> {
    let mut entries = list.iter().filter(|entry| entry.name.as_deref() == Some(name));
    match (entries.next(), entries.next()) {
        (Some(only), None) => only.digest.get_sha256(),
        _ => None,
    }
}
