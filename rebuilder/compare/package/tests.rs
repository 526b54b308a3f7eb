//! Tests that the rules of each kind of package apply only in their own places.

use super::samples::{Sample, deb, gem, gzip, jar, sample, samples, tar, zip};
use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

fn compared(name: &str, released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes(name, released, rebuilt, &Options::default())
}

fn is_equivalent(name: &str, released: &[u8], rebuilt: &[u8]) -> bool {
    compared(name, released, rebuilt).outcome == Outcome::Equivalent
}

/// Packs a text into one of the files of a package.
type Packed = fn(&str) -> Vec<u8>;

const COMMITS: [&str; 2] = [
    "{\"git\": {\"sha1\": \"8f14e45fceea167a5a36dedd4bea2543b2a0a3f1\"}}",
    "{\"git\": {\"sha1\": \"c9f0f895fb98ab9159f51fd0297e236d1b2c3d4e\"}}",
];

fn crate_with(file: &str, text: &str) -> Vec<u8> {
    gzip(&tar(&samples(&[
        ("x-1/.cargo_vcs_info.json", COMMITS[0]),
        ("x-1/Cargo.toml", ""),
        (file, text),
    ])))
}

// One long table.
#[test]
fn files_mean_something_in_their_own_package_alone() {
    const GIT: [&str; 2] = ["git.branch=main\n", "git.branch=evil\n"];
    let table: &[(&str, [&str; 2], Packed, bool)] = &[
        ("a.jar", GIT, |text| jar(&[("git.properties", text)]), true),
        ("renamed", GIT, |text| jar(&[("git.properties", text)]), true),
        (
            "a.zip",
            GIT,
            |text| zip(&samples(&[("git.properties", text)])),
            false,
        ),
        (
            "a.jar",
            GIT,
            |text| zip(&samples(&[("git.properties", text)])),
            false,
        ),
        ("a.jar", GIT, |text| jar(&[("x/notgit.properties", text)]), false),
        (
            "x.tar",
            GIT,
            |text| tar(&[sample("in/a.jar", jar(&[("git.properties", text)]))]),
            true,
        ),
        (
            "x.tar",
            GIT,
            |text| {
                tar(&samples(&[
                    ("META-INF/MANIFEST.MF", ""),
                    ("git.properties", text),
                ]))
            },
            false,
        ),
        (
            "x-1.crate",
            COMMITS,
            |text| {
                gzip(&tar(&samples(&[
                    ("x-1/.cargo_vcs_info.json", text),
                    ("x-1/Cargo.toml", ""),
                ])))
            },
            true,
        ),
        (
            "x-1.crate",
            COMMITS,
            |text| crate_with("x-1/src/.cargo_vcs_info.json", text),
            false,
        ),
        (
            "x.tar",
            COMMITS,
            |text| tar(&samples(&[("a/.cargo_vcs_info.json", text), ("b", "")])),
            false,
        ),
    ];
    for (name, texts, pack, wanted) in table {
        let (released, rebuilt) = (pack(texts[0]), pack(texts[1]));
        assert_eq!(
            is_equivalent(name, &released, &rebuilt),
            *wanted,
            "{name}, {texts:?}"
        );
    }
}

