//! In-toto layouts: the links of a project's steps, held against who may do what.

use std::fs;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, SigningKey as _};
use rebuilder::evidence::dsse::pre_authentication;
use serde::Serialize as _;
use serde_json::{Value, json};

use super::Scene;
use super::cosign::key;
use crate::common::{code, json, rebuilder, text};

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Signed in an envelope.
pub(super) fn enveloped(signed: &Value, key: &KeyPair) -> Value {
    let payload = signed.to_string();
    let message = pre_authentication(IN_TOTO, payload.as_bytes());
    let signature = STANDARD.encode(key.sign(&message).unwrap());
    json!({"payloadType": IN_TOTO, "payload": STANDARD.encode(payload), "signatures": [{"keyid": "", "sig": signature}]})
}

/// Signed in the old form, over canonical JSON.
pub(super) fn canonical(signed: &Value, key: &KeyPair) -> Value {
    let mut message = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut message, olpc_cjson::CanonicalFormatter::new());
    signed.serialize(&mut serializer).unwrap();
    json!({"signed": signed, "signatures": [{"keyid": "", "sig": hex::encode(key.sign(&message).unwrap())}]})
}

pub(super) fn link(name: &str, materials: Value, products: Value) -> Value {
    json!({"_type": "link", "name": name, "materials": materials, "products": products, "command": [], "byproducts": {}, "environment": {}})
}

pub(super) fn digest(text: &str) -> Value {
    json!({"sha256": text})
}

/// Three parties: an owner, and one for each step.
pub(super) struct Project {
    pub(super) scene: Scene,
    pub(super) owner: KeyPair,
    pub(super) writer: KeyPair,
    pub(super) packer: KeyPair,
    pub(super) layout: Value,
}

impl Project {
    pub(super) fn new() -> Self {
        let scene = Scene::new();
        let (owner, public) = key();
        fs::write(scene.path("owner.pub"), public).unwrap();
        let ((writer, writers), (packer, packers)) = (key(), key());
        let of = |public: &str| json!({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public, "private": ""}});
        let step = |name: &str, key: &str, materials: Value, products: Value| {
            json!({"_type": "step", "name": name, "pubkeys": [key], "threshold": 1, "expected_command": [],
                   "expected_materials": materials, "expected_products": products})
        };
        let matched = json!([
            ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "write"],
            ["DISALLOW", "*"]
        ]);
        let layout = json!({
            "_type": "layout", "expires": "2999-01-01T00:00:00Z", "readme": "", "inspect": [],
            "keys": {"w": of(&writers), "p": of(&packers)},
            "steps": [
                step("write", "w", json!([]), json!([["CREATE", "foo.c"], ["DISALLOW", "*"]])),
                step("pack", "p", matched, json!([["CREATE", "tool"], ["ALLOW", "foo.c"], ["DISALLOW", "*"]])),
            ],
        });
        Self {
            scene,
            owner,
            writer,
            packer,
            layout,
        }
    }

    /// Inspects the tool with these links, by a policy with this layout.
    pub(super) fn inspect(&self, layout: &Value, links: &[Value], more: &str) -> Output {
        let scene = &self.scene;
        fs::write(scene.path("root.layout"), layout.to_string()).unwrap();
        let policy = format!(
            "version = 1\n[[keys]]\nname = \"owner\"\nfile = \"owner.pub\"\n[[rules]]\nsubject = \"tool\"\nlayout = {{ file = \"root.layout\", keys = [\"owner\"]{more} }}\n"
        );
        fs::write(scene.path("policy.toml"), policy).unwrap();
        let mut command = rebuilder();
        command
            .args(["--json", "--offline", "inspect"])
            .arg(scene.path("tool"));
        for (number, link) in links.iter().enumerate() {
            let path = scene.path(&format!("{number}.link"));
            fs::write(&path, link.to_string()).unwrap();
            command.arg("--provenance").arg(path);
        }
        command
            .arg("--policy")
            .arg(scene.path("policy.toml"))
            .output()
            .unwrap()
    }

    pub(super) fn links(&self) -> [Value; 2] {
        let sha256 = self.scene.sha256.as_str();
        [
            link("write", json!({}), json!({"foo.c": digest("aa")})),
            link(
                "pack",
                json!({"foo.c": digest("aa")}),
                json!({"foo.c": digest("aa"), "tool": digest(sha256)}),
            ),
        ]
    }
}

pub(super) fn broken(output: &Output) -> Vec<String> {
    let checks = json(output)["policy"]["checks"].as_array().unwrap().clone();
    let broken = checks.iter().filter(|check| check["kept"] == false);
    broken
        .map(|check| {
            format!(
                "{}: {}",
                check["rule"].as_str().unwrap(),
                check["finding"].as_str().unwrap()
            )
        })
        .collect()
}

