//! `rebuilder evidence export` and `verify`: what is in the archive, that strangers' tools take it, and that no change
//! goes unseen.

mod unpacked;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{self, NETWORK, SANDBOX, code, json, needs, rebuilder, text};
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};
use unpacked::{by_hand, declared, mapped};

/// A run that was signed, its key, and a policy that names it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(subject: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scene = Self { folder };
        for name in ["own", "other"] {
            let output = rebuilder()
                .args(["key", "generate", "--to"])
                .arg(scene.path(&format!("{name}.pem")))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", text(&output));
        }
        let output = rebuilder()
            .args(["rebuild", subject, "--key"])
            .arg(scene.path("own.pem"))
            .arg("--out")
            .arg(scene.path("run"))
            .output()
            .unwrap();
        assert!([0, 1].contains(&code(&output)), "{}", text(&output));
        let policy = "version = 1\n[[keys]]\nname = \"own\"\nfile = \"own.pem.pub\"\nvalid-until = \"2099-01-01T00:00:00Z\"\n\
                      [[parties]]\nname = \"own\"\norganisation = \"Us\"\nkeys = [\"own\"]\n\
                      [[quorums]]\nsubject = \"*\"\nthreshold = 1\nindependent = [\"organisation\"]\n";
        fs::write(scene.path("policy.toml"), policy).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn export(&self, to: &str, more: &[&str]) -> Output {
        let mut command = rebuilder();
        command
            .args(["evidence", "export"])
            .arg(self.path("run"))
            .arg("--out")
            .arg(self.path(to));
        command.arg("--policy").arg(self.path("policy.toml")).args(more);
        command.output().unwrap()
    }

    fn verify(&self, archive: &Path, key: Option<&str>) -> Output {
        let mut command = rebuilder();
        command
            .args(["--offline", "--json", "evidence", "verify"])
            .arg(archive);
        if let Some(key) = key {
            command.arg("--trusted-key").arg(self.path(key));
        }
        command.output().unwrap()
    }
}

