//! Runs signed in the forms that others read: envelopes, in-toto links, OSS Rebuild's statements, and the predicate for every
//! result. Whatever is asked for, and whenever, it goes with one statement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{self, NETWORK, SANDBOX, code, json, needs, rebuilder, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const WHEEL: &str = "idna-3.10-py3-none-any.whl";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A folder with a key and a log of its own, and a run that ended with `expected`.
    fn with_run(subject: &str, expected: i32) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.good(&["key", "generate", "--to", &place.text("key.pem")]);
        let run = place.run(&["rebuild", subject, "--out", &place.text("run")]);
        assert_eq!(code(&run), expected, "{}", text(&run));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = rebuilder();
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command.args(arguments).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output));
        output
    }

    fn attest(&self, more: &[&str]) -> Output {
        let (run, key, log) = (self.text("run"), self.text("key.pem"), self.text("log.jsonl"));
        self.run(&[&["attest", &run, "--key", &key, "--log", &log], more].concat())
    }

    fn attests(&self, more: &[&str]) -> Output {
        let output = self.attest(more);
        assert_eq!(code(&output), 0, "{more:?}: {}", text(&output));
        output
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn log(&self) -> Vec<Value> {
        let lines = fs::read_to_string(self.path("log.jsonl")).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What `verify` makes of one file that the run's own key signed.
    fn verify(&self, artifact: &str, attestation: &str) -> Value {
        let (artifact, attestation) = (self.text(artifact), self.text(attestation));
        let public = self.text("key.pem.pub");
        let output = self.run(&[
            "verify",
            &artifact,
            "--attestation",
            &attestation,
            "--trusted-key",
            &public,
            "--json",
        ]);
        json(&output)
    }
}

fn payload(envelope: &Value) -> Value {
    let bytes = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[apply(test)]
fn every_form_of_a_reproduced_run_is_read_by_those_it_is_for() {
    needs(&[NETWORK, SANDBOX]);
    let place = Place::with_run("pypi:idna==3.10", 0);
    place.attests(&["--format", "both"]);
    let bundle = place.read("run/attestation.sigstore.json");
    // One signature in two containers.
    assert_eq!(place.read("run/attestation.intoto.jsonl"), bundle["dsseEnvelope"]);
    let asked = ["--format", "both,link", "--predicate", "rebuild/v0.1,oss-rebuild"];
    place.attests(&asked);
    assert_eq!(
        place.read("run/attestation.sigstore.json"),
        bundle,
        "Ed25519 gives the same signature"
    );
    let log = place.log();
    assert_eq!(log.len(), 2);
    assert_eq!(log[0]["statement"], log[1]["statement"]);
    assert_eq!(log[1]["also"].as_object().unwrap().len(), 4);
    let artifact = format!("run/rebuilt/{WHEEL}");
    for (file, kind) in [
        ("run/attestation.intoto.jsonl", "rebuild"),
        ("run/rebuild-result.sigstore.json", "rebuild"),
        ("run/rebuild-result.intoto.jsonl", "rebuild"),
        (&format!("run/links/{WHEEL}.link"), "link"),
        (&format!("run/oss-rebuild/{WHEEL}.intoto.jsonl"), "oss-rebuild"),
    ] {
        let found = place.verify(&artifact, file);
        assert_eq!(found["verdict"], "agreed", "{file}: {found}");
        assert_eq!(found["parties"][0]["says"], json!({"answer": "same"}), "{file}");
        assert_eq!(found["parties"][0]["kind"], kind, "{file}");
    }
    // All of them are one party's word.
    let all = place.verify(&artifact, "run");
    assert_eq!(
        (&all["verdict"], &all["weight"]),
        (&json!("agreed"), &json!(1)),
        "{all}"
    );
    // The log knows each of them.
    let (log, result) = (
        place.text("log.jsonl"),
        place.text("run/rebuild-result.sigstore.json"),
    );
    place.good(&["log", "verify", &log, "--attestation", &result]);
    let stated = payload(&place.read("run/rebuild-result.intoto.jsonl"));
    assert_eq!(common::checked(stated)["predicate"]["outcome"], "REPRODUCED");
    links_count(&place);
    oss_rebuild_reads(&place);
}

/// Both of in-toto's own libraries take the link, with the key in the form that each knows, and neither takes another.
fn links_count(place: &Place) {
    use in_toto::crypto::{PublicKey, SignatureScheme};
    use in_toto::models::Metablock;
    let path = place.path(&format!("run/links/{WHEEL}.link"));
    let key = place.text("key.pem");
    let pem = place.good(&["key", "public", "--in-toto", "--key", &key]).stdout;
    let public = PublicKey::from_pem_spki(std::str::from_utf8(&pem).unwrap(), SignatureScheme::Ed25519);
    let public = public.unwrap();
    let block: Metablock = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(block.verify(1, [&public]).is_ok());
    let link = place.read(&format!("run/links/{WHEEL}.link"));
    assert_eq!(link["signed"]["name"], format!("rebuild {WHEEL}"));
    let record = place.read("run/record.json");
    assert_eq!(
        link["signed"]["products"][WHEEL]["sha256"],
        record["outputs"][0]["rebuilt"]
    );
    assert_eq!(link["signed"]["materials"]["plan.json"]["sha256"], record["plan"]);
    let mut changed = link.clone();
    changed["signed"]["products"][WHEEL]["sha256"] = json!("0".repeat(64));
    let other = place.path("changed.link");
    fs::write(&other, changed.to_string()).unwrap();
    let block: Metablock = serde_json::from_value(changed).unwrap();
    assert!(block.verify(1, [&public]).is_err());
    let Some(python) = common::third_party_python() else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party/link.py");
    let verify = |file: &Path| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(file).arg(place.path("key.pem.pub"));
        command.output().unwrap()
    };
    let taken = verify(&path);
    assert_eq!(code(&taken), 0, "{}", text(&taken));
    let taken: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(taken["products"], link["signed"]["products"]);
    assert_ne!(code(&verify(&other)), 0);
}

/// The file as `oss-rebuild get` reads it (cmd/oss-rebuild/main.go, pkg/attestation/types.go), and its place in a bucket.
fn oss_rebuild_reads(place: &Place) {
    let (run, to) = (place.text("run"), place.text("bucket"));
    let export = ["export", "oss-rebuild", &to, "--run", &run];
    let laid_out = json(&place.good(&[&export[..], &["--json"]].concat()));
    let path = format!("bucket/pypi/idna/3.10/{WHEEL}/rebuild.intoto.jsonl");
    assert_eq!(laid_out["files"], json!([place.text(&path)]));
    let lines = fs::read_to_string(place.path(&path)).unwrap();
    let statements: Vec<Value> = lines
        .lines()
        .map(|line| payload(&serde_json::from_str(line).unwrap()))
        .collect();
    let of = |kind: &str| {
        let wanted = format!("https://docs.oss-rebuild.dev/builds/{kind}@v0.1");
        let all = statements.iter().map(|it| &it["predicate"]);
        let mut found = all.filter(|it| it["buildDefinition"]["buildType"] == wanted);
        let only = found.next().unwrap();
        assert!(found.next().is_none(), "its reader wants one {kind}");
        only
    };
    let (rebuild, equivalence) = (of("Rebuild"), of("ArtifactEquivalence"));
    let finished = rebuild["runDetails"]["metadata"]["finishedOn"].as_str().unwrap();
    finished.parse::<jiff::Timestamp>().unwrap();
    let byproducts = rebuild["runDetails"]["byproducts"].as_array().unwrap();
    let names: Vec<_> = byproducts.iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["build.json", "Dockerfile", "steps.json"]);
    for byproduct in byproducts {
        let content = STANDARD.decode(byproduct["content"].as_str().unwrap()).unwrap();
        let is_json = byproduct["name"] != "Dockerfile";
        assert!(!is_json || serde_json::from_slice::<Value>(&content).is_ok());
    }
    let external = &rebuild["buildDefinition"]["externalParameters"];
    assert_eq!(
        *external,
        json!({"ecosystem": "pypi", "package": "idna", "version": "3.10", "artifact": WHEEL})
    );
    let resolved = equivalence["buildDefinition"]["resolvedDependencies"]
        .as_array()
        .unwrap();
    assert_eq!(resolved.len(), 2);
    assert!(resolved[0]["name"].as_str().unwrap().starts_with("rebuild/"));
    assert!(
        resolved[1]["name"]
            .as_str()
            .unwrap()
            .starts_with("https://files.pythonhosted.org/")
    );
    assert_eq!(resolved[0]["digest"], resolved[1]["digest"]);
    assert_eq!(
        equivalence["runDetails"]["byproducts"].as_array().unwrap().len(),
        1
    );
    // The same again changes nothing; other content is refused.
    place.good(&export);
    fs::write(place.path(&path), "{}\n").unwrap();
    let refused = place.run(&export);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    // Of the store, those runs are taken that have such statements.
    let (store, bucket) = (place.path("store"), place.text("all"));
    let export = [
        "export",
        "oss-rebuild",
        &bucket,
        "--store",
        store.to_str().unwrap(),
    ];
    let none = place.run(&export);
    assert_eq!(code(&none), 2, "{}", text(&none));
    assert!(
        text(&none).contains("no statements in OSS Rebuild's form"),
        "{}",
        text(&none)
    );
    fs::create_dir_all(store.join("runs")).unwrap();
    std::os::unix::fs::symlink(place.path("run"), store.join("runs/20260101T000000000Z-0")).unwrap();
    fs::create_dir(store.join("runs/20260101T000000000Z-1")).unwrap();
    place.good(&export);
    let there = fs::read_to_string(place.path(&format!("all/pypi/idna/3.10/{WHEEL}/rebuild.intoto.jsonl")));
    assert_eq!(there.unwrap(), lines);
}