#[test]
fn an_archive_that_may_be_two_things_is_neither() {
    let both = |text| {
        jar(&[
            ("x-1.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
            ("git.properties", text),
        ])
    };
    assert!(!is_equivalent("x.whl", &both("a=1\n"), &both("a=2\n")));
}

#[test]
fn what_lies_in_a_gem_is_content_but_for_its_own_parts() {
    let specification = |date: &str, path: &str| {
        let text = format!("name: x\ndate: {date} 00:00:00.000000000 Z\n");
        let files = [sample(path, &text), sample("lib/x.rb", "")];
        let metadata = if path == "metadata" {
            gzip(text.as_bytes())
        } else {
            gzip(b"name: x\n")
        };
        tar(&[
            sample("metadata.gz", metadata),
            sample(
                "data.tar.gz",
                gzip(&tar(&files[usize::from(path == "metadata")..])),
            ),
        ])
    };
    for (path, wanted) in [
        ("metadata", true),
        ("lib/metadata", false),
        ("lib/checksums.yaml", false),
    ] {
        let found = compared(
            "x.gem",
            &specification("2024-01-02", path),
            &specification("2024-03-04", path),
        );
        assert_eq!(found.outcome == Outcome::Equivalent, wanted, "{path}");
    }
}

/// One file with a mode and an owner, beside the files that identify the kind of package.
fn owned(others: &[(&str, &str)], path: &str, mode: u32, owner: u64) -> Vec<Sample> {
    let mut files = samples(others);
    files.push(Sample {
        mode,
        owner,
        ..sample(path, "ok\n")
    });
    files
}

// One long table.
#[test]
fn owners_and_modes_count_unless_the_installer_sets_its_own() {
    type Pack = fn(u32, u64) -> Vec<u8>;
    let table: &[(&str, Pack, bool)] = &[
        (
            "wheel",
            |mode, owner| zip(&owned(&[("x-1.dist-info/WHEEL", "")], "x.py", mode, owner)),
            true,
        ),
        (
            "sdist",
            |mode, owner| gzip(&tar(&owned(&[("x-1/PKG-INFO", "")], "x-1/x.py", mode, owner))),
            true,
        ),
        // Many build backends write PKG-INFO last.
        (
            "late sdist",
            |mode, owner| {
                let mut files = owned(&[("x-1/a", &"a".repeat(1 << 18))], "x-1/x.py", mode, owner);
                files.push(sample("x-1/PKG-INFO", ""));
                gzip(&tar(&files))
            },
            true,
        ),
        (
            "crate",
            |mode, owner| gzip(&tar(&owned(&[("x-1/Cargo.toml.orig", "")], "x-1/a", mode, owner))),
            true,
        ),
        (
            "npm",
            |mode, owner| {
                gzip(&tar(&owned(
                    &[("package/package.json", "")],
                    "package/a",
                    mode,
                    owner,
                )))
            },
            true,
        ),
        (
            "jar",
            |mode, owner| zip(&owned(&[("META-INF/MANIFEST.MF", "")], "a", mode, owner)),
            true,
        ),
        (
            "gem",
            |mode, owner| gem(&owned(&[], "lib/x.rb", mode, owner)),
            true,
        ),
        (
            "deb",
            |mode, owner| deb(&[], &owned(&[], "usr/share/x", mode, owner)),
            false,
        ),
        (
            "deb control",
            |mode, owner| deb(&owned(&[], "postinst", mode, owner), &[]),
            false,
        ),
        (
            "pacman",
            |mode, owner| tar(&owned(&[(".PKGINFO", ""), (".MTREE", "")], "usr/x", mode, owner)),
            false,
        ),
        (
            "apk",
            |mode, owner| gzip(&tar(&owned(&[(".PKGINFO", "")], "usr/x", mode, owner))),
            false,
        ),
        (
            "root",
            |mode, owner| tar(&owned(&[("etc/passwd", "")], "usr/x", mode, owner)),
            false,
        ),
        ("plain", |mode, owner| tar(&owned(&[], "x", mode, owner)), false),
        (
            "layer in a sdist",
            |mode, owner| {
                let inner = tar(&owned(&[("etc/a", "")], "usr/x", mode, owner));
                tar(&[sample("x-1/PKG-INFO", ""), sample("x-1/root.tar", inner)])
            },
            false,
        ),
        (
            "data.tar of a gem in a gem",
            |mode, owner| gem(&[sample("data.tar", tar(&owned(&[], "x", mode, owner)))]),
            false,
        ),
        // It begins like a crate.
        (
            "crate with a tail",
            |mode, owner| {
                let mut files = owned(
                    &[("x-1/Cargo.toml.orig", ""), ("x-1/a", &"a".repeat(1 << 18))],
                    "x-1/b",
                    mode,
                    owner,
                );
                files.push(sample("etc/passwd", ""));
                gzip(&tar(&files))
            },
            false,
        ),
    ];
    for (name, pack, ignored) in table {
        let found = compared("x", &pack(0o644, 0), &pack(0o664, 0));
        assert_eq!(found.outcome == Outcome::Equivalent, *ignored, "mode in {name}");
        assert!(
            found.causes.iter().all(|cause| cause.cause != Cause::Content),
            "{name}"
        );
        for mode in [0o4644, 0o2644, 0o1644, 0o744, 0o044, 0o654, 0o645] {
            let found = compared("x", &pack(0o644, 0), &pack(mode, 0));
            // The zip writer does not store set-id bits.
            let wanted = if pack(0o644, 0) == pack(mode, 0) {
                Outcome::Identical
            } else {
                Outcome::Different
            };
            assert_eq!(found.outcome, wanted, "mode {mode:o} in {name}");
        }
        let (released, rebuilt) = (pack(0o644, 0), pack(0o644, 1000));
        if released != rebuilt {
            let found = compared("x", &released, &rebuilt);
            assert_eq!(found.outcome == Outcome::Equivalent, *ignored, "owner in {name}");
        }
    }
}

#[test]
fn what_an_installer_keeps_of_a_mode_is_not_set_aside() {
    type Pack = fn(u32) -> Vec<u8>;
    let npm: Pack = |mode| {
        gzip(&tar(&owned(
            &[("package/package.json", "")],
            "package/a",
            mode,
            0,
        )))
    };
    let wheel: Pack = |mode| zip(&owned(&[("x-1.dist-info/WHEEL", "")], "x.py", mode, 0));
    let packed_gem: Pack = |mode| gem(&owned(&[], "lib/x.rb", mode, 0));
    let table: &[(&str, Pack, [u32; 2], bool)] = &[
        ("npm", npm, [0o644, 0o666], true),
        ("npm", npm, [0o755, 0o745], false),
        ("wheel", wheel, [0o755, 0o700], true),
        ("wheel", wheel, [0o644, 0o600], true),
        ("gem", packed_gem, [0o644, 0o640], true),
        ("gem", packed_gem, [0o644, 0o666], false),
        ("gem", packed_gem, [0o755, 0o744], false),
    ];
    for (name, pack, [released, rebuilt], wanted) in table {
        let found = is_equivalent("x", &pack(*released), &pack(*rebuilt));
        assert_eq!(found, *wanted, "{name}: {released:o} {rebuilt:o}");
    }
}

#[test]
fn npm_names_the_commit_in_one_field() {
    let package =
        |path: &str, text: &str| gzip(&tar(&samples(&[("package/package.json", "{}"), (path, text)])));
    let own = "package/package.json";
    let commits = [
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a",
    ];
    for (path, field, value, wanted) in [
        (own, "gitHead", commits[1], Cause::SourceRevision),
        (own, "gitHead", "evil", Cause::Content),
        (own, "pin", commits[1], Cause::Content),
        ("package/lib/package.json", "gitHead", commits[1], Cause::Content),
    ] {
        let with = |value: &str| {
            let text = format!("{{\"{field}\": \"{value}\"}}");
            if path == own {
                gzip(&tar(&samples(&[(own, &text)])))
            } else {
                package(path, &text)
            }
        };
        let found = compared("x-1.tgz", &with(commits[0]), &with(value));
        assert_eq!(found.causes[0].cause, wanted, "{path} {field} {:?}", found.causes);
        assert_eq!(found.outcome, Outcome::Different, "{path} {field}");
    }
}

#[test]
fn npm_drops_the_first_folder_whatever_it_is() {
    let package = |names: [&str; 2]| {
        let files = names.map(|name| sample(name, name));
        gzip(&tar(
            &[&[sample("package/package.json", "{}")], &files[..]].concat()
        ))
    };
    for (one, other, wanted) in [
        ("package/a", "package/b", true),
        ("evil/a", "evil/b", true),
        ("package/a", "evil/b", true),
        ("package/a", "evil/a", false),
        ("package/a", "evil/A", false),
        ("package/a", "evil/a/b", false),
        ("package/a", "evil/package.json", false),
    ] {
        let equivalent = is_equivalent("x-1.tgz", &package([one, other]), &package([other, one]));
        assert_eq!(equivalent, wanted, "{one} {other}");
    }
}

#[test]
fn a_wheel_has_one_folder_of_metadata() {
    let wheel = |record: &str, folder: &str| {
        zip(&samples(&[
            ("p-1.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
            (&format!("{folder}/RECORD"), record),
        ]))
    };
    let (one, other) = ("a,,\nb,,\n", "b,,\na,,\n");
    for (folder, wanted) in [("p-1.dist-info", true), ("q-1.dist-info", false)] {
        let equivalent = is_equivalent("p.whl", &wheel(one, folder), &wheel(other, folder));
        assert_eq!(equivalent, wanted, "{folder}");
    }
}

#[test]
fn random_names_in_a_nuget_package_are_told_from_its_files() {
    let package = |name: &str, id: &str, change: (&str, &str)| {
        let relationships = format!(
            r#"<?xml version="1.0"?><Relationships xmlns="x"><Relationship Type="m" Target="/p.nuspec" Id="R{id}" /><Relationship Type="p" Target="/package/services/metadata/core-properties/{name}.psmdcp" Id="R{name}" /></Relationships>"#
        );
        let path = format!("package/services/metadata/core-properties/{name}.psmdcp");
        let mut files = samples(&[
            ("_rels/.rels", relationships.as_str()),
            ("[Content_Types].xml", "<Types/>"),
            ("p.nuspec", "<package/>"),
            (path.as_str(), "<coreProperties/>"),
            ("lib/net8.0/p.dll", "code"),
        ]);
        for file in &mut files {
            let text = String::from_utf8(file.bytes.clone()).unwrap();
            file.bytes = text.replace(change.0, change.1).into_bytes();
            file.path = file.path.replace(change.0, change.1);
        }
        zip(&files)
    };
    let names = [
        "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "8f14e45fceea167a5a36dedd4bea2543",
    ];
    let ids = ["1A2B3C4D5E6F7081", "9F8E7D6C5B4A3928"];
    let none = ("none", "");
    let released = package(names[0], ids[0], none);
    for (name, id, change, wanted) in [
        (names[1], ids[1], none, true),
        (names[0], ids[1], none, true),
        (
            names[1],
            ids[1],
            ("Target=\"/p.nuspec", "Target=\"/q.nuspec"),
            false,
        ),
        (names[1], ids[1], ("core-properties/", "other/"), false),
        (names[1], ids[1], ("<coreProperties/>", "<x/>"), false),
        (names[1], ids[1], ("code", "evil"), false),
        (
            names[1],
            ids[1],
            ("<Relationships", "<!-- x --><Relationships"),
            false,
        ),
        (names[1], names[1], none, false),
        (names[1], "evil", none, false),
    ] {
        let found = compared("p.nupkg", &released, &package(name, id, change));
        let equivalent = found.outcome == Outcome::Equivalent;
        assert_eq!(equivalent, wanted, "{name} {id} {change:?} {:?}", found.causes);
        if !wanted {
            assert_eq!(
                found.causes[0].cause,
                Cause::Content,
                "{change:?} {:?}",
                found.causes
            );
        }
    }
}

#[test]
fn cargo_reads_one_stream() {
    let files = tar(&samples(&[
        ("x-1/Cargo.toml.orig", ""),
        ("x-1/Cargo.toml", ""),
        ("x-1/build.rs", "fn main() {}"),
    ]));
    let (start, rest) = files.split_at(1024);
    let streams = [gzip(start), gzip(rest)].concat();
    let found = compared("x-1.crate", &gzip(&files), &streams);
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::Content)
    );
    // Other readers take all of them.
    let plain = tar(&samples(&[("a", "a"), ("b", "b")]));
    let (start, rest) = plain.split_at(1024);
    assert!(is_equivalent(
        "x.tar.gz",
        &gzip(&plain),
        &[gzip(start), gzip(rest)].concat()
    ));
}

