//! Whole small files: the expected first cause, and that content comes before causes that are only possible.

use crate::compare::{Cause, Confidence, Options, RootCause, compare_bytes};

fn causes(name: &str, released: &str, rebuilt: &str) -> Vec<RootCause> {
    compare_bytes(name, released.as_bytes(), rebuilt.as_bytes(), &Options::default()).causes
}

fn first(name: &str, released: &str, rebuilt: &str) -> (Cause, String) {
    let causes = causes(name, released, rebuilt);
    (causes[0].cause, causes[0].key.clone())
}

// One long table.
#[test]
fn a_change_of_content_is_one_in_every_kind_of_file() {
    let pairs = [
        ("a.desktop", "Exec=/home/ada/x/run\n", "Exec=/home/eve/x/run\n"),
        (
            "a.yml",
            "snapshot: 20261125T000000Z\n",
            "snapshot: 20261126T000000Z\n",
        ),
        ("a.cron", "30 03:39:45 x\n", "30 04:39:45 x\n"),
        ("a.txt", "x\n\n", "x\n"),
        ("a.patch", "-a \n+b\n", "-a\n+b\n"),
        ("a.md", "a  \nb\n", "a\nb\n"),
        (
            "go.mod",
            "require a v0.0.0-20261125174341-abcdef012345\n",
            "require a v0.0.0-20261126174341-bbcdef012345\n",
        ),
        (
            "a.sql",
            "DELETE FROM t WHERE d < \"2026-11-25\";\n",
            "DELETE FROM t WHERE d < \"2026-11-26\";\n",
        ),
        (
            "x.service",
            "[Service]\nUser=www-data\n",
            "[Service]\nUser=root\n",
        ),
        (
            "conf.py",
            "REMOTE = \"git@github.com:org/repo\"\n",
            "REMOTE = \"git@evil.com:org/repo\"\n",
        ),
        ("conf.txt", "see https://a.org/x\n", "see https://evil.org/x\n"),
        ("conf.txt", "mail ada@a.org\n", "mail ada@b.org\n"),
        (
            "quotes.txt",
            "\"Lorem\" from 1.10.32-3\n",
            "“Lorem” from 1.10.32-3 é\n",
        ),
        (
            "bidi.py",
            "if access == 'user':  # check\n",
            "if access == 'user\u{202e}':  # check\n",
        ),
        ("order.sh", "backup\ndelete\n", "delete\nbackup\n"),
        (
            "order.sh",
            "#!/bin/sh\n# 2023-01-01\nbackup\ndelete\n",
            "#!/bin/sh\n# 2024-02-02\ndelete\nbackup\n",
        ),
        (
            "order.c",
            "d = \"built 2023-01-01\";\ncheck();\nrun();\n",
            "check();\nrun();\nd = \"built 2024-02-02\";\n",
        ),
        ("bin/run", "#!/bin/sh\nb\na\nc\n", "#!/bin/sh\na\nb\nc\n"),
        ("bin/run", "#!/build/a/sh\nb\n", "#!/build/b/sh\nb\n"),
        ("Makefile", "all:\n\tcc\n", "all:\n        cc\n"),
        ("x.py", "if a:\n    b\n", "if a:\n\tb\n"),
        ("x.py", "ROLES = {'a', 'b', 'c'}\n", "ROLES = {'b', 'a', 'c'}\n"),
        ("x.conf", "ciphers strong, weak\n", "ciphers weak, strong\n"),
        (
            "notes.txt",
            "first this\nthen that\nlast\n",
            "then that\nfirst this\nlast\n",
        ),
        ("notes.txt", "strong, weak, none\n", "weak, strong, none\n"),
        ("notes.txt", "e\u{301}t\u{e9}\n", "\u{e9}t\u{e9}\n"),
        ("notes.txt", "a\rb\nx\n", "a\nb\nx\n"),
        (
            "a.po",
            "msgid \"a\"\nmsgstr \"b\"\n",
            "msgid \"a\"\nmsgstr \"c\"\n",
        ),
        (
            "a.po",
            "\"Last-Translator: Ada <ada@a.org>\\n\"\n",
            "\"Last-Translator: Eve <eve@b.org>\\n\"\n",
        ),
        ("a.desktop", "Exec=/usr/bin/a\n", "Exec=/tmp/tmpbuild/a\n"),
        ("a.pc", "prefix=/usr\n", "prefix=/opt\n"),
        (
            "a.toml",
            "rev = \"abcdef0123\"\ncommit = \"abcdef0123\"\n",
            "rev = \"abcdef0123\"\ncommit = \"0bcdef0123\"\n",
        ),
        ("a.txt", "port: 8080\n", "port: 8081\n"),
        (
            "a.sh",
            "cd /home/ada/app && ./run\n",
            "cd /home/eve/app && ./run\n",
        ),
        ("a.sh", "exec /tmp/build/run\n", "exec /tmp/buildx/run\n"),
        ("a.ini", "build_server = good.org\n", "build_server = evil.org\n"),
        (
            "a.c",
            "if (time > 1764000000) evil();\n",
            "if (time > 1564000000) evil();\n",
        ),
        (
            "a.c",
            "x = date == \"2026-11-25\";\n",
            "x = date == \"2026-11-24\";\n",
        ),
        ("a.csv", "a;1,5\n", "a;1.5\n"),
        ("a.txt", "key=\"a\"\n", "key=“a”\n"),
        ("a.txt", "price 1,500 EUR\n", "price 1.500 EUR\n"),
        ("a.txt", "Really?\n", "Reallyé\n"),
        (
            "a.po",
            "msgid \"x\"\nmsgstr \"2026-11-25\"\n",
            "msgid \"x\"\nmsgstr \"2026-11-26\"\n",
        ),
        ("a.txt", "umask 022 for all\n", "umask 077 for all\n"),
        ("a.txt", "tmpfile01.o\n", "tmpevil01.o\n"),
        (
            "a.pub",
            "ssh-ed25519 AAAA ada@laptop\n",
            "ssh-ed25519 AAAA eve@laptop\n",
        ),
        ("x.install", "a b\nc d\n", "c d\na e\n"),
        ("a.py", "LIMIT = 1764000000\n", "LIMIT = 1764000001\n"),
        (
            "a.1",
            ".TH FOO 1 \"May 2020\" \"foo 1.2.3\"\n",
            ".TH FOO 1 \"May 2020\" \"foo 1.2.4\"\n",
        ),
        (
            "a.txt",
            "/build/a/x\nkeep\nuse good\n",
            "/build/b/x\nkeep\nuse evil\n",
        ),
        (
            "a.cfg",
            "a=/build/one/x\nb=/build/two/x\n",
            "a=/build/two/x\nb=/build/one/x\n",
        ),
        (
            "log.txt",
            "built by ada on a\nbuilt by ada on b\n",
            "built by root on c\nbuilt by www on d\n",
        ),
        (
            ".INSTALL",
            "post_install() {\n  backup\n  wipe\n}\n",
            "post_install() {\n  wipe\n  backup\n}\n",
        ),
        ("a.gemspec", "load \"/home/ada/x\"\n", "load \"/home/eve/x\"\n"),
        ("usr/bin/a", "a \\\nb\n", "a \\ \nb\n"),
        ("etc/a", "TZ=UTC\n", "TZ=Asia/Tokyo\n"),
        ("buildinfo.py", "user = \"ada\"\n", "user = \"root\"\n"),
        ("a.py", "CUTOFF = \"2026-11-25\"\n", "CUTOFF = \"2026-11-26\"\n"),
        (
            "a.py",
            "DAYS = [\n    \"2026-11-25\",\n]\n",
            "DAYS = [\n    \"2026-11-26\",\n]\n",
        ),
        (
            "a.sh",
            "get $BASE/2026-11-25/x.tgz\n",
            "get $BASE/2026-11-26/x.tgz\n",
        ),
        (
            "Dockerfile",
            "FROM debian:2026-11-25\n",
            "FROM debian:2026-11-26\n",
        ),
        (
            "deps.bzl",
            "commit = \"abcdef0123\",\n",
            "commit = \"0bcdef0123\",\n",
        ),
        (
            "a.html",
            "<a href=\"/home/ada/x\">\n",
            "<a href=\"/home/eve/x\">\n",
        ),
        (
            "a.html",
            "<script>\nvar last = \"2026-11-25\";\n</script>\n",
            "<script>\nvar last = \"2026-11-26\";\n</script>\n",
        ),
        (
            "a.py",
            "print(\"Generated by protoc 1.2.3\")\n",
            "print(\"Generated by protoc 1.2.4\")\n",
        ),
        (
            "a.html",
            "<script src=\"main.3f2a1b9c.js\">\n",
            "<script src=\"main.99aa1b9c.js\">\n",
        ),
    ];
    for (name, released, rebuilt) in pairs {
        for (released, rebuilt) in [(released, rebuilt), (rebuilt, released)] {
            assert_eq!(
                first(name, released, rebuilt).0,
                Cause::Content,
                "{name}: {released:?} {rebuilt:?}"
            );
        }
    }
}

