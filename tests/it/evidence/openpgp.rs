//! In-toto layouts and links that OpenPGP signed, made by gpg and PyPI's in-toto (`openpgp/make.py`), and judged as in-toto
//! judges them (`openpgp/answers.json`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::layouts::broken;
use crate::common::{code, json, rebuilder, text};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/evidence/openpgp")
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join(name)).unwrap()).unwrap()
}

/// Inspects the tool with these links, by a policy with this layout; a link may be changed before.
fn inspect(
    layout: &str,
    links: &[&str],
    more: &str,
    change: Option<(&str, &dyn Fn(&mut Value))>,
) -> (tempfile::TempDir, Output) {
    let scene = tempfile::tempdir().unwrap();
    let at = |name: &str| scene.path().join(name);
    for name in ["owner.asc", "tool", &format!("{layout}.layout")] {
        fs::copy(folder().join(name), at(name)).unwrap();
    }
    let policy = format!(
        "version = 1\n[[keys]]\nname = \"owner\"\nfile = \"owner.asc\"\n[[rules]]\nsubject = \"tool\"\nlayout = {{ file = \"{layout}.layout\", keys = [\"owner\"]{more} }}\n"
    );
    fs::write(at("policy.toml"), policy).unwrap();
    let mut command = rebuilder();
    command.args(["--json", "--offline", "inspect"]).arg(at("tool"));
    for link in links {
        let name = format!("{link}.link");
        let mut value = read(&name);
        match change {
            Some((changed, change)) if changed == *link => change(&mut value),
            _ => {}
        }
        fs::write(at(&name), value.to_string()).unwrap();
        command.arg("--provenance").arg(at(&name));
    }
    let output = command.arg("--policy").arg(at("policy.toml")).output().unwrap();
    (scene, output)
}

/// One row a line, so that it reads as a table.
#[rustfmt::skip]
#[apply(test)]
fn links_by_openpgp_follow_the_layout_as_in_toto_says() {
    let answers = read("answers.json");
    let rows = [
        ("root rsa", ""),
        ("root rsa-sub", ""),
        ("root mixed", ""),
        ("root inner", ""),
        ("subkey rsa-sub", ""),
        ("root", "step \"write\": 0 of 1 keys that it needs signed a link (0 links of this name given)"),
        ("root old", "expired at 2020-12-31"),
        ("root mixed-sub", "expired at 2020-12-31"),
        ("root other", "step \"write\": 0 of 1 keys"),
        ("root eddsa", "step \"write\": 0 of 1 keys"),
        ("subkey rsa", "step \"write\": 0 of 1 keys"),
        ("two rsa rsa-sub", "step \"write\": 1 of 2 keys"),
        ("foreign rsa", "signatures: it is not signed by owner"),
    ];
    assert_eq!(answers.as_object().unwrap().len(), rows.len());
    for (row, words) in rows {
        let mut parts = row.split(' ');
        let layout = parts.next().unwrap();
        let writers: Vec<String> = parts.map(|writer| format!("write.{writer}")).collect();
        let mut links: Vec<&str> = writers.iter().map(String::as_str).collect();
        links.extend(["check.dsa", "pack.eddsa"]);
        if row == "root inner" {
            links.push("type.eddsa");
        }
        let (_scene, output) = inspect(layout, &links, "", None);
        let broken = broken(&output);
        assert_eq!(answers[row] == "verified", broken.is_empty(), "{row}: {broken:?}");
        assert_eq!(words.is_empty(), broken.is_empty(), "{row}: {broken:?}");
        assert!(words.is_empty() || broken.iter().any(|it| it.contains(words)), "{row}: {broken:?}");
        assert_eq!(code(&output) == 3, !broken.is_empty(), "{row}: {}", text(&output));
    }
}

fn flip(value: &mut Value, place: &str, at: usize) {
    let place = value.pointer_mut(place).unwrap();
    let mut text: Vec<char> = place.as_str().unwrap().chars().collect();
    text[at] = if text[at] == '0' { '1' } else { '0' };
    *place = text.into_iter().collect::<String>().into();
}

