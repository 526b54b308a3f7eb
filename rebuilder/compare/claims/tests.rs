//! Lists with correct lines, and lists with wrong ones.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::Digest as _;

use super::Cause;
use crate::compare::package::samples::{Sample, deb, gzip, sample, tar, zip};
use crate::compare::{Comparison, Options, Outcome, compare_bytes};

fn compared(released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes("x", released, rebuilt, &Options::default())
}

fn first(found: &Comparison) -> Option<Cause> {
    found.causes.first().map(|cause| cause.cause)
}

fn sha256(bytes: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(bytes))
}

/// A wheel with two files. METADATA has the lines of a field in a given order, so that it may differ and be set aside.
fn wheel(minute: u64, metadata: &str, record: &str) -> Vec<u8> {
    let mut files = vec![
        sample("x.py", "ok = 1\n"),
        sample("x-1.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
        sample("x-1.dist-info/METADATA", metadata),
        sample("x-1.dist-info/RECORD", record),
    ];
    for file in &mut files {
        file.time = minute;
    }
    zip(&files)
}

// One long table.
#[test]
fn lines_of_record_follow_from_their_files_alone() {
    let (one, other) = (
        "Name: x\nClassifier: a\nClassifier: b\n",
        "Name: x\nClassifier: b\nClassifier: a\n",
    );
    let line = |text: &str| format!("x-1.dist-info/METADATA,sha256={},{}\n", sha256(text), text.len());
    let hex = |text: &str| {
        let digest = hex::encode(sha2::Sha512::digest(text));
        format!("x-1.dist-info/METADATA,sha512={digest},{}\n", text.len())
    };
    let of_code = |text: &str| format!("x.py,sha256={},7\n", sha256(text));
    let good = line(one) + &of_code("ok = 1\n");
    let table = [
        (
            "as it should be",
            line(other) + &of_code("ok = 1\n"),
            Outcome::Equivalent,
        ),
        (
            "another order",
            of_code("ok = 1\n") + &line(other),
            Outcome::Equivalent,
        ),
        (
            "another algorithm",
            hex(other) + &of_code("ok = 1\n"),
            Outcome::Equivalent,
        ),
        ("the same", good.clone(), Outcome::Different),
        ("not updated", hex(one) + &of_code("ok = 1\n"), Outcome::Different),
        ("a lie", line(other) + &of_code("evil = 1\n"), Outcome::Different),
        (
            "a size",
            line(other).replace(",3", ",4") + &of_code("ok = 1\n"),
            Outcome::Different,
        ),
        ("no digest", line(other) + "x.py,,\n", Outcome::Different),
        ("no line", line(other), Outcome::Different),
        (
            "another path",
            line(other) + &of_code("ok = 1\n").replace("x.py", "/x.py"),
            Outcome::Different,
        ),
        (
            "a path with a dot",
            line(other) + &of_code("ok = 1\n").replace("x.py", "./x.py"),
            Outcome::Different,
        ),
        (
            "in quotes",
            line(other) + &of_code("ok = 1\n").replace("x.py", "\"x.py\""),
            Outcome::Equivalent,
        ),
        (
            "a blank",
            line(other) + &of_code("ok = 1\n").replace(",7", ",7 "),
            Outcome::Different,
        ),
        (
            "a sign",
            line(other) + &of_code("ok = 1\n").replace(",7", ",+7"),
            Outcome::Different,
        ),
        (
            "a line too many",
            line(other) + &of_code("ok = 1\n") + &of_code("ok = 1\n").replace("x.py", "y.py"),
            Outcome::Different,
        ),
        (
            "twice",
            line(other) + &of_code("ok = 1\n") + &of_code("evil"),
            Outcome::Different,
        ),
    ];
    for minute in [0, 2] {
        for (name, record, wanted) in &table {
            let found = compared(&wheel(0, one, &good), &wheel(minute, other, record));
            assert_eq!(found.outcome, *wanted, "{name}: {:?}", found.causes);
            if *wanted == Outcome::Different {
                assert_eq!(first(&found), Some(Cause::Content), "{name}");
            }
        }
    }
}

#[test]
fn lines_of_md5sums_follow_from_files_of_the_package() {
    let pack = |text: &str, listed: &str, time: u64| {
        let digest = hex::encode(md5::Md5::digest(listed));
        let sums = format!("{digest}  usr/share/x\n{digest}  usr/share/y\n");
        let data = Sample {
            time,
            ..sample("./usr/share/x", text)
        };
        deb(
            &[sample("./md5sums", sums)],
            &[data.clone(), hard_link("./usr/share/y", &data)],
        )
    };
    let honest = pack("ok\n", "ok\n", 0);
    for time in [0, 55] {
        let found = compared(&honest, &pack("ok\n", "evil\n", time));
        assert_eq!(first(&found), Some(Cause::Content), "{:?}", found.causes);
        let found = compared(&honest, &pack("no\n", "no\n", time));
        let of = |cause| found.causes.iter().any(|own| own.cause == cause);
        assert!(of(Cause::Content) && !of(Cause::Checksum), "{:?}", found.causes);
        let places: u64 = found.causes.iter().map(|cause| cause.follow).sum();
        assert_eq!(places, 2, "both lines follow");
    }
}

#[test]
fn the_order_of_md5sums_counts_only_for_lines_about_one_file() {
    let line = |text: &str, path: &str| format!("{}  {path}\n", hex::encode(md5::Md5::digest(text)));
    let pack = |lines: &[&str]| {
        deb(
            &[sample("./md5sums", lines.concat())],
            &[sample("./usr/x", "x\n"), sample("./usr/y", "y\n")],
        )
    };
    let (x, y, other) = (
        line("x\n", "usr/x"),
        line("y\n", "usr/y"),
        line("evil\n", "./usr/x"),
    );
    let (unended, text) = (y.trim_end(), "no digest\n");
    for (released, rebuilt, wanted) in [
        (vec![&*x, &*y], vec![&*y, &*x], Outcome::Equivalent),
        (vec![&*x, text], vec![text, &*x], Outcome::Different),
        // dpkg takes the last of several lines, and refuses a list whose last line does not end.
        (vec![&*x, &*other], vec![&*other, &*x], Outcome::Different),
        (
            vec![&*x, &*y, &*other],
            vec![&*y, &*x, &*other],
            Outcome::Different,
        ),
        (vec![&*y, &*x], vec![&*x, unended], Outcome::Different),
    ] {
        let found = compared(&pack(&released), &pack(&rebuilt));
        assert_eq!(found.outcome, wanted, "{rebuilt:?} {:?}", found.causes);
        let is_harmless = wanted == Outcome::Equivalent || rebuilt.contains(&text);
        assert_eq!(first(&found) == Some(Cause::Content), !is_harmless, "{rebuilt:?}");
    }
}

fn hard_link(path: &str, target: &Sample) -> Sample {
    Sample {
        link: Some(target.path.clone()),
        ..sample(path, "")
    }
}

#[test]
fn lists_lie_in_folders_of_archives_too() {
    let pack = |text: &str, listed: &str| {
        let digest = hex::encode(sha2::Sha256::digest(listed));
        let sums = format!("{digest}  a\n");
        tar(&[
            sample("dist/a", text),
            sample("dist/SHA256SUMS", sums),
            sample("a", "x"),
        ])
    };
    let found = compared(&pack("one\n", "one\n"), &pack("two\n", "two\n"));
    assert_eq!(found.causes.len(), 1, "{:?}", found.causes);
    let found = compared(&pack("one\n", "one\n"), &pack("two\n", "six\n"));
    assert_eq!(found.causes.len(), 2, "{:?}", found.causes);
    assert!(found.causes.iter().all(|cause| cause.cause == Cause::Content));
}

#[test]
fn the_order_of_a_list_has_no_meaning_if_every_line_that_moved_is_about_another_file() {
    let line = |text: &str, path: &str| format!("{}  {path}\n", hex::encode(sha2::Sha256::digest(text)));
    let pack = |lines: &[&str]| {
        tar(&[
            sample("x", "x\n"),
            sample("y", "y\n"),
            sample("SHA256SUMS", lines.concat()),
        ])
    };
    let (x, y, other) = (line("x\n", "x"), line("y\n", "y"), line("evil\n", "./x"));
    let text = "# no digest\n";
    for (released, rebuilt, wanted) in [
        (vec![&*x, &*y], vec![&*y, &*x], Cause::Order),
        (vec![text, &*x, &*y], vec![text, &*y, &*x], Cause::Order),
        (vec![&*x, &*other], vec![&*other, &*x], Cause::Content),
    ] {
        let found = compared(&pack(&released), &pack(&rebuilt));
        assert_eq!(found.outcome, Outcome::Different, "{rebuilt:?}");
        assert_eq!(first(&found), Some(wanted), "{rebuilt:?} {:?}", found.causes);
    }
}

#[test]
fn a_digest_beside_a_file_is_that_of_the_file() {
    let jar = |time| {
        zip(&[Sample {
            time,
            ..sample("a", "a")
        }])
    };
    let digest = |bytes: &[u8]| hex::encode(sha1::Sha1::digest(bytes));
    let forms: [fn(&str) -> String; 4] = [
        |digest| digest.to_owned(),
        |digest| format!("{digest}\n"),
        |digest| format!("{digest}  x.jar\n"),
        |digest| format!("SHA1(x.jar)= {digest}\n"),
    ];
    for form in forms {
        let pack = |time, listed: &[u8]| {
            tar(&[
                sample("d/x.jar", jar(time)),
                sample("d/x.jar.sha1", form(&digest(listed))),
            ])
        };
        let released = pack(0, &jar(0));
        let honest = compared(&released, &pack(1, &jar(1)));
        assert_eq!(first(&honest), Some(Cause::Timestamp), "{:?}", honest.causes);
        for listed in [jar(0), b"other".to_vec()] {
            let found = compared(&released, &pack(1, &listed));
            assert_eq!(found.outcome, Outcome::Different, "{:?}", found.causes);
            assert_eq!(first(&found), Some(Cause::Content), "{:?}", found.causes);
        }
    }
}

/// What is wrong in an image.
#[derive(Clone, Copy, Default)]
struct Lie<'a> {
    /// The digest of the layer.
    digest: bool,
    /// The size of the layer.
    size: Option<usize>,
    /// The digest of the unpacked layer.
    unpacked: Option<&'a str>,
}

