//! Small projects, really built twice under one variation: the first cause that the comparison names must be
//! that variation. The table of results is `docs/causes.md`.

mod cases;

use std::path::Path;
use std::process::Command;

use assert_cmd::prelude::*;
use serde_json::Value;

use crate::common::{self};
use cases::{C, CASES};

/// One variation: the expected first cause, what is varied, two settings of the environment, and a build that
/// leaves its artifact in `$OUT`. Both builds run in a folder of their own unless `DIR` says where.
struct Case {
    cause: &'static str,
    what: &'static str,
    vary: [&'static str; 2],
    out: &'static str,
    build: &'static str,
    options: &'static [&'static str],
}

fn build(case: &Case, setting: &str, home: &Path) -> std::path::PathBuf {
    let folder = setting
        .split(' ')
        .find_map(|word| word.strip_prefix("DIR="))
        .map_or_else(|| home.join("w"), |folder| home.join(folder));
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!("set -e\nexport {setting}\n{}", case.build.replace("@C ", C));
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(&folder)
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        case.what,
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join(case.out)
}

fn missing_tools() -> Option<String> {
    let needs = "gcc gcc-11 gcc-12 python3 zip zstd xz ar dpkg-deb openssl uuidgen setarch make objcopy";
    let script = format!(
        "for t in {needs}; do command -v $t >/dev/null || echo $t; done; locale -a | grep -q de_DE.utf8 || echo de_DE.UTF-8; locale -a | grep -q en_US.utf8 || echo en_US.UTF-8"
    );
    let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(", ");
    (!text.is_empty()).then_some(text)
}

#[apply(test)]
fn the_first_cause_is_what_was_varied() {
    if let Some(missing) = missing_tools() {
        common::skip(&missing);
    }
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md")).unwrap_or_default();
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for case in CASES {
        let homes = [
            tempfile::tempdir_in("/tmp").unwrap(),
            tempfile::tempdir_in("/tmp").unwrap(),
        ];
        // One folder of the same name for both, so that only what is varied differs.
        let home = tempfile::tempdir_in("/tmp").unwrap();
        let mut files = Vec::new();
        for (setting, keep) in case.vary.iter().zip(&homes) {
            let made = build(case, setting, home.path());
            let kept = keep.path().join(case.out);
            std::fs::copy(&made, &kept).unwrap();
            std::fs::remove_dir_all(home.path().join("w")).ok();
            std::fs::remove_dir_all(home.path().join("build")).ok();
            files.push(kept);
        }
        let output = Command::cargo_bin("rebuilder")
            .unwrap()
            .env_remove("SOURCE_DATE_EPOCH")
            .args(["--json", "--quiet", "compare"])
            .args(&files)
            .args(case.options)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}: {}",
            case.what,
            String::from_utf8_lossy(&output.stderr)
        );
        let found = common::json(&output);
        let first = &found["causes"][0];
        let row = format!(
            "| {} | {} | {} | {} | {} |",
            case.what,
            first["cause"].as_str().unwrap_or("none"),
            first["confidence"].as_str().unwrap_or("none"),
            found["outcome"].as_str().unwrap(),
            names(&found["normalisations"])
        );
        if first["cause"] != case.cause {
            wrong.push(format!(
                "{row}\n    expected {}, found {}",
                case.cause, found["causes"]
            ));
        }
        if case.cause == "content" {
            assert_eq!(found["outcome"], "different", "{}", case.what);
        }
        rows.push(row);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let lost: Vec<_> = rows
        .iter()
        .filter(|row| !page.contains(row.as_str()))
        .cloned()
        .collect();
    assert!(
        lost.is_empty(),
        "docs/causes.md lacks these rows:\n{}",
        lost.join("\n")
    );
}

fn names(normalisations: &Value) -> String {
    let names: Vec<_> = normalisations
        .as_array()
        .unwrap()
        .iter()
        .map(|applied| applied["name"].as_str().unwrap())
        .collect();
    if names.is_empty() {
        "–".into()
    } else {
        names.join(", ")
    }
}

/// A script that builds one small program: with the stamp of its commit, without it, without the names of folders, and
/// in another folder.
const STAMPED: &str = r#"set -e
export GOFLAGS=-mod=mod GOPROXY=off
git init -q .
printf 'module example.com/m\ngo 1.18\n' > go.mod
printf 'package main\nfunc main() { println("hello") }\n' > main.go
git add .
git -c user.name=a -c user.email=a@example.org commit -qm one
go build -buildvcs=true -o ../stamped .
go build -buildvcs=false -o ../bare .
go build -buildvcs=false -trimpath -o ../trimmed .
mkdir ../another-folder
cp go.mod main.go ../another-folder
cd ../another-folder
go build -buildvcs=false -o ../elsewhere .
"#;

#[apply(test)]
fn a_go_program_without_its_stamp_or_its_folders_differs_in_build_information_alone() {
    let has = |tool: &str| Command::new(tool).arg("version").output().is_ok();
    if !has("go") || !has("git") {
        common::skip("go or git");
    }
    let home = tempfile::tempdir_in("/tmp").unwrap();
    let source = home.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let built = Command::new("sh")
        .args(["-c", STAMPED])
        .current_dir(&source)
        .env("GOOS", "linux")
        .env("GOARCH", "amd64")
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let between = |released: &str, rebuilt: &str| -> Vec<(String, String)> {
        let output = Command::cargo_bin("rebuilder")
            .unwrap()
            .args(["--json", "--quiet", "compare"])
            .args([home.path().join(released), home.path().join(rebuilt)])
            .output()
            .unwrap();
        let found = common::json(&output);
        let word = |cause: &Value, name: &str| cause[name].as_str().unwrap().to_owned();
        found["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| (word(cause, "cause"), word(cause, "confidence")))
            .collect()
    };
    let causes = |rebuilt: &str| between("stamped", rebuilt);
    let named = |confidence: &str| ("go-build-information".to_owned(), confidence.to_owned());
    assert_eq!(causes("bare"), [named("proven")]);
    assert_eq!(between("bare", "trimmed"), [named("proven")]);
    assert_eq!(between("trimmed", "bare"), [named("proven")]);
    let folder = ("build-path".to_owned(), "proven".to_owned());
    assert_eq!(between("bare", "elsewhere"), [folder]);
    // One bit in the code, in what the program loads last, and in the symbols is content, beside the same line.
    let bytes = std::fs::read(home.path().join("bare")).unwrap();
    for at in [0x1100, bytes.len() / 2, bytes.len() - 1] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        std::fs::write(home.path().join("other"), other).unwrap();
        let causes = causes("other");
        assert_eq!(causes[0].0, "content", "{at:#x}: {causes:?}");
        assert!(causes.contains(&named("possible")), "{at:#x}: {causes:?}");
    }
    // So is one in a program without the names of folders, and another name of a file.
    let bytes = std::fs::read(home.path().join("trimmed")).unwrap();
    let name = bytes
        .windows(23)
        .position(|window| window == b"\0example.com/m/main.go\0")
        .unwrap();
    for at in [0x1100, name + 20, bytes.len() / 2, bytes.len() - 1] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        std::fs::write(home.path().join("other"), other).unwrap();
        let causes = between("bare", "other");
        assert_eq!(causes[0].0, "content", "{at:#x}: {causes:?}");
    }
}