#[test]
fn a_signature_is_not_that_of_two_files() {
    type Pack = fn(u64, &[u8]) -> Vec<u8>;
    let debian: Pack = |time, signature| {
        let control = Sample {
            time,
            ..sample("./control", "Package: x\n")
        };
        super::samples::ar(&[
            sample("debian-binary", "2.0\n"),
            sample("control.tar.gz", gzip(&tar(&[control]))),
            sample("data.tar.gz", gzip(&tar(&[]))),
            sample("_gpgorigin", signature),
        ])
    };
    let nuget: Pack = |time, signature| {
        let mut files = samples(&[
            ("_rels/.rels", "x"),
            ("[Content_Types].xml", "x"),
            ("p.nuspec", "x"),
        ]);
        files.push(sample(".signature.p7s", signature));
        files[2].time = time;
        zip(&files)
    };
    for (name, pack) in [("x.deb", debian), ("x.nupkg", nuget)] {
        let found = compared(name, &pack(0, b"1"), &pack(1, b"1"));
        assert_eq!(
            (found.outcome, found.causes[0].cause),
            (Outcome::Different, Cause::Content),
            "{name}"
        );
        let same = compared(name, &pack(0, b"1"), &pack(0, b"1"));
        assert_eq!(same.outcome, Outcome::Identical, "{name}");
    }
    // The time of the signature itself is not signed.
    let nuget = |time| {
        let mut files = samples(&[
            ("_rels/.rels", "x"),
            ("[Content_Types].xml", "x"),
            ("p.nuspec", "x"),
        ]);
        files.push(Sample {
            time,
            ..sample(".signature.p7s", "1")
        });
        zip(&files)
    };
    assert!(is_equivalent("x.nupkg", &nuget(0), &nuget(1)));
}
