//! Rebuilding from SLSA provenance: by recipe, in the image that it names, and npm's own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::common::authority::{Authority, Signer, provenance};
use crate::common::{self, GIT, NETWORK, SANDBOX, backends, code, git, json, needs, rebuilder, text};
use base64::Engine as _;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

/// A repository of its own, what was released from it, and an authority that signs where it came from.
struct Project {
    folder: tempfile::TempDir,
    authority: Authority,
    repository: String,
    commit: String,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Project {
    /// A commit with the files that `fill` writes, tagged v1.0.0.
    fn new(name: &str, fill: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("mirror").join(name);
        fs::create_dir_all(&work).unwrap();
        git(&work, &["init", "--quiet"]);
        fill(&work);
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "release"]);
        git(&work, &["tag", "v1.0.0"]);
        let authority = Authority::new();
        let root = folder.path().join("root.json");
        fs::write(root, authority.trusted_root().to_string()).unwrap();
        Self {
            commit: git(&work, &["rev-parse", "HEAD"]),
            repository: format!("https://github.com/example/{name}"),
            folder,
            authority,
        }
    }

    fn example(name: &str) -> Self {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        Self::new(name, |work| copy(&files, work))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The source as an archive, made by git itself.
    fn archive(&self) -> PathBuf {
        let tar = self.path("source.tar");
        let work = self
            .path("mirror")
            .join(self.repository.rsplit('/').next().unwrap());
        git(&work, &["archive", "--output", tar.to_str().unwrap(), "HEAD"]);
        tar
    }

    /// Signs a statement, and keeps the bundle.
    fn sign(&self, statement: &Value) -> PathBuf {
        let signer = Signer::workflow(&self.repository, &self.commit);
        let path = self.path("provenance.json");
        fs::write(&path, self.authority.sign(statement, &signer).to_string()).unwrap();
        path
    }

    /// A signing key of its own.
    fn key(&self) -> PathBuf {
        let key = self.path("key.pem");
        let made = rebuilder()
            .args(["key", "generate", "--to"])
            .arg(&key)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
        key
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = rebuilder();
        command
            .args(["--json", verb, "--trusted-root"])
            .arg(self.path("root.json"));
        command.arg("--provenance").arg(self.path("provenance.json"));
        command.arg("--git-mirror").arg(format!(
            "https://github.com/example/={}/",
            self.path("mirror").display()
        ));
        command
    }
}

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

fn rebuild(project: &Project, artifact: &Path, recipe: &str, backend: &str, more: &[&str]) -> Output {
    let run = project.path(&format!("run-{backend}"));
    let _ = fs::remove_dir_all(&run);
    let mut command = project.command("rebuild");
    command
        .arg(artifact)
        .args(["--recipe", recipe, "--backend", backend, "--out"])
        .arg(run);
    command.args(more).output().unwrap()
}