// One long table.
#[test]
fn what_tools_write_has_its_cause() {
    let rows = [
        (
            "a",
            "commit: abcdef0123abcdef0123abcdef0123abcdef0123\n",
            "commit: 0123abcdef0123abcdef0123abcdef0123abcdef\n",
            Cause::SourceRevision,
        ),
        (
            "a",
            "Stand: 25. November 2026\n",
            "Stand: 3. Dezember 2026\n",
            Cause::Timestamp,
        ),
        (
            "v.h",
            "#define BUILD_DATE \"Nov 25 2026\"\n",
            "#define BUILD_DATE \"Nov 26 2026\"\n",
            Cause::Timestamp,
        ),
        (
            "v.py",
            "BUILD_TIME = 1764000000\n",
            "BUILD_TIME = 1764099999\n",
            Cause::Timestamp,
        ),
        ("a.txt", "2026年11月25日\n", "2026年11月26日\n", Cause::Timestamp),
        (
            "a.txt",
            "11/25/26 03:39 PM\n",
            "11/26/26 04:39 PM\n",
            Cause::Timestamp,
        ),
        (
            "a.cmake",
            "set(X \"/build/a/lib/x.so\")\n",
            "set(X \"/build/b/lib/x.so\")\n",
            Cause::BuildPath,
        ),
        (
            "buildinfo.txt",
            "hostname: laptop\n",
            "hostname: ci-7\n",
            Cause::BuildHost,
        ),
        (
            "config.h",
            "#define CONFIGURED_BY \"ada@laptop\"\n",
            "#define CONFIGURED_BY \"root@ci\"\n",
            Cause::BuildHost,
        ),
        (
            "v.h",
            "#define GIT_REVISION \"abcdef0\"\n",
            "#define GIT_REVISION \"abcdef1\"\n",
            Cause::SourceRevision,
        ),
        (
            "config.h",
            "#define MAKEFLAGS \"s -j2\"\n",
            "#define MAKEFLAGS \"s -j16\"\n",
            Cause::Parallelism,
        ),
        (
            "WHEEL",
            "Generator: bdist_wheel (0.40.0)\n",
            "Generator: setuptools (75.1.0)\n",
            Cause::ToolVersion,
        ),
        (
            "SOURCES.txt",
            "b.py\na.py\nc/d.py\n",
            "c/d.py\nb.py\na.py\n",
            Cause::Order,
        ),
        (
            "out.txt",
            "x = {'alpha', 'beta', 'gamma'}\n",
            "x = {'gamma', 'beta', 'alpha'}\n",
            Cause::Order,
        ),
        (
            "out.txt",
            "Banana\nZebra\napple\ncherry\n",
            "apple\nBanana\ncherry\nZebra\n",
            Cause::Locale,
        ),
        (
            "notes.txt",
            "a \"b\" c\nd - e\n",
            "a “b” c\nd – e\n",
            Cause::Locale,
        ),
        ("notes.txt", "a\nb\n", "a\r\nb\r\n", Cause::HostSystem),
        ("notes.txt", "a\nb\n", "\u{feff}a\nb\n", Cause::HostSystem),
        ("notes.txt", "a\nb", "a\nb\n", Cause::ToolVersion),
        (
            "METADATA",
            "Name: x\nRequires-Dist: a ; extra == 'dev'\n",
            "Name: x\nRequires-Dist: a; extra == \"dev\"\n",
            Cause::ToolVersion,
        ),
        (
            "a.1",
            ".TH FOO 1 \"May 2020\" \"foo 1.2\"\n",
            ".TH FOO 1 \"June 2020\" \"foo 1.2\"\n",
            Cause::Timestamp,
        ),
        (
            "a.po",
            "\"POT-Creation-Date: 2026-11-25 10:00+0000\\n\"\n\"X-Generator: Poedit 3.0\\n\"\n",
            "\"POT-Creation-Date: 2026-11-26 11:00+0000\\n\"\n\"X-Generator: Poedit 3.0\\n\"\n",
            Cause::Timestamp,
        ),
        (
            "a.html",
            "<meta name=\"date\" content=\"2026-11-25\">\n",
            "<meta name=\"date\" content=\"2026-11-26\">\n",
            Cause::Timestamp,
        ),
        (
            "a.html",
            "<script>\nx();\n</script>\n<p>Built 2026-11-25</p>\n",
            "<script>\nx();\n</script>\n<p>Built 2026-11-26</p>\n",
            Cause::Timestamp,
        ),
        (
            "core.xml",
            "<dcterms:created xsi:type=\"dcterms:W3CDTF\">2026-11-25T03:39:45Z</dcterms:created>\n",
            "<dcterms:created xsi:type=\"dcterms:W3CDTF\">2026-11-26T03:39:45Z</dcterms:created>\n",
            Cause::Timestamp,
        ),
        ("a.sh", "# 2026-11-25\nx\n", "# 2026-11-26\nx\n", Cause::Timestamp),
        (
            "a.js",
            "var a = {builtAt: \"2026-11-25\"};\n",
            "var a = {builtAt: \"2026-11-26\"};\n",
            Cause::Timestamp,
        ),
        (
            "version.py",
            "GIT_COMMIT = \"abcdef0123\"\n",
            "GIT_COMMIT = \"0bcdef0123\"\n",
            Cause::SourceRevision,
        ),
        (
            "README",
            "Built 2026-11-25\n",
            "Built 2026-11-26\n",
            Cause::Timestamp,
        ),
        (
            "a.la",
            "libdir='/build/a/lib'\n",
            "libdir='/build/b/lib'\n",
            Cause::BuildPath,
        ),
        (
            "a.ps",
            "%%CreationDate: Wed Nov 25 03:39:45 2026\n",
            "%%CreationDate: Thu Nov 26 03:39:45 2026\n",
            Cause::Timestamp,
        ),
    ];
    for (name, released, rebuilt, cause) in rows {
        for (released, rebuilt) in [(released, rebuilt), (rebuilt, released)] {
            assert_eq!(
                first(name, released, rebuilt).0,
                cause,
                "{name}: {released:?} {rebuilt:?}"
            );
        }
    }
}

