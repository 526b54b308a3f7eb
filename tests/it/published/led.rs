//! Releases that lead to a source of their own choice: what only a release says must not decide what its rebuild
//! contains.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha512};

use super::version;
use crate::common::http::{Reply, Server};
use crate::common::{self, GIT, NETWORK, SANDBOX, code, git, json as document, needs, rebuilder, text};

const ADDRESS: &str = "https://github.com/rb-example/led";
/// The one that the first version names.
const BEFORE: &str = "https://github.com/rb-example/before";

/// The files of a package, and its version.
fn write(folder: &Path, version: &str, code: &str) {
    // As npm writes it, which sets the version.
    let manifest =
        json!({"name": "rb-led", "version": version, "license": "MIT", "repository": "rb-example/led"});
    let manifest = format!("{}\n", serde_json::to_string_pretty(&manifest).unwrap());
    fs::write(folder.join("package.json"), manifest).unwrap();
    fs::write(folder.join("index.js"), code).unwrap();
    fs::write(folder.join("CHANGELOG.md"), "# Changes of this package\n").unwrap();
}

fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "--all"]);
    git(
        folder,
        &["commit", "--quiet", "--allow-empty", "--message", message],
    );
    git(folder, &["rev-parse", "HEAD"])
}

/// The tarball that npm makes of a commit, after `change`.
fn pack(source: &Path, at: &str, change: impl Fn(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    git(source, &["worktree", "prune"]);
    let copy = folder.path().join("copy");
    git(
        source,
        &[
            "worktree",
            "add",
            "--quiet",
            "--detach",
            copy.to_str().unwrap(),
            at,
        ],
    );
    change(&copy);
    let packed = Command::new("npm")
        .args(["pack", "--silent", "--pack-destination"])
        .arg(folder.path())
        .current_dir(&copy)
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", text(&packed));
    fs::read(folder.path().join("rb-led-1.0.2.tgz")).unwrap()
}

fn set_version(folder: &Path) {
    let path = folder.join("package.json");
    let manifest = fs::read_to_string(&path).unwrap();
    let (before, after) = manifest.split_once("1.0.").unwrap();
    fs::write(path, format!("{before}1.0.2{}", &after[1..])).unwrap();
}

/// Rebuilds version 1.0.2, as a registry has it that anyone with its token may write to.
fn rebuild(source: &Path, tarball: Vec<u8>, head: Option<&str>, tools: (&str, &str)) -> Output {
    let metadata = |version: &str| {
        json!({"name": "rb-led", "version": version, "gitHead": head, "_nodeVersion": tools.0, "_npmVersion": tools.1,
            "repository": {"type": "git", "url": format!("git+{}.git", if version == "1.0.0" { BEFORE } else { ADDRESS })},
            "dist": {"tarball": "https://registry.npmjs.org/rb-led/-/rb-led-1.0.2.tgz",
                "integrity": format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(&tarball))),
                "shasum": hex::encode(Sha1::digest(&tarball))}})
    };
    let (own, all): (Value, Vec<_>) = (
        metadata("1.0.2"),
        ["1.0.0", "1.0.1", "1.0.2"].map(|it| (it, metadata(it))).into(),
    );
    let all: serde_json::Map<_, _> = all
        .into_iter()
        .map(|(version, it)| (version.to_owned(), it))
        .collect();
    let all = json!({"name": "rb-led", "versions": all, "time": {}});
    let server = Server::new(move |path| match path {
        "/rb-led" => Reply::ok(all.to_string()),
        "/rb-led/1.0.2" | "/rb-led/latest" => Reply::ok(own.to_string()),
        path if path.ends_with(".tgz") => Reply::ok(tarball.clone()),
        _ => Reply::status(404),
    });
    rebuilder()
        .arg("--git-mirror")
        .arg(format!("{ADDRESS}={}", source.join(".git").display()))
        .arg("--mirror")
        .arg(format!(
            "https://registry.npmjs.org/rb-led={}/rb-led",
            server.url()
        ))
        .args([
            "--json",
            "rebuild",
            "--allow-equivalent",
            "--attempts",
            "2",
            "npm:rb-led@1.0.2",
        ])
        .output()
        .unwrap()
}

#[apply(test)]
fn a_release_does_not_choose_the_source_of_its_rebuild() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let (Some(node), Some(npm)) = (version("node"), version("npm")) else {
        common::skip("node and npm");
    };
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path();
    git(source, &["init", "--quiet", "."]);
    write(source, "1.0.0", "module.exports = (a, b) => a == b;\n");
    let old = commit(source, "1.0.0");
    git(source, &["tag", "v1.0.0"]);
    write(source, "1.0.1", "module.exports = (a, b) => a === b;\n");
    commit(source, "1.0.1");
    git(source, &["tag", "v1.0.1"]);
    fs::write(source.join("more.js"), "module.exports = 1;\n").unwrap();
    let next = commit(source, "more");
    let branch = git(source, &["symbolic-ref", "HEAD"]);
    git(source, &["checkout", "--quiet", "--detach"]);
    write(source, "1.0.2", "module.exports = () => true;\n");
    let foreign = commit(source, "of a pull request");
    git(source, &["update-ref", "refs/pull/1/head", &foreign]);
    git(
        source,
        &["checkout", "--quiet", branch.strip_prefix("refs/heads/").unwrap()],
    );

    let unchanged = |_: &Path| {};
    let changes = |folder: &Path| {
        set_version(folder);
        fs::write(
            folder.join("CHANGELOG.md"),
            "# Changes of this package\n\n## 1.0.2\n\nAll of them.\n",
        )
        .unwrap();
    };
    for (what, tarball, head, ends, expected, says) in [
        (
            "a commit of a pull request",
            pack(source, &foreign, unchanged),
            Some(&foreign),
            4,
            "",
            Some("no branch and no tag"),
        ),
        (
            "code from before a fix, with the name of its commit",
            pack(source, &old, set_version),
            Some(&old),
            4,
            "",
            Some("an earlier version"),
        ),
        (
            "code from before a fix",
            pack(source, &old, set_version),
            None,
            4,
            "",
            None,
        ),
        (
            "the next commit",
            pack(source, &next, set_version),
            None,
            0,
            "",
            Some("the highest that names another is 1.0.0, with https://github.com/rb-example/before"),
        ),
        // As semantic-release does it.
        (
            "a list of changes",
            pack(source, &next, changes),
            Some(&next),
            1,
            "not-reproduced",
            None,
        ),
    ] {
        let output = rebuild(source, tarball, head.map(String::as_str), (&node, &npm));
        assert_eq!(code(&output), ends, "{what}: {}", text(&output));
        if !expected.is_empty() {
            assert_eq!(
                document(&output)["verdict"],
                expected,
                "{what}: {}",
                text(&output)
            );
        }
        assert!(
            says.is_none_or(|says| text(&output).contains(says)),
            "{what}: {}",
            text(&output)
        );
    }
}
