//! The service itself: its start, its process and its keys.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Output};

use crate::attack::ground::{Ground, Who, must};
use crate::common::authority::Signer;
use crate::common::text;
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Office, STRANGER, program_of};

pub(super) fn restart(ground: &Ground) -> Result<(), String> {
    let mut office = Office::open(ground, &[]);
    let statement = office.works("before")?;
    let bundle = ground.folder().join("runs/before/attestation.sigstore.json");
    // A crash in the middle of a line, and in the middle of a copy.
    office.stop();
    let whole = fs::read(office.log()).unwrap();
    let torn = [
        &b"{\"event\":\"sig"[..],
        b"\0\0\0\0",
        b"{",
        &vec![b'x'; 300 << 10],
    ];
    let scratch = ground.store().join("tmp/signing-left");
    fs::create_dir_all(&scratch).unwrap();
    fs::write(scratch.join("lock"), "").unwrap();
    fs::write(scratch.join("copy"), "large").unwrap();
    office.give(&scratch);
    for (number, rest) in torn.iter().enumerate() {
        let mut bytes = whole.clone();
        bytes.extend_from_slice(rest);
        fs::write(office.log(), bytes).unwrap();
        office.give(&office.log());
        office
            .start(&[])
            .map_err(|told| format!("half a line bars the start: {told}"))?;
        office.works(&format!("after-{number}"))?;
        office.stop();
        let mut command = ground.rebuilder();
        command.args(["log", "verify"]).arg(office.log());
        let verified = command.arg("--attestation").arg(&bundle).output().unwrap();
        must(
            verified.status.success(),
            format!("the chain is broken: {}", text(&verified)),
        )?;
        let log = fs::read_to_string(office.log()).unwrap();
        must(
            log.contains("\"event\":\"recovered\""),
            "what was cut off is nowhere written down",
        )?;
    }
    must(!scratch.exists(), "copies of a crashed signer stay on the disk")?;
    must(statement["subject"].is_array(), "nothing was signed")
}

