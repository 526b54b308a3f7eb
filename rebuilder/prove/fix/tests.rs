use super::remedies::ALL;
use super::{Kind, Patch};

/// Name of the remedy, the file, a line, and what becomes of it; the same line if it is to be left alone.
const LINES: &[(&str, &str, &str, &str)] = &[
    ("gzip-n", "Makefile", "\tgzip -9 x.1", "\tgzip -n -9 x.1"),
    (
        "gzip-n",
        "Makefile",
        "\ttar cf - d | gzip > x",
        "\ttar cf - d | gzip -n > x",
    ),
    ("gzip-n", "Makefile", "\tgzip -9n x.1", "\tgzip -9n x.1"),
    ("gzip-n", "Makefile", "\t# gzip x", "\t# gzip x"),
    (
        "gzip-n",
        "a.py",
        "subprocess.run([\"gzip\", \"-9\", name])",
        "subprocess.run([\"gzip\", \"-n\", \"-9\", name])",
    ),
    (
        "gzip-n",
        "a.py",
        "gzip.compress(data.encode())",
        "gzip.compress(data.encode(), mtime=0)",
    ),
    (
        "tar-metadata",
        "build.sh",
        "tar czf x.tar.gz d",
        "tar --sort=name --mtime=@${SOURCE_DATE_EPOCH:-0} --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s -czf x.tar.gz d",
    ),
    (
        "tar-metadata",
        "debian/rules",
        "\ttar -C d -cf x.tar .",
        "\ttar --sort=name --mtime=@$${SOURCE_DATE_EPOCH:-0} --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s -C d -cf x.tar .",
    ),
    ("tar-metadata", "build.sh", "tar xzf x.tar.gz", "tar xzf x.tar.gz"),
    (
        "file-prefix-map",
        "Makefile",
        "CFLAGS ?= -g -O2",
        "CFLAGS ?= -g -O2 -ffile-prefix-map=$(CURDIR)=.",
    ),
    (
        "file-prefix-map",
        "Makefile",
        "\t$(CC) -g -c a.c",
        "\t$(CC) -ffile-prefix-map=$(CURDIR)=. -g -c a.c",
    ),
    (
        "file-prefix-map",
        "build.sh",
        "cc -g -o a a.c",
        "cc -ffile-prefix-map=\"$PWD\"=. -g -o a a.c",
    ),
    (
        "preprocessor-date",
        "a.c",
        "  puts(__TIMESTAMP__);",
        "  puts(__DATE__ \" \" __TIME__);",
    ),
    (
        "date",
        "Makefile",
        "NOW := $(shell date +%s)",
        "NOW := $(shell LC_ALL=C date -u -d @$${SOURCE_DATE_EPOCH:-0} +%s)",
    ),
    (
        "date",
        "build.sh",
        "echo \"built `date`\" > x",
        "echo \"built `LC_ALL=C date -u -d @${SOURCE_DATE_EPOCH:-0}`\" > x",
    ),
    ("date", "build.sh", "update the date of x", "update the date of x"),
    (
        "date",
        "build.sh",
        "T=$(date -u -d @$SOURCE_DATE_EPOCH)",
        "T=$(date -u -d @$SOURCE_DATE_EPOCH)",
    ),
    (
        "date",
        "rebuilder.toml",
        "build = \"date > out\"",
        "build = \"LC_ALL=C date -u -d @${SOURCE_DATE_EPOCH:-0} > out\"",
    ),
    (
        "python-time",
        "a.py",
        "now = time.strftime(\"%Y\")",
        "now = time.strftime(\"%Y\", time.gmtime(int(os.environ.get(\"SOURCE_DATE_EPOCH\", time.time()))))",
    ),
    (
        "clock",
        "a.js",
        "const d = new Date().toLocaleString();",
        "const d = new Date((process.env.SOURCE_DATE_EPOCH ? Number(process.env.SOURCE_DATE_EPOCH) : Date.now() / 1000) * 1000).toISOString();",
    ),
    (
        "clock",
        "a.pl",
        "print F scalar(localtime), 1;",
        "print F scalar(gmtime(($ENV{SOURCE_DATE_EPOCH} || CORE::time()))), 1;",
    ),
    (
        "sorted-listing",
        "a.py",
        "for f in os.listdir(d(x)):",
        "for f in sorted(os.listdir(d(x))):",
    ),
    (
        "sorted-listing",
        "a.py",
        "for f in Path(d).glob(\"*\"):",
        "for f in sorted(Path(d).glob(\"*\")):",
    ),
    (
        "sorted-listing",
        "Makefile",
        "SRC := $(shell find . -name '*.c')",
        "SRC := $(sort $(shell find . -name '*.c'))",
    ),
    (
        "sorted-listing",
        "build.sh",
        "find d -type f | xargs cat > x",
        "find d -type f | LC_ALL=C sort | xargs cat > x",
    ),
    (
        "sorted-listing",
        "build.sh",
        "find d -type f -exec cat {} + > x",
        "find d -type f -print0 | LC_ALL=C sort -z | xargs -0 cat > x",
    ),
    (
        "sorted-listing",
        "build.sh",
        "for f in $(find d -type f); do",
        "for f in $(find d -type f | LC_ALL=C sort); do",
    ),
    (
        "sorted-listing",
        "build.sh",
        "for f in $(ls -U d); do",
        "for f in $(LC_ALL=C ls d); do",
    ),
    (
        "locale-sort",
        "Makefile",
        "\tsort names > x",
        "\tLC_ALL=C sort names > x",
    ),
    ("locale-sort", "build.sh", "cat a | sort", "cat a | LC_ALL=C sort"),
    (
        "ar-deterministic",
        "Makefile",
        "\tar rcsU lib.a a.o",
        "\tar rcsD lib.a a.o",
    ),
    (
        "ar-deterministic",
        "Makefile",
        "\t$(AR) rcs lib.a a.o",
        "\t$(AR) rcsD lib.a a.o",
    ),
    (
        "ar-deterministic",
        "Makefile",
        "\tranlib -U lib.a",
        "\tranlib -D lib.a",
    ),
    (
        "sorted-sets",
        "a.py",
        "\",\".join(set(names))",
        "\",\".join(sorted(set(names)))",
    ),
    (
        "sorted-sets",
        "a.pl",
        "for my $k (keys %h) {",
        "for my $k ((sort keys %h)) {",
    ),
    (
        "no-build-id",
        "Makefile",
        "\t$(CC) -Wl,--build-id=uuid -o a a.o",
        "\t$(CC) -Wl,--build-id=sha1 -o a a.o",
    ),
    (
        "zip-metadata",
        "build.sh",
        "zip -qr x.zip d",
        "find d -exec touch -h -d @${SOURCE_DATE_EPOCH:-0} {} + && find d -exec chmod u+rwX,go+rX,go-w {} + && find d | LC_ALL=C sort | TZ=UTC zip -X -qr x.zip -@",
    ),
    (
        "remap-path-prefix",
        "Makefile",
        "\tgo build -o a .",
        "\tgo build -trimpath -buildvcs=false -o a .",
    ),
    (
        "install-mode",
        "Makefile",
        "\tcp a out/a",
        "\tinstall -m 644 a out/a",
    ),
    (
        "no-machine",
        "Makefile",
        "HOST := $(shell hostname -f)",
        "HOST := $(shell echo unknown)",
    ),
    (
        "no-machine",
        "Makefile",
        "\techo \"$$(uname -r) $$USER\" > x",
        "\techo \"$$(uname -s) unknown\" > x",
    ),
    ("no-machine", "Makefile", "\tuname -m > x", "\tuname -m > x"),
    (
        "no-machine",
        "a.py",
        "x = socket.gethostname()",
        "x = \"unknown\"",
    ),
    (
        "not-parallel",
        "build.sh",
        "ls | xargs -n1 -P4 cat",
        "ls | xargs -n1 -P1 cat",
    ),
    ("fixed-seed", "build.sh", "echo $RANDOM > x", "echo 4 > x"),
    (
        "fixed-layout",
        "Makefile",
        "\t./generate > x",
        "\tsetarch $$(uname -m) -R ./generate > x",
    ),
    (
        "no-machine",
        "setup.py",
        "host = subprocess.check_output([\"uname\", \"-n\"])",
        "host = subprocess.check_output([\"echo\", \"unknown\"])",
    ),
    (
        "no-machine",
        "a.js",
        "const host = execSync('hostname').toString();",
        "const host = execSync('echo unknown').toString();",
    ),
    (
        "fixed-seed",
        "a.py",
        "x = uuid.uuid4()",
        "x = uuid.uuid5(uuid.NAMESPACE_URL, \"https://reproducible-builds.org/\")",
    ),
    (
        "no-build-folder",
        "Makefile",
        "\techo $(CURDIR) > x",
        "\techo . > x",
    ),
    (
        "no-build-folder",
        "build.rs",
        "let d = env!(\"CARGO_MANIFEST_DIR\");",
        "let d = \".\";",
    ),
    (
        "clock",
        "build.rs",
        "    let now = SystemTime::now();",
        "    let now = (std::time::UNIX_EPOCH + std::time::Duration::from_secs(std::env::var(\"SOURCE_DATE_EPOCH\").ok().and_then(|time| time.parse().ok()).unwrap_or(0)));",
    ),
    (
        "clock",
        "gen.go",
        "\tnow := time.Now()",
        "\tnow := func() time.Time { s, _ := strconv.ParseInt(os.Getenv(\"SOURCE_DATE_EPOCH\"), 10, 64); return time.Unix(s, 0).UTC() }()",
    ),
    (
        "clock",
        "package.json",
        "  \"prepack\": \"node -p 'new Date()' > built.txt\"",
        "  \"prepack\": \"node -p 'new Date(process.env.SOURCE_DATE_EPOCH * 1000)' > built.txt\"",
    ),
    (
        "clock",
        "a.rb",
        "puts Time.now.strftime(\"%F\")",
        "puts Time.at((ENV[\"SOURCE_DATE_EPOCH\"] || Time.now.to_i).to_i).utc.strftime(\"%F\")",
    ),
    (
        "clock",
        "a.lua",
        "print(os.date(\"%Y-%m-%d\"))",
        "print(os.date(\"!%Y-%m-%d\", (tonumber(os.getenv(\"SOURCE_DATE_EPOCH\")) or os.time())))",
    ),
    (
        "clock",
        "Makefile",
        "\tawk 'BEGIN { print strftime(\"%Y\") }' > x",
        "\tawk 'BEGIN { print strftime(\"%Y\", ENVIRON[\"SOURCE_DATE_EPOCH\"], 1) }' > x",
    ),
    (
        "clock",
        "build.sh",
        "printf '%(%Y)T\\n' -1 > x",
        "TZ=UTC0 printf '%(%Y)T\\n' ${SOURCE_DATE_EPOCH:-0} > x",
    ),
    (
        "clock",
        "a.c",
        "  time_t now = time(NULL);",
        "  time_t now = (getenv(\"SOURCE_DATE_EPOCH\") ? (time_t)strtoll(getenv(\"SOURCE_DATE_EPOCH\"), 0, 10) : time(0));",
    ),
    (
        "clock",
        "meson.build",
        "t = run_command('date', '+%Y')",
        "t = run_command('sh', '-c', 'LC_ALL=C exec date -u -d @${SOURCE_DATE_EPOCH:-0} \"$@\"', 'date', '+%Y')",
    ),
    (
        "date",
        "configure.ac",
        "AC_DEFINE_UNQUOTED([YEAR], [`date +%Y`])",
        "AC_DEFINE_UNQUOTED([YEAR], [`LC_ALL=C date -u -d @${SOURCE_DATE_EPOCH:-0} +%Y`])",
    ),
    (
        "date",
        "configure.ac",
        "AC_INIT([x], m4_esyscmd_s([date +%Y]))",
        "AC_INIT([x], m4_esyscmd_s([LC_ALL=C date -u -d @${SOURCE_DATE_EPOCH:-0} +%Y]))",
    ),
    (
        "no-machine",
        "CMakeLists.txt",
        "site_name(MACHINE)",
        "set(MACHINE unknown)",
    ),
    (
        "no-machine",
        "meson.build",
        "m = run_command('uname', '-n', check: true)",
        "m = run_command('echo', 'unknown', '-n', check: true)",
    ),
    (
        "no-machine",
        "a.rb",
        "puts Socket.gethostname",
        "puts \"unknown\"",
    ),
    (
        "no-machine",
        "a.c",
        "  if (gethostname(name, sizeof(name)) != 0) return 1;",
        "  if ((snprintf(name, sizeof(name), \"unknown\") < 0 ? -1 : 0) != 0) return 1;",
    ),
    (
        "no-machine",
        "a.js",
        "const user = require('os').userInfo().username;",
        "const user = 'unknown';",
    ),
    (
        "sorted-listing",
        "a.rb",
        "Dir.children(\"pages\").each do |page|",
        "Dir.children(\"pages\").sort.each do |page|",
    ),
    (
        "printf",
        "build.sh",
        "echo \"a\\tb\" > x",
        "printf '%b\\n' \"a\\tb\" > x",
    ),
];

