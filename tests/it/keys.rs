//! Keys: encrypted files, PKCS#11 tokens, commands; rotation, revocation and the inventory. What they sign, strangers
//! accept.

mod tokens;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{self, NETWORK, SANDBOX, code, json, needs, rebuilder, text};
use serde_json::Value;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The command with a configuration of its own.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = rebuilder();
        command
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("SOFTHSM2_CONF", self.path("softhsm.conf"));
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output));
        output
    }

    fn rebuild(&self) -> String {
        let run = self.text("run");
        if !self.path("run").exists() {
            self.good(&["rebuild", "pypi:idna==3.10", "--out", &run]);
        }
        run
    }

    /// Signs a real run with a key, and lets strangers verify it.
    fn signs(&self, key: &str, more: &[&str]) {
        let run = self.rebuild();
        self.good(&[&["attest", &run, "--key", key], more].concat());
        let public = self.good(&[&["key", "public", "--key", key], more].concat());
        let file = self.path("public.pem");
        fs::write(&file, &public.stdout).unwrap();
        for mut verifier in common::verifiers() {
            let again = verifier
                .arg(self.path("run/attestation.sigstore.json"))
                .arg(&file)
                .output()
                .unwrap();
            assert!(again.status.success(), "{key}: {}", text(&again));
        }
        // And so does our own reader.
        let wheel = self.text("run/rebuilt/idna-3.10-py3-none-any.whl");
        let bundle = self.text("run/attestation.sigstore.json");
        self.good(&[
            "verify",
            &wheel,
            "--attestation",
            &bundle,
            "--trusted-key",
            file.to_str().unwrap(),
        ]);
    }
}

#[apply(test)]
fn encrypted_files_open_with_their_passphrase_alone() {
    needs(&[NETWORK, SANDBOX]);
    let place = Place::new();
    let (key, secret) = (place.text("key.pem"), place.text("passphrase"));
    fs::write(&secret, "correct horse\n").unwrap();
    place.good(&[
        "key",
        "generate",
        "--encrypt",
        "--to",
        &key,
        "--passphrase-file",
        &secret,
    ]);
    let pem = fs::read_to_string(&key).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{pem}");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    place.signs(&key, &["--passphrase-file", &secret]);

    let run = place.rebuild();
    let closed = place.run(&["attest", &run, "--key", &key]);
    assert_eq!(code(&closed), 2, "{}", text(&closed));
    assert!(
        text(&closed).contains("is encrypted, but no passphrase was given"),
        "{}",
        text(&closed)
    );
    fs::write(&secret, "wrong horse").unwrap();
    let wrong = place.run(&["attest", &run, "--key", &key, "--passphrase-file", &secret]);
    assert_eq!(code(&wrong), 2, "{}", text(&wrong));
    assert!(text(&wrong).contains("is wrong"), "{}", text(&wrong));
    // systemd hands it over as a credential.
    fs::write(&secret, "correct horse\n").unwrap();
    let credential = place
        .command(&["attest", &run, "--key", &key])
        .env("CREDENTIALS_DIRECTORY", place.folder.path())
        .output()
        .unwrap();
    assert_eq!(code(&credential), 0, "{}", text(&credential));

    files_of_openssl(&place, &key, &secret);
}

/// What OpenSSL made, and what it reads.
fn files_of_openssl(place: &Place, key: &str, secret: &str) {
    for (algorithm, option) in [("EC", Some("ec_paramgen_curve:P-256")), ("ED25519", None)] {
        let made = place.text(&format!("{algorithm}.pem"));
        let mut command = Command::new("openssl");
        command.args([
            "genpkey",
            "-algorithm",
            algorithm,
            "-aes-256-cbc",
            "-pass",
            "pass:correct horse",
            "-out",
            &made,
        ]);
        command.args(option.iter().flat_map(|option| ["-pkeyopt", option]));
        let Ok(output) = command.output() else {
            common::skip("openssl");
        };
        assert!(output.status.success(), "{}", text(&output));
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600)).unwrap();
        place.signs(&made, &["--passphrase-file", secret]);
    }
    let read = Command::new("openssl")
        .args(["pkey", "-in", key, "-pubout", "-passin", "pass:correct horse"])
        .output()
        .unwrap();
    assert_eq!(
        read.stdout,
        fs::read(format!("{key}.pub")).unwrap(),
        "{}",
        text(&read)
    );
}

#[apply(test)]
fn commands_sign_for_key_services() {
    needs(&[NETWORK, SANDBOX]);
    let place = Place::new();
    // Stands for the client of a key service: the key is elsewhere, here in a file that only it knows.
    let script = place.text("kms");
    let elsewhere = place.text("elsewhere.pem");
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            &elsewhere,
        ])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        common::skip("openssl");
    }
    let write = |body: &str| {
        fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let real = format!(
        "case $2 in public) openssl pkey -in {elsewhere} -pubout;; sign) openssl dgst -sha256 -sign {elsewhere};; esac"
    );
    write(&real);
    let key = format!("command:{script} --profile=prod");
    place.signs(&key, &[]);

    let run = place.rebuild();
    let other = place.text("other.pem");
    Command::new("openssl")
        .args(["genpkey", "-algorithm", "ED25519", "-out", &other])
        .output()
        .unwrap();
    for (body, what) in [
        ("echo denied >&2; exit 3".to_owned(), "denied"),
        ("echo nothing".to_owned(), "its output is not PEM"),
        (
            format!(
                "case $2 in public) openssl pkey -in {other} -pubout;; *) openssl dgst -sha256 -sign {elsewhere};; esac"
            ),
            "signature does not verify with the key",
        ),
        (
            format!("case $2 in public) openssl pkey -in {elsewhere} -pubout;; *) exit 0;; esac"),
            "signature does not verify with the key",
        ),
    ] {
        write(&body);
        let output = place.run(&["attest", &run, "--key", &key]);
        assert_eq!(code(&output), 2, "{body}: {}", text(&output));
        assert!(text(&output).contains(what), "{body}: {}", text(&output));
    }
}

