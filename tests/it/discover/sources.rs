//! Every kind of source, with answers of the shape that it gives.

use std::fs;

use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::{RELEASED, Scene, serving, write};
use crate::common::authority::{Authority, Signer};
use crate::common::http::Reply;
use crate::common::party;
use crate::common::{code, json, text};

fn hex() -> String {
    Sha256::of(RELEASED).to_hex()
}

const DEB: &str = "chrony_4.3-2+deb12u1_amd64.deb";
const DEB_PURL: &str = "pkg:deb/debian/chrony@4.3-2%2Bdeb12u1?arch=amd64&distro=bookworm";

/// Rebuilderd's records, with the fields that its server gives (v1 and v0).
fn record(version: &str, ids: Value) -> Value {
    json!({
        "id": 7, "name": "chrony", "version": version, "distribution": "debian", "release": "bookworm",
        "component": "main", "architecture": "amd64", "url": "https://mirror.example/chrony.deb", "status": "GOOD",
        "build_id": ids, "artifact_id": ids, "diffoscope_log_id": null, "attestation_log_id": 9,
        "last_seen": "2026-11-25T12:00:00.123456", "seen_in_last_sync": true
    })
}

fn old_record(version: &str) -> Value {
    json!({
        "name": "chrony", "version": version, "status": "GOOD", "distro": "debian", "suite": "main",
        "architecture": "amd64", "artifact_url": "https://mirror.example/", "build_id": 3,
        "built_at": "2026-11-25T12:00:00", "has_diffoscope": false, "has_attestation": true
    })
}

/// A name of the source, its lines in the policy, the file, its package URL, and what the server has.
struct Row {
    what: &'static str,
    lines: String,
    file: &'static str,
    purl: Option<&'static str>,
    paths: fn(&Scene) -> Vec<(String, Reply)>,
}

// Long, as it is one table.
fn rows() -> Vec<Row> {
    let row = |what, lines: &str, file, purl, paths| Row {
        what,
        lines: lines.to_owned(),
        file,
        purl,
        paths,
    };
    vec![
        row(
            "rebuilderd v1",
            "kind = \"rebuilderd\"\nurl = \"BASE/{arch}/\"",
            DEB,
            Some(DEB_PURL),
            |scene| {
                let records = [
                    record("4.3-2+deb12u1", json!(3)),
                    record("4.2-1", json!(4)),
                    record("4.3-2+deb12u1", json!(null)),
                ];
                let list = json!({"total": 3, "records": records});
                vec![
                (
                    "/amd64/api/v1/packages/binary?name=chrony&version=4.3-2%2Bdeb12u1&architecture=amd64".into(),
                    Reply::ok(list.to_string()),
                ),
                (
                    "/amd64/api/v1/builds/3/artifacts/3/attestation".into(),
                    Reply::ok(scene.bundle().to_string()),
                ),
            ]
            },
        ),
        row(
            "rebuilderd v0",
            "kind = \"rebuilderd\"\nurl = \"BASE\"",
            DEB,
            Some(DEB_PURL),
            |scene| {
                let list = json!([old_record("1.0"), old_record("4.3-2+deb12u1")]);
                let compressed = zstd::encode_all(scene.bundle().to_string().as_bytes(), 3).unwrap();
                vec![
                    (
                        "/api/v0/pkgs/list?name=chrony&architecture=amd64".into(),
                        Reply::ok(list.to_string()),
                    ),
                    ("/api/v0/builds/3/attestation".into(), Reply::ok(compressed)),
                ]
            },
        ),
        row(
            "OSS Rebuild",
            "kind = \"oss-rebuild\"\nurl = \"BASE/bucket\"",
            "absl_py-2.0.0-py3-none-any.whl",
            Some("pkg:pypi/absl-py@2.0.0"),
            |scene| {
                let envelope = scene.bundle()["dsseEnvelope"].to_string();
                vec![(
                    "/bucket/pypi/absl-py/2.0.0/absl_py-2.0.0-py3-none-any.whl/rebuild.intoto.jsonl".into(),
                    Reply::ok(format!("{envelope}\n")),
                )]
            },
        ),
        row(
            "OSS Rebuild, a scope",
            "kind = \"oss-rebuild\"\nurl = \"BASE\"",
            "core-1.0.0.tgz",
            Some("pkg:npm/%40babel/core@1.0.0"),
            |scene| {
                let envelope = scene.bundle()["dsseEnvelope"].to_string();
                vec![(
                    "/npm/@babel/core/1.0.0/core-1.0.0.tgz/rebuild.intoto.jsonl".into(),
                    Reply::ok(envelope),
                )]
            },
        ),
        row(
            "npm",
            "kind = \"npm\"\nurl = \"BASE\"",
            "core-1.0.0.tgz",
            Some("pkg:npm/%40babel/core@1.0.0"),
            |scene| {
                let bundle = scene.bundle();
                // One that no reader knows must hide no other.
                let list = json!({"attestations": [
                    {"predicateType": "https://slsa.dev/provenance/v9", "bundle": {"mediaType": "unknown"}, "new": 1},
                    {"predicateType": "https://slsa.dev/provenance/v1", "bundle": bundle},
                ]});
                vec![(
                    "/-/npm/v1/attestations/@babel%2Fcore@1.0.0".into(),
                    Reply::ok(list.to_string()),
                )]
            },
        ),
        row(
            "GitHub",
            "kind = \"github\"\nurl = \"BASE\"\nrepository = \"owner/name\"",
            "app.tar.gz",
            None,
            |scene| {
                let list = json!({"attestations": [
                    {"bundle": scene.bundle(), "repository_id": 1, "bundle_url": "https://blob.example/x", "initiator": "user"}
                ]});
                vec![(
                    format!("/repos/owner/name/attestations/sha256:{}?per_page=100", hex()),
                    Reply::ok(list.to_string()),
                )]
            },
        ),
        row(
            "bundles",
            "kind = \"bundles\"\nurl = \"BASE/said\"",
            "app.tar.gz",
            None,
            |scene| {
                let (bundle, other) = (scene.bundle(), scene.alice.rebuilt("other", b"other"));
                vec![(
                    format!("/said/{}.intoto.jsonl", hex()),
                    Reply::ok(format!("{other}\n{bundle}\nrubbish\n")),
                )]
            },
        ),
        row(
            "OCI referrers",
            "kind = \"oci\"\nurl = \"docker://HOST/team/app\"",
            "manifest.json",
            None,
            |scene| oci(scene, &format!("referrers/sha256:{}", hex())),
        ),
        row(
            "OCI, by the tag",
            "kind = \"oci\"\nurl = \"HOST/team/app\"",
            "manifest.json",
            None,
            |scene| oci(scene, &format!("manifests/sha256-{}", hex())),
        ),
    ]
}

