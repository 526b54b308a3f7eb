//! Text in lists and fields that looks like the words of the tool.

use std::path::Path;

use crate::attack::ground::{Ground, must};
use crate::common::text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::gpg::Gpg;
use super::{Key, code, inspect, none_counts, provenance};

pub(super) fn messages_in_lists(ground: &Ground) -> Result<(), String> {
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

pub(super) fn messages_in_fields(ground: &Ground) -> Result<(), String> {
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

pub(super) fn over_text(ground: &Ground) -> Result<(), String> {
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

pub(super) fn foreign_members(ground: &Ground) -> Result<(), String> {
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