#[test]
fn what_is_only_possible_stands_behind_the_content() {
    let found = causes("notes.txt", "strong, weak, none\n", "weak, strong, none\n");
    let told: Vec<_> = found
        .iter()
        .map(|cause| (cause.cause, cause.confidence))
        .collect();
    assert_eq!(
        told,
        [
            (Cause::Content, Confidence::Proven),
            (Cause::Order, Confidence::Possible)
        ]
    );
    let found = causes("a.py", "LIMIT = 1764000000\n", "LIMIT = 1764000001\n");
    assert_eq!(found[1].confidence, Confidence::Possible);
}

#[test]
fn one_substitution_in_all_lines_is_proven() {
    let lines = |folder: &str, word: &str| format!("cc {folder}/a.c\ncc {folder}/b.c\n{word}\n");
    let found = causes("build.txt", &lines("/build/a", "x"), &lines("/build/b", "x"));
    assert_eq!(
        (found[0].cause, found[0].confidence),
        (Cause::BuildPath, Confidence::Proven)
    );
    assert_eq!(found[0].key, "/build/a → /build/b");
    let found = causes("build.txt", &lines("/build/a", "x"), &lines("/build/b", "y"));
    assert_eq!(found[0].cause, Cause::Content);
    assert_eq!(
        (found[1].cause, found[1].confidence),
        (Cause::BuildPath, Confidence::Likely)
    );
}