#[apply(test)]
fn nothing_else_is_signed_about_a_run_unasked() {
    needs(&[NETWORK, SANDBOX]);
    let place = Place::with_run("pypi:idna==3.10", 0);
    place.attests(&["--format", "dsse"]);
    assert!(!place.path("run/attestation.sigstore.json").exists());
    let first = place.read("run/attestation.intoto.jsonl");
    evidence_has_it(&place);
    for more in [
        &["--builder-id", "https://other.example"][..],
        &["--builder-id", "urn:x", "--format", "link"],
    ] {
        let refused = place.attest(more);
        assert_eq!(code(&refused), 2, "{}", text(&refused));
        assert!(text(&refused).contains("--again"), "{}", text(&refused));
    }
    assert_eq!(place.read("run/attestation.intoto.jsonl"), first);
    assert!(!place.path("run/links").exists());
    // The record is another one, and the run's name is the same.
    let record = fs::read_to_string(place.path("run/record.json")).unwrap();
    fs::write(place.path("run/record.json"), format!("{record}\n")).unwrap();
    let refused = place.attest(&[]);
    assert_eq!(code(&refused), 2, "{}", text(&refused));
    fs::write(place.path("run/record.json"), record).unwrap();
    place.attests(&[
        "--builder-id",
        "https://other.example",
        "--again",
        "--format",
        "dsse",
    ]);
    let second = place.read("run/attestation.intoto.jsonl");
    assert_ne!(payload(&second), payload(&first));
    // What holds from now on is the newest one, in every form that is there.
    place.attests(&["--builder-id", "https://other.example"]);
    assert_eq!(place.read("run/attestation.intoto.jsonl"), second);
    assert_eq!(
        place.read("run/attestation.sigstore.json")["dsseEnvelope"],
        second
    );
    place.attests(&["--builder-id", "https://third.example", "--again"]);
    let third = place.read("run/attestation.intoto.jsonl");
    assert_ne!(payload(&third), payload(&second));
    assert_eq!(place.read("run/attestation.sigstore.json")["dsseEnvelope"], third);
    assert_eq!(place.log().len(), 4);
}