/// One row a line, so that it reads as a table.
#[rustfmt::skip]
#[apply(test)]
fn a_changed_byte_makes_a_signature_by_openpgp_bad() {
    let other = read("write.other.link")["signatures"][0].clone();
    let changes: [(&str, &str, &str, &dyn Fn(&mut Value)); 11] = [
        ("pack.eddsa", "what is signed", "not good", &|it| flip(it, "/signed/products/tool/sha256", 0)),
        ("pack.eddsa", "its text in another Unicode form", "not good", &|it| it["signed"]["byproducts"]["stdout"] = "\u{e9} \"é\"\n\t".into()),
        ("pack.eddsa", "the numbers", "not good", &|it| flip(it, "/signatures/0/signature", 5)),
        ("check.dsa", "the numbers of DSA", "not good", &|it| flip(it, "/signatures/0/signature", 20)),
        ("write.rsa", "the numbers of RSA", "not good", &|it| flip(it, "/signatures/0/signature", 20)),
        ("write.rsa", "the hashed time", "not good", &|it| flip(it, "/signatures/0/other_headers", 67)),
        ("write.rsa", "the type of signature", "type", &|it| flip(it, "/signatures/0/other_headers", 3)),
        ("write.rsa", "the version", "version 4", &|it| flip(it, "/signatures/0/other_headers", 1)),
        ("write.rsa", "the hash", "SHA-256", &|it| flip(it, "/signatures/0/other_headers", 7)),
        ("write.rsa", "the length", "another length", &|it| flip(it, "/signatures/0/other_headers", 10)),
        ("write.rsa", "another key's signature under its name", "not good", &|it| {
            it["signatures"][0]["other_headers"] = other["other_headers"].clone();
            it["signatures"][0]["signature"] = other["signature"].clone();
        }),
    ];
    for (link, what, words, change) in changes {
        let (_scene, output) = inspect("root", &["write.rsa", "check.dsa", "pack.eddsa"], "", Some((link, change)));
        let broken = broken(&output);
        let step = format!("step {:?}: 0 of 1 keys", link.split('.').next().unwrap());
        assert!(broken.iter().any(|it| it.contains(&step) && it.contains(words)), "{what}: {broken:?}");
    }
}

#[apply(test)]
fn a_layout_with_commands_is_never_wholly_kept() {
    let links = ["write.rsa", "check.dsa", "pack.eddsa"];
    let (_scene, output) = inspect("inspected", &links, "", None);
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        matches!(broken(&output).as_slice(), [only] if only.contains("inspection \"untar\"") && only.contains("none is run here")),
        "{}",
        text(&output)
    );
    let (_scene, output) = inspect("inspected", &links, ", inspections = \"skip\"", None);
    assert!(broken(&output).is_empty(), "{}", text(&output));
    let checks = json(&output)["policy"]["checks"].clone();
    let told = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["rule"] == "layout: inspection \"untar\"");
    assert_eq!(told.unwrap()["finding"], "it was not run, as the policy says");
}

/// One row a line, so that it reads as a table.
#[rustfmt::skip]
#[apply(test)]
fn a_link_by_openpgp_counts_by_a_trusted_certificate() {
    let bad: &dyn Fn(&mut Value) = &|it| flip(it, "/signed/materials/foo.c/sha256", 0);
    let both: &dyn Fn(&mut Value) = &|it| {
        let plain = serde_json::json!({"keyid": "a1b2", "sig": "00"});
        it["signatures"].as_array_mut().unwrap().insert(0, plain);
    };
    let unsupported: &dyn Fn(&mut Value) = &|it| flip(it, "/signatures/0/other_headers", 7);
    for (what, key, change, exit, standing, words) in [
        ("its key", Some("eddsa"), None, 4, "verified", "the signature is good, by "),
        ("its key, beside another signature", Some("eddsa"), Some(both), 4, "verified", "the signature is good, by "),
        ("another key", Some("rsa"), None, 4, "unchecked", "which is not trusted here"),
        ("no key", None, None, 4, "unchecked", "which is not trusted here"),
        ("changed", Some("eddsa"), Some(bad), 3, "refuted", "no signature of"),
        ("changed, without the key", None, Some(bad), 4, "unchecked", "which is not trusted here"),
        ("a hash that is not supported", Some("eddsa"), Some(unsupported), 4, "unchecked", "its hash is not SHA-256"),
    ] {
        let scene = tempfile::tempdir().unwrap();
        let mut link = read("pack.eddsa.link");
        if let Some(change) = change {
            change(&mut link);
        }
        let file = scene.path().join("pack.link");
        fs::write(&file, link.to_string()).unwrap();
        let mut command = rebuilder();
        command.args(["--json", "--offline", "inspect"]).arg(folder().join("tool")).arg("--provenance").arg(&file);
        if let Some(key) = key {
            command.arg("--trusted-key").arg(folder().join(format!("{key}.asc")));
        }
        let output = command.output().unwrap();
        let found = json(&output)["other"].clone();
        assert_eq!(found["standing"], standing, "{what}: {}", text(&output));
        assert!(found.to_string().contains(words), "{what}: {found}");
        assert_eq!(code(&output), exit, "{what}: {}", text(&output));
    }
}