/// An OCI image layout with one layer.
fn image(script: &str, time: u64, lie: Lie) -> Vec<u8> {
    let mut members = vec![sample("oci-layout", "{}")];
    let mut blob = |bytes: Vec<u8>, lie: Lie| {
        let digest = hex::encode(sha2::Sha256::digest(&bytes));
        let size = lie.size.unwrap_or(bytes.len());
        members.push(sample(&format!("blobs/sha256/{digest}"), bytes));
        let told = if lie.digest {
            digest.replace(|digit: char| digit.is_ascii_digit(), "0")
        } else {
            digest
        };
        serde_json::json!({"digest": format!("sha256:{told}"), "size": size})
    };
    let file = Sample {
        time,
        ..sample("bin/run", script)
    };
    let layer = tar(&[file]);
    let digest = hex::encode(sha2::Sha256::digest(&layer));
    let unpacked = format!("sha256:{}", lie.unpacked.unwrap_or(&digest));
    let layer = blob(gzip(&layer), lie);
    let config = serde_json::json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [unpacked]}});
    let config = blob(config.to_string().into_bytes(), Lie::default());
    let manifest = serde_json::json!({"config": config, "layers": [layer]});
    let manifest = blob(manifest.to_string().into_bytes(), Lie::default());
    let index = serde_json::json!({"manifests": [manifest]});
    members.push(sample("index.json", index.to_string()));
    tar(&members)
}

