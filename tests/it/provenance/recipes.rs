//! Released programs, rebuilt by recipe from provenance that a throw-away authority signs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::authority::provenance;
use crate::common::{GIT, NETWORK, SANDBOX, backends, code, json, needs, rebuilder, text};
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::{Project, rebuild, statement};

/// Builds "officially": in the same container, by a command of our own, without the tool's recipes.
fn build_officially(project: &Project, container: &str, inputs: &[PathBuf], script: &str) -> PathBuf {
    let out = project.path("official");
    let mut command = rebuilder();
    command.args(["container", "run", container, "--out"]).arg(&out);
    for input in inputs.iter().chain([&project.archive()]) {
        command.arg("--input").arg(input);
    }
    let output = command.args(["--", "sh", "-euc", script]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    out.join("hello")
}

/// Rebuilds a released program from provenance that a throw-away authority signs, under every backend.
fn by_recipe(project: &Project, artifact: &Path, recipe: &str) {
    let digest = Sha256::of(fs::read(artifact).unwrap()).to_hex();
    project.sign(&provenance(
        "hello",
        &digest,
        &project.repository,
        &project.commit,
    ));
    let key = project.key();
    for backend in backends() {
        let output = rebuild(
            project,
            artifact,
            recipe,
            backend,
            &["--key", key.to_str().unwrap()],
        );
        assert_eq!(code(&output), 0, "{recipe} {backend}: {}", text(&output));
        let record = json(&output);
        assert_eq!(record["verdict"], "reproduced");
        assert_eq!(record["claims"][0]["standing"], "verified");
        let statement = statement(&record);
        assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.as_str());
        let inputs = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
            .as_array()
            .unwrap();
        assert!(
            inputs
                .iter()
                .any(|input| input["digest"]["gitCommit"] == project.commit.as_str()),
            "{inputs:?}"
        );
    }
}

#[apply(test)]
fn a_c_program_is_rebuilt_by_recipe() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::example("hello-c");
    let artifact = build_officially(
        &project,
        "bookworm-build",
        &[],
        "mkdir -p /build/hello-c; cd /build/hello-c; tar xf /inputs/source.tar; make; cp hello /out/",
    );
    by_recipe(&project, &artifact, "c-make");

    a_signer_verifies_the_provenance_itself(&project, &artifact);

    // Whoever asks for no policy is on record with that.
    let key = project.path("key.pem");
    let output = rebuild(
        &project,
        &artifact,
        "c-make",
        "embedded",
        &["--policy", "none", "--key", key.to_str().unwrap()],
    );
    assert_eq!(code(&output), 0, "{}", text(&output));
    let statement = statement(&json(&output));
    assert_eq!(
        statement["predicate"]["buildDefinition"]["internalParameters"]["policy"]["policy"],
        "none"
    );

    // What was released from other code does not come out. The time was inferred, so it accuses nobody.
    fs::write(&artifact, "another program").unwrap();
    let digest = Sha256::of("another program").to_hex();
    project.sign(&provenance(
        "hello",
        &digest,
        &project.repository,
        &project.commit,
    ));
    let output = rebuild(&project, &artifact, "c-make", "embedded", &[]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert_eq!(json(&output)["verdict"], "not-reproduced");
}