#[apply(test)]
fn what_does_not_sign_says_so() {
    needs(&[NETWORK, SANDBOX]);
    let place = Place::new();
    let run = place.rebuild();
    let none = place.run(&["attest", &run, "--key", "command:/nowhere/kms"]);
    assert!(text(&none).contains("/nowhere/kms failed"), "{}", text(&none));
    // Keyless takes a token; without one, and without a network, it says so.
    let keyless = place.run(&["attest", &run, "--key", "sigstore"]);
    assert_eq!(code(&keyless), 2, "{}", text(&keyless));
    assert!(
        text(&keyless).contains("Sigstore did not sign"),
        "{}",
        text(&keyless)
    );
}

#[apply(test)]
fn keys_are_rotated_with_an_overlap_and_revoked_for_good() {
    needs(&[NETWORK, SANDBOX]);
    let place = Place::new();
    place.good(&["key", "generate"]);
    let first = json(&place.good(&["--json", "key", "public"]))["fingerprint"]
        .as_str()
        .unwrap()
        .to_owned();
    let run = place.rebuild();
    place.good(&["attest", &run]);

    let rotated = json(&place.good(&["--json", "key", "rotate", "--overlap", "10"]));
    let second = rotated["new"].as_str().unwrap();
    assert_eq!(rotated["old"], first.as_str());
    assert_ne!(second, first);
    // The default name is the new key's, and both sign while they overlap.
    assert_eq!(
        json(&place.good(&["--json", "key", "public"]))["fingerprint"],
        second
    );
    place.good(&["attest", &run]);
    place.good(&["attest", &run, "--key", rotated["old_key"].as_str().unwrap()]);
    let state = |keys: &Value, fingerprint: &str| {
        let keys = keys["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["fingerprint"] == fingerprint).unwrap();
        (
            key["state"].as_str().unwrap().to_owned(),
            key["uses"]["count"].as_u64().unwrap(),
        )
    };
    let keys = json(&place.good(&["--json", "key", "list"]));
    assert_eq!(state(&keys, &first), ("overlapping".into(), 3));
    assert_eq!(state(&keys, second), ("active".into(), 1));

    // After the overlap the old one no longer signs.
    let path = place.path("config/rebuilder/keys.json");
    let mut inventory = common::read(&path);
    inventory["keys"][0]["retires"] = "2026-01-01T00:00:00Z".into();
    fs::write(&path, inventory.to_string()).unwrap();
    let retired = place.run(&["attest", &run, "--key", rotated["old_key"].as_str().unwrap()]);
    assert_eq!(code(&retired), 2, "{}", text(&retired));
    assert!(
        text(&retired).contains("was retired on 2026-01-01"),
        "{}",
        text(&retired)
    );
    let keys = json(&place.good(&["--json", "key", "list"]));
    assert_eq!(state(&keys, &first).0, "retired");
    assert!(text(&place.good(&["key", "list"])).contains("used-after-its-end"));

    place.good(&[
        "key",
        "revoke",
        &second[..12],
        "--because",
        "the laptop was stolen",
    ]);
    let revoked = place.run(&["attest", &run]);
    assert_eq!(code(&revoked), 2, "{}", text(&revoked));
    assert!(
        text(&revoked).contains("the laptop was stolen"),
        "{}",
        text(&revoked)
    );
    let unknown = place.run(&["key", "revoke", "ffffffffffff", "--because", "x"]);
    assert_eq!(code(&unknown), 2, "{}", text(&unknown));
}

#[apply(test)]
fn the_inventory_says_what_is_wrong_with_how_keys_are_kept() {
    needs(&[NETWORK, SANDBOX]);
    let place = Place::new();
    place.good(&["key", "generate"]);
    let run = place.rebuild();
    place.good(&["attest", &run]);
    let second = place.text("second");
    place.good(&["rebuild", "pypi:six==1.16.0", "--out", &second]);
    fs::set_permissions(
        place.path("config/rebuilder/key.pem"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    // An old one.
    let path = place.path("config/rebuilder/keys.json");
    let mut inventory = common::read(&path);
    inventory["keys"][0]["created"] = "2024-01-01T00:00:00Z".into();
    fs::write(&path, inventory.to_string()).unwrap();
    let keys = json(&place.good(&["--json", "key", "list"]));
    let key = &keys["keys"][0];
    let findings: Vec<_> = key["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["finding"].as_str().unwrap())
        .collect();
    assert_eq!(
        findings,
        ["several-projects", "on-build-host", "not-encrypted", "old"]
    );
    assert_eq!(
        key["uses"]["projects"],
        serde_json::json!(["pkg:pypi/idna", "pkg:pypi/six"])
    );
    fs::set_permissions(
        place.path("config/rebuilder/key.pem"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert!(text(&place.good(&["key", "list"])).contains("exposed"));
}
