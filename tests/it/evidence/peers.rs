//! Bundles in the tests of other projects, judged as those projects judge them; where not, the row says why.
//!
//! `REBUILDER_PEERS` is a folder with checkouts, each in OWNER/NAME: of sigstore the projects sigstore-java,
//! sigstore-python, sigstore-js and sigstore-go, cli/cli, trailofbits/pypi-attestations and slsa-framework/slsa-verifier.

mod slsa_images;
mod slsa_verifier;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{json, rebuilder};
use crate::harness::skip_by_hand;

const JAVA: &str = "sigstore/sigstore-java/sigstore-java/src/test/resources/dev/sigstore/samples/bundles";
const PYTHON: &str = "sigstore/sigstore-python/test/assets";
const GITHUB: &str = "cli/cli/pkg/cmd/attestation/test/data";
const PYPI: &str = "trailofbits/pypi-attestations/test/assets";
const JS: &str = "sigstore/sigstore-js/tests/bundles";
const GO: &str = "sigstore/sigstore-go";
const SLSA: &str = "slsa-framework/slsa-verifier/cli/slsa-verifier/testdata";
/// Roots, below `PYTHON` and `JAVA`; the built-in one is named by nothing.
const STAGING: &str =
    "staging-tuf/targets/ed6a9cf4e7c2e3297a4b5974fce0d17132f03c63512029d7aa3a402b43acab49.trusted_root.json";
/// Below `GO`.
const SCAFFOLDING: &str = "pkg/testing/data/trusted-roots/scaffolding.json";
const VALIDITY: &str = "pkg/testing/data/trusted-roots/public-key-validity.json";
const GITHUBS_OWN: &str = "github-private-no-tlog/trusted_root.jsonl";

pub(super) fn peers() -> PathBuf {
    let folder = std::env::var_os("REBUILDER_PEERS").map(PathBuf::from);
    folder.unwrap_or_else(|| skip_by_hand("REBUILDER_PEERS, a folder with checkouts of other projects"))
}

/// Inspects offline, with any signer.
fn inspect() -> Command {
    let mut command = rebuilder();
    command.args(["--json", "--offline", "inspect"]);
    command.args(["--identity", "*", "--issuer", "*"]);
    command
}

/// How a document is judged: the standing of its first claim that answers one of the questions, or `unreadable`.
fn judged(document: &Path, artifact: &Path, root: Option<PathBuf>, questions: &[&str]) -> (String, String) {
    let mut command = inspect();
    command.arg(artifact).arg("--provenance").arg(document);
    if let Some(root) = root {
        command.arg("--trusted-root").arg(root);
    }
    let found = json(&command.output().unwrap());
    let mut claims = questions.iter().map(|question| &found[*question]["claims"][0]);
    match claims.find(|claim| claim.is_object()) {
        Some(claim) => (
            claim["standing"].as_str().unwrap().to_owned(),
            claim["meaning"].as_str().unwrap().to_owned(),
        ),
        None => ("unreadable".into(), found["error"]["message"].to_string()),
    }
}

/// One document: its name, its artifact, its root, and what is said of it here; with a reason if its project judges
/// otherwise.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const JAVAS: [Row; 31] = [
    ("PKIX_ECDSA_P256_SHA_256.sigstore.json", "artifact.txt", "", "verified", ""),
    ("PKIX_ECDSA_P384_SHA_384.sigstore.json", "artifact.txt", "", "verified", ""),
    ("PKIX_ECDSA_P521_SHA_512.sigstore.json", "artifact.txt", "", "verified", ""),
    ("PKIX_RSA_PKCS1V15_2048_SHA256.sigstore.json", "artifact.txt", "", "verified", ""),
    ("PKIX_RSA_PKCS1V15_3072_SHA256.sigstore.json", "artifact.txt", "", "verified", ""),
    ("PKIX_RSA_PKCS1V15_4096_SHA256.sigstore.json", "artifact.txt", "", "verified", ""),
    ("bundle-no-digest.sigstore", "artifact.txt", "", "verified", ""),
    ("bundle-with-bad-checkpoint-signature.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle-with-expired-cert.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle-with-mismatched-set.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle-with-rekor-v2-entry.sigstore", "artifact.txt", STAGING, "verified", ""),
    ("bundle-with-timestamp.sigstore", "artifact.txt", STAGING, "verified", ""),
    ("bundle-with-wrong-tlog-entry.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.dsse.bad-signature.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.dsse.mismatched-envelope.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.dsse.mismatched-signature.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.dsse.rekor-v2.bad-entry-type.sigstore", "artifact.txt", "", "unreadable", ""),
    ("bundle.dsse.rekor-v2.bad-signature.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.dsse.rekor-v2.mismatched-envelope.sigstore", "artifact.txt", "", "unchecked", ""),
    ("bundle.dsse.rekor-v2.mismatched-signature.sigstore", "artifact.txt", "", "unchecked", ""),
    ("bundle.dsse.rekor-v2.sigstore", "artifact.txt", "", "refuted", "it names a workflow as its builder, and a person signed it"),
    ("bundle.dsse.sigstore", "artifact.txt", "", "verified", ""),
    ("bundle.sigstore", "artifact.txt", "", "verified", ""),
    ("bundle.v1.no.inclusion.sigstore", "artifact.txt", "", "verified", "the first version of bundles needs no proof beside the promise"),
    ("bundle.v1.sigstore", "artifact.txt", "", "verified", ""),
    ("bundle.v2.no.inclusion.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.v2.sigstore", "artifact.txt", "", "verified", ""),
    ("bundle.v3.no.inclusion.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.v3.sigstore", "artifact.txt", "", "verified", ""),
    ("bundle.v3_1.no.inclusion.sigstore", "artifact.txt", "", "refuted", ""),
    ("bundle.v3_1.sigstore", "artifact.txt", "", "verified", ""),
];

