//! Cases of the attack suite: bundles, attestations and signatures that say one thing to one reader and another thing
//! to the next, or that are signed and mean something else; see `main.rs`.

mod archive;
mod gpg;
mod lists;
mod messages;
mod record;
mod scene;
mod strangers;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use crate::common::text;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::artifact::Sha256;
use rebuilder::plan::Plan;
use rebuilder::run::{Record, RunFolder};
use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, must};
use gpg::Gpg;
use scene::{NAME, Scene};

pub const CASES: &[Case] = &[
    Case {
        name: "turn a signed failure into \"reproduced\" with a file of two faces",
        builds: false,
        run: archive::two_faces,
    },
    Case {
        name: "put a second payload beside the one that is signed",
        builds: false,
        run: archive::second_payload,
    },
    Case {
        name: "change the record beside the attestation",
        builds: false,
        run: record::changed_record,
    },
    Case {
        name: "change one fact of the record that was attested",
        builds: false,
        run: record::changed_facts,
    },
    Case {
        name: "sign the list of contents with another statement of the same key",
        builds: false,
        run: archive::borrowed_signature,
    },
    Case {
        name: "put in a file that only some readers see",
        builds: false,
        run: archive::hidden_members,
    },
    Case {
        name: "change what follows from the run",
        builds: false,
        run: record::changed_conclusions,
    },
    Case {
        name: "leave out the attestation that says otherwise",
        builds: false,
        run: record::no_attestation,
    },
    Case {
        name: "repeat a key, or spell it in two ways",
        builds: false,
        run: archive::spelt_twice,
    },
    Case {
        name: "have a signed warning taken for a release",
        builds: false,
        run: lists::signed_prose,
    },
    Case {
        name: "have a signed list taken for another file's",
        builds: false,
        run: lists::list_of_another,
    },
    Case {
        name: "put text around a signed list",
        builds: false,
        run: lists::text_around,
    },
    Case {
        name: "have a source package's signature taken for provenance",
        builds: false,
        run: lists::source_package,
    },
    Case {
        name: "release a file under the name of another with its bytes",
        builds: false,
        run: lists::another_name,
    },
    Case {
        name: "take an upload's attestation for a file of another name",
        builds: false,
        run: lists::another_upload,
    },
    Case {
        name: "choose the rule of the policy by a statement that nobody signed",
        builds: false,
        run: lists::chosen_rule,
    },
    Case {
        name: "make a quorum of lists that name another file, or that say more than digests",
        builds: false,
        run: lists::quorum_of_lists,
    },
    Case {
        name: "have a minisign signature for another file taken for this one's",
        builds: false,
        run: lists::minisign_of_another,
    },
    Case {
        name: "sign a bundle again without a key, under a name that nobody trusts",
        builds: false,
        run: strangers::stranger_signs_a_bundle,
    },
    Case {
        name: "state as a stranger what only a registry, a forge or a publisher can",
        builds: false,
        run: strangers::stranger_states,
    },
    Case {
        name: "satisfy a policy with a signature of someone whom nobody named",
        builds: false,
        run: strangers::stranger_at_a_policy,
    },
    Case {
        name: "say \"do not use\" in a signed list where nobody looks",
        builds: false,
        run: messages::messages_in_lists,
    },
    Case {
        name: "say \"do not use\" in a field of a signed Debian file",
        builds: false,
        run: messages::messages_in_fields,
    },
    Case {
        name: "have a signature over a text taken for one over other bytes",
        builds: false,
        run: messages::over_text,
    },
    Case {
        name: "put a member into an envelope or a bundle that its form does not have",
        builds: false,
        run: messages::foreign_members,
    },
];

/// Writes a record, and the page that follows from it.
fn write_run(record: &Record, plan: &Plan, run: &RunFolder) {
    std::fs::write(run.record(), serde_json::to_vec_pretty(record).unwrap()).unwrap();
    std::fs::write(run.report(), rebuilder::report::html(plan, record).unwrap()).unwrap();
}

fn payload(bundle: &[u8]) -> Value {
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap()
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