/// Envelopes by securesystemslib and gpg (`openpgp/envelopes.py`). One row a line, so that it reads as a table.
#[rustfmt::skip]
#[apply(test)]
fn an_envelope_by_openpgp_counts_by_a_trusted_certificate() {
    let payload: &dyn Fn(&mut Value) = &|it| {
        let signed = String::from_utf8(STANDARD.decode(it["payload"].as_str().unwrap()).unwrap()).unwrap();
        it["payload"] = STANDARD.encode(signed.replace("pack", "rack")).into();
    };
    let numbers: &dyn Fn(&mut Value) = &|it| {
        let mut bytes = STANDARD.decode(it["signatures"][0]["sig"].as_str().unwrap()).unwrap();
        bytes[20] ^= 1;
        it["signatures"][0]["sig"] = STANDARD.encode(bytes).into();
    };
    let headers: &dyn Fn(&mut Value) = &|it| flip(it, "/signatures/0/other_headers", 67);
    let hash: &dyn Fn(&mut Value) = &|it| flip(it, "/signatures/0/other_headers", 7);
    let beside: &dyn Fn(&mut Value) = &|it| {
        let plain = serde_json::json!({"keyid": "a1b2", "sig": "AAAA"});
        it["signatures"].as_array_mut().unwrap().insert(0, plain);
    };
    let other: &dyn Fn(&mut Value) = &|it| it["signatures"][0]["other"] = "x".into();
    for signer in ["rsa2048", "ed25519"] {
        let stranger = if signer == "rsa2048" { "ed25519" } else { "rsa2048" };
        for (what, key, change, exit, standing, words) in [
            ("its key", Some(signer), None, 4, "verified", "the signature is good, by "),
            ("its key, beside another signature", Some(signer), Some(beside), 4, "verified", "the signature is good, by "),
            ("another key", Some(stranger), None, 4, "unchecked", "which is not trusted here"),
            ("no key", None, None, 4, "unchecked", "which is not trusted here"),
            ("another payload", Some(signer), Some(payload), 3, "refuted", "no signature of"),
            ("other numbers", Some(signer), Some(numbers), 3, "refuted", "no signature of"),
            ("another time", Some(signer), Some(headers), 3, "refuted", "no signature of"),
            ("other numbers, without the key", None, Some(numbers), 4, "unchecked", "which is not trusted here"),
            ("a hash that is not supported", Some(signer), Some(hash), 4, "unchecked", "its hash is not SHA-256"),
        ] {
            let (output, found) = enveloped(signer, key, change, &[]);
            assert_eq!(found["other"]["standing"], standing, "{signer}, {what}: {}", text(&output));
            assert!(found["other"].to_string().contains(words), "{signer}, {what}: {found}");
            assert_eq!(code(&output), exit, "{signer}, {what}: {}", text(&output));
        }
        let (output, found) = enveloped(signer, Some(signer), None, &["--threshold", "2"]);
        assert_eq!(found["other"]["standing"], "unchecked", "{signer}: {}", text(&output));
        assert!(found["other"].to_string().contains("count as one, while 2 are required"), "{found}");
        // A member that nothing here reads may mean anything.
        let (output, _) = enveloped(signer, Some(signer), Some(other), &[]);
        assert_eq!(code(&output), 2, "{}", text(&output));
    }
}

/// Inspects the tool with the envelope of a signer, which may be changed before.
fn enveloped(
    signer: &str,
    key: Option<&str>,
    change: Option<&dyn Fn(&mut Value)>,
    more: &[&str],
) -> (Output, Value) {
    let scene = tempfile::tempdir().unwrap();
    let mut envelope = read(&format!("envelope.{signer}.json"));
    if let Some(change) = change {
        change(&mut envelope);
    }
    let file = scene.path().join("pack.json");
    fs::write(&file, envelope.to_string()).unwrap();
    let mut command = rebuilder();
    command
        .args(["--json", "--offline", "inspect"])
        .arg(folder().join("tool"));
    command.arg("--provenance").arg(&file).args(more);
    if let Some(key) = key {
        let certificate = folder().join(format!("envelope.{key}.asc"));
        command.arg("--trusted-key").arg(certificate);
    }
    let output = command.output().unwrap();
    let found = json(&output);
    (output, found)
}

#[apply(test)]
fn a_party_may_sign_its_links_with_openpgp() {
    let scene = tempfile::tempdir().unwrap();
    let policy = |key: &str| {
        format!(
            "version = 1\n[[keys]]\nname = \"packer\"\ntext = '''\n{}'''\n[[parties]]\nname = \"packer\"\nrole = \"builder\"\nkeys = [\"packer\"]\n[[quorums]]\nsubject = \"*\"\nthreshold = 1\n",
            fs::read_to_string(folder().join(format!("{key}.asc"))).unwrap()
        )
    };
    for (key, exit) in [("eddsa", 0), ("dsa", 4)] {
        let file = scene.path().join("quorum.toml");
        fs::write(&file, policy(key)).unwrap();
        let mut command = rebuilder();
        command.arg("verify").arg(folder().join("tool"));
        command
            .arg("--attestation")
            .arg(folder().join("pack.eddsa.link"))
            .arg("--policy")
            .arg(&file);
        let output = command.output().unwrap();
        assert_eq!(code(&output), exit, "{key}: {}", text(&output));
    }
}
