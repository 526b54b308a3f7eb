//! Signed lists of digests, and signatures that were made for something else.

use std::fs;

use crate::attack::ground::{Ground, must};
use crate::common::text;
use rebuilder::artifact::Sha256;
use serde_json::Value;

use super::gpg::Gpg;
use super::{Key, code, inspect, none_counts, provenance, statement};

pub(super) fn signed_prose(ground: &Ground) -> Result<(), String> {
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

pub(super) fn list_of_another(ground: &Ground) -> Result<(), String> {
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

pub(super) fn text_around(ground: &Ground) -> Result<(), String> {
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

pub(super) fn source_package(ground: &Ground) -> Result<(), String> {
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

pub(super) fn another_name(ground: &Ground) -> Result<(), String> {
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

pub(super) fn another_upload(ground: &Ground) -> Result<(), String> {
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

pub(super) fn chosen_rule(ground: &Ground) -> Result<(), String> {
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

pub(super) fn quorum_of_lists(ground: &Ground) -> Result<(), String> {
    let digest = Sha256::of("released");
    ground.write("tool", "released");
    let Some(gpg) = Gpg::new(ground) else {
        return Ok(());
    };
    // What its author did to get the digests, a list does not say: the policy has to name the author's role.
    let policy = "version = 1\n[[keys]]\nname = \"they\"\nfile = \"pgp.asc\"\n\
                  [[parties]]\nname = \"they\"\nrole = \"rebuilder\"\nkeys = [\"they\"]\n\
                  [[quorums]]\nsubject = \"*\"\nthreshold = 1\nroles = { rebuilder = 1 }\n";
    ground.write("policy.toml", policy);
    let verdict_with = |content: &str, (option, file): (&str, &str)| {
        let signed = fs::read(gpg.sign(content)).unwrap();
        let list = ground.write("said/SHA256SUMS.asc", signed);
        let output = ground
            .rebuilder()
            .args(["--offline", "--json", "verify"])
            .arg(ground.folder().join("tool"))
            .arg("--attestation")
            .arg(&list)
            .arg(option)
            .arg(ground.folder().join(file))
            .output()
            .unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        found["verdict"].as_str().unwrap_or("none").to_owned()
    };
    let verdict = |content: &str| verdict_with(content, ("--policy", "policy.toml"));
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
    let good = format!("{digest}  tool\n");
    let found = verdict(&good);
    must(found == "agreed", format!("a good list makes it {found}"))?;
    let found = verdict_with(&good, ("--trusted-key", "pgp.asc"));
    must(
        found == "not-enough",
        format!("a list of an author without a role makes it {found}"),
    )
}

pub(super) fn minisign_of_another(ground: &Ground) -> Result<(), String> {
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