#[test]
fn digests_of_unpacked_layers_are_recomputed() {
    let digest = |time| {
        let file = Sample {
            time,
            ..sample("bin/run", "#!/bin/sh\n")
        };
        hex::encode(sha2::Sha256::digest(tar(&[file])))
    };
    let with = |time, unpacked: &str| {
        let unpacked = Some(unpacked);
        image(
            "#!/bin/sh\n",
            time,
            Lie {
                unpacked,
                ..Lie::default()
            },
        )
    };
    let (old, new) = (digest(1), digest(2));
    let other = "0".repeat(64);
    for (released, rebuilt, wanted) in [
        (with(1, &old), with(2, &new), Cause::Timestamp),
        // The same layer; another layer; and what was right only for the released one.
        (with(1, &old), with(1, &other), Cause::Content),
        (with(1, &old), with(2, &other), Cause::Content),
        (with(1, &other), with(2, &new), Cause::Content),
        (with(1, &old), with(2, &old), Cause::Content),
    ] {
        let found = compared(&released, &rebuilt);
        assert_eq!(first(&found), Some(wanted), "{:?}", found.causes);
    }
}

#[test]
fn digests_and_sizes_in_images_follow_from_blobs() {
    let honest = |script, time| image(script, time, Lie::default());
    let old = honest("#!/bin/sh\n", 1);
    let found = compared(&old, &honest("#!/bin/sh\n", 2));
    assert_eq!(first(&found), Some(Cause::Timestamp), "{:?}", found.causes);
    let digest = Lie {
        digest: true,
        ..Lie::default()
    };
    let size = |size| Lie {
        size: Some(size),
        ..Lie::default()
    };
    for lie in [digest, size(7), size(10_000)] {
        let found = compared(&old, &image("#!/bin/sh\n", 2, lie));
        assert_eq!(first(&found), Some(Cause::Content), "{:?}", found.causes);
    }
    // A size that is the same on both sides, and right for none of the layers.
    let found = compared(
        &image("#!/bin/sh\n", 1, size(7)),
        &image("#!/bin/sh\n", 2, size(7)),
    );
    assert_eq!(first(&found), Some(Cause::Content), "{:?}", found.causes);
    let found = compared(&old, &honest("#!/bin/evil\n", 2));
    assert_eq!(
        found.causes[0].example.path.rsplit('/').next(),
        Some("run"),
        "{:?}",
        found.causes
    );
}
