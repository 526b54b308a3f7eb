//! Cases of the attack suite: bundles, attestations and signatures that say one thing to one reader and another thing
//! to the next, or that are signed and mean something else; see `main.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::artifact::Sha256;
use rebuilder::plan::Plan;
use rebuilder::run::{Record, RunFolder};
use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, must};
use crate::common::authority::{Authority, Signer};
use crate::common::text;

pub const CASES: &[Case] = &[
    Case {
        name: "turn a signed failure into \"reproduced\" with a file of two faces",
        builds: false,
        run: two_faces,
    },
    Case {
        name: "put a second payload beside the one that is signed",
        builds: false,
        run: second_payload,
    },
    Case {
        name: "change the record beside the attestation",
        builds: false,
        run: changed_record,
    },
    Case {
        name: "change one fact of the record that was attested",
        builds: false,
        run: changed_facts,
    },
    Case {
        name: "sign the list of contents with another statement of the same key",
        builds: false,
        run: borrowed_signature,
    },
    Case {
        name: "put in a file that only some readers see",
        builds: false,
        run: hidden_members,
    },
    Case {
        name: "change what follows from the run",
        builds: false,
        run: changed_conclusions,
    },
    Case {
        name: "leave out the attestation that says otherwise",
        builds: false,
        run: no_attestation,
    },
    Case {
        name: "repeat a key, or spell it in two ways",
        builds: false,
        run: spelt_twice,
    },
    Case {
        name: "have a signed warning taken for a release",
        builds: false,
        run: signed_prose,
    },
    Case {
        name: "have a signed list taken for another file's",
        builds: false,
        run: list_of_another,
    },
    Case {
        name: "put text around a signed list",
        builds: false,
        run: text_around,
    },
    Case {
        name: "have a source package's signature taken for provenance",
        builds: false,
        run: source_package,
    },
    Case {
        name: "release a file under the name of another with its bytes",
        builds: false,
        run: another_name,
    },
    Case {
        name: "take an upload's attestation for a file of another name",
        builds: false,
        run: another_upload,
    },
    Case {
        name: "choose the rule of the policy by a statement that nobody signed",
        builds: false,
        run: chosen_rule,
    },
    Case {
        name: "make a quorum of lists that name another file, or that say more than digests",
        builds: false,
        run: quorum_of_lists,
    },
    Case {
        name: "have a minisign signature for another file taken for this one's",
        builds: false,
        run: minisign_of_another,
    },
    Case {
        name: "sign a bundle again without a key, under a name that nobody trusts",
        builds: false,
        run: stranger_signs_a_bundle,
    },
    Case {
        name: "state as a stranger what only a registry, a forge or a publisher can",
        builds: false,
        run: stranger_states,
    },
    Case {
        name: "satisfy a policy with a signature of someone whom nobody named",
        builds: false,
        run: stranger_at_a_policy,
    },
    Case {
        name: "say \"do not use\" in a signed list where nobody looks",
        builds: false,
        run: messages_in_lists,
    },
    Case {
        name: "say \"do not use\" in a field of a signed Debian file",
        builds: false,
        run: messages_in_fields,
    },
    Case {
        name: "have a signature over a text taken for one over other bytes",
        builds: false,
        run: over_text,
    },
    Case {
        name: "put a member into an envelope or a bundle that its form does not have",
        builds: false,
        run: foreign_members,
    },
];

/// Those who can sign without a key and whom nobody named: two people, and a project of the attacker's own.
/// Writes a record, and the page that follows from it.
fn write_run(record: &Record, plan: &Plan, run: &RunFolder) {
    std::fs::write(run.record(), serde_json::to_vec_pretty(record).unwrap()).unwrap();
    std::fs::write(run.report(), rebuilder::report::html(plan, record).unwrap()).unwrap();
}

fn strangers() -> [Signer; 3] {
    let person = |identity: &str, issuer: &str| Signer {
        identity: identity.into(),
        issuer: issuer.into(),
        repository: String::new(),
        commit: String::new(),
        reference: String::new(),
        expired: false,
    };
    [
        person("mailto:mallory@evil.example", "https://accounts.google.com"),
        person("mailto:mallory@evil.example", "https://github.com/login/oauth"),
        Signer::workflow("https://github.com/mallory/tool", &"a".repeat(40)),
    ]
}

fn payload(bundle: &[u8]) -> Value {
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap()
}

fn stranger_signs_a_bundle(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let genuine = scene.export(true);
    let authority = Authority::new();
    let root = ground.write("root.json", authority.trusted_root().to_string());
    for stranger in strangers() {
        let mut files = genuine.clone();
        let attestation = payload(&files["attestations/rebuild.sigstore.json"]);
        let again = authority.sign(&attestation, &stranger).to_string();
        // What it cost tells its length.
        let length = |bytes: usize| format!("\"attestation_bytes\": {bytes}");
        let cost = String::from_utf8(files["cost.json"].clone()).unwrap();
        let before = length(files["attestations/rebuild.sigstore.json"].len());
        must(cost.contains(&before), format!("{cost} has no {before}"))?;
        files.insert(
            "cost.json".into(),
            cost.replace(&before, &length(again.len())).into(),
        );
        files.insert("attestations/rebuild.sigstore.json".into(), again.into());
        relist(&mut files, |_| {});
        // The list is signed again as well, over what it has become.
        let mut list = payload(&genuine["manifest.sigstore.json"]);
        list["subject"][0]["digest"]["sha256"] = json!(Sha256::of(&files["manifest.json"]));
        let again = authority.sign(&list, &stranger).to_string();
        files.insert("manifest.sigstore.json".into(), again.into());
        let archive = ground.write("stranger.tar.gz", pack(&files, &[]));
        let verify = |more: &[&str]| {
            let mut command = ground.rebuilder();
            command.args(["--offline", "evidence", "verify"]).arg(&archive);
            command
                .arg("--trusted-root")
                .arg(&root)
                .args(more)
                .output()
                .unwrap()
        };
        let key = ground.folder().join("own.pem.pub");
        for more in [&[][..], &["--trusted-key", key.to_str().unwrap()]] {
            let output = verify(more);
            must(
                code(&output) == 4 && !text(&output).contains("+ signed by a key that you trust"),
                format!(
                    "{} {more:?}: exit {}: {}",
                    stranger.identity,
                    code(&output),
                    text(&output)
                ),
            )?;
        }
        // Whoever is named counts.
        let output = verify(&[
            "--identity",
            &stranger.identity.replace("mailto:", "*"),
            "--issuer",
            &stranger.issuer,
        ]);
        must(
            code(&output) == 0,
            format!(
                "a named identity does not count: exit {}: {}",
                code(&output),
                text(&output)
            ),
        )?;
    }
    Ok(())
}

