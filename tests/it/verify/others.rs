//! Other rebuilders' formats: OSS Rebuild's statements, rebuilderd's links, lists of digests.

use std::fs;
use std::process::Command;

use crate::common::{self, code, json, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::artifact::Sha256;
use rebuilder::attest::Signer as _;
use serde_json::{Value, json};

use super::statements::{days_ago, digest, released, same};
use super::{NAME, RELEASED, Scene, TWO, keys, policy};

/// A policy that trusts one more party.
pub(super) fn trust(scene: &Scene, name: &str, public: &str, quorum: &str) {
    let text = format!(
        "{}\n[[keys]]\nname = \"{name}\"\ntext = \"\"\"\n{public}\"\"\"\n[[parties]]\nname = \"{name}\"\nkeys = [\"{name}\"]\n[[quorums]]\nsubject = \"*\"\n{quorum}",
        policy()
    );
    fs::write(scene.path("policy.toml"), text).unwrap();
}

/// OSS Rebuild's two statements for one artifact, field by field as its service writes them.
fn oss_rebuild(rebuilt: &[u8]) -> [Value; 2] {
    let internal = json!({
        "prebuildConfig": {"bucket": "google-rebuild-bootstrap-tools", "dir": "v0.0.0-20250428204534-b35098b3c7b7"},
        "prebuildSource": {"ref": "b35098b3c7b7c0ac4c8d1d2c8a3ed2f9fd0ecf17", "repository": "https://github.com/google/oss-rebuild"},
        "serviceSource": {"ref": "b35098b3c7b7c0ac4c8d1d2c8a3ed2f9fd0ecf17", "repository": "https://github.com/google/oss-rebuild"}
    });
    let builder = json!({"id": "https://docs.oss-rebuild.dev/hosts/Google"});
    let target = format!("https://example.org/{NAME}");
    let equivalence = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": NAME, "digest": {"sha256": released()}}],
        "predicate": {
            "buildDefinition": {
                "buildType": "https://docs.oss-rebuild.dev/builds/ArtifactEquivalence@v0.1",
                "externalParameters": {"candidate": format!("rebuild/{NAME}"), "target": target},
                "internalParameters": internal,
                "resolvedDependencies": [
                    {"name": format!("rebuild/{NAME}"), "digest": {"sha256": digest(rebuilt)}},
                    {"name": target, "digest": {"sha256": released()}}
                ]
            },
            "runDetails": {
                "builder": builder,
                "metadata": {"invocationId": "7d4b9c9e-7f4c-4a4e-b7c5-5a3f1f0f6a11"},
                "byproducts": [{"name": format!("stabilized/{NAME}"), "digest": {"sha256": digest(b"stabilized")}}]
            }
        }
    });
    let rebuild = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": format!("rebuild/{NAME}"), "digest": {"sha256": digest(rebuilt)}}],
        "predicate": {
            "buildDefinition": {
                "buildType": "https://docs.oss-rebuild.dev/builds/Rebuild@v0.1",
                "externalParameters": {"artifact": NAME, "ecosystem": "pypi", "package": "app", "version": "1.0"},
                "internalParameters": internal,
                "resolvedDependencies": [
                    {"name": "git+https://example.org/app", "digest": {"sha1": "0123456789abcdef0123456789abcdef01234567"}},
                    {"name": "docker.io/library/alpine:3.21", "digest": {"sha256": digest(b"alpine")}},
                    {"name": "gcr.io/cloud-builders/docker", "digest": {"sha256": digest(b"docker")}},
                    {"name": "build.fix.json", "content": "e30="}
                ]
            },
            "runDetails": {
                "builder": builder,
                "metadata": {"invocationId": "7d4b9c9e-7f4c-4a4e-b7c5-5a3f1f0f6a11", "startedOn": days_ago(1), "finishedOn": days_ago(1)},
                "byproducts": [
                    {"name": "build.json", "content": "e30="},
                    {"name": "Dockerfile", "content": "RlJPTSBhbHBpbmUK"},
                    {"name": "steps.json", "content": "W10="}
                ]
            }
        }
    });
    [equivalence, rebuild]
}

