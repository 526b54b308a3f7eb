//! In-toto statements (v1) about a run.
//!
//! Reproduced: SLSA provenance v1 on the released digests. Equivalent: the same on the rebuilt digests, and a statement on
//! the released ones in the form of OSS Rebuild's `ArtifactEquivalence@v0.1`. Mismatch: test-result v0.1, `FAILED`, on the
//! released digests that were not reproduced, so that a negative is evidence too. Not reproduced, where something
//! undeclared may be the reason: the same, `WARNED`. Inconclusive: no statement.

use serde_json::Value;

use super::VerifiedRun;
use super::log::{Anchor, shortened};
use super::predicate::{
    BUILD_TYPE, Builder, Compared, ComparedBy, ComparedPair, Comparer, Configured, Dependency,
    DependencyNotes, DigestSet, EQUIVALENCE_TYPE, EquivalenceDefinition, FailedRebuild, InTotoStatement,
    InputRole, LOG, OutputDigests, PLAN, PlanNotes, REPORT, RebuildContext, RebuildDefinition,
    RebuildRequest, Resource, Root, RunDetails, RunMetadata, SlsaProvenance, TestOutcome, ToolVersion,
    TriedPlan,
};
use super::vouched::{Named, Vouched};
use crate::artifact::serialise::SerialiseError;
use crate::artifact::{PinnedFile, Sha256};
use crate::evidence::statement::predicate;
use crate::plan::{Expected, PinnedContainer, PinnedGit, Plan, Role};
use crate::run::{Attempt, OutputResult, Record, Verdict, undeclared};

/// What the signer says of itself in a statement.
#[derive(Debug, Clone)]
pub struct SignerInfo {
    /// `builder.id`.
    pub builder_id: String,
    /// The machine that builds; `None` if it is not to be told.
    pub host: Option<String>,
    /// Where in the signer's log the signature is.
    pub log: Anchor,
    /// How many workers' runs agree, as far as the signer knows; 0 if it was given one run by hand.
    pub workers: usize,
    /// What the signer verified itself about another user's run; `None` if the run and the key are one party's.
    pub vouched: Option<Vouched>,
}

/// The version that signs, and that made every comparison again.
pub(super) const OWN: &str = env!("CARGO_PKG_VERSION");

/// The statement that follows from a run; `None` if the run is inconclusive.
pub fn statement(verified: &VerifiedRun, info: &SignerInfo) -> Result<Option<Value>, SerialiseError> {
    let VerifiedRun { plan, record, .. } = verified;
    let subjects: Vec<Resource> = match record.verdict {
        Verdict::Reproduced => plan.expected.iter().map(released).collect(),
        Verdict::Equivalent => {
            let outputs = record.outputs.iter();
            outputs
                .map(|output| Resource::named(&output.name, output.rebuilt))
                .collect()
        }
        Verdict::Mismatch => return negative(verified, info, TestOutcome::Failed).tree().map(Some),
        Verdict::NotReproduced => return negative(verified, info, TestOutcome::Warned).tree().map(Some),
        Verdict::Inconclusive { .. } => return Ok(None),
    };
    let provenance = provenance(verified, info);
    InTotoStatement::new(subjects, predicate::SLSA_V1, provenance)
        .tree()
        .map(Some)
}

/// A released file, as a subject.
pub(super) fn released(expected: &Expected) -> Resource {
    Resource::named(&expected.file.name, expected.file.sha256).with_uri(Some(expected.purl.clone()))
}

/// The statement about a run that did not reproduce what was released.
fn negative(
    verified: &VerifiedRun,
    info: &SignerInfo,
    result: TestOutcome,
) -> InTotoStatement<FailedRebuild> {
    let VerifiedRun {
        plan, record, report, ..
    } = verified;
    let is_reproduced = |expected: &&Expected| {
        let mut outputs = record.outputs.iter();
        outputs.any(|output| output.name == expected.file.name && output.reproduced())
    };
    let (passed, failed): (Vec<_>, Vec<_>) = plan.expected.iter().partition(is_reproduced);
    // If every expected file is right, the build made an extra one: the whole build is what failed.
    let subjects = if failed.is_empty() { &passed } else { &failed };
    let subjects = subjects.iter().map(|expected| released(expected)).collect();
    let name = |expected: &Expected| expected.file.name.clone();
    let extra = record.outputs.iter().filter(|output| output.released.is_none());
    let extra = extra.map(|output| output.name.clone());
    let lost = failed.iter().copied().map(name).chain(extra).collect();
    let (warned_tests, failed_tests) = match result {
        TestOutcome::Warned => (lost, Vec::new()),
        TestOutcome::Failed => (Vec::new(), lost),
    };
    let notes = PlanNotes {
        // What another user ran, only that user assumed.
        assumptions: (result == TestOutcome::Warned && info.vouched.is_none())
            .then(|| undeclared(plan).cloned().collect()),
        ..notes(plan, record, info)
    };
    let predicate = FailedRebuild {
        result,
        configuration: vec![
            Configured::named(PLAN, record.plan).noted(notes),
            Configured::named(REPORT, *report),
            Configured::named(LOG, record.log),
            Configured {
                name: Some("builder".into()),
                ..Configured::at(&info.builder_id)
            },
        ],
        passed_tests: passed.iter().copied().map(name).collect(),
        warned_tests,
        failed_tests,
    };
    InTotoStatement::new(subjects, predicate::TEST_RESULT, predicate)
}