/// What strangers may say of the file `tool`; each in the name of someone else.
fn borrowed_words() -> Vec<Value> {
    let npm = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1";
    let took = |registry: &str| json!({"registry": registry, "name": "tool", "version": "1.0.0"});
    let said = |kind: &str, predicate: Value| statement(kind, "tool", b"released", &predicate);
    let mut provenance = provenance("tool", b"released");
    provenance["predicate"]["runDetails"]["builder"]["id"] = json!("https://ci.mallory.example/");
    vec![
        said(npm, took("https://registry.npmjs.org")),
        said(npm, took("https://Registry.NPMJS.org/")),
        said(npm, took("https://npm.example/")),
        said("https://docs.pypi.org/attestations/publish/v1", Value::Null),
        said(
            "https://in-toto.io/attestation/release/v0.1",
            json!({"purl": "pkg:github/a/tool@1"}),
        ),
        provenance,
    ]
}

fn stranger_states(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let authority = Authority::new();
    let root = ground.write("root.json", authority.trusted_root().to_string());
    for stranger in strangers() {
        for said in borrowed_words() {
            let file = ground.write("said.json", authority.sign(&said, &stranger).to_string());
            let output = inspect(
                ground,
                "--provenance",
                &file,
                &[],
                &["--trusted-root", root.to_str().unwrap()],
            );
            must(
                [3, 4].contains(&code(&output)),
                format!(
                    "{}: {}: {}",
                    said["predicateType"],
                    stranger.identity,
                    text(&output)
                ),
            )?;
        }
    }
    Ok(())
}

fn stranger_at_a_policy(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let authority = Authority::new();
    let root = ground.write("root.json", authority.trusted_root().to_string());
    let identity = "{ subject = \"alice@example.org\", issuer = \"https://accounts.google.com\" }";
    for rule in [
        "require = [\"signature\"]".to_owned(),
        "require = [\"provenance\"]".to_owned(),
        format!("identities = [{identity}]"),
    ] {
        let policy = format!("version = 1\n[[rules]]\nsubject = \"*\"\n{rule}\n");
        let policy = ground.write("policy.toml", policy);
        for stranger in strangers().into_iter().step_by(2) {
            for said in borrowed_words() {
                let file = ground.write("said.json", authority.sign(&said, &stranger).to_string());
                let more = [
                    "--trusted-root",
                    root.to_str().unwrap(),
                    "--policy",
                    policy.to_str().unwrap(),
                ];
                let output = inspect(ground, "--provenance", &file, &[], &more);
                must(
                    code(&output) == 3,
                    format!(
                        "{rule}: {}: {}: {}",
                        said["predicateType"],
                        stranger.identity,
                        text(&output)
                    ),
                )?;
            }
        }
    }
    Ok(())
}

/// A key of the attacker's victim, which signs what the case says it signed.
struct Key(Ed25519KeyPair);

impl Key {
    fn new(ground: &Ground, name: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let mut der = vec![
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ];
        der.extend(pair.public_key().as_ref());
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        );
        ground.write(name, pem);
        Self(pair)
    }

    fn sign(&self, statement: &Value) -> Value {
        let (kind, payload) = ("application/vnd.in-toto+json", statement.to_string());
        let message = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
        let signature = self.0.sign(message.as_bytes());
        json!({
            "payloadType": kind,
            "payload": STANDARD.encode(payload),
            "signatures": [{"keyid": "", "sig": STANDARD.encode(signature)}]
        })
    }
}

fn statement(kind: &str, name: &str, bytes: &[u8], predicate: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": Sha256::of(bytes)}}],
        "predicateType": kind,
        "predicate": predicate
    })
}

fn provenance(name: &str, bytes: &[u8]) -> Value {
    let predicate = json!({
        "buildDefinition": {
            "buildType": "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"ref": "refs/tags/v1", "repository": "https://github.com/example/tool", "path": ".github/workflows/r.yml"}},
            "resolvedDependencies": [{"uri": "git+https://github.com/example/tool@refs/tags/v1", "digest": {"gitCommit": "5995008213440709027a5666064bfdaba715df00"}}]
        },
        "runDetails": {"builder": {"id": "https://github.com/actions/runner/github-hosted"}}
    });
    statement("https://slsa.dev/provenance/v1", name, bytes, &predicate)
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Whether evidence about the file `tool` counts; the answer is that of `inspect`.
fn inspect(ground: &Ground, option: &str, evidence: &Path, keys: &[&str], more: &[&str]) -> Output {
    let mut command = ground.rebuilder();
    command
        .args(["--offline", "inspect"])
        .arg(ground.folder().join("tool"));
    command.arg(option).arg(evidence).args(more);
    for key in keys {
        command.arg("--trusted-key").arg(ground.folder().join(key));
    }
    command.output().unwrap()
}

/// A run that ended, and the evidence bundle about it.
struct Scene<'a> {
    ground: &'a Ground,
    plan: Plan,
}

const NAME: &str = "tool-1.0.tar.gz";