/// No registry lists the program, so the signed provenance that comes with the run is all that tells what was released.
fn a_signer_verifies_the_provenance_itself(project: &Project, artifact: &Path) {
    let socket = project.path("socket");
    let mut command = rebuilder();
    command
        .arg("signer")
        .arg("--socket")
        .arg(&socket)
        .arg("--runs")
        .arg(project.path(""))
        .args(["--agree", "1"]);
    command
        .arg("--key")
        .arg(project.path("key.pem"))
        .arg("--log")
        .arg(project.path("log.jsonl"));
    command.arg("--trusted-root").arg(project.path("root.json"));
    let mut service = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(service.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("listening"), "{line}");

    let socket = socket.to_str().unwrap();
    let output = rebuild(project, artifact, "c-make", "embedded", &["--signer", socket]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let record = json(&output);
    assert!(record["attestation"].is_string(), "{record}");
    // Without the documents, or with one that someone else signed, nothing vouches for the digest.
    let run = PathBuf::from(record["run"].as_str().unwrap());
    let ask = || {
        rebuilder()
            .arg("attest")
            .arg(&run)
            .args(["--signer", socket])
            .output()
            .unwrap()
    };
    assert_eq!(code(&ask()), 0);
    let document = fs::read_dir(run.join("documents"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let bundle = fs::read_to_string(&document).unwrap();
    let forged: Value = serde_json::from_str(&bundle).unwrap();
    let envelope = forged["dsseEnvelope"].to_string();
    for text_of_document in [Some(envelope.as_str()), None] {
        fs::remove_file(&document)
            .or_else(|_| fs::remove_dir_all(run.join("documents")))
            .unwrap();
        if let Some(bytes) = text_of_document {
            fs::write(run.join("documents").join(Sha256::of(bytes).to_hex()), bytes).unwrap();
        }
        let refused = ask();
        assert_eq!(code(&refused), 3, "{}", text(&refused));
        assert!(
            text(&refused).contains("no signed document that came with the run"),
            "{}",
            text(&refused)
        );
    }
    service.kill().unwrap();
    service.wait().unwrap();
}

/// A project that releases an archive whose times are those of the build.
#[apply(test)]
fn what_named_normalisations_set_aside_is_equivalent_and_signed_as_such() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::new("archive", |work| {
        let makefile = "hello:\n\tmkdir -p p\n\techo hi > p/file\n\ttar czf hello p\n";
        fs::write(work.join("Makefile"), makefile).unwrap();
    });
    let artifact = build_officially(
        &project,
        "bookworm-build",
        &[],
        "mkdir -p /build/archive; cd /build/archive; tar xf /inputs/source.tar; make; touch -d 2020-01-01 p p/file; tar czf hello p; cp hello /out/",
    );
    let digest = Sha256::of(fs::read(&artifact).unwrap()).to_hex();
    project.sign(&provenance(
        "hello",
        &digest,
        &project.repository,
        &project.commit,
    ));
    let key = project.key();
    let signing = ["--key", key.to_str().unwrap()];
    let output = rebuild(&project, &artifact, "c-make", "embedded", &signing);
    assert_eq!(
        code(&output),
        1,
        "equivalent is not reproduced: {}",
        text(&output)
    );
    let record = json(&output);
    assert_eq!(record["verdict"], "equivalent");
    let set_aside = &record["outputs"][0]["differs"]["normalisations"];
    assert_eq!(set_aside[0]["name"], "tar-time");

    // Two statements: how the other bytes came to be, and what they are to the released ones.
    let rebuilt = &record["outputs"][0]["rebuilt"];
    assert_eq!(statement(&record)["subject"][0]["digest"]["sha256"], *rebuilt);
    let run = PathBuf::from(record["run"].as_str().unwrap());
    let equivalence = statement(&json!({"attestation": run.join("equivalence.sigstore.json")}));
    assert_eq!(equivalence["subject"][0]["digest"]["sha256"], digest.as_str());
    let definition = &equivalence["predicate"]["buildDefinition"];
    assert!(
        definition["buildType"]
            .as_str()
            .unwrap()
            .ends_with("ArtifactEquivalence@v0.1")
    );
    assert_eq!(definition["externalParameters"]["normalisations"], *set_aside);

    let allowed = rebuild(&project, &artifact, "c-make", "embedded", &["--allow-equivalent"]);
    assert_eq!(code(&allowed), 0, "{}", text(&allowed));
    let strict = rebuild(
        &project,
        &artifact,
        "c-make",
        "embedded",
        &["--normalise", "none", "--allow-equivalent"],
    );
    assert_eq!(
        (code(&strict), &json(&strict)["verdict"]),
        (1, &json!("not-reproduced")),
        "{}",
        text(&strict)
    );

    // A record that calls other contents equivalent is not signed.
    let evil = project.path("run-embedded");
    let path = evil.join("record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["verdict"] = json!("equivalent");
    record["outputs"][0]["differs"]["outcome"] = json!("equivalent");
    fs::write(&path, record.to_string()).unwrap();
    let refused = rebuilder()
        .arg("attest")
        .arg(&evil)
        .args(signing)
        .output()
        .unwrap();
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    assert!(!evil.join("equivalence.sigstore.json").exists());
}

#[apply(test)]
fn a_rust_program_and_its_crates_are_rebuilt_by_recipe() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::example("hello-rust");
    // The crate comes the way that cargo itself brings it: its registry's archive, by the checksum in Cargo.lock.
    let vendored = project.path("vendor.tar");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello-rust/Cargo.toml");
    let vendor = project.path("vendor");
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["vendor", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg(&vendor);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let status = Command::new("tar")
        .arg("cf")
        .arg(&vendored)
        .arg("-C")
        .arg(&vendor)
        .arg(".")
        .status()
        .unwrap();
    assert!(status.success());
    let artifact = build_officially(
        &project,
        "trixie-rust",
        &[vendored],
        "mkdir -p /build/hello-rust /opt/crates/itoa /opt/cargo; cd /build/hello-rust; tar xf /inputs/source.tar
         tar xf /inputs/vendor.tar -C /opt/crates/itoa --strip-components=2 --no-same-owner
         mv /opt/crates/itoa /opt/crates/$(sed -n 's/^name = \"itoa\"$/itoa/p' Cargo.lock)-$(grep -A1 'name = \"itoa\"' Cargo.lock | sed -n 's/^version = \"\\(.*\\)\"$/\\1/p')
         printf '[source.crates-io]\\nreplace-with = \"crates\"\\n[source.crates]\\ndirectory = \"/opt/crates\"\\n' > /opt/cargo/config.toml
         export CARGO_HOME=/opt/cargo HOME=/root
         cargo build --release --locked --offline; cp target/release/hello /out/",
    );
    by_recipe(&project, &artifact, "rust-cargo");
}

#[apply(test)]
fn a_go_program_is_rebuilt_by_recipe() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::new("hello-go", |work| {
        fs::write(work.join("go.mod"), "module example.com/hello\n\ngo 1.19\n").unwrap();
        fs::write(
            work.join("main.go"),
            "package main\n\nfunc main() { println(\"hello\") }\n",
        )
        .unwrap();
    });
    let artifact = build_officially(
        &project,
        "bookworm-go",
        &[],
        "mkdir /src; cd /src; tar xf /inputs/source.tar
         HOME=/root CGO_ENABLED=0 GOCACHE=/tmp/cache GOFLAGS='-trimpath -buildvcs=false' /usr/lib/go-1.19/bin/go build -o /out/hello .",
    );
    by_recipe(&project, &artifact, "go");
}