/// A registry whose list of referrers is at this place.
fn oci(scene: &Scene, place: &str) -> Vec<(String, Reply)> {
    let bundle = scene.bundle().to_string();
    let digest = |text: &str| format!("sha256:{}", Sha256::of(text));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest("{}"), "size": 2},
        "layers": [{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "digest": digest(&bundle), "size": bundle.len()}],
        "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{}", hex()), "size": RELEASED.len()}
    })
    .to_string();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(&manifest), "size": manifest.len(), "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}]
    });
    vec![
        (format!("/v2/team/app/{place}"), Reply::ok(index.to_string())),
        (
            format!("/v2/team/app/manifests/{}", digest(&manifest)),
            Reply::ok(manifest),
        ),
        (
            format!("/v2/team/app/blobs/{}", digest(&bundle)),
            Reply::ok(bundle),
        ),
    ]
}

#[apply(test)]
fn each_kind_of_source_is_asked_in_its_own_form() {
    for row in rows() {
        let scene = Scene::new(row.file);
        let server = serving((row.paths)(&scene));
        let lines = row
            .lines
            .replace("BASE", &server.url())
            .replace("HOST", &server.host());
        scene.sources(&[lines]);
        let purl: Vec<&str> = row.purl.iter().flat_map(|purl| ["--purl", purl]).collect();
        let output = scene.verify(&[&purl[..], &["--json"]].concat());
        let found = json(&output);
        let asked = &found["asked"][0];
        assert_eq!(
            asked["answer"],
            "found",
            "{}: {} {:?}",
            row.what,
            text(&output),
            server.paths()
        );
        assert_eq!(code(&output), 0, "{}: {}", row.what, text(&output));
        // It is told where a statement was, not where it is kept.
        let origin = found["parties"][0]["origin"].as_str().unwrap();
        assert!(origin.contains(&server.host()), "{}: {origin}", row.what);
        assert!(
            origin.starts_with(
                asked["found"].as_array().unwrap().iter().next_back().unwrap()["address"]
                    .as_str()
                    .unwrap()
            ),
            "{}: {origin}",
            row.what
        );
    }
}