impl<'a> Scene<'a> {
    /// A run whose output is what was released, or something else; attested by the key `own.pem`.
    fn new(ground: &'a Ground, reproduced: bool) -> Self {
        let output = ground
            .rebuilder()
            .args(["key", "generate", "--to"])
            .arg(ground.folder().join("own.pem"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let material = json!({"name": NAME, "urls": [], "sha256": Sha256::of("released"), "size": 8});
        let plan = json!({
            "version": 1, "subject": "pkg:generic/tool@1.0", "ecosystem": "provenance", "claims": [],
            "policy": {"policy": "built-in", "checks": []},
            "expected": [{"purl": "pkg:generic/tool@1.0", "file": material}],
            "not_compared": [],
            "container": {"image": {"repository": "docker.io/library/debian", "digest": "0".repeat(64)}},
            "inputs": [{"role": "source", "place": "a", "file": {"name": "a", "urls": ["https://example.org/a"], "sha256": Sha256::of("a"), "size": 1}}],
            "files": [], "setup": {"env": {}, "steps": []}, "build": {"env": {}, "steps": []},
            "hostname": "h", "umask": 18,
            "limits": {"seconds": 60, "memory": 1_u64 << 30, "disk": 1_u64 << 30, "pids": 100, "cpus": 1},
            "assumptions": []
        });
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let scene = Self { ground, plan };
        ground.write("run/plan.json", scene.plan.canonical().unwrap());
        ground.write("run/build.log", "built\n");
        let rebuilt = if reproduced { "released" } else { "something else" };
        ground.write(&format!("run/rebuilt/{NAME}"), rebuilt);
        let record = scene.record(reproduced);
        write_run(
            &record,
            &scene.plan,
            &RunFolder::new(&ground.folder().join("run")),
        );
        for name in ["record.json", "report.html"] {
            let bytes = fs::read(ground.folder().join("run").join(name)).unwrap();
            fs::remove_file(ground.folder().join("run").join(name)).unwrap();
            ground.write(&format!("run/{name}"), bytes);
        }
        scene.own();
        let output = ground
            .rebuilder()
            .arg("attest")
            .arg(ground.folder().join("run"))
            .arg("--key")
            .arg(ground.folder().join("own.pem"))
            .arg("--log")
            .arg(ground.folder().join("log.jsonl"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        scene
    }

    /// Gives everything to the user of the case.
    fn own(&self) {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let owner = fs::metadata(self.ground.folder()).unwrap();
        for entry in walkdir::WalkDir::new(self.ground.folder()).into_iter().flatten() {
            chown(entry.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        }
    }

    fn record(&self, reproduced: bool) -> Record {
        let rebuilt = Sha256::of(if reproduced { "released" } else { "something else" });
        let zero = json!({"prepare": 0.5, "setup": 0.0, "build": 0.25, "compare": 0.0, "total": 1.0});
        serde_json::from_value(json!({
            "version": 1, "id": "run-1", "subject": self.plan.subject,
            "verdict": if reproduced { "reproduced" } else { "mismatch" },
            "plan": self.plan.digest().unwrap(), "evidence": "verified",
            "outputs": [{"name": NAME, "released": Sha256::of("released"), "rebuilt": rebuilt, "sizes": [8, 8], "differs": null}],
            "not_compared": [], "backend": "embedded", "not_enforced": [],
            "log": Sha256::of("built\n"), "report": Sha256::of(""),
            "rebuilder": env!("CARGO_PKG_VERSION"),
            "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z", "timings": zero
        }))
        .unwrap()
    }

    /// The bundle, file by file; its list signed by the same key, or by nobody.
    fn export(&self, signed: bool) -> BTreeMap<String, Vec<u8>> {
        let to = self.ground.folder().join("good.tar.gz");
        let mut command = self.ground.rebuilder();
        command
            .args(["evidence", "export"])
            .arg(self.ground.folder().join("run"))
            .arg("--out")
            .arg(&to);
        if signed {
            command
                .arg("--sign")
                .arg("--key")
                .arg(self.ground.folder().join("own.pem"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let archive = flate2::read::GzDecoder::new(fs::File::open(&to).unwrap());
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            files.insert(name.strip_prefix("evidence/").unwrap().to_owned(), bytes);
        }
        files
    }

    fn verify(&self, archive: &[u8]) -> Output {
        let file = self.ground.write("attacked.tar.gz", archive);
        self.ground
            .rebuilder()
            .args(["--offline", "evidence", "verify"])
            .arg(file)
            .arg("--trusted-key")
            .arg(self.ground.folder().join("own.pem.pub"))
            .output()
            .unwrap()
    }
}

/// Lists everything anew, as someone would who has no key.
fn relist(files: &mut BTreeMap<String, Vec<u8>>, change: impl Fn(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    change(&mut manifest);
    let mut sums = String::new();
    for file in manifest["files"].as_array_mut().unwrap() {
        if let Some(bytes) = files.get(file["path"].as_str().unwrap()) {
            file["sha256"] = json!(Sha256::of(bytes));
            file["size"] = json!(bytes.len());
            sums.push_str(&format!(
                "{}  {}\n",
                Sha256::of(bytes),
                file["path"].as_str().unwrap()
            ));
        }
    }
    let text = manifest.to_string().into_bytes();
    let sums = format!("{}  manifest.json\n{sums}", Sha256::of(&text));
    files.insert("manifest.json".into(), text);
    files.insert("SHA256SUMS".into(), sums.into_bytes());
}

/// A member of an archive.
type Member = (tar::Header, Vec<u8>);

fn header(name: &str, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

fn pack(files: &BTreeMap<String, Vec<u8>>, more: &[Member]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let name = format!("evidence/{name}");
        let header = header(&name, bytes.len() as u64, tar::EntryType::Regular);
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    for (header, bytes) in more {
        tar.append(header, bytes.as_slice()).unwrap();
    }
    zip(&tar.into_inner().unwrap())
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// Makes everything in a bundle but its attestation say that the run reproduced.
fn claim_success(scene: &Scene, files: &mut BTreeMap<String, Vec<u8>>) {
    let record = scene.record(true);
    let place = scene.ground.folder().join("forged");
    fs::create_dir_all(&place).unwrap();
    write_run(&record, &scene.plan, &RunFolder::new(&place));
    for name in ["record.json", "report.html"] {
        files.insert(name.into(), fs::read(place.join(name)).unwrap());
    }
    relist(files, |manifest| manifest["verdict"] = json!("reproduced"));
}

fn two_faces(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, false);
    let mut files = scene.export(true);
    let genuine: Value = serde_json::from_slice(&files["attestations/rebuild.sigstore.json"]).unwrap();
    claim_success(&scene, &mut files);
    let two_faced = |statement: &Value| {
        let envelope = json!({"payloadType": "application/vnd.in-toto+json", "payload": STANDARD.encode(statement.to_string()), "signatures": []});
        json!({"attestations": [{"bundle": genuine}], "dsseEnvelope": envelope})
            .to_string()
            .into_bytes()
    };
    let said = statement(
        "https://slsa.dev/provenance/v1",
        NAME,
        b"released",
        &json!({"buildDefinition": {"internalParameters": {"plan": {"sha256": scene.plan.digest().unwrap()}}}}),
    );
    files.insert("attestations/rebuild.sigstore.json".into(), two_faced(&said));
    relist(&mut files, |_| ());
    let list = statement("x", "manifest.json", &files["manifest.json"], &Value::Null);
    files.insert("manifest.sigstore.json".into(), two_faced(&list));
    let output = scene.verify(&pack(&files, &[]));
    must(
        code(&output) == 3,
        format!("exit {}: {}", code(&output), text(&output)),
    )?;
    must(
        !text(&output).starts_with("pkg:generic/tool@1.0: reproduced"),
        "the first line says that it reproduced",
    )
}

fn second_payload(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, false);
    let files = scene.export(true);
    let genuine: Value = serde_json::from_slice(&files["attestations/rebuild.sigstore.json"]).unwrap();
    let envelope = genuine["dsseEnvelope"].clone();
    let with = |name: &str, value: &Value| {
        let mut changed = genuine.clone();
        changed[name] = value.clone();
        changed.to_string()
    };
    let inside = |name: &str, value: Value| {
        let mut changed = genuine.clone();
        changed["dsseEnvelope"][name] = value;
        changed.to_string()
    };
    let message = json!({"messageDigest": {"algorithm": "SHA2_256", "digest": ""}, "signature": ""});
    let faces = [
        with("messageSignature", &message),
        with("messageSignature", &Value::Null),
        with("dsse_envelope", &envelope),
        with("DSSEEnvelope", &envelope),
        with("envelope", &envelope),
        with("content", &envelope),
        with("attestations", &json!([{"bundle": genuine}])),
        with("attestation_bundles", &json!([])),
        with("payload", &envelope["payload"]),
        with("_type", &json!("https://in-toto.io/Statement/v1")),
        with("signed", &json!({"_type": "link"})),
        inside("Payload", envelope["payload"].clone()),
        inside("payload_type", json!("x")),
        inside("statement", envelope["payload"].clone()),
        json!([genuine]).to_string(),
        json!({"attestations": [{"bundle": genuine}]}).to_string(),
        format!("{genuine}\n{genuine}"),
        format!("{genuine} {genuine}"),
    ];
    for face in faces {
        let mut files = files.clone();
        files.insert(
            "attestations/rebuild.sigstore.json".into(),
            face.clone().into_bytes(),
        );
        relist(&mut files, |_| ());
        let output = scene.verify(&pack(&files, &[]));
        let found = text(&output);
        must(
            code(&output) == 3 && found.contains("rebuild.sigstore.json as evidence"),
            format!("exit {} for {face}: {found}", code(&output)),
        )?;
    }
    Ok(())
}

fn changed_record(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, false);
    // The list is signed by nobody, so that nothing but the attestation speaks against it.
    let mut files = scene.export(false);
    claim_success(&scene, &mut files);
    let output = scene.verify(&pack(&files, &[]));
    let found = text(&output);
    must(code(&output) == 3, format!("exit {}: {found}", code(&output)))?;
    must(
        found.contains("refused") && found.contains("mismatch"),
        format!("it is not said what was attested: {found}"),
    )?;
    // The same without any key: what the attestation says is compared all the same.
    let output = ground
        .rebuilder()
        .args(["--offline", "evidence", "verify"])
        .arg(ground.folder().join("attacked.tar.gz"))
        .output()
        .unwrap();
    must(
        code(&output) == 3,
        format!("without a key, exit {}", code(&output)),
    )
}

/// What is changed in a record, and how.
type Change = (&'static str, fn(&mut Record));

fn changed_facts(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let files = scene.export(false);
    let changes: [Change; 8] = [
        ("backend", |record| record.backend = "docker".into()),
        ("run", |record| record.id = "run-2".into()),
        ("beginning", |record| {
            record.started = "2020-01-01T00:00:00Z".parse().unwrap();
        }),
        ("end", |record| {
            record.finished = "2027-01-01T00:00:00Z".parse().unwrap();
        }),
        ("limits", |record| record.not_enforced = vec!["memory".into()]),
        ("evidence", |record| {
            record.evidence = rebuilder::run::Evidence::TakenFromPlan;
        }),
        ("log", |record| record.log = Sha256::of("nothing\n")),
        ("report", |record| record.not_compared = vec!["*".into()]),
    ];
    for (what, change) in changes {
        let mut files = files.clone();
        let mut record = scene.record(true);
        change(&mut record);
        let place = ground.folder().join(format!("changed-{what}"));
        fs::create_dir_all(&place).unwrap();
        write_run(&record, &scene.plan, &RunFolder::new(&place));
        for name in ["record.json", "report.html"] {
            files.insert(name.into(), fs::read(place.join(name)).unwrap());
        }
        if what == "log" {
            files.insert("build.log".into(), b"nothing\n".to_vec());
        }
        relist(&mut files, |manifest| {
            manifest["run"] = json!(record.id);
            manifest["created"] = json!(record.finished);
        });
        let output = scene.verify(&pack(&files, &[]));
        let said = text(&output);
        must(
            code(&output) == 3 && said.contains("! the attestation is about this run"),
            format!("the {what} could be changed, exit {}: {said}", code(&output)),
        )?;
    }
    Ok(())
}

fn borrowed_signature(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let mut files = scene.export(false);
    // The attestation of the rebuild is a good signature of the same key; its subject is another file.
    let attestation = files["attestations/rebuild.sigstore.json"].clone();
    files.insert("manifest.sigstore.json".into(), attestation);
    let output = scene.verify(&pack(&files, &[]));
    must(
        code(&output) == 3,
        format!("exit {}: {}", code(&output), text(&output)),
    )
}

fn hidden_members(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let files = scene.export(true);
    let regular = tar::EntryType::Regular;
    let good = pack(&files, &[]);
    let output = scene.verify(&good);
    must(
        code(&output) == 0,
        format!("the unchanged one is not taken: {}", text(&output)),
    )?;
    let member = |name: &str, kind| vec![(header(name, 4, kind), b"evil".to_vec())];
    let mut link = header("evidence/policy/x", 0, tar::EntryType::Symlink);
    link.set_link_name("/etc/passwd").unwrap();
    link.set_cksum();
    let mut hard = header("evidence/policy/x", 0, tar::EntryType::Link);
    hard.set_link_name("evidence/record.json").unwrap();
    hard.set_cksum();
    let pax = b"28 path=evidence/record.json".to_vec();
    let mut prefixed = header("record.json", 4, regular);
    prefixed.as_mut_bytes()[345..353].copy_from_slice(b"evidence");
    prefixed.set_cksum();
    let mut setuid = header("evidence/policy/x", 4, regular);
    setuid.set_mode(0o4755);
    setuid.set_cksum();
    let members: Vec<(&str, Vec<Member>)> = vec![
        ("undeclared", member("evidence/extra", regular)),
        ("twice", member("evidence/record.json", regular)),
        ("other case", member("evidence/Record.json", regular)),
        ("a dot", member("evidence/./record.json", regular)),
        ("empty part", member("evidence//record.json", regular)),
        ("up and down", member("evidence/sbom/../record.json", regular)),
        ("above", member("../record.json", regular)),
        ("below a file", member("evidence/record.json/x", regular)),
        ("trailing blank", member("evidence/record.json ", regular)),
        (
            "folder",
            vec![(header("evidence/sbom/", 0, tar::EntryType::Directory), Vec::new())],
        ),
        ("symbolic link", vec![(link, Vec::new())]),
        ("hard link", vec![(hard, Vec::new())]),
        (
            "contiguous",
            member("evidence/policy/x", tar::EntryType::Continuous),
        ),
        (
            "extended header",
            vec![
                (header("pax", pax.len() as u64, tar::EntryType::XHeader), pax),
                (header("evidence/policy/x", 4, regular), b"evil".to_vec()),
            ],
        ),
        ("prefix", vec![(prefixed, b"evil".to_vec())]),
        ("set-user-ID", vec![(setuid, b"evil".to_vec())]),
    ];
    for (what, members) in members {
        let output = scene.verify(&pack(&files, &members));
        must(
            code(&output) == 3,
            format!("{what}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    let second = [
        good.clone(),
        pack(&BTreeMap::new(), &member("evidence/record.json", regular)),
    ]
    .concat();
    let trailing = [good.clone(), b"more".to_vec()].concat();
    let mut inside = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(good.as_slice()), &mut inside).unwrap();
    let mut behind = inside;
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header("evidence/record.json", 4, regular), &b"evil"[..])
        .unwrap();
    behind.extend(tar.into_inner().unwrap());
    for (what, archive) in [
        ("a second stream", second),
        ("bytes behind the stream", trailing),
        ("an archive behind the archive", zip(&behind)),
    ] {
        let output = scene.verify(&archive);
        must(
            code(&output) == 3,
            format!("{what}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    Ok(())
}

fn changed_conclusions(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let files = scene.export(false);
    let edit = |name: &str, from: &str, to: &str| {
        let mut files = files.clone();
        let found = String::from_utf8(files[name].clone()).unwrap();
        assert!(found.contains(from), "{name} has no {from}: {found}");
        files.insert(name.into(), found.replacen(from, to, 1).into_bytes());
        relist(&mut files, |_| ());
        (name.to_owned(), files)
    };
    let mut sums = files.clone();
    sums.insert("SHA256SUMS".into(), b"nothing\n".to_vec());
    let mut twice = files.clone();
    relist(&mut twice, |manifest| {
        let first = manifest["files"][0].clone();
        manifest["files"].as_array_mut().unwrap().push(first);
    });
    for (what, files) in [
        edit(
            "cdxa.json",
            "VERIFIED_REPRODUCIBLE_BUILD",
            "VERIFIED_SECURE_BUILD",
        ),
        edit(
            "sbom/build.cdx.json",
            "https://example.org/a",
            "https://example.org/b",
        ),
        edit(
            "sbom/build.spdx.json",
            "https://example.org/a",
            "https://example.org/b",
        ),
        edit("claims.json", "[]", "[{\"claim\": \"signed by the author\"}]"),
        edit("controls.json", "\"no evidence\"", "\"evidence\""),
        edit("controls.md", "**no evidence**", "good"),
        edit("cost.json", "0.25", "0.125"),
        edit(
            "record.json",
            "\"embedded\"",
            "\"embedded\", \"Verdict\": \"reproduced\"",
        ),
        edit("plan.json", "\"hostname\"", "\"umask\":18,\"hostname\""),
        ("SHA256SUMS".to_owned(), sums),
        ("a file listed twice".to_owned(), twice),
    ] {
        let output = scene.verify(&pack(&files, &[]));
        must(
            code(&output) == 3,
            format!("{what}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    Ok(())
}

fn no_attestation(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, false);
    let mut files = scene.export(true);
    claim_success(&scene, &mut files);
    let failed = files.remove("attestations/rebuild.sigstore.json").unwrap();
    files.remove("manifest.sigstore.json");
    let mut elsewhere = files.clone();
    relist(&mut files, |manifest| {
        manifest["files"]
            .as_array_mut()
            .unwrap()
            .retain(|file| file["path"] != "attestations/rebuild.sigstore.json");
    });
    let output = scene.verify(&pack(&files, &[]));
    must(code(&output) != 0, format!("exit 0: {}", text(&output)))?;
    // The same, put where others' attestations are.
    elsewhere.insert("attestations/others/000-a.json".into(), failed);
    relist(&mut elsewhere, |manifest| {
        for file in manifest["files"].as_array_mut().unwrap() {
            if file["path"] == "attestations/rebuild.sigstore.json" {
                file["path"] = json!("attestations/others/000-a.json");
            }
        }
    });
    let output = scene.verify(&pack(&elsewhere, &[]));
    must(
        code(&output) == 3 && text(&output).contains("no party that you trust says otherwise"),
        format!("as another's, exit {}: {}", code(&output), text(&output)),
    )
}

fn spelt_twice(ground: &Ground) -> Result<(), String> {
    let (good, evil) = (b"released".as_slice(), b"evil".as_slice());
    ground.write("tool", good);
    let key = Key::new(ground, "key.pem");
    let said = provenance("tool", good).to_string();
    let other = provenance("tool", evil)["subject"].to_string();
    let texts = [
        said.replacen("\"subject\":", &format!("\"Subject\":{other},\"subject\":"), 1),
        said.replacen(
            "\"subject\":",
            &format!("\"sub\\u006aect\":{other},\"subject\":"),
            1,
        ),
        said.replacen(
            "\"predicateType\":",
            "\"predicate_type\":\"x\",\"predicateType\":",
            1,
        ),
        said.replacen("\"_type\":", "\"type\":\"x\",\"_type\":", 1),
        said.replacen(
            "\"sha256\":",
            &format!("\"SHA256\":\"{}\",\"sha256\":", Sha256::of(evil)),
            1,
        ),
        said.replacen("\"builder\":", "\"Builder\":{\"id\":\"x\"},\"builder\":", 1),
        // Go takes these letters for "s" and "k".
        said.replacen(
            "\"subject\":",
            &format!("\"\u{17f}ubject\":{other},\"subject\":"),
            1,
        ),
        said.replacen(
            "\"subject\":",
            &format!(
                "\"subject\":{},\"\\u017fubject\":",
                provenance("tool", good)["subject"]
            ),
            1,
        ),
        said.replacen(
            "\"digest\":",
            "\"dige\u{17f}t\":{\"sha256\":\"00\"},\"digest\":",
            1,
        ),
        said.replacen(
            "\"sha256\":",
            &format!("\"\u{17f}ha256\":\"{}\",\"sha256\":", Sha256::of(evil)),
            1,
        ),
        said.replacen(
            "\"repository\":",
            "\"Repository\":\"https://github.com/evil/tool\",\"repository\":",
            1,
        ),
        said.replacen("\"path\":", "\"PATH\":\"x\",\"path\":", 1),
        format!("{said}{said}"),
    ];
    for text_of in texts {
        let payload = STANDARD.encode(&text_of);
        let kind = "application/vnd.in-toto+json";
        let message = format!("DSSEv1 {} {kind} {} {text_of}", kind.len(), text_of.len());
        let signature = STANDARD.encode(key.0.sign(message.as_bytes()));
        let envelope = json!({"payloadType": kind, "payload": payload, "signatures": [{"sig": signature}]});
        let file = ground.write("said.json", envelope.to_string());
        let output = inspect(ground, "--provenance", &file, &["key.pem"], &[]);
        must(code(&output) == 3, format!("{text_of}: exit {}", code(&output)))?;
    }
    Ok(())
}

/// OpenPGP, as far as this machine has it.
struct Gpg<'a>(&'a Ground);

impl<'a> Gpg<'a> {
    fn new(ground: &'a Ground) -> Option<Self> {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
        let home = ground.folder().join("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let owner = fs::metadata(ground.folder()).unwrap();
        chown(&home, Some(owner.uid()), Some(owner.gid())).unwrap();
        let gpg = Self(ground);
        let made = gpg.run(&["--quick-generate-key", "release", "ed25519", "sign", "never"]);
        if !made.is_some_and(|output| output.status.success()) {
            crate::common::skip_part("gpg");
            return None;
        }
        ground.write("pgp.asc", gpg.run(&["--armor", "--export"]).unwrap().stdout);
        Some(gpg)
    }

    fn run(&self, arguments: &[&str]) -> Option<Output> {
        let mut command = self.0.command("gpg");
        command.env("GNUPGHOME", self.0.folder().join("gnupg"));
        command.args([
            "--batch",
            "--yes",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        command.args(arguments).output().ok()
    }

    /// The text, clear-signed.
    fn sign(&self, content: &str) -> PathBuf {
        let plain = self.0.write("plain.txt", content);
        let output = self
            .run(&["--output", "-", "--clearsign", plain.to_str().unwrap()])
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        self.0.write("signed.asc", output.stdout)
    }
}

impl Drop for Gpg<'_> {
    fn drop(&mut self) {
        let mut command = self.0.command("gpgconf");
        command.env("GNUPGHOME", self.0.folder().join("gnupg"));
        let _ = command.args(["--kill", "all"]).output();
    }
}

/// None of these signed texts may be a signature of `tool`; the last is one.
fn none_counts(ground: &Ground, gpg: &Gpg, texts: &[String], good: &str) -> Result<(), String> {
    for content in texts {
        let file = gpg.sign(content);
        let output = inspect(ground, "--signature", &file, &["pgp.asc"], &[]);
        must(
            [3, 4].contains(&code(&output)) && !text(&output).contains("signature  verified"),
            format!("{content:?}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    let output = inspect(ground, "--signature", &gpg.sign(good), &["pgp.asc"], &[]);
    must(
        code(&output) == 0,
        format!("{good:?} is refused: {}", text(&output)),
    )
}

fn signed_prose(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    let texts = [
        format!("ADVISORY: the file with SHA-256 {digest} is MALWARE. Do not use it.\n"),
        format!("Revoked:\n{digest}  tool\n"),
        format!("{digest}  tool\nThe file above is not ours.\n"),
        format!("# revoked, do not use\n{digest}  tool\n"),
        format!("# {digest}  tool\n"),
        format!("{}  other\n# {digest}  tool\n", Sha256::of("other")),
        format!("MALWARE (tool) = {digest}\n"),
        format!("{digest}\n"),
        format!("{digest}  tool is malware\n"),
        format!("Warning: bad\nChecksums-Sha256:\n {digest} 8 tool\n"),
        format!("Source: tool\nChecksums-Sha256:\n {digest} 8 tool\n\nDo not use it.\n"),
        format!("{{\"malware\": [{{\"name\": \"tool\", \"sha256\": \"{digest}\"}}]}}\n"),
        format!("tree 1\ntag v1\n\nbuilt as {digest}\n"),
        format!("- {digest}  tool\n"),
    ];
    none_counts(ground, &gpg, &texts, &format!("{digest}  tool\n"))
}

fn list_of_another(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    let other = Sha256::of("other");
    let texts = [
        format!("{digest}  tool-vulnerable\n"),
        format!("{digest}  Tool\n{other}  tool\n"),
        format!("SHA256 (other) = {digest}\n"),
        format!("{digest} *other\n{other} *tool\n"),
        format!("{digest}  tool\n{other}  tool\n"),
        format!(
            "Format: 3.0 (quilt)\nSource: tool\nBinary: tool\nVersion: 1\nChecksums-Sha256:\n {digest} 8 other\n"
        ),
        format!("Suite: y\nDate: Sat, 11 Jul 2026 09:58:59 UTC\nSHA256:\n {digest} 8 main/other\n"),
        format!("SHA512 (tool) = {digest}\n"),
    ];
    none_counts(ground, &gpg, &texts, &format!("SHA256 (tool) = {digest}\n"))
}

fn text_around(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    let signed = fs::read_to_string(gpg.sign(&format!("{digest}  tool\n"))).unwrap();
    let evil = fs::read_to_string(gpg.sign(&format!("{}  tool\n", Sha256::of("evil")))).unwrap();
    for (what, content) in [
        ("behind", format!("{signed}\nand this is not signed\n")),
        ("two", format!("{signed}{evil}")),
        (
            "a header",
            signed.replacen("\n\n", "\nComment: do not use\n\n", 1),
        ),
        ("before", format!("do not use\n{signed}")),
    ] {
        let file = ground.write("around.asc", &content);
        let output = inspect(ground, "--signature", &file, &["pgp.asc"], &[]);
        must(code(&output) != 0, format!("text {what}: {}", text(&output)))?;
    }
    Ok(())
}

fn source_package(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    let file = gpg.sign(&format!(
        "Format: 1.0\nSource: tool\nVersion: 1.0\nChecksums-Sha256:\n {digest} 8 tool\n"
    ));
    let output = inspect(ground, "--provenance", &file, &["pgp.asc"], &["--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    must(
        found["provenance"]["standing"] != "verified",
        "a .dsc counts as a record of a build",
    )?;
    // A record of a build of another file of the same bytes.
    let file = gpg.sign(&format!(
        "Format: 1.0\nSource: tool\nVersion: 1.0\nChecksums-Sha256:\n {digest} 8 other\nInstalled-Build-Depends:\n gcc (= 1)\n"
    ));
    let output = inspect(ground, "--provenance", &file, &["pgp.asc"], &[]);
    must(
        code(&output) == 3,
        format!("another file's record counts: {}", text(&output)),
    )
}

fn another_name(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let key = Key::new(ground, "key.pem");
    for name in ["tool-1.0-vulnerable.tar.gz", "pkg:npm/other@1.0", "dist/other"] {
        let file = ground.write("said.json", key.sign(&provenance(name, b"released")).to_string());
        let output = inspect(ground, "--provenance", &file, &["key.pem"], &[]);
        let found = text(&output);
        let second = found.lines().nth(1).unwrap_or_default();
        must(
            second.contains("another name") && second.contains(name),
            format!("{name} is not shown first: {found}"),
        )?;
        let output = inspect(ground, "--provenance", &file, &["key.pem"], &["--json"]);
        let found: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        must(
            found["names"].as_array().is_some_and(|names| names.len() == 1)
                && found["provenance"]["claims"][0]["subjects"][0] == name,
            format!("{name} is not in the JSON"),
        )?;
        let output = ground
            .rebuilder()
            .args(["--offline", "--json", "verify"])
            .arg(ground.folder().join("tool"))
            .arg("--attestation")
            .arg(&file)
            .arg("--trusted-key")
            .arg(ground.folder().join("key.pem"))
            .output()
            .unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        must(
            found["names"].as_array().is_some_and(|names| names.len() == 1)
                && found["parties"][0]["subject"] == name,
            format!("verify does not tell {name}: {found}"),
        )?;
    }
    // A package that was asked for by its URL is another one.
    let file = ground.write(
        "said.json",
        key.sign(&provenance("pkg:npm/other@1.0", b"released"))
            .to_string(),
    );
    let asked = ["--purl", "pkg:npm/tool@1.0"];
    let output = inspect(ground, "--provenance", &file, &["key.pem"], &asked);
    must(
        code(&output) == 3,
        format!("another package counts: {}", text(&output)),
    )
}

fn another_upload(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let key = Key::new(ground, "key.pem");
    let publish = "https://docs.pypi.org/attestations/publish/v1";
    // No key is a trusted publisher, so that even the right name is only shown.
    for (name, expected) in [("tool", 4), ("other-1.0.tar.gz", 3), ("Tool-1.0.tar.gz", 3)] {
        let said = statement(publish, name, b"released", &Value::Null);
        let file = ground.write("said.json", key.sign(&said).to_string());
        let output = inspect(ground, "--provenance", &file, &["key.pem"], &[]);
        must(
            code(&output) == expected,
            format!("{name}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    Ok(())
}

fn chosen_rule(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let key = Key::new(ground, "key.pem");
    Key::new(ground, "strict.pem");
    let policy = "version = 1\n[[keys]]\nname = \"strict\"\nfile = \"strict.pem\"\n\
                  [[rules]]\nsubject = \"pkg:npm/lenient*\"\n\
                  [[rules]]\nsubject = \"*\"\nrequire = [\"provenance\"]\nkeys = [\"strict\"]\n";
    let policy = ground.write("policy.toml", policy);
    // Signed by a key that the user names, for another purpose, and a statement of nobody's that names a package.
    let signed = ground.write(
        "signed.json",
        key.sign(&provenance("tool", b"released")).to_string(),
    );
    let naming = ground.write(
        "naming.json",
        provenance("pkg:npm/lenient@1.0", b"released").to_string(),
    );
    let more = [
        "--provenance",
        naming.to_str().unwrap(),
        "--policy",
        policy.to_str().unwrap(),
    ];
    let output = inspect(ground, "--provenance", &signed, &["key.pem"], &more);
    must(
        code(&output) == 3,
        format!("exit {}: {}", code(&output), text(&output)),
    )
}

fn quorum_of_lists(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    let verdict = |content: &str| {
        let signed = fs::read(gpg.sign(content)).unwrap();
        let file = ground.write("said/SHA256SUMS.asc", signed);
        let output = ground
            .rebuilder()
            .args(["--offline", "--json", "verify"])
            .arg(ground.folder().join("tool"))
            .arg("--attestation")
            .arg(&file)
            .arg("--trusted-key")
            .arg(ground.folder().join("pgp.asc"))
            .output()
            .unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        found["verdict"].as_str().unwrap_or("none").to_owned()
    };
    for content in [
        format!("{digest}  other\n"),
        format!("# these did not come out\n{digest}  tool\n"),
        format!("{digest}  tool\n{}  tool\n", Sha256::of("x")),
        format!("FAILED (tool) = {digest}\n"),
        format!("Format: 3.0 (quilt)\nSource: tool\nChecksums-Sha256:\n {digest} 8 tool\n"),
    ] {
        let found = verdict(&content);
        must(found == "not-enough", format!("{content:?} makes it {found}"))?;
    }
    let found = verdict(&format!("{digest}  tool\n"));
    must(found == "agreed", format!("a good list makes it {found}"))
}

fn minisign_of_another(ground: &Ground) -> Result<(), String> {
    let tool = ground.write("tool", "released");
    let path = |name: &str| ground.folder().join(name);
    let made = ground
        .command("minisign")
        .args(["-G", "-W", "-f", "-p"])
        .arg(path("mini.pub"))
        .arg("-s")
        .arg(path("mini.key"))
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        crate::common::skip_part("minisign");
        return Ok(());
    }
    for (comment, expected) in [
        (None, 0),
        (Some("timestamp:1\tfile:tool-vulnerable\thashed"), 3),
        (Some("file: other"), 3),
        (Some("filename:\"dist/other\""), 3),
        (Some("timestamp:1\tfile:tool\thashed"), 0),
        (Some("THIS IS MALWARE, DO NOT USE"), 4),
        (Some("timestamp:1\tfile:tool\thashed\trevoked"), 4),
        (Some("timestamp:1\tfile:known-malware/tool\thashed"), 4),
    ] {
        let mut command = ground.command("minisign");
        command
            .args(["-S", "-m"])
            .arg(&tool)
            .arg("-s")
            .arg(path("mini.key"));
        command.arg("-x").arg(path("tool.minisig"));
        if let Some(comment) = comment {
            command.args(["-t", comment]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let output = inspect(ground, "--signature", &path("tool.minisig"), &["mini.pub"], &[]);
        must(
            code(&output) == expected,
            format!("{comment:?}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    Ok(())
}

fn messages_in_lists(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    let zeros = "0".repeat(64);
    let texts = [
        format!("{digest}  REVOKED DO NOT USE/tool\n"),
        format!("{digest}  known-malware/tool\n"),
        format!("SHA256 (compromised/tool) = {digest}\n"),
        format!("{digest}  do/not/use/tool\n"),
        format!("{digest}  tool\n{zeros}  tool-is-vulnerable\n"),
        format!(
            "{}  do\n{}  not\n{}  use\n{digest}  tool\n# do not use\n",
            zeros,
            "1".repeat(64),
            "2".repeat(64)
        ),
        format!("{zeros}  not\n{digest}  ours\n{digest}  tool\n# not ours\n"),
        format!("; do not use\n{digest}  tool\n"),
    ];
    none_counts(ground, &gpg, &texts, &format!("{digest}  ./tool\n"))?;
    // A folder of an innocent name is told, as any other name is.
    let file = gpg.sign(&format!("{digest}  staging/tool\n"));
    let output = inspect(ground, "--signature", &file, &["pgp.asc"], &[]);
    let found = text(&output);
    let second = found.lines().nth(1).unwrap_or_default();
    must(
        second.contains("another name") && second.contains("staging/tool"),
        format!("the folder is not told: {found}"),
    )?;
    let verify = |file: &Path| {
        let output = ground
            .rebuilder()
            .args(["--offline", "--json", "verify"])
            .arg(ground.folder().join("tool"))
            .arg("--attestation")
            .arg(file)
            .arg("--trusted-key")
            .arg(ground.folder().join("pgp.asc"))
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()
    };
    let found = verify(&file);
    must(
        found["names"].as_array().is_some_and(|names| names.len() == 1)
            && found["parties"][0]["subject"] == "staging/tool",
        format!("verify does not tell the folder: {found}"),
    )?;
    for content in &texts {
        let found = verify(&gpg.sign(content));
        must(
            found["verdict"] == "not-enough",
            format!("{content:?} makes it {}", found["verdict"]),
        )?;
    }
    Ok(())
}

fn messages_in_fields(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    let dsc = format!(
        "Format: 3.0 (quilt)\nSource: tool\nBinary: tool\nVersion: 1.0\nChecksums-Sha256:\n {digest} 8 tool\n"
    );
    let release = format!(
        "Origin: Debian\nSuite: stable\nDate: Sat, 11 Jul 2026 09:58:59 UTC\nSHA256:\n {digest} 8 tool\n"
    );
    let texts = [
        format!("Source: tool\nDescription: MALWARE do not use\nChecksums-Sha256:\n {digest} 8 tool\n"),
        format!("Origin: known malware feed\nSHA256:\n {digest} 8 tool\n"),
        release.replace("Debian", "known malware feed"),
        format!("Label: revoked\n{release}"),
        format!("{dsc}Description: MALWARE\n"),
        format!("{dsc}Uploaders: Do Not Use\n"),
        dsc.replace("Source: tool", "Source: DO NOT USE"),
        dsc.replace(" 8 tool", " 8 malware/tool"),
        format!("Comment: not ours\n{dsc}"),
    ];
    none_counts(ground, &gpg, &texts, &dsc)?;
    let record = format!(
        "Format: 1.0\nSource: tool\nBinary: tool\nVersion: 1.0\nChecksums-Sha256:\n {digest} 8 tool\nInstalled-Build-Depends:\n gcc (= 1)\n"
    );
    for more in ["Description: MALWARE\n", "Build-Origin: do not use\n"] {
        let file = gpg.sign(&format!("{record}{more}"));
        let output = inspect(ground, "--provenance", &file, &["pgp.asc"], &[]);
        must(
            code(&output) != 0,
            format!("a record with {more:?} counts: {}", text(&output)),
        )?;
    }
    Ok(())
}

fn over_text(ground: &Ground) -> Result<(), String> {
    let tool = ground.write("tool", "one\ntwo\n");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    for (mode, bytes, expected) in [
        ("--no-textmode", "one\ntwo\n", 0),
        ("--no-textmode", "one\r\ntwo\r\n", 3),
        ("--textmode", "one\ntwo\n", 4),
        ("--textmode", "one\r\ntwo\r\n", 4),
        ("--textmode", "one\nthree\n", 3),
    ] {
        ground.write("tool", "one\ntwo\n");
        let output = gpg
            .run(&[
                mode,
                "--armor",
                "--output",
                "-",
                "--detach-sign",
                tool.to_str().unwrap(),
            ])
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let file = ground.write("tool.asc", output.stdout);
        ground.write("tool", bytes);
        let output = inspect(ground, "--signature", &file, &["pgp.asc"], &[]);
        must(
            code(&output) == expected,
            format!("{mode} {bytes:?}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    Ok(())
}

fn foreign_members(ground: &Ground) -> Result<(), String> {
    ground.write("tool", "released");
    let key = Key::new(ground, "key.pem");
    let good = key.sign(&provenance("tool", b"released"));
    let evil = STANDARD.encode(provenance("tool", b"evil").to_string());
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "key"}},
        "dsseEnvelope": good
    });
    let verdict = |value: &Value| {
        let file = ground.write("said.json", value.to_string());
        code(&inspect(ground, "--provenance", &file, &["key.pem"], &[]))
    };
    for value in [&good, &bundle] {
        must(verdict(value) == 0, "a good document is refused")?;
    }
    for (document, place) in [
        (&good, "/signatures/0"),
        (&bundle, "/dsseEnvelope/signatures/0"),
        (&bundle, "/verificationMaterial/publicKey"),
        (&bundle, "/verificationMaterial"),
    ] {
        for name in ["payload", "raw_bytes", "rawBytes", "extension"] {
            let mut changed = document.clone();
            changed.pointer_mut(place).unwrap()[name] = json!(evil);
            let found = verdict(&changed);
            must(
                [2, 3].contains(&found),
                format!("{name} in {place} passes: exit {found}"),
            )?;
        }
    }
    Ok(())
}