#[test]
fn typography_is_that_of_the_whole_file() {
    let found = causes("a.txt", "a \"b\" c\nkeep\nx\n", "a “b” c\nkeep\ny\n");
    let told: Vec<_> = found
        .iter()
        .map(|cause| (cause.cause, cause.confidence, cause.places))
        .collect();
    assert_eq!(
        told,
        [
            (Cause::Content, Confidence::Proven, 2),
            (Cause::Locale, Confidence::Possible, 1)
        ]
    );
}

#[test]
fn what_is_behind_a_line_or_not_seen_in_it_is_told() {
    assert_eq!(
        first("bidi.py", "a\n", "a\u{202e}\n"),
        (Cause::Content, "invisible characters".into())
    );
    let found = compare_bytes("a.txt", b"a\n", "a\u{200b}\n".as_bytes(), &Options::default());
    assert_eq!(found.causes[0].example.rebuilt, "a\\u{200b}");
    // A date in a line explains neither the blanks after it nor a missing newline.
    let found = causes("a.sh", "# 2026-11-25\nb\nc", "# 2026-11-26 \nb\nd\n");
    let content = found.iter().filter(|cause| cause.cause == Cause::Content);
    assert_eq!(
        content.map(|cause| &*cause.key).collect::<Vec<_>>(),
        ["", "final newline", "trailing blanks"]
    );
}

#[test]
fn bytes_that_are_not_text_stay_different() {
    let text = |byte: u8| {
        [
            b"built 2026-11-25\n".as_slice(),
            b"na",
            &[byte],
            b"ve and many more letters of text\n",
        ]
        .concat()
    };
    let old = text(0xef);
    let mut new = text(0xee);
    new[15] = b'6';
    let found = compare_bytes("a.txt", &old, &new, &Options::default());
    assert_eq!(found.causes[0].cause, Cause::Content);
    let literal = String::from_utf8_lossy(&old).into_owned();
    let found = compare_bytes("a.txt", &old, literal.as_bytes(), &Options::default());
    assert_eq!(found.causes[0].cause, Cause::Content);
}
