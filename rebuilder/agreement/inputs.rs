//! The inputs of a build that a statement names, in a form in which parties can be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::artifact::Sha256;
use crate::attest::predicate::RebuildDefinition;
use crate::evidence::json::member;
use crate::evidence::statement::Descriptor;

/// Maximum number of single values that are kept for a comparison.
const KEPT: usize = 4096;

/// Inputs of a build, as far as they are stated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// The commit, or a digest of the source files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The root or the images in which it ran, by digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Compilers and interpreters among the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<String>,
    /// Everything else, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Values>,
    /// The builder's parameters and assumptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Values>,
    /// The host, if stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Digest of our plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// Named values; in a report, their number and one digest of them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Values {
    /// How many there are.
    pub count: usize,
    /// Digest of all names and values.
    pub sha256: Sha256,
    /// The kind of the values; only values of one kind can be compared.
    #[serde(skip)]
    pub(super) kind: String,
    /// The first of them.
    #[serde(skip)]
    pub(super) listed: Arc<BTreeMap<String, String>>,
}

impl Values {
    fn of(kind: &str, mut values: BTreeMap<String, String>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mut text = String::new();
        for (name, value) in &values {
            let _ = write!(text, "{}:{name}{}:{value}", name.len(), value.len());
        }
        let sha256 = Sha256::of(text);
        let count = values.len();
        if let Some(beyond) = values.keys().nth(KEPT).cloned() {
            drop(values.split_off(&beyond));
        }
        Some(Self {
            count,
            sha256,
            kind: kind.to_owned(),
            listed: Arc::new(values),
        })
    }
}

impl Inputs {
    /// Reads the predicate of SLSA provenance v1.
    pub fn of_v1(predicate: &Value) -> Self {
        Self::with_parameters(predicate, BTreeMap::new())
    }

    /// The same, with parameters that are stated elsewhere than among the external ones.
    fn with_parameters(predicate: &Value, more: BTreeMap<String, String>) -> Self {
        let definition = &predicate["buildDefinition"];
        let (external, internal) = (
            &definition["externalParameters"],
            &definition["internalParameters"],
        );
        let kind = definition["buildType"].as_str().unwrap_or_default();
        let mut inputs = Self::default();
        inputs.sort(&definition["resolvedDependencies"]);
        // The container-based builder's.
        let image = member(external, ["builderImage", "digest", "sha256"]).as_str();
        if let Some(digest) = image {
            inputs.container = Some(format!("sha256:{digest}"));
        }
        let mut parameters = BTreeMap::new();
        flatten("", external, &mut parameters, 0);
        parameters.extend(more);
        inputs.parameters = Values::of(kind, parameters);
        if let Some(toolchain) = internal["toolchain"].as_str() {
            inputs.toolchain = Some(toolchain.to_owned());
        }
        inputs
    }

    /// The inputs that the predicate states, with what only this tool's provenance has; `own` is the same predicate.
    pub(super) fn of_own(predicate: &Value, own: &RebuildDefinition) -> Self {
        let context = &own.internal_parameters;
        let root = context.container.as_ref();
        let tree = root.and_then(|root| Some(format!("sha256:{}", root.tree.as_ref()?.get_sha256()?)));
        let image = || root?.image.clone();
        // A signer of other users' runs sets apart what only they state.
        let of_worker = context.worker_stated.as_ref().map(|stated| &stated.assumptions);
        let assumptions = context.assumptions.iter().chain(of_worker).flatten();
        let assumptions = assumptions.map(|it| (it.what.clone(), it.value.clone()));
        let general = Self::with_parameters(predicate, assumptions.collect());
        Self {
            container: tree.or_else(image).or(general.container),
            plan: context.plan.get_sha256().map(str::to_owned),
            host: context.host.clone(),
            ..general
        }
    }

    /// The inputs that a rebuild's result states.
    pub(super) fn of_result(
        predicate: &Value,
        plan: Option<String>,
        values: BTreeMap<String, String>,
    ) -> Self {
        let mut inputs = Self {
            plan,
            ..Self::default()
        };
        inputs.sort(&predicate["inputs"]);
        inputs.parameters = Values::of("rebuild", values);
        inputs
    }

    /// Reads the predicate of SLSA provenance v0.2.
    pub fn of_v02(predicate: &Value) -> Self {
        let mut inputs = Self::default();
        inputs.sort(&predicate["materials"]);
        if inputs.source.is_none() {
            inputs.sort(&Value::Array(vec![
                member(predicate, ["invocation", "configSource"]).clone(),
            ]));
        }
        let mut parameters = BTreeMap::new();
        flatten(
            "",
            member(predicate, ["invocation", "parameters"]),
            &mut parameters,
            0,
        );
        inputs.parameters = Values::of(predicate["buildType"].as_str().unwrap_or_default(), parameters);
        inputs
    }

    /// The inputs of a verification summary: the policy, and the attestations that were considered.
    pub fn of_summary(predicate: &Value) -> Self {
        let mut parameters = BTreeMap::new();
        flatten("policy", &predicate["policy"], &mut parameters, 0);
        flatten("inputs", &predicate["inputAttestations"], &mut parameters, 0);
        Self {
            parameters: Values::of("summary", parameters),
            ..Self::default()
        }
    }