// Long, as it is one table.
#[apply(test)]
fn links_follow_the_layout_or_the_finding_says_where_not() {
    let project = Project::new();
    let [write, pack] = project.links();
    let (owner, writer, packer) = (&project.owner, &project.writer, &project.packer);
    let layout = canonical(&project.layout, owner);
    let good = [canonical(&write, writer), enveloped(&pack, packer)];
    for layout in [layout.clone(), enveloped(&project.layout, owner)] {
        let output = project.inspect(&layout, &good, "");
        assert!(broken(&output).is_empty(), "{}", text(&output));
    }
    let changed = |place: &str, value: Value| {
        let mut layout = project.layout.clone();
        *layout.pointer_mut(place).unwrap() = value;
        canonical(&layout, owner)
    };
    let with = |link: &Value, place: &str, value: Value| {
        let mut link = link.clone();
        *link.pointer_mut(place).unwrap() = value;
        link
    };
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://in-toto.io/attestation/link/v0.3",
        "subject": [{"name": "foo.c", "digest": digest("aa")}, {"name": "tool", "digest": digest(&project.scene.sha256)}],
        "predicate": {"name": "pack", "materials": [{"name": "foo.c", "digest": digest("aa")}]},
    });
    let second = with(&write, "/products/foo.c/sha256", json!("bb"));
    for (layout, links, expected) in [
        (
            layout.clone(),
            vec![good[0].clone(), enveloped(&statement, packer)],
            None,
        ),
        (
            layout.clone(),
            vec![good[0].clone()],
            Some("step \"pack\": 0 of 1 keys"),
        ),
        (
            layout.clone(),
            vec![good[0].clone(), enveloped(&pack, writer)],
            Some("step \"pack\": 0 of 1 keys"),
        ),
        (
            layout.clone(),
            vec![canonical(&second, writer), good[1].clone()],
            Some("materials of \"pack\": DISALLOW *: foo.c"),
        ),
        (
            layout.clone(),
            vec![
                good[0].clone(),
                enveloped(&with(&pack, "/products/tool/sha256", json!("cc")), packer),
            ],
            Some("product: it is not among the products of the last step"),
        ),
        (
            layout.clone(),
            vec![
                canonical(
                    &with(
                        &write,
                        "/products",
                        json!({"foo.c": digest("aa"), "x": digest("dd")}),
                    ),
                    writer,
                ),
                good[1].clone(),
            ],
            Some("products of \"write\": DISALLOW *: x"),
        ),
        (
            layout.clone(),
            vec![good[0].clone(), canonical(&second, writer), good[1].clone()],
            Some("name different files"),
        ),
        (
            changed("/expires", json!("2001-01-01T00:00:00Z")),
            good.to_vec(),
            Some("expires"),
        ),
        (
            canonical(&project.layout, writer),
            good.to_vec(),
            Some("signatures: it is not signed by owner"),
        ),
        (
            changed(
                "/inspect",
                json!([{"_type": "inspection", "name": "untar", "run": ["tar"]}]),
            ),
            good.to_vec(),
            Some("inspection \"untar\""),
        ),
    ] {
        let output = project.inspect(&layout, &links, "");
        let broken = broken(&output);
        match expected {
            None => assert!(broken.is_empty(), "{broken:?}"),
            Some(words) => {
                assert_eq!(code(&output), 3, "{words}: {}", text(&output));
                assert!(broken.iter().any(|it| it.contains(words)), "{words}: {broken:?}");
            }
        }
    }
    let skipped = changed(
        "/inspect",
        json!([{"_type": "inspection", "name": "untar", "run": ["tar"]}]),
    );
    let output = project.inspect(&skipped, &good, ", inspections = \"skip\"");
    assert!(broken(&output).is_empty(), "{}", text(&output));
}

#[apply(test)]
fn a_layout_that_cannot_be_understood_is_no_policy() {
    let project = Project::new();
    let changed = |place: &str, value: Value| {
        let mut layout = project.layout.clone();
        *layout.pointer_mut(place).unwrap() = value;
        canonical(&layout, &project.owner)
    };
    for (layout, words) in [
        (changed("/steps/0/threshold", json!(2)), "threshold"),
        (changed("/steps/0/pubkeys", json!(["x"])), "does not have"),
        (
            changed("/steps/0/expected_products", json!([["PERMIT", "a"]])),
            "not one of in-toto's",
        ),
        (changed("/steps", json!([])), "no step"),
        (changed("/keys/w/scheme", json!("gpg")), "not supported"),
        (
            json!({"signed": project.layout, "signatures": [], "more": 1}),
            "members",
        ),
    ] {
        let output = project.inspect(&layout, &[], "");
        assert_eq!(code(&output), 2, "{words}: {}", text(&output));
        assert!(text(&output).contains(words), "{words}: {}", text(&output));
    }
}
