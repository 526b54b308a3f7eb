//! What changed between two runs of a package: its inputs, its build, and its outputs. No effects.

use std::collections::{BTreeMap, BTreeSet};

use packageurl::PackageUrl;
use serde::Serialize;

use crate::artifact::git_source::GitSource;
use crate::plan::{Plan, Role};
use crate::run::Record;

/// Maximum number of differing places that are named.
const PLACES: usize = 20;

/// A value that changed; it is absent before if it was added, and absent now if it was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Altered {
    /// What the value describes.
    pub what: String,
    /// Its value in the last good run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// Its value in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

/// What changed since the last good run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Sources, compared by the digest of their bytes or by commit.
    pub sources: Vec<Altered>,
    /// Build dependencies, compared by version, or by digest if the versions are the same.
    pub dependencies: Vec<Altered>,
    /// The container, the steps, the environment and the assumed values.
    pub build: Vec<Altered>,
    /// Causes of the differences in this run.
    pub causes: Vec<String>,
    /// Outputs that are not the released files, and the first places in them that differ.
    pub files: Vec<String>,
}

/// What changed between the last good run and this one.
pub(super) fn changed(was: &Plan, is: &Plan, record: &Record) -> Changed {
    Changed {
        sources: differing(&sources(was), &sources(is)),
        dependencies: differing(&dependencies(was), &dependencies(is)),
        build: differing(&build(was), &build(is)),
        causes: causes(record),
        files: files(record),
    }
}

fn differing(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<Altered> {
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let changed = names.into_iter().filter(|name| was.get(*name) != is.get(*name));
    changed
        .map(|name| Altered {
            what: name.clone(),
            was: was.get(name).cloned(),
            is: is.get(name).cloned(),
        })
        .collect()
}

fn sources(plan: &Plan) -> BTreeMap<String, String> {
    let files = plan.inputs.iter().filter(|input| input.role == Role::Source);
    let files = files.enumerate().map(|(number, input)| {
        let number = number.saturating_add(1);
        (
            format!("source {number}"),
            format!("{} sha256:{}", input.file.name, input.file.sha256),
        )
    });
    let git = plan
        .git
        .iter()
        .map(|git| (format!("git at {}", git.place), commit(&git.source)));
    files.chain(git).collect()
}

fn commit(source: &GitSource) -> String {
    let commit = source.commit.as_deref().unwrap_or("no commit");
    format!("{} at {commit}", source.repository)
}

/// Maps each package, without its version, to its version or digest.
fn dependencies(plan: &Plan) -> BTreeMap<String, String> {
    let inputs = plan.inputs.iter().filter(|input| input.role == Role::Dependency);
    let named = inputs.map(|input| {
        let purl = input
            .purl
            .as_deref()
            .and_then(|purl| purl.parse::<PackageUrl<'_>>().ok());
        let name = purl.as_ref().map(|purl| {
            let namespace = purl
                .namespace()
                .map(|namespace| format!("{namespace}/"))
                .unwrap_or_default();
            format!("{}/{namespace}{}", purl.ty(), purl.name())
        });
        let version = purl.as_ref().and_then(|purl| purl.version().map(str::to_owned));
        let digest = format!("sha256:{}", input.file.sha256);
        let value = version.map_or_else(|| digest.clone(), |version| format!("{version} {digest}"));
        (name.unwrap_or_else(|| input.place.clone()), value)
    });
    named.collect()
}

fn build(plan: &Plan) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    all.insert(
        "container".to_owned(),
        format!("{} sha256:{}", plan.container.name(), plan.container.digest()),
    );
    for (phase, name) in [(&plan.setup, "setup"), (&plan.build, "build")] {
        for step in &phase.steps {
            all.insert(format!("{name} step {:?}", step.name), step.run.clone());
        }
        for (variable, value) in &phase.env {
            all.insert(format!("{name} variable {variable}"), value.clone());
        }
    }
    for assumption in &plan.assumptions {
        all.insert(format!("assumed {}", assumption.what), assumption.value.clone());
    }
    all
}

fn causes(record: &Record) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for cause in record.comparisons().flat_map(|differs| &differs.causes) {
        let name = cause.cause.name().to_owned();
        if !causes.contains(&name) {
            causes.push(name);
        }
    }
    causes
}

fn files(record: &Record) -> Vec<String> {
    let mut all = Vec::new();
    for output in record.outputs.iter().filter(|output| !output.reproduced()) {
        match (&output.released, &output.rebuilt) {
            (Some(_), None) => all.push(format!("{} was not built", output.name)),
            (None, _) => all.push(format!("{} was never released", output.name)),
            _ => all.push(output.name.clone()),
        }
        if let Some(tree) = output.differs.as_ref().and_then(|differs| differs.tree.as_ref()) {
            tree.each("", &mut |path, node| {
                let open = node
                    .findings
                    .iter()
                    .any(|it| !it.follows && it.normalisation.is_none());
                if open && !path.is_empty() {
                    all.push(format!("{}: {path}", output.name));
                }
            });
        }
    }
    all.truncate(PLACES);
    all
}