/// What was signed about a run.
fn statement(record: &Value) -> Value {
    let bundle = fs::read(record["attestation"].as_str().unwrap()).unwrap();
    let bundle: Value = serde_json::from_slice(&bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
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

    // What was released from other code does not come out, and the answer is signed as such.
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
    assert_eq!(json(&output)["verdict"], "mismatch");
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
    common::fits_the_schema(&record, include_str!("../../docs/schema/record.schema.json"));
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
        (1, &json!("mismatch")),
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

#[apply(test)]
fn a_python_wheel_is_built_from_its_commit() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::new("hello-python", |work| {
        let text = "[build-system]\nrequires = [\"flit_core >=3.8,<4\"]\nbuild-backend = \"flit_core.buildapi\"\n\n\
                    [project]\nname = \"hello_again\"\nversion = \"1.0.0\"\ndescription = \"greets\"\nrequires-python = \">=3.8\"\n";
        fs::write(work.join("pyproject.toml"), text).unwrap();
        fs::write(work.join("hello_again.py"), "def greet():\n    return 'hello'\n").unwrap();
    });
    let wheel = project.path("hello_again-1.0.0-py3-none-any.whl");
    fs::write(&wheel, "not known yet").unwrap();
    let rebuild = |name: &str| {
        let digest = Sha256::of(fs::read(&wheel).unwrap()).to_hex();
        let statement = provenance(
            "hello_again-1.0.0-py3-none-any.whl",
            &digest,
            &project.repository,
            &project.commit,
        );
        project.sign(&statement);
        let mut command = project.command("rebuild");
        command
            .arg(&wheel)
            .args(["--recipe", "python-wheel", "--out"])
            .arg(project.path(name));
        command.output().unwrap()
    };
    let first = rebuild("run-first");
    assert_eq!(code(&first), 1, "{}", text(&first));
    fs::copy(
        project.path("run-first/rebuilt").join(wheel.file_name().unwrap()),
        &wheel,
    )
    .unwrap();
    let second = rebuild("run-second");
    assert_eq!(code(&second), 0, "{}", text(&second));
}

#[apply(test)]
fn a_recipe_is_for_what_it_says_it_is_for() {
    needs(&[GIT]);
    let project = Project::example("hello-c");
    let artifact = project.path("hello");
    fs::write(&artifact, "released").unwrap();
    project.sign(&provenance(
        "hello",
        &Sha256::of("released").to_hex(),
        &project.repository,
        &project.commit,
    ));
    let recipe = project.path("recipe.toml");
    let plan = |recipe: Option<&Path>| {
        let mut command = project.command("plan");
        command.arg("--offline").arg(&artifact);
        if let Some(recipe) = recipe {
            command.arg("--recipe").arg(recipe);
        }
        command.output().unwrap()
    };
    let text_of = |matches: &str| {
        let text = include_str!("../../recipes/c-make.toml");
        text.replace("[setup]", &format!("[match]\n{matches}\n[setup]"))
    };
    for (matches, expected, words) in [
        ("repository = [\"https://github.com/example/*\"]", 0, ""),
        (
            "build-type = [\"https://actions.github.io/buildtypes/workflow/*\"]",
            0,
            "",
        ),
        (
            "repository = [\"https://github.com/other/*\"]",
            4,
            "it is for the repository",
        ),
        (
            "builder = [\"https://example.com/*\"]",
            4,
            "it is for the builder",
        ),
        ("nonsense = 1", 2, "unknown field"),
    ] {
        fs::write(&recipe, text_of(matches)).unwrap();
        let output = plan(Some(&recipe));
        assert_eq!(code(&output), expected, "{matches}: {}", text(&output));
        assert!(text(&output).contains(words), "{matches}: {}", text(&output));
    }
    let output = plan(None);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("name a recipe with --recipe"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn a_source_brings_its_submodules_where_the_recipe_wants_them() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let library = Project::new("library", |work| {
        fs::write(work.join("data"), "from the library\n").unwrap();
    });
    let project = Project::new("program", |work| {
        // As `git submodule add` records it; the address is relative to the program's own.
        fs::write(
            work.join(".gitmodules"),
            "[submodule \"lib\"]\n\tpath = lib\n\turl = ../library.git\n",
        )
        .unwrap();
        fs::create_dir(work.join("lib")).unwrap();
        let link = format!("160000,{},lib", library.commit);
        git(work, &["update-index", "--add", "--cacheinfo", &link]);
    });
    copy(&library.path("mirror/library"), &project.path("mirror/library"));
    let artifact = project.path("data");
    fs::write(&artifact, "from the library\n").unwrap();
    let digest = Sha256::of("from the library\n").to_hex();
    project.sign(&provenance("data", &digest, &project.repository, &project.commit));
    let recipe = project.path("recipe.toml");
    for (submodules, expected) in [(true, 0), (false, 4)] {
        let text_of = format!(
            "description = \"takes a file\"\ncontainer = \"bookworm-build\"\nhostname = \"h\"\noutputs = [\"lib/data\"]\n\
             [source]\nsubmodules = {submodules}\n[setup]\nenv = {{}}\nsteps = []\n[build.env]\nPATH = \"/usr/bin:/bin\"\n\
             [[build.steps]]\nname = \"unpack\"\nrun = 'mkdir -p \"$SOURCE\"; tar xf /inputs/source.tar -C \"$SOURCE\"'\n"
        );
        fs::write(&recipe, text_of).unwrap();
        let output = rebuild(&project, &artifact, recipe.to_str().unwrap(), "embedded", &[]);
        assert_eq!(code(&output), expected, "{submodules}: {}", text(&output));
    }
}

/// A registry on this machine, ended when dropped.
struct Registry {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn registry() -> Registry {
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

#[apply(test)]
fn an_npm_package_is_packed_again_from_its_signed_provenance() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::new("pkg", |work| {
        let package = json!({"name": "@example/pkg", "version": "1.0.0", "main": "lib/index.js",
            "scripts": {"build": "node build.js"}, "repository": "https://github.com/example/pkg"});
        fs::write(work.join("package.json"), package.to_string()).unwrap();
        fs::write(work.join("build.js"), "const fs = require('fs'); fs.mkdirSync('lib'); fs.writeFileSync('lib/index.js', 'module.exports = 1;\\n');\n").unwrap();
        fs::create_dir_all(work.join(".github/workflows")).unwrap();
        fs::write(
            work.join(".github/workflows/release.yml"),
            "on: push\njobs:\n  release:\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/setup-node@v4\n        with: {node-version: 20.18.0}\n      - run: npm run build\n      - run: npm publish --provenance\n",
        )
        .unwrap();
    });
    // Packed officially by the machine's own npm, if there is one; its gzip may differ, its files may not.
    let artifact = project.path("pkg-1.0.0.tgz");
    fs::write(&artifact, "not known yet").unwrap();
    let purl = "pkg:npm/%40example/pkg@1.0.0";
    let sign = || {
        let digest = Sha256::of(fs::read(&artifact).unwrap()).to_hex();
        project.sign(&provenance(purl, &digest, &project.repository, &project.commit));
    };
    sign();
    let rebuild = |name: &str| {
        let mut command = project.command("rebuild");
        command
            .arg(&artifact)
            .arg("--out")
            .arg(project.path(name))
            .output()
            .unwrap()
    };
    let first = rebuild("run-first");
    assert_eq!(code(&first), 1, "{}", text(&first));
    let plan: Value =
        serde_json::from_slice(&fs::read(project.path("run-first").join("plan.json")).unwrap()).unwrap();
    let assumed = |what: &str| {
        let all = plan["assumptions"].as_array().unwrap();
        all.iter().find(|it| it["what"] == what).unwrap().clone()
    };
    assert_eq!(assumed("node")["value"], "20.18.0");
    assert!(
        assumed("node")["origin"]["inferred"]
            .as_str()
            .unwrap()
            .contains("workflow")
    );
    assert_eq!(assumed("scripts")["value"], "build");

    fs::copy(project.path("run-first").join("rebuilt/pkg-1.0.0.tgz"), &artifact).unwrap();
    sign();
    let second = rebuild("run-second");
    assert_eq!(code(&second), 0, "{}", text(&second));
    assert_eq!(json(&second)["subject"], purl);

    // The commit's package must be the one that was released.
    let other = "pkg:npm/%40example/pkg@2.0.0";
    let digest = Sha256::of(fs::read(&artifact).unwrap()).to_hex();
    project.sign(&provenance(other, &digest, &project.repository, &project.commit));
    let output = rebuild("run-third");
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("is @example/pkg@1.0.0, not @example/pkg@2.0.0"),
        "{}",
        text(&output)
    );
}
