//! The tables, as they stand in the Go source, and the runs that they stand for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const WORKFLOWS: &str = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/";
const DELEGATOR: &str =
    "https://github.com/slsa-framework/example-trw/.github/workflows/builder_high-perms_slsa3.yml";
/// What slsa-verifier trusts if no builder is named.
const TRUSTED: [&str; 3] = [
    "generator_generic_slsa3.yml",
    "builder_go_slsa3.yml",
    "builder_container-based_slsa3.yml",
];

/// A row of a table: the Go expression of each field.
pub(in super::super) type Fields = BTreeMap<String, String>;

/// The rows of the table in a test function, whose form is that of gofmt.
pub(in super::super) fn table(source: &str, test: &str) -> Vec<Fields> {
    let body = source.split(&format!("\nfunc {test}(")).nth(1).unwrap();
    let body = body.split("\n}\n").next().unwrap();
    let rows = body
        .split("\n\t}{\n")
        .nth(1)
        .unwrap()
        .split("\n\t}\n")
        .next()
        .unwrap();
    let (mut found, mut row): (Vec<Fields>, Option<Fields>) = (Vec::new(), None);
    let mut last = String::new();
    for line in rows.lines() {
        match (line, row.as_mut()) {
            ("\t\t{", _) => row = Some(Fields::new()),
            ("\t\t},", Some(_)) => found.extend(row.take()),
            (_, Some(fields)) => {
                let field = line.strip_prefix("\t\t\t").unwrap();
                if field.starts_with("//") {
                    continue;
                }
                match field.split_once(':').filter(|_| !field.starts_with('\t')) {
                    Some((name, value)) => {
                        name.clone_into(&mut last);
                        fields.insert(last.clone(), value.trim().trim_end_matches(',').to_owned());
                    }
                    None => fields.get_mut(&last).unwrap().push_str(field),
                }
            }
            _ => assert!(line.trim().is_empty() || line.trim().starts_with("//"), "{line}"),
        }
    }
    found
}

/// The texts in a Go expression; `builder` in it is a variable.
pub(in super::super) fn texts(expression: &str) -> Vec<String> {
    expression
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

pub(in super::super) fn text_of(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).map(|expression| texts(expression).concat())
}

/// One run of slsa-verifier.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) artifacts: Vec<PathBuf>,
    pub(super) provenance: Option<PathBuf>,
    pub(super) purl: Option<String>,
    pub(super) rule: Vec<String>,
    /// The error that it must end with.
    pub(super) error: Option<String>,
}

fn rule(fields: &Fields, builders: &[String]) -> Vec<String> {
    let source = text_of(fields, "source").unwrap();
    let mut rule = vec![format!("sources = [\"https://{source}\"]")];
    let fields_of_policy = [
        ("pbranch", "source-branches"),
        ("ptag", "source-tags"),
        ("pversiontag", "source-versioned-tags"),
    ];
    for (name, key) in fields_of_policy {
        rule.extend(text_of(fields, name).map(|text| format!("{key} = [{text:?}]")));
    }
    if let Some(inputs) = fields.get("inputs") {
        let texts = texts(inputs);
        let pairs = texts
            .chunks(2)
            .map(|pair| format!("{:?} = {:?}", pair[0], pair[1]));
        rule.push(format!(
            "workflow-inputs = {{ {} }}",
            pairs.collect::<Vec<_>>().join(", ")
        ));
    }
    if !builders.is_empty() {
        rule.push(format!("builder-ids = {builders:?}"));
    }
    rule
}

/// As numbers, so that v1.10.0 is behind v1.9.0.
pub(in super::super) fn version(name: &str) -> Vec<u32> {
    let parts = name.trim_start_matches('v').split('.');
    parts.map(|part| part.parse().unwrap()).collect()
}

