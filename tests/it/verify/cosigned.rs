//! One envelope with the signatures of several parties.

use std::fs;

use crate::common::{code, json, text};
use serde_json::{Value, json};

use super::statements::{other, same};
use super::{NAME, RELEASED, keys, verify};

/// An envelope over a statement, with a signature by each of some keys.
fn signed_by(signers: &[&str], statement: &Value) -> Value {
    let bytes = serde_json::to_vec(statement).unwrap();
    let envelopes = signers.iter().map(|name| {
        rebuilder::attest::Signer::bundle(&keys()[name].0, &bytes).unwrap()["dsseEnvelope"].clone()
    });
    let mut envelopes: Vec<Value> = envelopes.collect();
    let signatures: Vec<Value> = envelopes
        .iter()
        .map(|envelope| envelope["signatures"][0].clone())
        .collect();
    let mut whole = envelopes.remove(0);
    whole["signatures"] = json!(signatures);
    whole
}

/// Everyone's key, `lost` being revoked, and these parties in this order, each with a key of its name.
fn policy(parties: &[&str]) -> String {
    let mut text = "version = 1\n".to_owned();
    for name in ["bob", "dave", "lost"] {
        let public = &keys()[name].1;
        text.push_str(&format!(
            "[[keys]]\nname = \"{name}\"\ntext = \"\"\"\n{public}\"\"\"\n"
        ));
    }
    text.push_str("revoked = \"2026-01-01T00:00:00Z\"\nrevoked-because = \"the laptop was stolen\"\n");
    for name in parties {
        text.push_str(&format!("[[parties]]\nname = \"{name}\"\nkeys = [\"{name}\"]\n"));
    }
    text + "[[quorums]]\nsubject = \"*\"\nthreshold = 1\n"
}

#[apply(test)]
fn a_revoked_key_is_not_made_good_by_another_partys_key_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path(NAME), RELEASED).unwrap();
    let (good, bad) = (same("app"), other("app", b"evil"));
    for (signers, parties, said, expected, counted, aside) in [
        (&["dave"][..], &["dave"][..], &good, 0, &["dave"][..], &[][..]),
        (&["lost"], &["lost"], &good, 4, &[], &["revoked"]),
        // The other key is known, and no party's, or another party's.
        (&["lost", "bob"], &["lost"], &good, 4, &[], &["revoked"]),
        (&["bob", "lost"], &["lost", "dave"], &good, 4, &[], &["revoked"]),
        // Whose key is good has said it all the same, whoever else signed, and in whatever order.
        (&["lost", "bob"], &["lost", "bob"], &good, 0, &["bob"], &[]),
        (&["bob", "lost"], &["bob", "lost"], &good, 0, &["bob"], &[]),
        (&["lost", "bob"], &["lost", "bob"], &bad, 1, &[], &[]),
        (&["lost"], &["lost", "bob"], &bad, 4, &[], &["revoked"]),
    ] {
        fs::write(path("said.json"), signed_by(signers, said).to_string()).unwrap();
        fs::write(path("policy.toml"), policy(parties)).unwrap();
        let (artifact, said, policy) = (path(NAME), path("said.json"), path("policy.toml"));
        let output = verify(&[
            artifact.to_str().unwrap(),
            "--json",
            "--attestation",
            said.to_str().unwrap(),
            "--policy",
            policy.to_str().unwrap(),
        ]);
        let row = format!("{signers:?} {parties:?}");
        assert_eq!(code(&output), expected, "{row}: {}", text(&output));
        let found = json(&output);
        let names = |list: &str, member: &str| -> Vec<String> {
            let all = found[list].as_array().unwrap().iter();
            let all = all.filter(|it| it["counted"] != false);
            all.map(|it| it[member].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("parties", "party"), counted, "{row}: {found}");
        assert_eq!(names("set_aside", "reason"), aside, "{row}: {found}");
    }
}
