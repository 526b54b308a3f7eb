//! What registries and forges answer when they are asked for attestations, from a server on this machine in the shapes of
//! the real ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Output;
use std::sync::Arc;

use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene};
use crate::common::authority::Signer;
use crate::common::{code, json, rebuilder, text, vectors};

/// Answers each path with its bytes, and any other with 404.
struct Server {
    address: String,
}

impl Server {
    fn new(answers: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers = Arc::new(answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = answers.clone();
                std::thread::spawn(move || serve(stream, &answers));
            }
        });
        Self { address }
    }

    /// Inspects a package of a registry that this server stands for.
    fn inspect(&self, scene: &Scene, subject: &str, hosts: &[&str], arguments: &[&str]) -> Output {
        let mut command = rebuilder();
        command.args(["--json", "inspect", subject]);
        for host in hosts {
            command.args([
                "--mirror",
                &format!("https://{host}/=http://{}/{host}/", self.address),
            ]);
        }
        command
            .current_dir(scene.folder.path())
            .args(arguments)
            .output()
            .unwrap()
    }
}

fn serve(mut stream: std::net::TcpStream, answers: &BTreeMap<String, Vec<u8>>) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match answers.get(path) {
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &b""[..]),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

fn claims(output: &Output, finding: &str) -> Vec<Value> {
    json(output)[finding]["claims"].as_array().unwrap().clone()
}

#[apply(test)]
fn npms_attestations_are_taken_from_the_registry() {
    let folder = vectors().join("npm");
    let scene = Scene::new();
    let tarball = fs::read(folder.join("gundam-visor-cli-v1-tag.tgz")).unwrap();
    let attestations = fs::read(folder.join("gundam-visor-cli-v1-tag.tgz.json")).unwrap();
    let digests = rebuilder::artifact::Digests::of(&tarball);
    let integrity = hex::decode(digests.get("sha512").unwrap()).unwrap();
    let integrity = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, integrity);
    let version = json!({
        "name": "gundam-visor", "version": "1.0.1",
        "dist": {"tarball": "https://registry.npmjs.org/gundam-visor/-/gundam-visor-1.0.1.tgz", "integrity": format!("sha512-{integrity}")},
    });
    let host = "registry.npmjs.org";
    let mut answers = BTreeMap::from([
        (
            format!("/{host}/gundam-visor/1.0.1"),
            version.to_string().into_bytes(),
        ),
        (format!("/{host}/gundam-visor/-/gundam-visor-1.0.1.tgz"), tarball),
        (
            format!("/{host}/-/npm/v1/attestations/gundam-visor@1.0.1"),
            attestations,
        ),
    ]);
    let output = Server::new(answers.clone()).inspect(&scene, "npm:gundam-visor@1.0.1", &[host], &[]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(
        json(&output)["provenance"]["standing"],
        "verified",
        "{}",
        text(&output)
    );
    assert!(
        claims(&output, "signature")
            .iter()
            .any(|claim| claim["standing"] == "verified"),
        "{}",
        text(&output)
    );
    // Where the registry keeps none, that is said.
    answers.remove(&format!("/{host}/-/npm/v1/attestations/gundam-visor@1.0.1"));
    let output = Server::new(answers).inspect(&scene, "npm:gundam-visor@1.0.1", &[host], &[]);
    assert_eq!(
        json(&output)["provenance"]["standing"],
        "absent",
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn githubs_answer_for_a_digest_is_evidence_from_its_address() {
    let scene = Scene::new();
    let bundle = scene
        .authority
        .sign(&scene.statement(), &Signer::workflow(REPOSITORY, COMMIT));
    let answer = json!({"attestations": [
        {"bundle": bundle, "repository_id": 1, "bundle_url": "https://blobs.example/1", "initiator": "user"},
        {"bundle": null, "repository_id": 1, "bundle_url": "https://blobs.example/2"},
    ]});
    let path = format!("/repos/example/tool/attestations/sha256:{}", scene.sha256);
    let server = Server::new(BTreeMap::from([(
        format!("/api.github.com{path}"),
        answer.to_string().into_bytes(),
    )]));
    let address = format!("https://api.github.com{path}");
    let asked = |address: &str| {
        server.inspect(
            &scene,
            "tool",
            &["api.github.com"],
            &["--provenance", address, "--trusted-root", "root.json"],
        )
    };
    let output = asked(&address);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["provenance"]["standing"], "verified");
    assert!(
        claims(&output, "other")[0]["meaning"]
            .as_str()
            .unwrap()
            .contains("in the place of its bundle")
    );
    let output = asked(&address.replace("sha256:", "sha256:00"));
    assert_eq!(code(&output), 4, "{}", text(&output));
}

#[apply(test)]
fn crates_io_says_which_run_published_a_version() {
    let scene = Scene::new();
    let manifest = b"[package]\nname = \"tool\"\nversion = \"1.0.0\"\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(manifest.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    archive
        .append_data(&mut header, "tool-1.0.0/Cargo.toml", &manifest[..])
        .unwrap();
    let package = archive.into_inner().unwrap().finish().unwrap();
    let checksum = Sha256::of(&package).to_hex();
    let line = json!({"name": "tool", "vers": "1.0.0", "deps": [], "cksum": checksum, "features": {}, "yanked": false});
    let publisher = json!({"provider": "github", "repository": "example/tool", "run_id": "7", "sha": COMMIT});
    let version = |data: &Value| json!({"version": {"crate": "tool", "num": "1.0.0", "checksum": checksum, "trustpub_data": data}});
    let hosts = ["index.crates.io", "static.crates.io", "crates.io"];
    for (data, standing, words) in [
        (
            Some(publisher),
            "unsigned",
            "https://github.com/example/tool/actions/runs/7 published it",
        ),
        (Some(Value::Null), "absent", "names no workflow"),
        (None, "unchecked", "could not be asked"),
    ] {
        let mut answers = BTreeMap::from([
            (
                "/index.crates.io/to/ol/tool".to_owned(),
                line.to_string().into_bytes(),
            ),
            (
                "/static.crates.io/crates/tool/tool-1.0.0.crate".into(),
                package.clone(),
            ),
        ]);
        if let Some(data) = data {
            answers.insert(
                "/crates.io/api/v1/crates/tool/1.0.0".into(),
                version(&data).to_string().into_bytes(),
            );
        }
        let output = Server::new(answers).inspect(&scene, "crate:tool@1.0.0", &hosts, &[]);
        let claims = claims(&output, "provenance");
        let found = claims
            .iter()
            .find(|claim| claim["by"] == "https://crates.io/api/v1/crates");
        let found = found.unwrap_or_else(|| panic!("{}", text(&output)));
        assert_eq!(found["standing"], standing, "{found}");
        assert!(found.to_string().contains(words), "{found}");
    }
}