#[test]
fn each_remedy_changes_its_lines_and_no_others() {
    for (name, file, line, wanted) in LINES {
        let remedy = ALL.iter().find(|remedy| remedy.name == *name).unwrap();
        let kind = Kind::of(file, line).unwrap();
        // By the line alone: what a remedy does to whole files is tried by building.
        let text = format!("import os\nimport time\n{line}\n");
        let changed = remedy.apply(kind, &text, Some(&[3])).unwrap_or(text);
        let is_line = |line: &&str| !line.starts_with("import ") && !line.starts_with("#include ");
        let changed = changed.lines().find(is_line).unwrap();
        assert_eq!(changed, *wanted, "{name}");
    }
}

#[test]
fn a_go_file_imports_only_what_it_uses() {
    let remedy = ALL.iter().find(|remedy| remedy.name == "no-machine").unwrap();
    let text = "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tname, _ := os.Hostname()\n\tfmt.Println(name)\n}\n";
    let changed = remedy.apply(Kind::Go, text, None).unwrap();
    assert!(changed.contains("\"unknown\", error(nil)"), "{changed}");
    assert!(
        changed.contains("\"fmt\"") && !changed.contains("\"os\""),
        "{changed}"
    );
    let more = text.replace("Println(name)", "Println(name, os.Args)");
    let changed = remedy.apply(Kind::Go, &more, None).unwrap();
    assert!(changed.contains("\"os\""), "{changed}");
}