    /// The materials of an in-toto link.
    pub fn of_files(files: &[Descriptor]) -> Self {
        let values = files
            .iter()
            .map(|file| (file.label().to_owned(), any_digest(file)));
        Self {
            dependencies: Values::of("link", values.collect()),
            ..Self::default()
        }
    }

    /// Distinguishes sources, containers, compilers and other dependencies.
    fn sort(&mut self, list: &Value) {
        let (mut commits, mut sources, mut images, mut tools) = (vec![], vec![], vec![], vec![]);
        let mut others = BTreeMap::new();
        for item in list.as_array().into_iter().flatten() {
            // Lists have hundreds of entries, so they are read in place.
            let role = member(item, ["annotations", "role"]).as_str().unwrap_or_default();
            let (name, uri) = (item["name"].as_str(), item["uri"].as_str());
            let place = uri.or(name).unwrap_or_default();
            let digest = |algorithm: &str| member(item, ["digest", algorithm]).as_str();
            let sha256 = digest("sha256").map(|digest| digest.trim_start_matches("sha256:"));
            if place.starts_with("git+") {
                commits.extend(digest("gitCommit").or(digest("sha1")).map(str::to_owned));
            } else if role == "source" {
                sources.extend(sha256.map(str::to_owned));
            } else if let Some(digest) = sha256.filter(|_| is_image(place)) {
                images.push(format!("sha256:{digest}"));
            } else {
                let label = name.unwrap_or(place);
                if role != "text" && is_tool(label) {
                    tools.push(label.to_owned());
                }
                let other = || {
                    let (algorithm, value) = item["digest"].as_object()?.iter().next()?;
                    Some(format!("{algorithm}:{}", value.as_str()?))
                };
                if let Some(digest) = sha256.map(|digest| format!("sha256:{digest}")).or_else(other) {
                    others.insert(label.to_owned(), digest);
                }
            }
        }
        let joined = |mut list: Vec<String>| {
            list.sort();
            list.dedup();
            (!list.is_empty()).then(|| list.join(" "))
        };
        self.source = joined(commits)
            .map(|commit| format!("commit {commit}"))
            .or_else(|| {
                let files = joined(sources)?;
                Some(format!("files sha256:{}", Sha256::of(files)))
            });
        self.container = joined(images);
        self.toolchain = joined(tools);
        self.dependencies = Values::of("dependencies", others);
    }

    /// Everything that is stated, so that "the same inputs" is one comparison.
    pub fn fingerprint(&self) -> Fingerprint {
        if let Some(plan) = &self.plan {
            return Fingerprint::Plan(plan.clone());
        }
        let values = |values: &Option<Values>| {
            let values = values.as_ref()?;
            Some((values.kind.clone(), values.sha256))
        };
        Fingerprint::Inputs {
            source: self.source.clone(),
            container: self.container.clone(),
            dependencies: values(&self.dependencies),
            parameters: values(&self.parameters),
        }
    }
}

/// What tells inputs apart: the plan, or else everything that is stated of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fingerprint {
    /// Digest of our plan.
    Plan(String),
    /// Each aspect; lists by their kind and digest.
    Inputs {
        /// As in [`Inputs`].
        source: Option<String>,
        /// As in [`Inputs`].
        container: Option<String>,
        /// Kind and digest.
        dependencies: Option<(String, Sha256)>,
        /// Kind and digest.
        parameters: Option<(String, Sha256)>,
    },
}

fn any_digest(descriptor: &Descriptor) -> String {
    let digest = descriptor
        .digest
        .get_key_value("sha256")
        .or(descriptor.digest.iter().next());
    digest.map_or_else(String::new, |(algorithm, value)| format!("{algorithm}:{value}"))
}

/// Whether a name is that of a container image: with a scheme for it, or `registry/name` without one.
fn is_image(place: &str) -> bool {
    if place.starts_with("docker://") || place.starts_with("oci://") || place.starts_with("pkg:docker/") {
        return true;
    }
    !place.contains("://")
        && !place.starts_with("pkg:")
        && place
            .split_once('/')
            .is_some_and(|(registry, _)| registry.contains('.') && !registry.starts_with('.'))
}

/// Whether a file is a compiler, a linker or an interpreter, by the names that distributions give these.
fn is_tool(name: &str) -> bool {
    const TOOLS: [&str; 14] = [
        "gcc-",
        "g++-",
        "clang-",
        "binutils_",
        "rustc_",
        "rustc-",
        "golang-1",
        "python3.",
        "python3-minimal_",
        "nodejs_",
        "openjdk-",
        "perl-base_",
        "go1",
        "ghc_",
    ];
    let file = name.rsplit('/').next().unwrap_or_default();
    TOOLS.iter().any(|tool| file.starts_with(tool))
}

/// Nested parameters as one list of paths and values.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>, depth: usize) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(map) if depth < 8 => {
            for (key, value) in map {
                flatten(&below(key), value, into, depth.saturating_add(1));
            }
        }
        Value::Null => {}
        Value::String(text) => drop(into.insert(path.to_owned(), text.clone())),
        other => drop(into.insert(path.to_owned(), other.to_string())),
    }
}
