//! The tables of slsa-verifier's own regression test (`cli/slsa-verifier/main_regression_test.go`), read as they are there, and
//! every run that they stand for: each row with each version of each builder, and with each form of the builder's name.
//!
//! Envelopes of slsa-github-generator before 2.1.0 have no entry of the log, which slsa-verifier asks Rekor for. No test here
//! does. For these, the key in the certificate beside the signature is named as a trusted one, so that all else is judged:
//! signature, files, source, builder, branch, tag and inputs. They are counted apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::DerCertificate;

use super::{SLSA, inspect, peers};
use crate::common::{code, json, text};

const TESTS: &str = "slsa-framework/slsa-verifier/cli/slsa-verifier/main_regression_test.go";
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
type Fields = BTreeMap<String, String>;

/// The rows of the table in a test function, whose form is that of gofmt.
fn table(source: &str, test: &str) -> Vec<Fields> {
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
fn texts(expression: &str) -> Vec<String> {
    expression
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn text_of(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).map(|expression| texts(expression).concat())
}

/// One run of slsa-verifier.
struct Run {
    name: String,
    artifacts: Vec<PathBuf>,
    provenance: Option<PathBuf>,
    purl: Option<String>,
    rule: Vec<String>,
    /// The error that it must end with.
    error: Option<String>,
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
fn version(name: &str) -> Vec<u32> {
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

fn artifact_path(source: &str, folder: &Path) -> Vec<Run> {
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

fn container_based(source: &str, folder: &Path) -> Vec<Run> {
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

fn images(source: &str, folder: &Path) -> Vec<Run> {
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

fn npm_packages(source: &str, folder: &Path) -> Vec<Run> {
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

fn attestations(source: &str, folder: &Path) -> Vec<Run> {
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

/// How a run is judged here.
enum Judged {
    /// As there; whether the log's entry was set aside.
    Same(bool),
    Otherwise(String),
    /// A file is not there, or what is known of its signer is in the log only.
    NotRun(String),
}

/// What must be wrong for each of slsa-verifier's errors: rules of the policy, or standings.
fn reasons(error: &str) -> &'static [&'static str] {
    match error.trim_start_matches("serrors.Error") {
        "MismatchSource" => &["sources"],
        "MismatchBranch" => &["source-branches"],
        "MismatchTag" => &["source-tags"],
        "MismatchVersionedTag" => &["source-versioned-tags"],
        "InvalidRef" => &["source-tags", "source-versioned-tags", "source-branches"],
        "MismatchWorkflowInputs" => &["workflow-inputs"],
        "UntrustedReusableWorkflow" | "MismatchBuilderID" | "NotSupported" | "InvalidBuilderID" => {
            &["builder-ids"]
        }
        "MismatchHash" | "MismatchPackageName" | "MismatchPackageVersion" => &["elsewhere", "partial"],
        "RekorSearch" => &["unchecked", "refuted"],
        "InvalidSignature" => &["refuted"],
        other => panic!("{other} is a new error"),
    }
}

/// The public key in the certificate beside an envelope's signature.
fn certified_key(provenance: &Path) -> Option<String> {
    let envelope: Value = serde_json::from_slice(&fs::read(provenance).ok()?).ok()?;
    let certificate = pem::parse(envelope["signatures"][0]["cert"].as_str()?).ok()?;
    let certificate = DerCertificate::new(certificate.into_contents());
    let key = parse_certificate_info(&certificate).ok()?.public_key;
    Some(pem::encode(&pem::Pem::new("PUBLIC KEY", key.as_bytes())))
}

fn inspected(run: &Run, folder: &Path, key: Option<&str>) -> (i32, Value, String) {
    let policy = format!(
        "version = 1\n[[rules]]\nsubject = \"*\"\n{}\n",
        run.rule.join("\n")
    );
    fs::write(folder.join("policy.toml"), policy).unwrap();
    let mut command = inspect();
    command.args(&run.artifacts);
    if let Some(provenance) = &run.provenance {
        command.arg("--provenance").arg(provenance);
    }
    if let Some(purl) = &run.purl {
        command.arg("--purl").arg(purl);
    }
    if let Some(key) = key {
        fs::write(folder.join("key.pub"), key).unwrap();
        command.arg("--trusted-key").arg(folder.join("key.pub"));
    }
    command.arg("--policy").arg(folder.join("policy.toml"));
    let output = command.output().unwrap();
    let exit = code(&output);
    let found = if output.stdout.is_empty() {
        Value::Null
    } else {
        json(&output)
    };
    (exit, found, text(&output))
}

fn judge(run: &Run) -> Judged {
    let files = run
        .artifacts
        .iter()
        .filter(|path| !path.starts_with("oci:"))
        .chain(&run.provenance);
    if let Some(missing) = files.into_iter().find(|path| {
        let name = path.display().to_string();
        !name.starts_with("oci:") && !path.is_file()
    }) {
        return Judged::NotRun(format!("{} is not there", missing.display()));
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut exit, mut found, mut said) = inspected(run, folder.path(), None);
    let unlogged = |found: &Value| {
        let meaning = &found["provenance"]["claims"][0]["meaning"];
        meaning
            .as_str()
            .is_some_and(|it| it.contains("no entry of the transparency log"))
    };
    let asks_log = run.error.as_deref() == Some("serrors.ErrorRekorSearch");
    let mut aside = false;
    if unlogged(&found) && !asks_log {
        let Some(key) = run.provenance.as_deref().and_then(certified_key) else {
            return Judged::NotRun("its certificate is in the log only".into());
        };
        aside = true;
        (exit, found, said) = inspected(run, folder.path(), Some(&key));
    }
    let standing = found["provenance"]["standing"]
        .as_str()
        .unwrap_or("unreadable")
        .to_owned();
    let checks = found["policy"]["checks"].as_array().cloned().unwrap_or_default();
    let broken: Vec<&str> = checks
        .iter()
        .filter(|check| check["kept"] == false)
        .filter_map(|check| check["rule"].as_str())
        .collect();
    let signature = found["signature"]["standing"].as_str().unwrap_or_default();
    let same = match &run.error {
        None => exit == 0 && broken.is_empty() && standing == "verified",
        Some(error) => {
            let wanted = reasons(error);
            let is_wanted = |found: &str| wanted.contains(&found);
            exit != 0
                && (is_wanted(&standing) || is_wanted(signature) || broken.iter().any(|rule| is_wanted(rule)))
        }
    };
    if same {
        Judged::Same(aside)
    } else {
        let wanted = run.error.as_deref().unwrap_or("nothing wrong");
        let tail: String = said.chars().take(300).collect();
        Judged::Otherwise(format!("{wanted}: exit {exit}, {standing}, {broken:?}: {tail}"))
    }
}

/// Not judged as there, and why:
///
/// - artifacts: 30 of a builder on a branch, which slsa-verifier takes in its own tests only. 4 more are not run, as a file of
///   4 MiB is not in every copy of the project.
/// - npm and GitHub attestations: 7 in which no builder is named, which slsa-verifier asks for, and a policy here need not;
///   3 in which a version of no package is asked for, and 1 in which the name differs by a capital letter, which no package
///   URL of npm says.
///
/// A table: its name; how many runs it stands for; how many of them are judged as there, and how many more without the log's
/// entry; and how many otherwise.
type Total = (&'static str, usize, usize, usize, usize);

const TOTALS: [Total; 5] = [
    ("artifacts", 4900, 2016, 2850, 30),
    ("container-based", 198, 198, 0, 0),
    ("images", 289, 289, 0, 0),
    ("npm", 54, 45, 0, 9),
    ("GitHub attestations", 5, 3, 0, 2),
];

#[apply(test)]
fn the_tables_of_slsa_verifiers_tests_are_judged_as_there() {
    let folder = peers().join(SLSA);
    let source = fs::read_to_string(peers().join(TESTS)).unwrap();
    let tables = [
        artifact_path(&source, &folder),
        container_based(&source, &folder),
        images(&source, &folder),
        npm_packages(&source, &folder),
        attestations(&source, &folder),
    ];
    let mut lines = Vec::new();
    let mut totals = Vec::new();
    for ((name, ..), runs) in TOTALS.iter().zip(&tables) {
        let (next, judged) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let found = judge(run);
                        judged.lock().unwrap().push((run.name.clone(), found));
                    }
                });
            }
        });
        let (mut same, mut aside, mut otherwise) = (0, 0, 0);
        for (run, found) in judged.into_inner().unwrap() {
            match found {
                Judged::Same(false) => same += 1,
                Judged::Same(true) => aside += 1,
                Judged::Otherwise(reason) => {
                    otherwise += 1;
                    lines.push(format!("{name}: {run}: {reason}"));
                }
                Judged::NotRun(reason) => lines.push(format!("{name}: {run}: not run: {reason}")),
            }
        }
        totals.push((*name, runs.len(), same, aside, otherwise));
    }
    lines.sort();
    assert_eq!(
        totals,
        TOTALS,
        "docs/evidence.md says how many\n{}",
        lines.join("\n")
    );
}