/// An archive of a run that has only a plain envelope is signed like any other.
fn evidence_has_it(place: &Place) {
    let (run, archive, public) = (
        place.text("run"),
        place.text("e.tar.gz"),
        place.text("key.pem.pub"),
    );
    place.good(&["evidence", "export", &run, "--out", &archive]);
    let checked = place.run(&["evidence", "verify", &archive, "--trusted-key", &public, "--json"]);
    let found = json(&checked);
    assert_eq!(found["attested"]["verdict"], "reproduced", "{found}");
    let checks = found["checks"].as_array().unwrap();
    let failing: Vec<_> = checks
        .iter()
        .filter(|check| check["outcome"] == "fails")
        .collect();
    assert!(failing.is_empty(), "{failing:?}");
}

#[apply(test)]
fn a_run_that_did_not_reproduce_has_only_the_forms_that_can_say_so() {
    needs(&[NETWORK, SANDBOX]);
    // Other code than in the source that was published with it.
    let place = Place::with_run("pypi:gunicorn==20.1.0", 1);
    for (form, said) in [
        (
            ["--format", "link"],
            "cannot write an in-toto link: the run is mismatch",
        ),
        (
            ["--predicate", "oss-rebuild"],
            "cannot write OSS Rebuild's statements: the run is mismatch",
        ),
    ] {
        let refused = place.attest(&form);
        assert_eq!(code(&refused), 2, "{}", text(&refused));
        assert!(text(&refused).contains(said), "{}", text(&refused));
        assert!(
            !place.path("run/attestation.sigstore.json").exists(),
            "nothing is signed by halves"
        );
    }
    // Where nobody knew how it would end, the rest is signed, and what is left out is said.
    let fitting = place.attests(&[
        "--format",
        "link,both",
        "--predicate",
        "rebuild/v0.1",
        "--only-fitting",
    ]);
    assert!(
        text(&fitting).contains("cannot write an in-toto link"),
        "{}",
        text(&fitting)
    );
    assert!(!place.path("run/links").exists());
    let stated = payload(&place.read("run/rebuild-result.intoto.jsonl"));
    let predicate = &common::checked(stated)["predicate"];
    assert_eq!(predicate["outcome"], "MISMATCH");
    assert_eq!(predicate["outputs"][0]["outcome"], "DIFFERENT");
    let causes = predicate["outputs"][0]["causes"].as_array().unwrap();
    assert!(
        causes.iter().any(|cause| cause["name"] == "other-source"),
        "{causes:?}"
    );
    let released = place.read("run/record.json")["outputs"][0]["released"].clone();
    let digest = format!("sha256:{}", released.as_str().unwrap());
    let (public, both) = (place.text("key.pem.pub"), place.text("run"));
    for attestation in [place.text("run/rebuild-result.sigstore.json"), both] {
        let arguments = [
            "verify",
            &digest,
            "--attestation",
            &attestation,
            "--trusted-key",
            &public,
            "--json",
        ];
        let found = json(&place.run(&arguments));
        assert_eq!(found["verdict"], "disagreed", "{found}");
        assert_eq!(found["parties"][0]["says"]["answer"], "differs");
    }
}
