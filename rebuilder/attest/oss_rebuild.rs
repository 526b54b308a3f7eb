//! A rebuild in OSS Rebuild's two statements, for readers of its attestations: `Rebuild@v0.1` about the rebuilt file, and
//! `ArtifactEquivalence@v0.1` about the released one.
//!
//! Their forms are those of `pkg/attestation/types.go` in google/oss-rebuild. They are made for builds by Docker; what has no
//! place there is in our own provenance of the same run, which `build.json` names.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use packageurl::PackageUrl;
use serde_json::{Value, json};

use super::predicate::EQUIVALENCE_TYPE;
use super::statement::OWN;
use super::{AttestError, SignerInfo, VerifiedRun};
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::evidence::json::put;
use crate::evidence::statement::predicate;
use crate::plan::{Expected, PinnedContainer, Plan, Role, Step};
use crate::run::{OutputResult, Verdict};

/// `buildType` of its statements about rebuilds.
pub(super) const REBUILD_TYPE: &str = "https://docs.oss-rebuild.dev/builds/Rebuild@v0.1";

/// What its target is called there.
struct Target {
    ecosystem: &'static str,
    package: String,
    version: String,
}

fn no_form(reason: String) -> AttestError {
    AttestError::NoForm {
        form: "OSS Rebuild's statements",
        reason,
    }
}

/// The two statements about each released file, by its name; that of equivalence is the first, as in its own files.
pub(super) fn statements(
    verified: &VerifiedRun,
    info: &SignerInfo,
) -> Result<BTreeMap<String, [Value; 2]>, AttestError> {
    let VerifiedRun { plan, record, .. } = verified;
    if info.vouched.is_some() {
        return Err(no_form(
            "they cannot mark fields that only a worker states; sign your own run with the key itself".into(),
        ));
    }
    if !matches!(record.verdict, Verdict::Reproduced | Verdict::Equivalent) {
        return Err(no_form(format!(
            "the run is {}, but they can only say that a file was reproduced",
            record.verdict
        )));
    }
    let mut all = BTreeMap::new();
    for expected in &plan.expected {
        let name = &expected.file.name;
        let output = record.outputs.iter().find(|output| output.name == *name);
        let output = output.ok_or_else(|| no_form(format!("there is no output {name}")))?;
        let pair = [
            equivalence(verified, info, expected, output),
            rebuild(verified, info, expected, output)?,
        ];
        all.insert(name.clone(), pair);
    }
    Ok(all)
}

fn statement(name: &str, digest: Option<Sha256>, definition: &Value, details: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": predicate::SLSA_V1,
        "predicate": {"buildDefinition": definition, "runDetails": details}
    })
}

/// Where the tool is from, in place of the service.
fn internal_parameters() -> Value {
    json!({
        "serviceSource": {"repository": "urn:rebuilder", "ref": format!("v{OWN}")},
        "prebuildSource": {"repository": "", "ref": ""},
        "prebuildConfig": {}
    })
}

fn run_details(verified: &VerifiedRun, info: &SignerInfo, byproducts: &Value) -> Value {
    let record = &verified.record;
    json!({
        "builder": {"id": info.builder_id},
        "metadata": {
            "invocationId": record.id,
            "startedOn": record.started,
            "finishedOn": record.finished
        },
        "byproducts": byproducts
    })
}

fn equivalence(
    verified: &VerifiedRun,
    info: &SignerInfo,
    expected: &Expected,
    output: &OutputResult,
) -> Value {
    let name = &expected.file.name;
    let candidate = format!("rebuild/{name}");
    let target = expected.file.urls.first().unwrap_or(name);
    let mut parameters = json!({"candidate": candidate, "target": target});
    // Nothing is rewritten here, so there is a stabilised file only where there was nothing to stabilise.
    let mut stabilised = json!({"name": format!("stabilized/{name}")});
    if output.reproduced() {
        put(&mut stabilised, "digest", json!({"sha256": output.rebuilt}));
    } else if let Some(differs) = &output.differs {
        put(&mut parameters, "normalisations", json!(differs.normalisations));
    }
    let definition = json!({
        "buildType": EQUIVALENCE_TYPE,
        "externalParameters": parameters,
        "internalParameters": internal_parameters(),
        "resolvedDependencies": [
            {"name": candidate, "digest": {"sha256": output.rebuilt}},
            {"name": target, "digest": {"sha256": output.released}}
        ]
    });
    let details = run_details(verified, info, &json!([stabilised]));
    statement(name, output.released, &definition, &details)
}