#[rustfmt::skip]
const PYTHONS: [Row; 12] = [
    ("bundle.txt.sigstore", "bundle.txt", STAGING, "verified", ""),
    ("bundle_cve_2022_36056.txt.sigstore", "bundle_cve_2022_36056.txt", STAGING, "refuted", ""),
    ("bundle_invalid_version.txt.sigstore", "bundle_invalid_version.txt", STAGING, "unreadable", ""),
    ("bundle_no_cert_v1.txt.sigstore", "bundle_no_cert_v1.txt", STAGING, "refuted", ""),
    ("bundle_no_checkpoint.txt.sigstore", "bundle_no_checkpoint.txt", STAGING, "refuted", ""),
    ("bundle_no_log_entry.txt.sigstore", "bundle_no_log_entry.txt", "", "unchecked", ""),
    ("bundle_v3.txt.sigstore", "bundle_v3.txt", STAGING, "verified", ""),
    ("bundle_v3_alt.txt.sigstore", "bundle_v3_alt.txt", STAGING, "verified", ""),
    ("bundle_v3_github.whl.sigstore", "bundle_v3_github.whl", "", "verified", ""),
    ("bundle_v3_no_signed_time.txt.sigstore.json", "bundle_v3_no_signed_time.txt", "", "unchecked", ""),
    ("staging-rekor-v2.txt.sigstore.json", "staging-rekor-v2.txt", STAGING, "verified", ""),
    ("tsa/bundle.many_timestamp.sigstore", "tsa/bundle.txt", STAGING, "unchecked", ""),
];

#[rustfmt::skip]
const GITHUBS: [Row; 9] = [
    ("github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl", "github_provenance_demo-0.0.12-py3-none-any.whl", GITHUBS_OWN, "verified", ""),
    ("github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl", "github_provenance_demo-0.0.12-py3-none-any.whl", "", "unchecked", ""),
    ("github_provenance_demo-0.0.12-py3-none-any-bundle-missing-cert.jsonl", "github_provenance_demo-0.0.12-py3-none-any.whl", GITHUBS_OWN, "unreadable", ""),
    ("github_provenance_demo-0.0.12-py3-none-any-bundle-missing-verification-material.jsonl", "github_provenance_demo-0.0.12-py3-none-any.whl", GITHUBS_OWN, "unreadable", ""),
    ("sigstore-js-2.1.0-bundle.json", "sigstore-js-2.1.0.tgz", "", "verified", ""),
    ("sigstore-js-2.1.0_with_2_bundles.jsonl", "sigstore-js-2.1.0.tgz", GITHUBS_OWN, "verified", ""),
    ("sigstoreBundle-invalid-signature.json", "sigstore-js-2.1.0.tgz", "", "refuted", ""),
    ("reusable-workflow-attestation.sigstore.json", "reusable-workflow-artifact", "", "verified", ""),
    ("custom-issuer.sigstore.json", "custom-issuer-artifact", "", "verified", ""),
];

#[rustfmt::skip]
const PYPIS: [Row; 5] = [
    ("gitlab_oidc_project-0.0.3.tar.gz.publish.attestation", "gitlab_oidc_project-0.0.3.tar.gz", "", "verified", ""),
    ("pypi_attestation_models-0.0.4a2.tar.gz.attestation", "pypi_attestation_models-0.0.4a2.tar.gz", "", "verified", ""),
    ("pypi_attestations-0.0.19.tar.gz.publish.attestation", "pypi_attestations-0.0.19.tar.gz", "", "verified", ""),
    ("pypi_attestations-0.0.19.tar.gz.slsa.attestation", "pypi_attestations-0.0.19.tar.gz", "", "verified", ""),
    ("pypi_attestations-0.0.19.tar.gz.publish.attestation", "gitlab_oidc_project-0.0.3.tar.gz", "", "elsewhere", ""),
];