/// What a negative says of its plan. Where another user ran the build, the policy is the signer's.
fn notes(plan: &Plan, record: &Record, info: &SignerInfo) -> PlanNotes {
    let vouched = info.vouched.as_ref();
    PlanNotes {
        evidence: Some(record.evidence),
        policy: Some(vouched.map_or(&plan.policy, |vouched| &vouched.policy).clone()),
        finished_on: Some(record.finished),
        agreeing_workers: Some(info.workers),
        signing_log: Some(info.log),
        outputs: record.outputs.iter().map(OutputDigests::from).collect(),
        recipe: vouched.map(Vouched::named_recipe),
        signed_on: vouched.map(|vouched| vouched.signed_on),
        agreement: vouched.map(Vouched::agreement),
        worker_stated: vouched.map(|vouched| vouched.worker_stated(plan, record)),
        assumptions: None,
    }
}

/// The statement that the released files are equivalent to the rebuilt ones, with what each named normalisation sets
/// aside; `None` if the verdict is another.
pub fn equivalence(verified: &VerifiedRun, info: &SignerInfo) -> Result<Option<Value>, SerialiseError> {
    let VerifiedRun {
        plan, record, report, ..
    } = verified;
    if record.verdict != Verdict::Equivalent {
        return Ok(None);
    }
    let outputs: Vec<&OutputResult> = record
        .outputs
        .iter()
        .filter(|output| output.equivalent())
        .collect();
    let candidate = |output: &OutputResult| format!("rebuild/{}", output.name);
    let target = |output: &OutputResult| {
        let mut expected = plan.expected.iter();
        // Where another user planned, the address is that user's word, and the name is enough.
        expected
            .find(|expected| expected.file.name == output.name)
            .filter(|_| info.vouched.is_none())
            .and_then(|expected| expected.file.urls.first().cloned())
            .unwrap_or_else(|| output.name.clone())
    };
    let compared = outputs.iter().map(|output| ComparedPair {
        candidate: candidate(output),
        target: target(output),
        normalisations: output
            .differs
            .as_ref()
            .map(|differs| differs.normalisations.clone()),
    });
    let resolved = outputs.iter().flat_map(|output| {
        [
            Resource::named(candidate(output), output.rebuilt),
            Resource::named(target(output), output.released),
        ]
    });
    let predicate = SlsaProvenance {
        build_definition: EquivalenceDefinition {
            build_type: EQUIVALENCE_TYPE.into(),
            external_parameters: Compared::of(compared.collect()),
            internal_parameters: ComparedBy {
                comparison: Comparer {
                    name: "rebuilder".into(),
                    version: OWN.into(),
                },
            },
            resolved_dependencies: resolved.collect(),
        },
        run_details: run_details(record, info, vec![Resource::named(REPORT, *report)]),
    };
    let subjects = outputs
        .iter()
        .map(|output| Resource::named(&output.name, output.released));
    InTotoStatement::<_>::new(subjects.collect(), predicate::SLSA_V1, predicate)
        .tree()
        .map(Some)
}

/// The root that the build ran in.
fn container(plan: &Plan) -> Root {
    match &plan.container {
        PinnedContainer::Packages { name, lock } => Root {
            name: Some(name.clone()),
            tree: Some(DigestSet::sha256(lock.tree)),
            ..Root::default()
        },
        PinnedContainer::Image { image } => Root {
            image: Some(image.to_string()),
            ..Root::default()
        },
    }
}

fn provenance(verified: &VerifiedRun, info: &SignerInfo) -> SlsaProvenance<RebuildDefinition> {
    let VerifiedRun {
        plan, record, report, ..
    } = verified;
    let names = plan.expected.iter().map(|expected| expected.file.name.clone());
    SlsaProvenance {
        build_definition: RebuildDefinition {
            build_type: BUILD_TYPE.into(),
            external_parameters: RebuildRequest {
                subject: plan.subject.clone(),
                outputs: names.collect(),
            },
            internal_parameters: context(plan, record, info),
            resolved_dependencies: dependencies(plan, info.vouched.as_ref()),
        },
        run_details: run_details(
            record,
            info,
            vec![
                Resource::named(PLAN, record.plan),
                Resource::named(LOG, record.log),
                Resource::named(REPORT, *report),
            ],
        ),
    }
}

fn run_details(record: &Record, info: &SignerInfo, byproducts: Vec<Resource>) -> RunDetails {
    // The signer can only repeat the version that a worker states of itself; so it states its own instead.
    let version = if info.vouched.is_some() {
        OWN
    } else {
        &record.rebuilder
    };
    RunDetails {
        builder: Builder {
            id: Some(info.builder_id.clone()),
            version: Some(ToolVersion::of(version)),
        },
        metadata: RunMetadata {
            invocation_id: Some(record.id.clone()),
            started_on: Some(record.started),
            finished_on: Some(record.finished),
        },
        byproducts,
    }
}

