//! Two more tables of slsa-verifier's own regression test: images that Google Cloud Build made, each row with each version
//! of the builder and each form of its name, and verification summaries. Rows and options are read as they are there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::slsa_verifier::TESTS;
use super::slsa_verifier::tables::{Fields, table, text_of, texts, version};
use super::{SLSA, peers};
use crate::common::{code, json as parsed, rebuilder, text};
use crate::evidence::others;
use crate::verify::vsa::{Expected, verify_vsa};

const BUILDER: &str = "https://cloudbuild.googleapis.com/GoogleHostedWorker";

/// What must be wrong for each of slsa-verifier's errors: rules of the policy, or standings. A rule about keys is broken if
/// nothing that one of them signed is good.
fn reasons(error: &str) -> &'static [&'static str] {
    match error.trim_start_matches("serrors.Error") {
        "MismatchSource" => &["sources"],
        "MismatchTag" => &["source-tags"],
        "MismatchVersionedTag" => &["source-versioned-tags"],
        "MismatchBuilderID" | "VerifierNotSupported" => &["builder-ids"],
        "NoValidSignature" | "InvalidDssePayload" | "MismatchIntoto" | "InvalidFormat" => {
            &["keys", "unreadable"]
        }
        "MismatchHash" => &["elsewhere", "keys", "unreadable"],
        other => panic!("{other} is a new error"),
    }
}

/// The digest of a row's image.
fn digest(fields: &Fields, folder: &Path, own: &str) -> String {
    if let Some(given) = fields.get("artifactDigest") {
        let pairs = texts(given);
        let mut pairs = pairs.chunks(2);
        return pairs.find(|pair| pair[0] == own).unwrap()[1].clone();
    }
    let image = text_of(fields, "artifact").unwrap();
    let text = fs::read_to_string(folder.join(own).join(format!("{image}.digest"))).unwrap();
    text.trim().trim_start_matches("sha256:").to_owned()
}

/// The policy with a row's options.
fn policy(fields: &Fields, builder: &str, keys: &str, names: &[String]) -> String {
    let source = text_of(fields, "source").unwrap();
    let source = if source.contains("://") {
        source
    } else {
        format!("https://{source}")
    };
    let mut policy = format!(
        "{keys}[[rules]]\nsubject = \"*\"\nkeys = {names:?}\nsources = [{source:?}]\nbuilder-ids = [{builder:?}]\n"
    );
    for (name, key) in [("ptag", "source-tags"), ("pversiontag", "source-versioned-tags")] {
        if let Some(text) = text_of(fields, name) {
            policy.push_str(&format!("{key} = [{text:?}]\n"));
        }
    }
    policy
}

