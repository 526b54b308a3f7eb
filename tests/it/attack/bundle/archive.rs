//! Evidence bundles that say one thing to one reader and another thing to the next.

use std::collections::BTreeMap;

use crate::attack::ground::{Ground, must};
use crate::common::text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::{
    Key, Member, NAME, Scene, claim_success, code, header, inspect, pack, provenance, relist, statement, zip,
};

pub(super) fn two_faces(ground: &Ground) -> Result<(), String> {
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

pub(super) fn second_payload(ground: &Ground) -> Result<(), String> {
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

pub(super) fn borrowed_signature(ground: &Ground) -> Result<(), String> {
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

pub(super) fn hidden_members(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let files = scene.export(true);
    let good = pack(&files, &[]);
    let output = scene.verify(&good);
    must(
        code(&output) == 0,
        format!("the unchanged one is not taken: {}", text(&output)),
    )?;
    for (what, members) in members() {
        let output = scene.verify(&pack(&files, &members));
        must(
            code(&output) == 3,
            format!("{what}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    for (what, archive) in continued(&good) {
        let output = scene.verify(&archive);
        must(
            code(&output) == 3,
            format!("{what}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    Ok(())
}

fn member(name: &str, kind: tar::EntryType) -> Vec<Member> {
    vec![(header(name, 4, kind), b"evil".to_vec())]
}

/// Members that a reader of the manifest would not see, or another reader would see elsewhere.
fn members() -> Vec<(&'static str, Vec<Member>)> {
    let regular = tar::EntryType::Regular;
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
    vec![
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
    ]
}

/// A good archive with more behind it.
fn continued(good: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let regular = tar::EntryType::Regular;
    let second = [
        good.to_vec(),
        pack(&BTreeMap::new(), &member("evidence/record.json", regular)),
    ]
    .concat();
    let trailing = [good.to_vec(), b"more".to_vec()].concat();
    let mut inside = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(good), &mut inside).unwrap();
    let mut behind = inside;
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header("evidence/record.json", 4, regular), &b"evil"[..])
        .unwrap();
    behind.extend(tar.into_inner().unwrap());
    [
        ("a second stream", second),
        ("bytes behind the stream", trailing),
        ("an archive behind the archive", zip(&behind)),
    ]
}

// Long, as it is one table.
pub(super) fn spelt_twice(ground: &Ground) -> Result<(), String> {
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