#[test]
fn a_remedy_leaves_what_it_has_cured() {
    for (name, file, line, _) in LINES {
        let remedy = ALL.iter().find(|remedy| remedy.name == *name).unwrap();
        let kind = Kind::of(file, line).unwrap();
        let Some(once) = remedy.apply(kind, &format!("{line}\n"), Some(&[1])) else {
            continue;
        };
        let all: Vec<_> = (1..=once.lines().count()).collect();
        assert_eq!(remedy.apply(kind, &once, Some(&all)), None, "{name}: {once}");
    }
}

#[test]
fn every_rule_is_a_regular_expression_and_every_name_is_there_once() {
    let mut names: Vec<_> = ALL.iter().map(|remedy| remedy.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for remedy in ALL {
        for rule in remedy.rules {
            for kind in rule.kinds {
                assert!(rule.is_sound(*kind), "{}: {}", remedy.name, rule.find);
            }
        }
    }
}

#[test]
fn a_patch_is_a_unified_diff() {
    let mut patch = Patch::default();
    let old = "a\nb\nc\nd\ne\n";
    patch.set("d/Makefile", old, old.replace("c\n", "C\n"));
    assert_eq!(
        patch.diff(),
        "--- a/d/Makefile\n+++ b/d/Makefile\n@@ -1,5 +1,5 @@\n a\n b\n-c\n+C\n d\n e\n"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), "one\ntwo").unwrap();
    let mut patch = Patch::default();
    patch.set("x", "one\ntwo", "one\nTWO".to_owned());
    let mut command = std::process::Command::new("patch");
    command
        .args(["-p1", "-s", "-d"])
        .arg(folder.path())
        .stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), patch.diff().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(
        std::fs::read_to_string(folder.path().join("x")).unwrap(),
        "one\nTWO"
    );
}