/// Not judged as there: where one of several provenances has a signature that is not of the key that it names, the whole is
/// refused here, and slsa-verifier takes the good one.
#[apply(test)]
fn images_of_google_cloud_build_are_judged_as_there() {
    let folder = peers().join(SLSA).join("gcb_container");
    let source = fs::read_to_string(peers().join(TESTS)).unwrap();
    let (keys, names) = others::keys(&peers());
    let place = tempfile::tempdir().unwrap();
    let (mut runs, mut otherwise) = (0, BTreeMap::<String, usize>::new());
    let mut lines = Vec::new();
    for fields in table(&source, "Test_runVerifyGCBArtifactImage") {
        let name = &fields["name"];
        let error = fields.get("err");
        if fields.contains_key("noDigest") {
            // An image is named by its digest, or not at all.
            let image = format!("docker://{}", text_of(&fields, "artifact").unwrap());
            let output = rebuilder()
                .args(["--offline", "inspect", &image])
                .output()
                .unwrap();
            let is_same = code(&output) == 2 && text(&output).contains("by its digest");
            assert!(is_same && error.is_some(), "{name}: {}", text(&output));
            runs += 1;
            continue;
        }
        let least = text_of(&fields, "minversion").map(|least| version(&least));
        for own in ["v0.2", "v0.3"] {
            if least.as_ref().is_some_and(|least| version(own) < *least) {
                continue;
            }
            let builders = match fields.get("pBuilderID") {
                Some(expression) => vec![format!("{BUILDER}{}", texts(expression).concat())],
                None => vec![format!("{BUILDER}@{own}"), BUILDER.to_owned()],
            };
            for builder in builders {
                runs += 1;
                let file = place.path().join("policy.toml");
                fs::write(&file, policy(&fields, &builder, &keys, &names)).unwrap();
                let mut command = rebuilder();
                command.args(["--json", "--offline", "inspect"]);
                command.arg(format!("sha256:{}", digest(&fields, &folder, own)));
                let provenance = text_of(&fields, "provenance").unwrap();
                command.arg("--provenance").arg(folder.join(own).join(provenance));
                let output = command.arg("--policy").arg(&file).output().unwrap();
                let found = if output.stdout.is_empty() {
                    Value::Null
                } else {
                    parsed(&output)
                };
                let standing = found["provenance"]["standing"].as_str().unwrap_or("unreadable");
                let checks = found["policy"]["checks"].as_array().cloned().unwrap_or_default();
                let mut broken = checks
                    .iter()
                    .filter(|check| check["kept"] == false)
                    .filter_map(|check| check["rule"].as_str());
                let is_same = match error {
                    None => code(&output) == 0 && standing == "verified" && broken.next().is_none(),
                    Some(error) => {
                        let wanted = reasons(error);
                        code(&output) != 0
                            && (wanted.contains(&standing) || broken.any(|rule| wanted.contains(&rule)))
                    }
                };
                if !is_same {
                    *otherwise.entry(name.clone()).or_default() += 1;
                    let said: String = text(&output).chars().take(300).collect();
                    lines.push(format!("{name} {own} {builder} {error:?}: {standing} {said}"));
                }
            }
        }
    }
    let several = [
        "\"multiple provenance 2nd valid\"",
        "\"multiple provenance 3rd valid\"",
    ];
    let expected: BTreeMap<_, _> = several.map(|name| (name.to_owned(), 4)).into();
    assert_eq!(
        (runs, &otherwise),
        (143, &expected),
        "docs/evidence.md says how many\n{}",
        lines.join("\n")
    );
}

/// The checks that slsa-verifier makes of summaries, which `verify::vsa` holds against ours, on its own rows. What we say of
/// the same summary: it is about a disk image (`gce_image_id`), which is no digest that is compared here, so it proves
/// nothing about any file, whatever name its key has.
#[apply(test)]
fn summaries_are_judged_as_far_as_they_go() {
    let folder = peers().join(SLSA).join("vsa");
    let source = fs::read_to_string(peers().join(TESTS)).unwrap();
    let rows = table(&source, "Test_runVerifyVSA");
    assert_eq!(rows.len(), 3, "docs/evidence.md says how many");
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("tool"), "released").unwrap();
    for fields in rows {
        let name = &fields["name"];
        let list = |name: &str| fields.get(name).map(|list| texts(list)).unwrap_or_default();
        let one = |name: &str| text_of(&fields, name).unwrap_or_default();
        let summary = folder.join(one("attestationPath"));
        let expected = Expected {
            public: fs::read_to_string(folder.join(one("publicKeyPath"))).unwrap(),
            key_id: one("publicKeyID"),
            digests: list("subjectDigests"),
            verifier: one("verifierID"),
            resource: one("resourceURI"),
            levels: list("verifiedLevels"),
        };
        let outcome = match fields.get("err").map(String::as_str) {
            None => Ok(()),
            Some("serrors.ErrorNoValidSignature") => Err("no valid signature"),
            Some(other) => panic!("{other} is a new error"),
        };
        assert_eq!(
            verify_vsa(&fs::read(&summary).unwrap(), &expected),
            outcome,
            "{name}"
        );
        let key = json!({
            "keyid": expected.key_id, "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256",
            "keyval": {"public": expected.public},
        });
        fs::write(place.path().join("key.json"), key.to_string()).unwrap();
        let mut command = rebuilder();
        command
            .args(["--json", "--offline", "inspect"])
            .arg(place.path().join("tool"));
        command.arg("--provenance").arg(&summary);
        command.arg("--trusted-key").arg(place.path().join("key.json"));
        let output = command.output().unwrap();
        assert_eq!(code(&output), 4, "{name}: {}", text(&output));
        let claim = &parsed(&output)["other"]["claims"][0];
        assert_eq!(claim["standing"], "unchecked", "{name}: {claim}");
        let meaning = claim["meaning"].as_str().unwrap();
        assert!(
            meaning.contains("algorithms that are not supported here"),
            "{name}: {meaning}"
        );
    }
}