#[apply(test)]
fn reads_and_compares_oss_rebuild() {
    let mut scene = Scene::new("");
    let key = &keys()["carol"];
    // Its bundles are bare DSSE envelopes, one a line.
    let lines = |rebuilt: &[u8]| {
        let envelopes = oss_rebuild(rebuilt).map(|statement| {
            let bundle = key.0.bundle(&serde_json::to_vec(&statement).unwrap()).unwrap();
            bundle["dsseEnvelope"].to_string()
        });
        envelopes.join("\n") + "\n"
    };
    let file = scene.said().join("rebuild.intoto.jsonl");
    scene.say("alice", &same("alice"));
    let quorum = |more: &str| {
        let text = format!(
            "{}\n[[quorums]]\nsubject = \"*\"\nthreshold = 3\n{more}",
            policy()
        );
        fs::write(scene.path("policy.toml"), text).unwrap();
    };
    quorum("");
    let google = |found: &Value| {
        let parties = found["parties"].as_array().unwrap();
        parties
            .iter()
            .find(|party| party["party"] == "carol")
            .unwrap()
            .clone()
    };
    // Bit for bit.
    fs::write(&file, lines(RELEASED)).unwrap();
    let output = scene.verify(&["--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let found = json(&output);
    let party = google(&found);
    assert_eq!(
        (&party["says"]["answer"], &party["kind"]),
        (&json!("same"), &json!("oss-rebuild"))
    );
    assert_eq!(
        party["inputs"]["source"],
        "commit 0123456789abcdef0123456789abcdef01234567"
    );
    assert_eq!(party["builder"], "https://docs.oss-rebuild.dev/hosts/Google");
    // Both name the same commit, and other containers.
    let aspects: Vec<_> = found["divergences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["aspect"].clone())
        .collect();
    assert_eq!(aspects, ["container"]);
    // Equivalent: what it set aside is not in its attestation, and a policy can take its word for it.
    fs::write(&file, lines(b"other times")).unwrap();
    let output = scene.verify(&["--json"]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    let found = json(&output);
    assert_eq!(found["verdict"], "equivalent");
    assert_eq!(
        google(&found)["says"]["normalisations"],
        json!(["oss-rebuild-stabilizers"])
    );
    assert_eq!(code(&scene.verify(&["--allow-equivalent"])), 0);
    quorum("equivalent-by = [\"oss-rebuild-stabilizers\"]\n");
    assert_eq!(code(&scene.verify(&[])), 0);
    // The rebuild alone, without its equivalence, says that other bytes came out.
    let alone = lines(b"other times").lines().nth(1).unwrap().to_owned();
    fs::write(&file, alone).unwrap();
    let output = scene.verify(&[]);
    assert_eq!(code(&output), 1);
    assert!(
        text(&output).contains("carol says otherwise"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn reads_and_compares_links_of_rebuilderd() {
    use in_toto::crypto::{KeyType, PrivateKey, SignatureScheme};
    let private = PrivateKey::new(KeyType::Ed25519).unwrap();
    let private = PrivateKey::from_pkcs8(&private, SignatureScheme::Ed25519).unwrap();
    // Its keys are published as SubjectPublicKeyInfo, with a field that RFC 8410 leaves out.
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", private.public().as_spki().unwrap()));
    let link = |bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (input, output) = (
            place("app_1.0_amd64.buildinfo", b"Format: 1.0"),
            place(NAME, bytes),
        );
        // As its worker calls it.
        let link = in_toto::runlib::in_toto_run(
            &format!("rebuild {NAME}"),
            None,
            &[&input],
            &[&output],
            &[],
            Some(&private),
            Some(&["sha512", "sha256"]),
            Some(&[&format!("{}/", folder.path().display())]),
        );
        serde_json::to_vec(&link.unwrap()).unwrap()
    };
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    trust(&scene, "debian-rebuilder", &public, TWO);
    let file = scene.said().join("attestation.json");
    let verdict = || json(&scene.verify(&["--json"]));
    fs::write(&file, link(RELEASED)).unwrap();
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    let party = &found["parties"][1];
    assert_eq!(
        (&party["party"], &party["kind"]),
        (&json!("debian-rebuilder"), &json!("link"))
    );
    assert_eq!(party["inputs"]["dependencies"]["count"], 1);
    // It is kept compressed.
    fs::write(&file, zstd::encode_all(&link(RELEASED)[..], 3).unwrap()).unwrap();
    assert_eq!(verdict()["verdict"], "agreed");
    // One changed digest.
    let forged = String::from_utf8(link(b"other bytes"))
        .unwrap()
        .replace(&digest(b"other bytes"), &released());
    fs::write(&file, forged).unwrap();
    assert_eq!(verdict()["verdict"], "not-enough");
    // Other bytes, well signed.
    fs::write(&file, link(b"other bytes")).unwrap();
    let found = verdict();
    assert_eq!(found["verdict"], "disagreed", "{found}");
    assert!(
        found["reason"]
            .as_str()
            .unwrap()
            .contains("debian-rebuilder says otherwise"),
        "{found}"
    );
}

#[apply(test)]
fn reads_lists_of_digests_with_a_signature_beside_them() {
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    // A builder's list, with a detached signature beside it: SSH here, OpenPGP and minisign go the same way.
    let key = scene.path("builder");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", &key])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        common::skip("ssh-keygen");
    }
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    trust(&scene, "guix-builder", &public, TWO);
    let list = scene.said().join("all.SHA256SUMS");
    let sign = |bytes: &[u8]| {
        fs::write(
            &list,
            format!("{}  {NAME}\n{}  other.tar.gz\n", digest(bytes), digest(b"other")),
        )
        .unwrap();
        let _ = fs::remove_file(format!("{}.sig", list.display()));
        let output = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "file", "-f", &key])
            .arg(&list)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    let verdict = || json(&scene.verify(&["--json"]));
    sign(RELEASED);
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    assert_eq!(found["parties"][1]["kind"], "hash-list");
    sign(b"other bytes");
    assert_eq!(verdict()["verdict"], "disagreed");
    // Changed after it was signed, and not signed at all.
    sign(b"other bytes");
    fs::write(&list, format!("{}  {NAME}\n", released())).unwrap();
    assert_eq!(scene.aside(), ["bad-signature 1"]);
    fs::remove_file(format!("{}.sig", list.display())).unwrap();
    assert_eq!(scene.aside(), ["unsigned 1"]);
    fs::remove_file(&list).unwrap();
}

#[apply(test)]
fn reads_lists_of_digests_with_a_signature_around_them() {
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    let verdict = || json(&scene.verify(&["--json"]));
    let home = scene.path("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", &home).args([
            "--batch",
            "--yes",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ]);
        command.args(arguments).output()
    };
    if !gpg(&["--quick-generate-key", "guix", "ed25519", "sign", "never"])
        .is_ok_and(|output| output.status.success())
    {
        common::skip("gpg");
    }
    let public = String::from_utf8(gpg(&["--armor", "--export"]).unwrap().stdout).unwrap();
    trust(&scene, "guix-builder", &public, TWO);
    let clear = |bytes: &[u8]| {
        let plain = scene.path("SHA256SUMS");
        fs::write(&plain, format!("{}  {NAME}\n", digest(bytes))).unwrap();
        let signed = scene.said().join("SHA256SUMS.asc");
        let output = gpg(&["--clearsign", "--output", signed.to_str().unwrap(), &plain]).unwrap();
        assert!(output.status.success(), "{}", text(&output));
        signed
    };
    clear(RELEASED);
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    let signed = clear(b"other bytes");
    assert_eq!(verdict()["verdict"], "disagreed");
    let forged = fs::read_to_string(&signed)
        .unwrap()
        .replace(&digest(b"other bytes"), &released());
    fs::write(&signed, forged).unwrap();
    assert_eq!(scene.aside(), ["bad-signature 1"]);
    fs::remove_file(&signed).unwrap();
    let _ = Command::new("gpgconf")
        .env("GNUPGHOME", &home)
        .args(["--kill", "all"])
        .output();
}

/// The digest is in a base 32 of its own, and the signature is over path, digest, size and references.
#[apply(test)]
fn reads_what_a_nix_cache_signs() {
    let mut scene = Scene::new("");
    scene.say("alice", &same("alice"));
    let verdict = || json(&scene.verify(&["--json"]));
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = format!("cache.example-1:{}\n", STANDARD.encode(pair.public_key()));
    trust(&scene, "nix-cache", &public, TWO);
    let hash = format!(
        "sha256:{}",
        nix_base32::to_nix_base32(Sha256::of(RELEASED).as_bytes())
    );
    let path = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-app-1.0";
    let signed = format!("1;{path};{hash};{};/nix/store/aaa-libc", RELEASED.len());
    let signature = STANDARD.encode(pair.sign(signed.as_bytes()));
    let narinfo = format!(
        "StorePath: {path}\nURL: nar/x.nar.xz\nCompression: xz\nNarHash: {hash}\nNarSize: {}\nReferences: aaa-libc\nSig: cache.example-1:{signature}\n",
        RELEASED.len()
    );
    fs::write(scene.said().join("app.narinfo"), &narinfo).unwrap();
    let found = verdict();
    assert_eq!(found["verdict"], "agreed", "{found}");
    fs::write(
        scene.said().join("app.narinfo"),
        narinfo.replace("aaa-libc", "bbb-libc"),
    )
    .unwrap();
    assert_eq!(scene.aside(), ["bad-signature 1"]);
}