/// `patch` says where it had to look for a hunk that is not where its numbers say.
#[test]
fn hunks_are_where_their_numbers_say() {
    let lines: Vec<_> = (1..=20).map(|number| format!("line {number}\n")).collect();
    let old = lines.concat();
    let folder = tempfile::tempdir().unwrap();
    let changes = (0..20).flat_map(|one| [(one, one), (one, (one * 7 + 3) % 20), (one, (one + 7) % 20)]);
    for (one, other) in changes {
        let mut new = lines.clone();
        new[one] = "changed\nand more\n".to_owned();
        new[other].clear();
        let (new, path) = (new.concat(), folder.path().join("x"));
        std::fs::write(&path, &old).unwrap();
        let mut patch = Patch::default();
        patch.set("x", &old, new.clone());
        let diff = folder.path().join("diff");
        std::fs::write(&diff, patch.diff()).unwrap();
        let mut command = std::process::Command::new("patch");
        command
            .args(["-p1", "-F0", "-d"])
            .arg(folder.path())
            .arg("-i")
            .arg(&diff);
        let said = command.output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            "patching file x\n",
            "{}",
            patch.diff()
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), new);
    }
}

#[test]
fn a_patch_on_top_of_another_tells_only_what_is_new() {
    let old = "a\nb\nc\n";
    let mut base = Patch::default();
    base.set("x", old, "A\nb\nc\n".to_owned());
    let mut both = base.clone();
    both.set("x", old, "A\nb and d\nc\n".to_owned());
    assert_eq!(
        both.diff_from(&base),
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n A\n-b\n+b and d\n c\n"
    );
    assert_eq!(
        both.diff(),
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n-b\n+A\n+b and d\n c\n"
    );
}