/// Builders and their versions, as `getBuildersAndVersions` gives them.
fn versions(folder: &Path, builders: &[&str], from: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for builder in builders {
        for entry in fs::read_dir(folder.join(builder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if from.is_empty() || version(&name) >= version(from) {
                found.push(((*builder).to_owned(), name));
            }
        }
    }
    found.sort();
    found
}

/// The forms of a builder's name that are tried; an empty list is none.
fn builder_forms(
    fields: &Fields,
    builder: &str,
    version: &str,
    unnamed: Option<Vec<String>>,
) -> Vec<Vec<String>> {
    if let Some(own) = text_of(fields, "pBuilderID") {
        return vec![vec![own]];
    }
    let mut forms = vec![vec![builder.to_owned()]];
    forms.extend(unnamed);
    if !version.is_empty() {
        forms.push(vec![format!("{builder}@{version}")]);
        forms.push(vec![format!("{builder}@refs/tags/{version}")]);
    }
    forms
}

pub(super) fn artifact_path(source: &str, folder: &Path) -> Vec<Run> {
    let mut runs = Vec::new();
    let all = [
        "gha_go",
        "gha_generic",
        "gha_delegator",
        "gha_maven",
        "gha_gradle",
    ];
    for fields in table(source, "Test_runVerifyGHAArtifactPath") {
        let own = fields.get("builders").map(|list| texts(list));
        let own: Vec<&str> = own.iter().flatten().map(String::as_str).collect();
        let mut places = versions(folder, if own.is_empty() { &all } else { &own }, "v1.2.2");
        if fields.contains_key("noversion") {
            places = vec![(String::new(), String::new())];
        }
        for (kind, version) in places {
            let folder = folder.join(&kind).join(&version);
            let names = texts(&fields["artifacts"]);
            let is_own = ["gha_delegator", "gha_maven", "gha_gradle"].contains(&kind.as_str());
            let ending = if is_own { "build.slsa" } else { "intoto.jsonl" };
            let provenance = text_of(&fields, "provenancePath").unwrap_or(format!("{}.{ending}", names[0]));
            let builder = match kind.as_str() {
                "gha_go" => format!("{WORKFLOWS}builder_go_slsa3.yml"),
                "gha_delegator" => DELEGATOR.to_owned(),
                "gha_maven" => format!("{WORKFLOWS}builder_maven_slsa3.yml"),
                "gha_gradle" => format!("{WORKFLOWS}builder_gradle_slsa3.yml"),
                _ => format!("{WORKFLOWS}generator_generic_slsa3.yml"),
            };
            // Builders of others are not looked at if none is named.
            let unnamed = match kind.as_str() {
                "gha_delegator" => None,
                "gha_maven" | "gha_gradle" => Some(Vec::new()),
                _ => Some(TRUSTED.map(|name| format!("{WORKFLOWS}{name}")).to_vec()),
            };
            for builders in builder_forms(&fields, &builder, &version, unnamed) {
                runs.push(Run {
                    name: format!("{} {kind} {version} {builders:?}", fields["name"]),
                    artifacts: names.iter().map(|name| folder.join(name)).collect(),
                    provenance: Some(folder.join(&provenance)),
                    purl: None,
                    rule: rule(&fields, &builders),
                    error: fields.get("err").cloned(),
                });
            }
        }
    }
    runs
}

pub(super) fn container_based(source: &str, folder: &Path) -> Vec<Run> {
    let mut runs = Vec::new();
    for fields in table(source, "Test_runVerifyGHAContainerBased") {
        for (kind, version) in versions(folder, &["gha_container-based"], "") {
            let folder = folder.join(&kind).join(&version);
            let artifact = folder.join(text_of(&fields, "artifacts").unwrap());
            let is_new = self::version(&version) >= vec![1, 8, 0];
            let ending = if is_new {
                "intoto.build.slsa"
            } else {
                "intoto.sigstore"
            };
            let builder = format!("{WORKFLOWS}builder_container-based_slsa3.yml");
            let unnamed = TRUSTED.map(|name| format!("{WORKFLOWS}{name}")).to_vec();
            for builders in builder_forms(&fields, &builder, &version, Some(unnamed)) {
                runs.push(Run {
                    name: format!("{} {kind} {version} {builders:?}", fields["name"]),
                    provenance: Some(PathBuf::from(format!("{}.{ending}", artifact.display()))),
                    artifacts: vec![artifact.clone()],
                    purl: None,
                    rule: rule(&fields, &builders),
                    error: fields.get("err").cloned(),
                });
            }
        }
    }
    runs
}

pub(super) fn images(source: &str, folder: &Path) -> Vec<Run> {
    let mut runs = Vec::new();
    for fields in table(source, "Test_runVerifyGHAArtifactImage") {
        for (kind, own) in versions(folder, &["gha_generic_container"], "") {
            let bound = |name: &str| text_of(&fields, name).map(|text| version(&text));
            let below = bound("minversion").is_some_and(|from| version(&own) <= from);
            if below || bound("maxversion").is_some_and(|until| version(&own) > until) {
                continue;
            }
            let image = folder
                .join(&kind)
                .join(&own)
                .join(text_of(&fields, "artifact").unwrap());
            let digest = fs::read_to_string(format!("{}.digest", image.display())).unwrap();
            let builder = format!("{WORKFLOWS}generator_container_slsa3.yml");
            for builders in builder_forms(&fields, &builder, &own, Some(vec![builder.clone()])) {
                runs.push(Run {
                    name: format!("{} {kind} {own} {builders:?}", fields["name"]),
                    artifacts: vec![PathBuf::from(format!(
                        "oci:{}@sha256:{}",
                        image.display(),
                        digest.trim().trim_start_matches("sha256:")
                    ))],
                    provenance: None,
                    purl: None,
                    rule: rule(&fields, &builders),
                    error: fields.get("err").cloned(),
                });
            }
        }
    }
    runs
}

pub(super) fn npm_packages(source: &str, folder: &Path) -> Vec<Run> {
    let rows = table(source, "Test_runVerifyNpmPackage").into_iter();
    rows.map(|fields| {
        let artifact = folder.join("npm/gha").join(text_of(&fields, "artifact").unwrap());
        let (name, version) = (text_of(&fields, "pkgName"), text_of(&fields, "pkgVersion"));
        // A package URL has both, or no version.
        let purl = name.map(|name| {
            let version = version.map_or(String::new(), |version| format!("@{version}"));
            format!("pkg:npm/{}{version}", name.replace('@', "%40"))
        });
        let builders = text_of(&fields, "builderID")
            .map(|id| vec![id])
            .unwrap_or_default();
        Run {
            name: fields["name"].clone(),
            provenance: Some(PathBuf::from(format!("{}.json", artifact.display()))),
            artifacts: vec![artifact],
            purl,
            rule: rule(&fields, &builders),
            error: fields.get("err").cloned(),
        }
    })
    .collect()
}

pub(super) fn attestations(source: &str, folder: &Path) -> Vec<Run> {
    let rows = table(source, "Test_runVerifyGithubAttestation").into_iter();
    rows.map(|fields| {
        let artifact = folder.join("bcr").join(text_of(&fields, "artifact").unwrap());
        let named = |name: &str| {
            source
                .split(&format!("{name} := "))
                .nth(1)
                .map(|rest| texts(rest)[0].clone())
        };
        let builders = fields
            .get("builderID")
            .map(|id| vec![named(id).unwrap()])
            .unwrap_or_default();
        Run {
            name: fields["name"].clone(),
            provenance: Some(PathBuf::from(format!("{}.intoto.jsonl", artifact.display()))),
            artifacts: vec![artifact],
            purl: None,
            rule: rule(&fields, &builders),
            error: fields.get("err").cloned(),
        }
    })
    .collect()
}
