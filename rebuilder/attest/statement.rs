//! in-toto statements (v1) about a run.
//!
//! Reproduced: SLSA provenance v1 on the released digests. Equivalent: the same on the digests that came out, and
//! a statement on the released ones in the shape of OSS Rebuild's `ArtifactEquivalence@v0.1`. Mismatch: test-result v0.1, `FAILED`, on the
//! released digests that did not come out, so that a negative is evidence too. Inconclusive: no statement.

use serde_json::{Value, json};

use super::Examined;
use super::log::{Anchor, shortened};
use super::vouched::{Named, Vouched};
use crate::artifact::PinnedFile;
use crate::artifact::Sha256;
use crate::evidence::json::put;
use crate::plan::{Expected, PinnedContainer, Plan, Role};
use crate::run::{Attempt, OutputResult, Record, Verdict};

/// What `buildType` our provenance has; described in `docs/attestations.md`.
pub const BUILD_TYPE: &str = "urn:rebuilder:build-type:rebuild:v1";

/// What the signer says of itself in a statement.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `builder.id`.
    pub builder_id: String,
    /// The machine that builds, where it is told.
    pub host: Option<String>,
    /// Where in the signer's log the signature is.
    pub log: Anchor,
    /// How many workers' runs agree, as far as the signer knows; none where it was given one run by hand.
    pub workers: usize,
    /// What the signer found out itself about another user's run; none where the run and the key are one party's.
    pub vouched: Option<Vouched>,
}

/// The version that signs, and that made every comparison again.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// The statement that follows from a run; none where it is inconclusive.
pub fn statement(examined: &Examined, terms: &Terms) -> Option<Value> {
    let Examined {
        plan, record, report, ..
    } = examined;
    let descriptor = |expected: &Expected| json!({"name": expected.file.name, "uri": expected.purl, "digest": {"sha256": expected.file.sha256}});
    let came_out = |expected: &&Expected| {
        record
            .outputs
            .iter()
            .any(|output| output.name == expected.file.name && output.reproduced())
    };
    match record.verdict {
        Verdict::Reproduced => Some(json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": plan.expected.iter().map(descriptor).collect::<Vec<_>>(),
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": provenance(examined, terms)
        })),
        Verdict::Equivalent => {
            let subjects: Vec<_> = record
                .outputs
                .iter()
                .map(|output| json!({"name": output.name, "digest": {"sha256": output.rebuilt}}))
                .collect();
            Some(json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": subjects,
                "predicateType": "https://slsa.dev/provenance/v1",
                "predicate": provenance(examined, terms)
            }))
        }
        Verdict::Mismatch => {
            let failed: Vec<_> = plan
                .expected
                .iter()
                .filter(|expected| !came_out(expected))
                .collect();
            let passed = plan
                .expected
                .iter()
                .filter(came_out)
                .map(|expected| &expected.file.name);
            // With every expected file right, something extra came out: the whole build is what failed.
            let subjects: Vec<&Expected> = if failed.is_empty() {
                plan.expected.iter().collect()
            } else {
                failed.clone()
            };
            let extra = record
                .outputs
                .iter()
                .filter(|output| output.released.is_none())
                .map(|output| &output.name);
            Some(json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": subjects.into_iter().map(descriptor).collect::<Vec<_>>(),
                "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
                "predicate": {
                    "result": "FAILED",
                    "configuration": [
                        {"name": "plan.json", "digest": {"sha256": record.plan}, "annotations": annotations(plan, record, terms)},
                        {"name": "report.html", "digest": {"sha256": report}},
                        {"name": "build.log", "digest": {"sha256": record.log}},
                        {"name": "builder", "uri": terms.builder_id}
                    ],
                    "passedTests": passed.collect::<Vec<_>>(),
                    "failedTests": failed.iter().map(|expected| &expected.file.name).chain(extra).collect::<Vec<_>>()
                }
            }))
        }
        Verdict::Inconclusive { .. } => None,
    }
}

/// What a negative says of its plan.
fn annotations(plan: &Plan, record: &Record, terms: &Terms) -> Value {
    let mut said = json!({
        "evidence": record.evidence,
        "policy": plan.policy,
        "finishedOn": record.finished,
        "agreeingWorkers": terms.workers,
        "signingLog": terms.log,
        "outputs": record.outputs.iter().map(digests).collect::<Vec<_>>()
    });
    if let Some(vouched) = &terms.vouched {
        put(&mut said, "policy", json!(vouched.policy));
        put(&mut said, "recipe", recipe(vouched));
        put(&mut said, "signedOn", json!(vouched.signed_on));
        put(&mut said, "agreement", vouched.agreement());
        put(&mut said, "workerStated", vouched.worker_stated(plan, record));
    }
    said
}