fn rebuild(
    verified: &VerifiedRun,
    info: &SignerInfo,
    expected: &Expected,
    output: &OutputResult,
) -> Result<Value, AttestError> {
    let VerifiedRun { plan, record, .. } = verified;
    let name = &expected.file.name;
    let target = target(plan, expected)?;
    let definition = json!({
        "buildType": REBUILD_TYPE,
        "externalParameters": {
            "ecosystem": target.ecosystem,
            "package": target.package,
            "version": target.version,
            "artifact": name
        },
        "internalParameters": internal_parameters(),
        "resolvedDependencies": dependencies(plan)
    });
    // Its readers take exactly these three.
    let steps = |steps: &[Step]| -> Vec<Value> {
        let step = |step: &Step| json!({"name": step.name, "script": step.run});
        steps.iter().map(step).collect()
    };
    let build = json!({
        "rebuilder": {
            "plan": {"sha256": record.plan},
            "setup": steps(&plan.setup.steps),
            "build": steps(&plan.build.steps)
        }
    });
    let ran = |steps: &[Step], env: &BTreeMap<String, String>| -> Vec<Value> {
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let step = |step: &Step| json!({"name": root(plan), "id": step.name, "env": env, "script": step.run});
        steps.iter().map(step).collect()
    };
    let mut all = ran(&plan.setup.steps, &plan.setup.env);
    all.extend(ran(&plan.build.steps, &plan.build.env));
    let content = |name: &str, bytes: &[u8]| json!({"name": name, "content": STANDARD.encode(bytes)});
    let byproducts = json!([
        content("build.json", &serialise::compact("the definition", &build)?),
        content("Dockerfile", dockerfile(verified).as_bytes()),
        content("steps.json", &serialise::compact("the steps", &all)?)
    ]);
    let details = run_details(verified, info, &byproducts);
    Ok(statement(
        &format!("rebuild/{name}"),
        output.rebuilt,
        &definition,
        &details,
    ))
}

/// The sources, and the root or image; its readers take for an image whatever has no `git+`.
fn dependencies(plan: &Plan) -> Vec<Value> {
    let commits = plan.git.iter().filter_map(|git| {
        let commit = git.source.commit.as_ref()?;
        let algorithm = if commit.len() == 64 { "sha256" } else { "sha1" };
        Some(json!({"name": format!("git+{}", git.source.repository), "digest": {algorithm: commit}}))
    });
    let sources = plan.inputs.iter().filter(|input| input.role == Role::Source);
    let sources = sources.map(|input| {
        let place = input.file.urls.first().unwrap_or(&input.file.name);
        json!({"name": place, "digest": {"sha256": input.file.sha256}})
    });
    let root = match &plan.container {
        PinnedContainer::Packages { name, lock } => json!({"name": name, "digest": {"sha256": lock.tree}}),
        PinnedContainer::Image { image } => {
            json!({"name": image.repository, "digest": {"sha256": image.digest}})
        }
    };
    commits.chain(sources).chain([root]).collect()
}

fn root(plan: &Plan) -> String {
    match &plan.container {
        PinnedContainer::Packages { name, .. } => name.clone(),
        PinnedContainer::Image { image } => image.to_string(),
    }
}

/// A text for people in place of a Dockerfile, which did not take part.
fn dockerfile(verified: &VerifiedRun) -> String {
    let VerifiedRun { plan, record, .. } = verified;
    let mut lines = vec![
        "# No Dockerfile took part: rebuilder ran the steps of a plan in a sandbox of its own.".to_owned(),
        format!("# Plan: sha256:{}", record.plan),
    ];
    match &plan.container {
        PinnedContainer::Packages { name, lock } => lines.extend([
            format!(
                "# Root: {name}, {} packages unpacked into the tree sha256:{}",
                lock.packages.len(),
                lock.tree
            ),
            "FROM scratch".to_owned(),
        ]),
        PinnedContainer::Image { image } => lines.push(format!("FROM {image}")),
    }
    for step in plan.setup.steps.iter().chain(&plan.build.steps) {
        lines.push(format!("# Step: {}", step.name));
        lines.extend(step.run.lines().map(|line| format!("#   {line}")));
    }
    lines.join("\n") + "\n"
}

/// Ecosystem, package and version, by the names that OSS Rebuild has for them.
fn target(plan: &Plan, expected: &Expected) -> Result<Target, AttestError> {
    let unfit = |reason: &str| no_form(format!("{}: {reason}", plan.subject));
    let purl: PackageUrl<'_> = plan
        .subject
        .parse()
        .map_err(|_| unfit("it is not a package URL"))?;
    let version = purl
        .version()
        .ok_or_else(|| unfit("it has no version"))?
        .to_owned();
    let (ecosystem, package) = match purl.ty() {
        "pypi" => ("pypi", purl.name().to_owned()),
        "npm" => (
            "npm",
            match purl.namespace() {
                Some(scope) => format!("{scope}/{}", purl.name()),
                None => purl.name().to_owned(),
            },
        ),
        "cargo" => ("cratesio", purl.name().to_owned()),
        "gem" => ("rubygems", purl.name().to_owned()),
        "deb" => {
            let urls = expected.file.urls.iter();
            let mut places = urls.filter_map(|url| pool(url));
            (
                "debian",
                places.next().ok_or_else(|| {
                    unfit(
                        "none of its addresses in a pool names its area and source \
                    package",
                    )
                })?,
            )
        }
        other => return Err(unfit(&format!("it has no name for packages of the kind {other}"))),
    };
    Ok(Target {
        ecosystem,
        package,
        version,
    })
}

/// `AREA/SOURCE` from an address such as `…/pool/main/h/hello/hello_2.10-3_amd64.deb`.
fn pool(url: &str) -> Option<String> {
    let (_, path) = url.rsplit_once("/pool/")?;
    let mut parts = path.split('/');
    let (area, source) = (parts.next()?, parts.nth(1)?);
    parts.next().map(|_| format!("{area}/{source}"))
}
