//! What Google Cloud Build and cosign wrote, as it lies in the tests of other projects; judged as there.
//!
//! `REBUILDER_PEERS` is a folder with checkouts, each in OWNER/NAME: slsa-framework/slsa-verifier and sigstore/cosign.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::peers::peers;
use crate::common::{code, json, rebuilder, text};

const SLSA: &str = "slsa-framework/slsa-verifier";
const COSIGN: &str = "sigstore/cosign";

/// Every key of Google's that slsa-verifier knows, under the name by which envelopes call it, as a policy has it; second,
/// the names.
pub(super) fn keys(folder: &Path) -> (String, Vec<String>) {
    let (mut names, mut text) = (Vec::new(), "version = 1\n".to_owned());
    let keys = folder.join(SLSA).join("verifiers/internal/gcb/keys/materials");
    let mut files: Vec<_> = fs::read_dir(keys).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    for file in files {
        let place = file.file_stem().unwrap().to_str().unwrap();
        let (place, key) = match place {
            "global-pae" => continue,
            "global-pae-provenanceSigner_1" => ("global", "provenanceSigner"),
            "global-pae-google-hosted-worker_1" => ("global", "google-hosted-worker"),
            region => (region, "builtByGCB"),
        };
        let name = format!(
            "projects/verified-builder/locations/{place}/keyRings/attestor/cryptoKeys/{key}/cryptoKeyVersions/1"
        );
        text.push_str(&format!(
            "[[keys]]\nname = {name:?}\nfile = \"{}\"\n",
            file.display()
        ));
        names.push(name);
    }
    (text, names)
}

/// One party has all of these keys.
fn policy(folder: &Path) -> String {
    let (text, names) = keys(folder);
    text + &format!(
        "[[parties]]\nname = \"Google\"\nrole = \"builder\"\nkeys = {names:?}\n[[quorums]]\nsubject = \"*\"\nthreshold = 1\n"
    )
}

#[apply(test)]
fn cloud_builds_provenance_is_judged_as_by_slsa_verifier() {
    let folder = peers();
    let place = tempfile::tempdir().unwrap();
    let own = place.path().join("policy.toml");
    fs::write(&own, policy(&folder)).unwrap();
    let (mut counts, mut wrong) = ((0, 0), Vec::new());
    for version in ["v0.2", "v0.3"] {
        let cases = folder
            .join(SLSA)
            .join("cli/slsa-verifier/testdata/gcb_container")
            .join(version);
        let mut files: Vec<PathBuf> = fs::read_dir(&cases)
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        files.sort();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let image = ["gcloud-container-gcs", "gcloud-container-github-tag"];
            let image = image
                .into_iter()
                .find(|image| *image == name)
                .unwrap_or("gcloud-container-github");
            let digest = fs::read_to_string(cases.join(format!("{image}.digest"))).unwrap();
            let mut command = rebuilder();
            command
                .args(["--json", "verify", digest.trim(), "--attestation"])
                .arg(&file);
            let output = command.arg("--policy").arg(&own).output().unwrap();
            // What is wrong with a document, its name says.
            let is_good = name == image || name.ends_with("valid");
            if (code(&output) == 0) != is_good {
                wrong.push(format!("{version} {name}: {} {}", code(&output), text(&output)));
            }
            counts = (counts.0 + usize::from(is_good), counts.1 + usize::from(!is_good));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(counts, (12, 34), "docs/evidence.md says how many");
}

/// A text between backquotes, or between quotes, that Go code gives a name.
fn constant(code: &str, name: &str) -> String {
    let mut lines = code.split(name).skip(1).map(str::trim_start);
    let value = lines
        .find_map(|rest| rest.strip_prefix('='))
        .unwrap()
        .trim_start();
    let quote = value.chars().next().unwrap();
    value[1..].split(quote).next().unwrap().to_owned()
}

#[apply(test)]
fn cosigns_attestations_are_judged_as_by_cosign() {
    let folder = peers().join(COSIGN);
    let code_of = folder.join("cmd/cosign/cli/verify/verify_blob_attestation_test.go");
    let source = fs::read_to_string(code_of).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("cosign.pub"), constant(&source, "const pubkey")).unwrap();
    for name in ["blobContents", "anotherBlobContents"] {
        fs::write(path(name), constant(&source, &format!("\t{name}"))).unwrap();
    }
    for (name, blob, good) in [
        ("blobSLSAProvenanceSignature", "blobContents", true),
        ("blobSLSAProvenanceSignature", "anotherBlobContents", false),
        ("dssePredicateEmptySubject", "blobContents", false),
        ("dssePredicateMissingSha256", "blobContents", false),
        ("dssePredicateMultipleSubjects", "blobContents", true),
        ("dssePredicateMultipleSubjectsInvalid", "blobContents", false),
    ] {
        let signed = constant(&source, &format!("\t{name}"));
        // As `attest-blob` writes it to a file of its own, and in its old bundle.
        for document in [
            STANDARD.decode(&signed).unwrap(),
            json!({"base64Signature": signed}).to_string().into_bytes(),
        ] {
            fs::write(path("said"), document).unwrap();
            let mut command = rebuilder();
            command.args(["--json", "--offline", "inspect"]).arg(path(blob));
            command.arg("--provenance").arg(path("said"));
            let output = command
                .arg("--trusted-key")
                .arg(path("cosign.pub"))
                .output()
                .unwrap();
            assert_eq!(code(&output) == 0, good, "{name} {blob}: {}", text(&output));
        }
    }
    // Its bundle about an image, which is not at hand: the signature is good, and over other bytes.
    let data = folder.join("pkg/cosign/testdata");
    let mut command = rebuilder();
    command
        .args(["--json", "--offline", "inspect"])
        .arg(path("blobContents"));
    command
        .arg("--provenance")
        .arg(data.join("oci-attestation.sigstore.json"));
    command
        .arg("--trusted-root")
        .arg(data.join("trusted_root_pgi.json"));
    let output = command
        .args(["--identity", "*", "--issuer", "*"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", text(&output));
    let found = json(&output);
    let claims = ["provenance", "signature", "other"].map(|question| found[question].to_string());
    assert!(
        claims
            .iter()
            .any(|claims| claims.contains("it is about other bytes")),
        "{found}"
    );
}