pub(super) fn process(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    let child = office.child.as_ref().map_or(0, Child::id);
    // Behind setpriv it is the same process.
    let limits = fs::read_to_string(format!("/proc/{child}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    must(
        core.split_whitespace().filter(|word| *word == "0").count() == 2,
        format!("core files of a process with a key: {core}"),
    )?;
    // What cannot be dumped has its files in /proc owned by root, whoever runs it.
    let owner = fs::metadata(format!("/proc/{child}/mem")).unwrap().uid();
    must(owner == 0, "the process with the key can be looked into")?;
    if ground.who == Who::User {
        let mut look = ground.command("cat");
        let seen = look.arg(format!("/proc/{child}/environ")).output().unwrap();
        must(!seen.status.success(), "its environment can be read")?;
    }
    Ok(())
}

pub(super) fn keys(ground: &Ground) -> Result<(), String> {
    are_made_closed(ground)?;
    open_ones_are_refused(ground)?;
    // A link where the public half goes is replaced, and what it leads to stays.
    let victim = ground.write("victim", "precious");
    let fresh = place(ground, "new-077/below/second.pem");
    symlink(&victim, PathBuf::from(format!("{}.pub", fresh.display()))).unwrap();
    let output = masked(ground, "022", &fresh);
    must(
        fs::read_to_string(&victim).unwrap() == "precious",
        format!("a file overwritten through a link: {}", text(&output)),
    )
}

fn place(ground: &Ground, name: &str) -> PathBuf {
    ground.folder().join(name)
}

/// Makes a key under this mask.
fn masked(ground: &Ground, mask: &str, to: &Path) -> Output {
    let mut command = ground.command("sh");
    command.env("XDG_CONFIG_HOME", place(ground, "config"));
    command.args([
        "-c",
        "umask \"$1\"; exec \"$2\" key generate --to \"$3\"",
        "sh",
        mask,
    ]);
    command.arg(program_of(ground)).arg(to).output().unwrap()
}

fn show(ground: &Ground, key: &Path) -> Output {
    let mut command = ground.rebuilder();
    command
        .args(["key", "public", "--key"])
        .arg(key)
        .output()
        .unwrap()
}

/// Under any mask, a key and its folder are closed to others.
fn are_made_closed(ground: &Ground) -> Result<(), String> {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for mask in ["000", "077", "027"] {
        let key = place(ground, &format!("new-{mask}/below/key.pem"));
        let output = masked(ground, mask, &key);
        must(output.status.success(), text(&output))?;
        let public = PathBuf::from(format!("{}.pub", key.display()));
        for (path, expected) in [
            (key.as_path(), 0o600),
            (public.as_path(), 0o644),
            (key.parent().unwrap(), 0o700),
            (key.parent().unwrap().parent().unwrap(), 0o700),
        ] {
            let found = mode(path);
            must(
                found == expected,
                format!("umask {mask}: {} has the mode {found:o}", path.display()),
            )?;
        }
    }
    Ok(())
}

/// A key that others may read or replace is not used.
fn open_ones_are_refused(ground: &Ground) -> Result<(), String> {
    let key = place(ground, "new-000/below/key.pem");
    must(show(ground, &key).status.success(), "a good key is refused")?;
    for bits in [0o640, 0o604, 0o660, 0o620] {
        fs::set_permissions(&key, fs::Permissions::from_mode(bits)).unwrap();
        must(
            text(&show(ground, &key)).contains("chmod 600"),
            format!("a key with the mode {bits:o} is taken"),
        )?;
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let folder = key.parent().unwrap();
    for bits in [0o777, 0o1777, 0o703] {
        fs::set_permissions(folder, fs::Permissions::from_mode(bits)).unwrap();
        must(
            text(&show(ground, &key)).contains("every user can write to it"),
            format!("a key in a folder with the mode {bits:o} is taken"),
        )?;
        let link = place(ground, "link.pem");
        let _ = fs::remove_file(&link);
        symlink(&key, &link).unwrap();
        must(
            text(&show(ground, &link)).contains("every user can write to it"),
            "a link hides an open folder",
        )?;
        must(
            !masked(ground, "077", &folder.join("another.pem"))
                .status
                .success(),
            "a key is made in an open folder",
        )?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    // The tests are root's, so a key can be given away.
    chown(&key, Some(STRANGER), Some(STRANGER)).unwrap();
    let output = show(ground, &key);
    must(!output.status.success(), "another user's key is taken")?;
    if ground.who == Who::Root {
        must(
            text(&output).contains("it belongs to user"),
            format!("another reason: {}", text(&output)),
        )?;
    }
    Ok(())
}

pub(super) fn pins(ground: &Ground) -> Result<(), String> {
    for key in [
        "pkcs11:object=a?module-path=/m.so&pin-value=86420",
        "PKCS11:object=a?module-path=/m.so&pin-value=86420",
        "pkcs11:object=a?module-path=/m.so&Pin-Value=86420",
        "pkcs11:object=a;pin-value=86420?module-path=/m.so",
        "pkcs11:object=a?module-path=/m.so&pin%2dvalue=86420",
        "pkcs11:object=a?module-path=/m.so&pin-source=86420",
        "pkcs11:object=a?module-path=/m.so&pin-value:86420",
        "pkcs11:object=a?pin-value=86420",
    ] {
        for by_environment in [false, true] {
            let mut command = ground.rebuilder();
            command.args(["key", "public"]);
            if by_environment {
                command.env("REBUILDER_KEY", key);
            } else {
                command.args(["--key", key]);
            }
            let output = command.output().unwrap();
            must(!output.status.success(), format!("{key} is taken"))?;
            must(
                !text(&output).contains("86420"),
                format!("a PIN is printed: {}", text(&output)),
            )?;
        }
        let mut command = ground.rebuilder();
        let help = command
            .env("REBUILDER_KEY", key)
            .args(["key", "public", "--help"]);
        must(
            !text(&help.output().unwrap()).contains("86420"),
            "a PIN is printed with the help",
        )?;
    }
    Ok(())
}

// Long, as it is one table.
pub(super) fn own_provenance(ground: &Ground) -> Result<(), String> {
    let mut office = Office::open(ground, &[]);
    office.works("honest")?;
    let genuine: Value = serde_json::from_str(&office.bundle).unwrap();
    let payload = genuine["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    let genuine: Value = serde_json::from_slice(&payload).unwrap();
    let person = |issuer: &str| Signer {
        identity: "mailto:mallory@evil.example".into(),
        issuer: issuer.into(),
        repository: String::new(),
        commit: String::new(),
        reference: String::new(),
        expired: false,
    };
    let with = |builder: &str| {
        let mut statement = genuine.clone();
        statement["predicate"]["runDetails"]["builder"]["id"] = json!(builder);
        statement
    };
    let publish = |kind: &str, predicate: Value| {
        let mut statement = genuine.clone();
        statement["predicateType"] = json!(kind);
        statement["predicate"] = predicate;
        statement
    };
    let workflow = Signer::workflow("https://github.com/mallory/hello", &"a".repeat(40));
    let npm = json!({"registry": "https://registry.npmjs.org", "name": "hello", "version": "1"});
    let tries = [
        (
            with("https://ci.mallory.example/"),
            person("https://accounts.google.com"),
        ),
        (
            with("https://ci.mallory.example/"),
            person("https://github.com/login/oauth"),
        ),
        // In the name of a project that is not the signer's.
        (genuine.clone(), workflow.clone()),
        (
            publish("https://docs.pypi.org/attestations/publish/v1", Value::Null),
            person("https://accounts.google.com"),
        ),
        (
            publish("https://in-toto.io/attestation/release/v0.1", json!({})),
            workflow.clone(),
        ),
        (
            publish(
                "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
                npm,
            ),
            workflow,
        ),
    ];
    for (number, (statement, signer)) in tries.into_iter().enumerate() {
        office.bundle = office.authority.sign(&statement, &signer).to_string();
        let run = office.run(&format!("own-{number}"), 0, |_, _| {});
        must(
            office.ask(&run, 0).is_err(),
            format!("{} of {} was taken", statement["predicateType"], signer.identity),
        )?;
    }
    Ok(())
}
