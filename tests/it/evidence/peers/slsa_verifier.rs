//! The tables of slsa-verifier's own regression test (`cli/slsa-verifier/main_regression_test.go`), read as they are there, and
//! every run that they stand for: each row with each version of each builder, and with each form of the builder's name.
//!
//! Envelopes of slsa-github-generator before 2.1.0 have no entry of the log, which slsa-verifier asks Rekor for. No test here
//! does. For these, the key in the certificate beside the signature is named as a trusted one, so that all else is judged:
//! signature, files, source, builder, branch, tag and inputs. They are counted apart.

pub(super) mod tables;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::DerCertificate;

use super::{SLSA, inspect, peers};
use crate::common::{code, json, text};
use tables::{Run, artifact_path, attestations, container_based, images, npm_packages};

pub(super) const TESTS: &str = "slsa-framework/slsa-verifier/cli/slsa-verifier/main_regression_test.go";

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