#[apply(test)]
fn pypis_attestations_are_those_of_its_publishers() {
    let scene = Scene::new("idna-3.10-py3-none-any.whl");
    let authority = Authority::new();
    let signer = Signer::workflow(
        "https://github.com/kjd/idna",
        "0123456789abcdef0123456789abcdef01234567",
    );
    let statement = party::statement("kjd", scene.file, &hex());
    let bundle = authority.sign(&statement, &signer);
    let attestation = json!({
        "version": 1,
        "verification_material": {
            "certificate": bundle["verificationMaterial"]["certificate"]["rawBytes"],
            "transparency_entries": bundle["verificationMaterial"]["tlogEntries"]
        },
        "envelope": {
            "statement": bundle["dsseEnvelope"]["payload"],
            "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"]
        }
    });
    let publisher = json!({"kind": "GitHub", "repository": "kjd/idna", "workflow": "release.yml"});
    let answer = json!({"version": 1, "attestation_bundles": [{"publisher": publisher, "attestations": [attestation]}]});
    let path = "/integrity/idna/3.10/idna-3.10-py3-none-any.whl/provenance";
    let server = serving(vec![(path.into(), Reply::ok(answer.to_string()))]);
    scene.sources(&[format!("kind = \"pypi\"\nurl = \"{}\"", server.url())]);
    let mut policy = fs::read_to_string(scene.path("policy.toml")).unwrap();
    policy.push_str(&format!(
        "[[parties]]\nname = \"kjd\"\nidentities = [{{ subject = \"{}\", issuer = \"{}\" }}]\n",
        signer.identity, signer.issuer
    ));
    write(&scene.path("policy.toml"), &policy);
    write(&scene.path("root.json"), &authority.trusted_root().to_string());
    let root = scene.path("root.json").display().to_string();
    let output = scene.verify(&["--purl", "pkg:pypi/idna@3.10", "--trusted-root", &root, "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["parties"][0]["party"], "kjd");
    let request = &server.requests()[0];
    assert!(
        request.contains("application/vnd.pypi.integrity.v1+json"),
        "{request}"
    );
}

#[apply(test)]
fn a_folder_is_read_as_it_is() {
    let scene = Scene::new("app.tar.gz");
    scene.sources(&["kind = \"folder\"\nfolder = \"said\"".to_owned()]);
    let asked = || json(&scene.verify(&["--json"]))["asked"][0]["answer"].clone();
    assert_eq!(asked(), "no-answer");
    fs::create_dir(scene.path("said")).unwrap();
    assert_eq!(asked(), "none");
    write(
        &scene.path("said/alice.sigstore.json"),
        &scene.bundle().to_string(),
    );
    assert_eq!(asked(), "found");
    assert_eq!(code(&scene.verify(&[])), 0);
}

#[apply(test)]
fn a_token_goes_to_the_source_alone() {
    let scene = Scene::new("app.tar.gz");
    let empty = json!({"attestations": []}).to_string();
    let server = serving(vec![(
        format!("/orgs/owner/attestations/sha256:{}?per_page=100", hex()),
        Reply::ok(empty),
    )]);
    scene.sources(&[format!(
        "kind = \"github\"\nurl = \"{}\"\nrepository = \"owner\"\ntoken-env = \"A_TOKEN\"",
        server.url()
    )]);
    // Without it the source would answer as to a stranger, so it is not asked.
    let output = scene.verify(&["--json"]);
    assert_eq!(
        json(&output)["asked"][0]["answer"],
        "no-answer",
        "{}",
        text(&output)
    );
    assert!(server.paths().is_empty());
    fs::remove_dir_all(scene.path("store")).unwrap();
    let output = scene
        .command(&["--json"])
        .env("A_TOKEN", "secret-of-mine")
        .output()
        .unwrap();
    assert_eq!(json(&output)["asked"][0]["answer"], "none", "{}", text(&output));
    assert!(server.requests()[0].contains("Bearer secret-of-mine"));
    assert!(!text(&output).contains("secret-of-mine"));
}

#[apply(test)]
fn a_bundle_that_github_keeps_elsewhere_is_fetched_from_public_hosts_only() {
    let scene = Scene::new("app.tar.gz");
    let elsewhere = scene.bundle().to_string();
    let compressed = snap::raw::Encoder::new()
        .compress_vec(elsewhere.as_bytes())
        .unwrap();
    let blob = serving(vec![("/blob".into(), Reply::ok(compressed))]);
    let list = json!({"attestations": [{"bundle": null, "repository_id": 1, "bundle_url": format!("{}/blob", blob.url())}]});
    let api = serving(vec![(
        format!("/repos/owner/name/attestations/sha256:{}?per_page=100", hex()),
        Reply::ok(list.to_string()),
    )]);
    scene.sources(&[format!(
        "kind = \"github\"\nurl = \"{}\"\nrepository = \"owner/name\"",
        api.url()
    )]);
    let output = scene.verify(&["--json"]);
    let asked = &json(&output)["asked"][0];
    assert_eq!(
        (code(&output), &asked["answer"]),
        (4, &json!("no-answer")),
        "{}",
        text(&output)
    );
    assert!(
        asked["says"][0].as_str().unwrap().contains("refused to follow"),
        "{asked}"
    );
    assert!(blob.paths().is_empty(), "{:?}", blob.paths());
    fs::remove_dir_all(scene.path("store")).unwrap();
    let output = scene.verify(&["--allow-host", &blob.host(), "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
}
