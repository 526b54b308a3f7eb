//! Commands that are run again in the image that the provenance names.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{self, GIT, SANDBOX, backends, code, needs, text};
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::Project;

/// A registry on this machine, ended when dropped.
pub struct Registry {
    process: Child,
    pub address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn registry() -> Registry {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("127.0.0.1:{port}");
    let configuration = folder.path().join("registry.yml");
    fs::write(
        &configuration,
        format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            folder.path().join("data").display()
        ),
    )
    .unwrap();
    let started = Command::new("docker-registry")
        .arg("serve")
        .arg(&configuration)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(process) = started else {
        common::skip("docker-registry, or skopeo beside it");
    };
    let registry = Registry {
        process,
        address: address.clone(),
        _folder: folder,
    };
    for _ in 0..100 {
        if std::net::TcpStream::connect(&address).is_ok() {
            return registry;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the registry does not answer at {address}");
}

/// Layers as tar archives: a static shell, then one that removes a file again (a whiteout) and adds the entrypoint.
fn layers(busybox: &[u8]) -> Vec<Vec<u8>> {
    let header = |size: usize, mode: u32, kind: tar::EntryType| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(mode);
        header.set_mtime(1_735_689_600);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    let mut first = tar::Builder::new(Vec::new());
    first
        .append_data(
            &mut header(busybox.len(), 0o755, tar::EntryType::Regular),
            "bin/busybox",
            busybox,
        )
        .unwrap();
    for name in ["sh", "mkdir", "tar", "cp", "cat", "sort", "env"] {
        first
            .append_link(
                &mut header(0, 0o777, tar::EntryType::Symlink),
                format!("bin/{name}"),
                "busybox",
            )
            .unwrap();
    }
    first
        .append_data(
            &mut header(4, 0o644, tar::EntryType::Regular),
            "etc/gone",
            &b"gone"[..],
        )
        .unwrap();
    let entrypoint = b"#!/bin/sh\necho \"entrypoint: $GREETING\"\nexec \"$@\"\n";
    let mut second = tar::Builder::new(Vec::new());
    second
        .append_data(
            &mut header(0, 0o644, tar::EntryType::Regular),
            "etc/.wh.gone",
            &b""[..],
        )
        .unwrap();
    second
        .append_data(
            &mut header(entrypoint.len(), 0o755, tar::EntryType::Regular),
            "entrypoint.sh",
            &entrypoint[..],
        )
        .unwrap();
    vec![first.into_inner().unwrap(), second.into_inner().unwrap()]
}

/// Writes an OCI image layout, pushes it with a stranger's client, and gives the digest of its index.
fn push_image(registry: &Registry, folder: &Path, busybox: &[u8]) -> String {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let keep = |bytes: &[u8]| {
        let digest = Sha256::of(bytes).to_hex();
        fs::write(blobs.join(&digest), bytes).unwrap();
        json!({"digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let described = |mut descriptor: Value, media_type: &str| {
        descriptor["mediaType"] = json!(media_type);
        descriptor
    };
    let mut diff_ids = Vec::new();
    let mut stored = Vec::new();
    for layer in layers(busybox) {
        diff_ids.push(format!("sha256:{}", Sha256::of(&layer)));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &layer).unwrap();
        stored.push(described(
            keep(&gzip.finish().unwrap()),
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ));
    }
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin", "GREETING=from the image"], "Entrypoint": ["/entrypoint.sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described(keep(config.to_string().as_bytes()), "application/vnd.oci.image.config.v1+json"),
        "layers": stored
    });
    let mut entry = described(
        keep(manifest.to_string().as_bytes()),
        "application/vnd.oci.image.manifest.v1+json",
    );
    entry["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]});
    let outer = described(
        keep(index.to_string().as_bytes()),
        "application/vnd.oci.image.index.v1+json",
    );
    let digest = outer["digest"].as_str().unwrap().to_owned();
    let layout = json!({"schemaVersion": 2, "manifests": [outer]});
    fs::write(folder.join("index.json"), layout.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
    let pushed = Command::new("skopeo")
        .args([
            "copy",
            "--quiet",
            "--all",
            "--insecure-policy",
            "--dest-tls-verify=false",
        ])
        .arg(format!("oci:{}", folder.display()))
        .arg(format!("docker://{}/builder:latest", registry.address))
        .output();
    let Ok(output) = pushed else {
        common::skip("skopeo");
    };
    assert!(output.status.success(), "{}", text(&output));
    digest
}

#[apply(test)]
fn a_command_in_an_image_is_run_again() {
    needs(&[SANDBOX, GIT]);
    let registry = registry();
    let Ok(busybox) = fs::read("/bin/busybox") else {
        common::skip("a static /bin/busybox");
    };
    let project = Project::new("built-in-an-image", |work| {
        fs::write(work.join("b.txt"), "second\n").unwrap();
        fs::write(work.join("a.txt"), "first\n").unwrap();
    });
    let digest = push_image(&registry, &project.path("image"), &busybox);
    let artifact = project.path("all.txt");
    let released = "first\nfrom the image\nsecond\n";
    let statement = |digest: &str, sha256: &str, path: &str| {
        json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "subject": [{"name": "all.txt", "digest": {"sha256": sha256}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://slsa.dev/container-based-build/v0.1?draft",
                    "externalParameters": {
                        "source": {"uri": format!("git+{}@refs/tags/v1.0.0", project.repository), "digest": {"sha1": project.commit}},
                        "builderImage": {"uri": format!("builder.invalid/builder@{digest}"), "digest": {"sha256": digest.trim_start_matches("sha256:")}},
                        "configPath": "config.toml",
                        "buildConfig": {
                            "ArtifactPath": path,
                            "Command": ["sh", "-c", "test ! -e /etc/gone; { cat a.txt b.txt; echo \"$GREETING\"; } | sort > all.txt"]
                        }
                    },
                    "resolvedDependencies": []
                },
                "runDetails": {"builder": {"id": "https://github.com/example/builder"}}
            }
        })
    };
    let mirror = format!("docker://builder.invalid/=docker://{}/", registry.address);
    let rebuild = |backend: &str, name: &str, more: &[&str]| {
        let mut command = project.command("rebuild");
        command
            .args(["--mirror", &mirror, "--backend", backend, "--out"])
            .arg(project.path(name));
        command.args(more).output().unwrap()
    };
    fs::write(&artifact, released).unwrap();
    project.sign(&statement(&digest, &Sha256::of(released).to_hex(), "all.txt"));
    for backend in backends() {
        let output = rebuild(backend, &format!("run-{backend}"), &[artifact.to_str().unwrap()]);
        assert_eq!(code(&output), 0, "{backend}: {}", text(&output));
        let log = fs::read_to_string(project.path(&format!("run-{backend}")).join("build.log")).unwrap();
        assert!(log.contains("entrypoint: from the image"), "{log}");
    }
    // Image and source lie in the store now: the provenance alone is enough, and the network is not needed.
    let output = rebuild("embedded", "run-offline", &["--offline"]);
    assert_eq!(code(&output), 0, "{}", text(&output));

    // An image that the registry does not have, and one whose bytes are not what the digest says.
    let absent = format!("sha256:{}", "1".repeat(64));
    project.sign(&statement(&absent, &Sha256::of(released).to_hex(), "all.txt"));
    let output = rebuild("embedded", "run-absent", &[]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    // An artifact path that leads out.
    project.sign(&statement(
        &digest,
        &Sha256::of(released).to_hex(),
        "../../etc/passwd",
    ));
    let output = rebuild("embedded", "run-out", &[]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("not a path below the source"),
        "{}",
        text(&output)
    );
}