fn recipe(vouched: &Vouched) -> Value {
    let (name, sha256) = &vouched.recipe;
    json!({"name": name, "sha256": sha256})
}

fn digests(output: &OutputResult) -> Value {
    json!({"name": output.name, "released": output.released, "rebuilt": output.rebuilt})
}

/// What `buildType` statements of equivalence have; theirs, so that their readers understand ours.
pub const EQUIVALENCE_TYPE: &str = "https://docs.oss-rebuild.dev/builds/ArtifactEquivalence@v0.1";

/// That the released files are what came out, but for what each named normalisation sets aside; none where the
/// verdict is another.
pub fn equivalence(examined: &Examined, terms: &Terms) -> Option<Value> {
    let Examined {
        plan, record, report, ..
    } = examined;
    if record.verdict != Verdict::Equivalent {
        return None;
    }
    let outputs: Vec<_> = record
        .outputs
        .iter()
        .filter(|output| output.equivalent())
        .collect();
    let released = |name: &str| {
        let expected = plan.expected.iter().find(|expected| expected.file.name == name);
        // Where others planned, the address is theirs, and the name is enough.
        expected
            .filter(|_| terms.vouched.is_none())
            .and_then(|expected| expected.file.urls.first().map(ToString::to_string))
            .unwrap_or_else(|| name.to_owned())
    };
    let compared: Vec<Value> = outputs
        .iter()
        .map(|output| {
            json!({
                "candidate": format!("rebuild/{}", output.name),
                "target": released(&output.name),
                "normalisations": output.differs.as_ref().map(|differs| &differs.normalisations)
            })
        })
        .collect();
    let resolved: Vec<Value> = outputs
        .iter()
        .flat_map(|output| {
            [
                json!({"name": format!("rebuild/{}", output.name), "digest": {"sha256": output.rebuilt}}),
                json!({"name": released(&output.name), "digest": {"sha256": output.released}}),
            ]
        })
        .collect();
    let subjects: Vec<_> = outputs
        .iter()
        .map(|output| json!({"name": output.name, "digest": {"sha256": output.released}}))
        .collect();
    Some(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": EQUIVALENCE_TYPE,
                "externalParameters": if let [only] = &compared[..] { only.clone() } else { json!({"outputs": compared}) },
                "internalParameters": {"comparison": {"name": "rebuilder", "version": OWN}},
                "resolvedDependencies": resolved
            },
            "runDetails": {
                "builder": {"id": terms.builder_id, "version": {"rebuilder": version(record, terms)}},
                "metadata": {"invocationId": record.id, "startedOn": record.started, "finishedOn": record.finished},
                "byproducts": [{"name": "report.html", "digest": {"sha256": report}}]
            }
        }
    }))
}

/// Which root the build ran in.
fn container(plan: &Plan) -> Value {
    match &plan.container {
        PinnedContainer::Packages { name, lock } => json!({"name": name, "tree": {"sha256": lock.tree}}),
        PinnedContainer::Image { image } => json!({"image": image.to_string()}),
    }
}

/// The version of the builder: what the signer is, where it can only repeat what a worker says of itself.
fn version<'a>(record: &'a Record, terms: &Terms) -> &'a str {
    if terms.vouched.is_some() {
        OWN
    } else {
        &record.rebuilder
    }
}

fn provenance(examined: &Examined, terms: &Terms) -> Value {
    let Examined {
        plan, record, report, ..
    } = examined;
    let byproduct = |name: &str, digest: &Sha256| json!({"name": name, "digest": {"sha256": digest}});
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"subject": plan.subject, "outputs": plan.expected.iter().map(|e| &e.file.name).collect::<Vec<_>>()},
            "internalParameters": internal(plan, record, terms),
            "resolvedDependencies": dependencies(plan, terms.vouched.as_ref())
        },
        "runDetails": {
            "builder": {"id": terms.builder_id, "version": {"rebuilder": version(record, terms)}},
            "metadata": {
                "invocationId": record.id,
                "startedOn": record.started,
                "finishedOn": record.finished
            },
            "byproducts": [
                byproduct("plan.json", &record.plan),
                byproduct("build.log", &record.log),
                byproduct("report.html", report)
            ]
        }
    })
}

