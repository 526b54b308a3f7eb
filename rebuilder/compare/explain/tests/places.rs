//! Values of a build, in the places that record them.

use super::super::*;
use super::{causes, check};
use crate::compare::cause::Cause;

// One long table.
#[test]
fn what_a_build_records_is_named_where_it_is_recorded() {
    use Cause::{BuildHost, BuildPath, HostSystem, Locale, Parallelism, Permissions, Randomness, Timezone};
    check(&[
        ("1,5 kB", "1.5 kB", Locale, "1.6 kB"),
        ("naïve", "na?ve", Locale, "na?v?"),
        ("‘foo’ – bar", "'foo' - bar", Locale, "'foo' - baz"),
        (
            "Generated on host",
            "Erstellt am host",
            Locale,
            "Erstellt am hosts",
        ),
        ("LANG=C.UTF-8", "LANG=de_DE.UTF-8", Locale, "LANG=$(curl evil)"),
        (
            "/build/a/src/x.c:12",
            "/build/b/src/x.c:12",
            BuildPath,
            "/build/b/src/x.c:13",
        ),
        ("/home/me/p/x.c", "/home/you/q/p/x.c", BuildPath, "/etc/you/p/x.c"),
        (
            "-I/build/a/include",
            "-I/build/b/include",
            BuildPath,
            "-I/usr/b/include",
        ),
        (
            "file:///build/a/x",
            "file:///build/b/x",
            BuildPath,
            "https:///build/b/x",
        ),
        (
            r"C:\Users\ada\p\x.c",
            r"C:\Users\bob\p\x.c",
            BuildPath,
            r"C:\Windows\bob\p\x.c",
        ),
        (
            "/tmp/tmpab12cd_3/x",
            "/tmp/tmpzz98yx_1/x",
            Randomness,
            "/tmp/tmpfiles/y",
        ),
        (
            "<f at 0x7f12ab34cd50>",
            "<f at 0x7f99ab34cd50>",
            Randomness,
            "<f of 0x7f99ab34cd50>",
        ),
        (
            "at 0x7f12ab34cd50",
            "at 0x7f99ab34cd50",
            Randomness,
            "at 0x0000ab34cd50",
        ),
        (
            "id 2f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff",
            "id 11111111-8a4b-4c2d-9e1f-aabbccddeeff",
            Randomness,
            "id 11111111-8a4b-5c2d-9e1f-aabbccddeeff",
        ),
        (
            "Linux 6.1.0-28-amd64",
            "Linux 5.10.0-8-amd64",
            HostSystem,
            "Linux 5.10.0-8-amd64; reboot",
        ),
        (
            "cc -march=znver3 x.c",
            "cc -march=skylake x.c",
            HostSystem,
            "cc -march=skylake y.c",
        ),
        ("make -j2", "make -j16", Parallelism, "make -j16 evil"),
        ("nproc: 2", "nproc: 64", Parallelism, "nproc: x"),
        (
            "compiled by ada@laptop with gcc",
            "compiled by root@ci-7 with gcc",
            BuildHost,
            "compiled by root@ci-7 with evil",
        ),
        (
            "built by ada on laptop",
            "built by root on ci",
            BuildHost,
            "built for root on ci",
        ),
        (
            "Linux version 6.1.0 (ada@laptop)",
            "Linux version 6.1.0 (root@ci)",
            BuildHost,
            "Linux version 6.1.0 [root@ci]",
        ),
        (
            "#define BUILD_HOST \"laptop\"",
            "#define BUILD_HOST \"ci\"",
            BuildHost,
            "#define REMOTE_HOST \"ci\"",
        ),
        ("TZ=UTC", "TZ=Europe/Paris", Timezone, "TZ=`evil`"),
        ("umask 0022", "umask 0002", Permissions, "umask 0992"),
    ]);
}

