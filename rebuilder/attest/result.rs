//! The statement of a rebuild's result in one predicate for every outcome (`docs/rebuild-predicate.md`).

use serde::Serialize;
use serde_json::Value;

use super::predicate::{
    Builder, DifferenceCause, DigestSet, InTotoStatement, InputDivergence, LOG, OutputOutcome, PLAN, REPORT,
    RebuildResult, Resource, ResultOutcome, ResultOutput, RunMetadata, SetAsideBy, StatedValue, ToolVersion,
};
use super::statement::{OWN, dependencies, released};
use super::{AttestError, SignerInfo, VerifiedRun};
use crate::artifact::serialise;
use crate::compare::Comparison;
use crate::evidence::statement::predicate;
use crate::plan::Expected;
use crate::run::{OutputResult, Verdict};

/// Members that only the worker states, where another user ran the build.
const OF_WORKER: [&str; 3] = ["assumptions", "metadata", "outputs.causes"];

/// The statement that follows from a run; the caller has refused those that are never signed.
pub(super) fn result(verified: &VerifiedRun, info: &SignerInfo) -> Result<Value, AttestError> {
    let VerifiedRun {
        plan, record, report, ..
    } = verified;
    let vouched = info.vouched.as_ref();
    let version = if vouched.is_some() { OWN } else { &record.rebuilder };
    let divergence = vouched.map(super::Vouched::agreement).unwrap_or_default();
    let log = RebuildResult::log_extension(info.log);
    let workers = serialise::tree("the number of workers", &info.workers)?;
    let mut extensions: std::collections::BTreeMap<_, _> = log.into_iter().collect();
    extensions.insert("urn:rebuilder:agreeing-workers".into(), workers);
    let result = RebuildResult {
        rebuilder: Builder {
            id: Some(info.builder_id.clone()),
            version: Some(ToolVersion::of(version)),
        },
        outcome: ResultOutcome::of(&record.verdict),
        outputs: outputs(verified)?,
        definition: Some(Resource::named(PLAN, record.plan)),
        inputs: dependencies(plan, vouched),
        assumptions: plan.assumptions.iter().map(StatedValue::from).collect(),
        input_divergence: divergence
            .into_iter()
            .map(|other| InputDivergence {
                with: Resource::named(PLAN, other.plan),
                differing: other.differing,
            })
            .collect(),
        failure: None,
        metadata: RunMetadata {
            invocation_id: Some(record.id.clone()),
            started_on: Some(record.started),
            finished_on: Some(record.finished),
        },
        byproducts: vec![Resource::named(LOG, record.log), Resource::named(REPORT, *report)],
        unverified: vouched.map_or_else(Vec::new, |_| OF_WORKER.map(str::to_owned).to_vec()),
        extensions,
    };
    let statement = InTotoStatement::new(subjects(verified), predicate::REBUILD, result);
    Ok(statement.tree()?)
}

/// The released files that the outcome is about: a negative is about those that were not reproduced.
fn subjects(verified: &VerifiedRun) -> Vec<Resource> {
    let VerifiedRun { plan, record, .. } = verified;
    let is_reproduced = |expected: &&Expected| {
        let mut outputs = record.outputs.iter();
        outputs.any(|output| output.name == expected.file.name && output.reproduced())
    };
    let failed = plan.expected.iter().filter(|it| !is_reproduced(it));
    let failed: Vec<_> = failed.map(released).collect();
    match record.verdict {
        // If every expected file is right, the build made an extra one: the whole build is what failed.
        Verdict::Mismatch | Verdict::NotReproduced if !failed.is_empty() => failed,
        _ => plan.expected.iter().map(released).collect(),
    }
}

fn outputs(verified: &VerifiedRun) -> Result<Vec<ResultOutput>, AttestError> {
    let VerifiedRun { plan, record, .. } = verified;
    let mut all: Vec<ResultOutput> = record.outputs.iter().map(output).collect::<Result<_, _>>()?;
    for expected in &plan.expected {
        if !all.iter().any(|output| output.name == expected.file.name) {
            all.push(ResultOutput {
                name: expected.file.name.clone(),
                outcome: OutputOutcome::Missing,
                released: Some(DigestSet::sha256(expected.file.sha256)),
                rebuilt: None,
                set_aside: Vec::new(),
                causes: Vec::new(),
            });
        }
    }
    Ok(all)
}

fn output(output: &OutputResult) -> Result<ResultOutput, AttestError> {
    let outcome = match (output.released, output.rebuilt) {
        _ if output.reproduced() => OutputOutcome::Reproduced,
        _ if output.equivalent() => OutputOutcome::Equivalent,
        (_, None) => OutputOutcome::Missing,
        (None, Some(_)) => OutputOutcome::Extra,
        (Some(_), Some(_)) => OutputOutcome::Different,
    };
    let compared = output.differs.as_ref();
    let applied = compared
        .filter(|_| outcome == OutputOutcome::Equivalent)
        .map(|compared| &compared.normalisations);
    let set_aside = applied.into_iter().flatten().map(|applied| SetAsideBy {
        name: applied.name.name().to_owned(),
        version: Some(applied.version.to_string()),
        places: Some(applied.places),
    });
    let differing = compared.filter(|_| outcome == OutputOutcome::Different);
    let causes = differing.map(Comparison::open_causes).unwrap_or_default();
    let causes: Result<Vec<_>, AttestError> = causes
        .into_iter()
        .map(|(cause, confidence)| {
            Ok(DifferenceCause {
                name: word(&cause)?,
                confidence: Some(word(&confidence)?),
            })
        })
        .collect();
    Ok(ResultOutput {
        name: output.name.clone(),
        outcome,
        released: output.released.map(DigestSet::sha256),
        rebuilt: output.rebuilt.map(DigestSet::sha256),
        set_aside: set_aside.collect(),
        causes: causes?,
    })
}

/// The word that the record has for it.
fn word<T: Serialize>(value: &T) -> Result<String, AttestError> {
    let tree = serialise::tree("the word", value)?;
    Ok(tree.as_str().unwrap_or_default().to_owned())
}