fn unpack(archive: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let output = Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(to)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

fn pack(folder: &Path, archive: &Path) {
    let output = Command::new("tar")
        .arg("czf")
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .arg("evidence")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[apply(test)]
fn a_bundle_holds_everything_and_verifies_offline_and_by_hand() {
    needs(&[NETWORK, SANDBOX]);
    let scene = Scene::new("pypi:idna==3.10");
    let key = scene.path("own.pem");
    let output = scene.export(
        "a.tar.gz",
        &[
            "--sign",
            "--key",
            key.to_str().unwrap(),
            "--organisation",
            "Example Verifiers",
            "--organisation-url",
            "https://verifiers.example",
        ],
    );
    assert_eq!(code(&output), 0, "{}", text(&output));
    let archive = scene.path("a.tar.gz");

    let verified = scene.verify(&archive, Some("own.pem.pub"));
    assert_eq!(code(&verified), 0, "{}", text(&verified));
    // Keys that are only in the archive vouch for nothing.
    assert_eq!(
        code(&scene.verify(&archive, None)),
        4,
        "{}",
        text(&scene.verify(&archive, None))
    );
    // Another key did not sign it, so nothing is known of who did.
    let other = scene.verify(&archive, Some("other.pem.pub"));
    assert_eq!(code(&other), 4, "{}", text(&other));

    // By hand, with public tools.
    let place = scene.path("unpacked");
    unpack(&archive, &place);
    let inside = place.join("evidence");
    by_hand(&scene, &inside);
    declared(&inside);
    mapped(&inside);
    let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(inside.join(name)).unwrap()).unwrap();
    assert_eq!(read("agreement.json")[0]["verdict"], "agreed");
    assert_eq!(
        read("cost.json")["attestation_bytes"],
        fs::metadata(scene.path("run/attestation.sigstore.json"))
            .unwrap()
            .len()
    );
}

#[apply(test)]
fn the_same_evidence_gives_the_same_archive() {
    needs(&[NETWORK, SANDBOX]);
    let scene = Scene::new("pypi:idna==3.10");
    // But for when the parties were compared.
    let without = |to: &str| {
        let mut command = rebuilder();
        command
            .args(["evidence", "export"])
            .arg(scene.path("run"))
            .arg("--with-outputs")
            .arg("--out")
            .arg(scene.path(to));
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
        fs::read(scene.path(to)).unwrap()
    };
    assert_eq!(without("b.tar.gz"), without("c.tar.gz"));
    assert_eq!(
        code(&scene.verify(&scene.path("b.tar.gz"), Some("own.pem.pub"))),
        4,
        "nobody signed the list"
    );
}

// Long, as it is one table.
#[apply(test)]
fn no_change_goes_unseen() {
    needs(&[NETWORK, SANDBOX]);
    let scene = Scene::new("pypi:idna==3.10");
    let key = scene.path("own.pem");
    assert_eq!(
        code(&scene.export(
            "good.tar.gz",
            &["--with-outputs", "--sign", "--key", key.to_str().unwrap()]
        )),
        0
    );
    let changes: [(&str, fn(&Path)); 9] = [
        ("every file matches the manifest", |place| {
            fs::write(place.join("build.log"), "nothing").unwrap()
        }),
        ("every file matches the manifest", |place| {
            fs::write(place.join("extra.txt"), "more").unwrap()
        }),
        ("every file matches the manifest", |place| {
            fs::remove_file(place.join("cdxa.json")).unwrap()
        }),
        // From here on the list is made to fit; what it lists no longer fits together.
        ("the signed manifest is this one", |place| {
            relist(place, "build.log", b"nothing")
        }),
        ("log and report belong to the run", |place| {
            relist(place, "build.log", b"nothing")
        }),
        ("rebuilt files match the record", |place| {
            relist(place, "rebuilt/idna-3.10-py3-none-any.whl", b"evil")
        }),
        ("the bills of materials match the plan", |place| {
            let path = place.join("sbom/build.cdx.json");
            let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            document["components"].as_array_mut().unwrap().pop();
            relist(place, "sbom/build.cdx.json", document.to_string().as_bytes());
        }),
        ("the verdict follows from plan and digests", |place| {
            let path = place.join("record.json");
            let mut record: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            record["outputs"][0]["rebuilt"] = json!("0".repeat(64));
            relist(place, "record.json", record.to_string().as_bytes());
        }),
        ("controls point at existing files", |place| {
            let text = fs::read_to_string(place.join("controls.json")).unwrap();
            relist(
                place,
                "controls.json",
                text.replace("build.log", "other.log").as_bytes(),
            );
        }),
    ];
    for (number, (check, change)) in changes.iter().enumerate() {
        let place = scene.path(&format!("changed-{number}"));
        unpack(&scene.path("good.tar.gz"), &place);
        change(&place.join("evidence"));
        let archive = scene.path(&format!("changed-{number}.tar.gz"));
        pack(&place, &archive);
        // `tar` puts folders in; a bundle has none.
        let files = Command::new("sh")
            .args(["-c", "cd \"$0\" && find evidence -type f | tar czf \"$1\" -T -"])
            .arg(&place)
            .arg(&archive)
            .output()
            .unwrap();
        assert!(files.status.success(), "{}", text(&files));
        let output = scene.verify(&archive, Some("own.pem.pub"));
        assert_eq!(code(&output), 3, "{check}: {}", text(&output));
        let found = json(&output);
        let failed: Vec<_> = found["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["outcome"] == "fails")
            .map(|it| it["check"].as_str().unwrap())
            .collect();
        assert!(failed.contains(check), "{check}: {failed:?}");
    }
}

/// Replaces a file and lists it anew, sums included, as someone would who has no key.
fn relist(place: &Path, name: &str, bytes: &[u8]) {
    fs::write(place.join(name), bytes).unwrap();
    let path = place.join("manifest.json");
    let mut manifest = common::read(&path);
    for file in manifest["files"].as_array_mut().unwrap() {
        if file["path"] == name {
            file["sha256"] = json!(Sha256::of(bytes));
            file["size"] = json!(bytes.len());
        }
    }
    fs::write(path, manifest.to_string()).unwrap();
}

#[apply(test)]
fn hostile_and_broken_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("empty"), b"").unwrap();
    fs::write(place("text"), b"hello").unwrap();
    let tar = |name: &str, entries: &[(&str, tar::EntryType)]| {
        let gzip = flate2::write::GzEncoder::new(
            fs::File::create(place(name)).unwrap(),
            flate2::Compression::fast(),
        );
        let mut builder = tar::Builder::new(gzip);
        for (path, kind) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_size(0);
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, &b""[..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
    };
    let file = tar::EntryType::Regular;
    tar("climbing", &[("../evil", file)]);
    tar("link", &[("evidence/manifest.json", tar::EntryType::Symlink)]);
    tar("twice", &[("evidence/a", file), ("evidence/a", file)]);
    tar("bare", &[("evidence/a", file)]);
    for (name, what) in [
        ("empty", "unexpected end of file"),
        ("text", "not an evidence bundle"),
        ("climbing", "is not allowed in a bundle"),
        ("link", "is not allowed in a bundle"),
        ("twice", "it contains evidence/a twice"),
        ("bare", "manifest.json is missing"),
    ] {
        let output = rebuilder()
            .args(["evidence", "verify"])
            .arg(place(name))
            .output()
            .unwrap();
        assert!([2, 3].contains(&code(&output)), "{name}: {}", text(&output));
        assert!(text(&output).contains(what), "{name}: {}", text(&output));
    }
    let missing = rebuilder()
        .args(["evidence", "export", "/nowhere/run"])
        .output()
        .unwrap();
    assert_eq!(code(&missing), 2, "{}", text(&missing));
}