/// Their files are not there; a good signature is over other bytes then.
#[rustfmt::skip]
const JSS: [Row; 9] = [
    ("bundleV01-dsse-no-proof.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV01-dsse-with-proof.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV01-full-cert-chain.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV01-intoto-no-proof.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV01-intoto-with-proof.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV02-dsse.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV02-intoto.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV03-dsse.sigstore", "statement.json", "", "elsewhere", ""),
    ("bundleV03-intoto.sigstore", "statement.json", "", "elsewhere", ""),
];

#[rustfmt::skip]
const GOS: [Row; 7] = [
    ("examples/bundle-provenance.json", "README.md", "", "elsewhere", ""),
    ("examples/bundle-publish.json", "README.md", "", "elsewhere", ""),
    ("pkg/testing/data/bundles/sigstore.js@2.0.0-provenance.sigstore.json", "README.md", "", "elsewhere", ""),
    ("pkg/testing/data/bundles/dsse.sigstore.json", "README.md", SCAFFOLDING, "elsewhere", ""),
    ("pkg/testing/data/bundles/othername.sigstore.json", "README.md", SCAFFOLDING, "elsewhere", ""),
    ("pkg/testing/data/bundles/dsse-2sigs.sigstore.json", "README.md", SCAFFOLDING, "unreadable", ""),
    ("pkg/testing/data/bundles/public-key-validity.sigstore.json", "README.md", VALIDITY, "unreadable", "a root with neither authorities nor logs is none here; give the key with --trusted-key"),
];

#[apply(test)]
fn bundles_of_other_projects_are_judged_as_there() {
    let folder = peers();
    let root = |name: &str| match name {
        "" => None,
        STAGING => Some(folder.join(PYTHON).join(name)),
        SCAFFOLDING | VALIDITY => Some(folder.join(GO).join(name)),
        _ => Some(folder.join(JAVA).join(name)),
    };
    let (mut wrong, mut others) = (Vec::new(), 0);
    let all: [(&str, &[Row]); 6] = [
        (JAVA, &JAVAS),
        (PYTHON, &PYTHONS),
        (GITHUB, &GITHUBS),
        (PYPI, &PYPIS),
        (JS, &JSS),
        (GO, &GOS),
    ];
    for (place, rows) in all {
        let place = folder.join(place);
        for (document, artifact, trusted, expected, otherwise) in rows {
            let (document, artifact) = (place.join(document), place.join(artifact));
            let (standing, meaning) =
                judged(&document, &artifact, root(trusted), &["signature", "provenance"]);
            if standing != *expected {
                let name = document.display();
                wrong.push(format!("{name}: {standing}, not {expected}: {meaning}"));
            }
            others += usize::from(!otherwise.is_empty());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(others, 3, "docs/evidence.md says how many are judged otherwise");
}

/// Provenance of the generators, each version of which has made some: the older form has no entry of the log.
#[apply(test)]
fn provenance_in_slsa_verifiers_tests_is_judged_as_there() {
    let folder = peers().join(SLSA);
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::<String, usize>::new());
    let endings = [
        ".intoto.jsonl",
        ".intoto.sigstore",
        ".intoto.build.slsa",
        ".build.slsa",
        ".tgz.json",
    ];
    for entry in walkdir::WalkDir::new(&folder).sort_by_file_name() {
        let document = entry.unwrap().into_path();
        let name = document.display().to_string();
        let Some(ending) = endings.iter().find(|ending| name.ends_with(**ending)) else {
            continue;
        };
        let start = &name[..name.len() - ending.len()];
        let artifact = PathBuf::from(if *ending == ".tgz.json" {
            format!("{start}.tgz")
        } else {
            start.to_owned()
        });
        if !artifact.is_file() {
            continue;
        }
        let (standing, meaning) = judged(&document, &artifact, None, &["provenance"]);
        let is_bundle = fs::read_to_string(&document)
            .unwrap()
            .contains("verificationMaterial");
        // slsa-verifier takes the delegator of a branch in its own tests only.
        let bad = ["-wrong-signer", "-invalidsigprov", "gha_delegator/v1.9.0"];
        let expected = if bad.iter().any(|part| name.contains(part)) {
            "refuted"
        } else if is_bundle {
            "verified"
        } else {
            "unchecked"
        };
        if standing != expected {
            wrong.push(format!("{name}: {standing}: {meaning}"));
        }
        let certified = meaning.contains("a trusted authority certified its key");
        let kind = if certified { "certified" } else { &standing };
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let expected = [
        ("certified", 106),
        ("refuted", 10),
        ("unchecked", 8),
        ("verified", 88),
    ];
    let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(counts, BTreeMap::from(expected), "docs/evidence.md says how many");
}