#[test]
fn what_only_looks_like_a_value_of_a_build_is_content() {
    for (released, rebuilt, field) in [
        ("return check(password)", "return 1", ""),
        ("www-data", "root", "User"),
        ("a.org", "evil.org", "Host"),
        ("git@github.com:org/repo", "git@evil.com:org/repo", "REMOTE"),
        ("Mail ada@a.org", "Mail eve@b.org", ""),
        ("https://a.org/home/me/x.c", "https://a.org/home/you/x.c", ""),
        ("ada@a.org:/home/me/x.c", "ada@a.org:/home/you/x.c", ""),
        ("#!/build/a/bin/sh", "#!/build/b/bin/sh", ""),
        ("/usr/bin/sh", "/tmp/evil", ""),
        ("/etc/passwd", "/etc/shadow", ""),
        ("/build/a/../../etc/x", "/build/b/../../etc/x", ""),
        (
            "/home/me/.ssh/authorized_keys",
            "/home/you/.ssh/authorized_keys2",
            "",
        ),
        ("/usr/lib/a.so", "/usr/lib/b.so", ""),
        ("src/tmp/x", "src/var/x", ""),
        ("workers: 4", "workers: 64", ""),
        ("charset=utf-8", "charset=utf-7", ""),
        (
            "client_id: 2f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff",
            "client_id: 3f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff",
            "",
        ),
        ("MASK = 0x12345678", "MASK = 0x12345679", ""),
        ("needs Linux 5.10.0 or newer", "needs Linux 6.10.0 or newer", ""),
        ("\"Lorem\" from 1", "“Lorem” from 1 é", ""),
        ("if access == 'user':", "if access == 'user\u{202e}':", ""),
        ("libc6 (>= 2.34)", "libevil (>= 2.34)", "Depends"),
        ("abc", "abd", ""),
        ("f(1,5)", "f(1.5)", ""),
    ] {
        assert_eq!(
            causes(released, rebuilt, field),
            Vec::new(),
            "{released:?} {rebuilt:?}"
        );
    }
}

#[test]
fn a_field_tells_what_its_value_is() {
    for (released, rebuilt, field, cause) in [
        ("ada", "root", "Built-By", Cause::BuildHost),
        (
            "bdist_wheel (0.40.0)",
            "bdist_wheel (0.43.0)",
            "Generator",
            Cause::ToolVersion,
        ),
        (
            "libc6 (>= 2.34)",
            "libc6 (>= 2.36)",
            "Depends",
            Cause::DependencyVersion,
        ),
    ] {
        assert_eq!(
            causes(released, rebuilt, field).first().map(|(cause, _)| *cause),
            Some(cause)
        );
    }
}

#[test]
fn a_value_in_a_program_is_only_possibly_one_of_the_build() {
    let context = Context {
        code: true,
        ..Context::default()
    };
    for (released, rebuilt) in [
        ("LIMIT = 1764000000", "LIMIT = 1764000001"),
        ("KEY = 20261125", "KEY = 20261126"),
        (
            "ID = '2f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff'",
            "ID = '3f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff'",
        ),
        ("export LANG=C", "export LANG=de_DE"),
        ("umask 022", "umask 000"),
        ("make -j2", "make -j4"),
        ("s = \"1.5 kB\"", "s = \"1,5 kB\""),
    ] {
        assert_eq!(
            explain(released, rebuilt, context),
            Vec::new(),
            "{released:?} {rebuilt:?}"
        );
    }
    let pins = Context {
        code: true,
        pins: true,
        ..Context::default()
    };
    let commits = ["commit = \"abc1234abc1234\"", "commit = \"def1234abc1234\""];
    assert_eq!(explain(commits[0], commits[1], pins), Vec::new());
    // A program may fetch it, unless it is called the one that the program was built from.
    assert_eq!(explain(commits[0], commits[1], context), Vec::new());
    let own = commits.map(|line| format!("git_{line}"));
    assert!(!explain(&own[0], &own[1], context).is_empty());
}