/// What followed from the request. Where another user ran the build, what only that user states stands apart.
fn internal(plan: &Plan, record: &Record, terms: &Terms) -> Value {
    let Some(vouched) = &terms.vouched else {
        return json!({
            "plan": {"sha256": record.plan},
            "evidence": record.evidence,
            "backend": record.backend,
            "policy": plan.policy,
            "container": container(plan),
            "assumptions": plan.assumptions,
            "attempts": record.attempts.iter().map(attempt).collect::<Vec<_>>(),
            "notEnforced": record.not_enforced,
            "host": terms.host,
            "agreeingWorkers": terms.workers,
            "signingLog": terms.log
        });
    };
    let mut container = container(plan);
    put(&mut container, "namedBy", json!(vouched.container));
    json!({
        "plan": {"sha256": record.plan},
        "evidence": record.evidence,
        "policy": vouched.policy,
        "recipe": recipe(vouched),
        "container": container,
        "host": terms.host,
        "signedOn": vouched.signed_on,
        "agreeingWorkers": terms.workers,
        "agreement": vouched.agreement(),
        "signingLog": terms.log,
        "workerStated": vouched.worker_stated(plan, record)
    })
}

/// One of the plans that were tried before this one was found, or this one.
pub(super) fn attempt(attempt: &Attempt) -> Value {
    // What a build printed may be among it.
    let because = attempt.because.as_deref().map(shortened);
    json!({"plan": attempt.plan, "because": because, "ended": shortened(&attempt.ended), "chosen": attempt.chosen})
}

/// Every pinned input, each with its role: sources, dependencies, inline texts, and what is in the container. Where another
/// user planned, each also has who names it.
fn dependencies(plan: &Plan, vouched: Option<&Vouched>) -> Vec<Value> {
    let file = |file: &PinnedFile, purl: Option<&String>, role: &str| {
        let mut descriptor =
            json!({"name": file.name, "digest": {"sha256": file.sha256}, "annotations": {"role": role}});
        if let Some(uri) = purl.or(file.urls.first()) {
            put(&mut descriptor, "uri", json!(uri));
        }
        descriptor
    };
    let inputs = plan.inputs.iter().map(|input| {
        let role = match input.role {
            Role::Source => "source",
            Role::Dependency => "dependency",
        };
        let descriptor = file(&input.file, input.purl.as_ref(), role);
        marked(descriptor, vouched, &input.place)
    });
    let inline = plan.files.iter().map(|inline| {
        let descriptor = json!({
            "name": inline.place,
            "digest": {"sha256": crate::artifact::Sha256::of(&inline.text)},
            "annotations": {"role": "text"}
        });
        marked(descriptor, vouched, &inline.place)
    });
    let git = plan.git.iter().map(|git| {
        let reference = git
            .source
            .reference
            .as_deref()
            .map_or_else(String::new, |name| format!("@{name}"));
        let descriptor = json!({
            "name": git.place,
            "uri": format!("git+{}{reference}", git.source.repository),
            "digest": {"gitCommit": git.source.commit, "sha256": git.archive},
            "annotations": {"role": "source", "sha256": "tar archive of the commit's files", "submodules": git.submodules}
        });
        marked(descriptor, vouched, &git.place)
    });
    let container = plan.container.materials();
    let image = match &plan.container {
        PinnedContainer::Image { image } => Some(json!({
            "uri": format!("docker://{image}"),
            "digest": {"sha256": image.digest},
            "annotations": {"role": "container"}
        })),
        PinnedContainer::Packages { .. } => None,
    };
    let of_container = |mut descriptor: Value| {
        if let Some(vouched) = vouched {
            annotate(&mut descriptor, "namedBy", json!(vouched.container));
        }
        descriptor
    };
    let packages = container
        .iter()
        .map(|material| of_container(file(material, None, "container")));
    inputs
        .chain(inline)
        .chain(git)
        .chain(image.map(of_container))
        .chain(packages)
        .collect()
}

/// Says who names an input: something that the signer verified, whose name and address it then has, or the worker alone.
fn marked(mut descriptor: Value, vouched: Option<&Vouched>, place: &str) -> Value {
    let Some(vouched) = vouched else {
        return descriptor;
    };
    match vouched.inputs.get(place) {
        Some(Named { by, name, uri }) => {
            annotate(&mut descriptor, "namedBy", json!(by));
            if let Some(name) = name {
                put(&mut descriptor, "name", json!(name));
            }
            if let Some(uri) = uri {
                put(&mut descriptor, "uri", json!(uri));
            }
        }
        None => annotate(&mut descriptor, "statedBy", json!("worker")),
    }
    descriptor
}

/// Adds to the annotations that every descriptor here has.
fn annotate(descriptor: &mut Value, name: &str, value: Value) {
    if let Some(annotations) = descriptor.get_mut("annotations") {
        put(annotations, name, value);
    }
}