/// What followed from the request. Where another user ran the build, what only that user states is set apart.
fn context(plan: &Plan, record: &Record, info: &SignerInfo) -> RebuildContext {
    let common = RebuildContext {
        plan: DigestSet::sha256(record.plan),
        evidence: Some(record.evidence),
        container: Some(container(plan)),
        host: info.host.clone(),
        agreeing_workers: Some(info.workers),
        signing_log: Some(info.log),
        ..RebuildContext::default()
    };
    match &info.vouched {
        None => RebuildContext {
            backend: Some(record.backend.clone()),
            policy: Some(plan.policy.clone()),
            assumptions: Some(plan.assumptions.clone()),
            attempts: Some(attempts(record)),
            not_enforced: Some(record.not_enforced.clone()),
            ..common
        },
        Some(vouched) => RebuildContext {
            policy: Some(vouched.policy.clone()),
            recipe: Some(vouched.named_recipe()),
            container: common.container.map(|root| Root {
                named_by: Some(vouched.container.to_owned()),
                ..root
            }),
            signed_on: Some(vouched.signed_on),
            agreement: Some(vouched.agreement()),
            worker_stated: Some(vouched.worker_stated(plan, record)),
            ..common
        },
    }
}

/// The plans that were tried before this one was found, and this one.
pub(crate) fn attempts(record: &Record) -> Vec<TriedPlan> {
    let tried = |attempt: &Attempt| TriedPlan {
        plan: attempt.plan,
        // What a build printed may be in these texts.
        because: attempt.because.as_deref().map(shortened),
        ended: shortened(&attempt.ended),
        chosen: attempt.chosen,
    };
    record.attempts.iter().map(tried).collect()
}

/// Every pinned input, each with its role: sources, dependencies, inline texts, and what is in the container. Where another
/// user planned, each also has who names it.
pub(super) fn dependencies(plan: &Plan, vouched: Option<&Vouched>) -> Vec<Dependency> {
    let inputs = plan.inputs.iter().map(|input| {
        let role = match input.role {
            Role::Source => InputRole::Source,
            Role::Dependency => InputRole::Dependency,
        };
        marked(
            file(&input.file, input.purl.as_ref()),
            role.into(),
            vouched,
            &input.place,
        )
    });
    let inline = plan.files.iter().map(|inline| {
        let text = Resource::named(&inline.place, Sha256::of(&inline.text));
        marked(text, InputRole::Text.into(), vouched, &inline.place)
    });
    let git = plan.git.iter().map(|git| {
        let notes = DependencyNotes {
            sha256: Some("tar archive of the commit's files".into()),
            submodules: Some(git.submodules),
            ..InputRole::Source.into()
        };
        marked(commit(git), notes, vouched, &git.place)
    });
    let image = match &plan.container {
        PinnedContainer::Image { image } => {
            let digest = DigestSet::sha256(image.digest);
            Some(Dependency::at(format!("docker://{image}")).with_digest(digest))
        }
        PinnedContainer::Packages { .. } => None,
    };
    let packages = plan.container.materials();
    let packages = packages.iter().map(|package| file(package, None));
    let of_container = image.into_iter().chain(packages).map(|part| {
        part.noted(DependencyNotes {
            named_by: vouched.map(|vouched| vouched.container.to_owned()),
            ..InputRole::Container.into()
        })
    });
    inputs.chain(inline).chain(git).chain(of_container).collect()
}

fn file(file: &PinnedFile, purl: Option<&String>) -> Dependency {
    Dependency::named(&file.name, file.sha256).with_uri(purl.or(file.urls.first()).cloned())
}

fn commit(git: &PinnedGit) -> Dependency {
    let source = &git.source;
    let reference = source.reference.as_deref();
    let reference = reference.map_or_else(String::new, |name| format!("@{name}"));
    Dependency {
        name: Some(git.place.clone()),
        ..Dependency::at(format!("git+{}{reference}", source.repository))
    }
    .with_digest(DigestSet::commit(source.commit.clone(), git.archive))
}

/// Notes who names an input: something that the signer verified, whose name and address it then has, or the worker alone.
fn marked(input: Dependency, notes: DependencyNotes, vouched: Option<&Vouched>, place: &str) -> Dependency {
    let Some(vouched) = vouched else {
        return input.noted(notes);
    };
    match vouched.inputs.get(place) {
        Some(Named { by, name, uri }) => Dependency {
            name: name.clone().or(input.name),
            uri: uri.clone().or(input.uri),
            digest: input.digest,
            annotations: Some(DependencyNotes {
                named_by: Some((*by).to_owned()),
                ..notes
            }),
        },
        None => input.noted(DependencyNotes {
            stated_by: Some("worker".into()),
            ..notes
        }),
    }
}
