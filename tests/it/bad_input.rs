//! Bad input: one clear error, the documented exit code, nothing half-written.

mod machine;
mod mirrors;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{self, NETWORK, ROOT, SANDBOX, code, needs, rebuilder, rebuilder_in, store, text};

const DEBIAN: &str = "https://deb.debian.org/debian";

/// One error, with its help, and nothing of a panic.
fn check(output: &Output, expected: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(output), expected, "{}", text(output));
    for part in parts {
        assert!(stderr.contains(part), "wanted {part:?} in {stderr}");
    }
    assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
    assert!(
        !stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"),
        "{stderr}"
    );
    assert!(output.stdout.is_empty(), "{}", text(output));
}

/// Nothing but finished files: no temporaries in the store, no scratch, no run folder.
fn nothing_half_written(store: &Path) {
    for folder in ["tmp", "scratch"] {
        let left: Vec<_> = fs::read_dir(store.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
    let runs = fs::read_dir(store.join("runs")).into_iter().flatten().count();
    assert_eq!(runs, 0);
}

/// A store of this test's own, with what others have fetched.
fn own_store() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    common::store_without(folder.path(), "");
    folder
}

fn mirror(prefix: &str, to: &str) -> [String; 2] {
    ["--mirror".to_owned(), format!("{prefix}={to}")]
}

// Long, as it is one table.
#[apply(test)]
fn usage_errors_are_two() {
    for (arguments, parts) in [
        (
            &["rebuild", "jq"][..],
            &[
                "does not name an artifact",
                "help: did you mean deb:jq, pypi:jq, npm:jq or crate:jq?",
            ][..],
        ),
        (&["rebuild", "flask==3.0.3"], &["did you mean pypi:flask==3.0.3?"]),
        (&["rebuild", "cargo:itoa"], &["did you mean crate:itoa?"]),
        (
            &["rebuild", "./nothere.whl"],
            &["cannot read ./nothere.whl: no such file", "check the path"],
        ),
        (
            &["plan", "nothere.whl", "--purl", "pkg:pypi/nothere@1.0"],
            &["cannot read nothere.whl: no such file", "check the path"],
        ),
        (&["inspect", "./nothere.whl"], &["no such file"]),
        (
            &["inspect", "./nothere.whl", "--purl", "pkg:pypi/nothere@1.0"],
            &["no such file"],
        ),
        (&["evidence", "export", "nothere.whl"], &["no such file"]),
        (
            &["plan", "crate:itoa", "--recipe", "rust"],
            &[
                "cannot find the recipe rust",
                "did you mean rust-cargo? the built-in recipes are",
            ],
        ),
        (
            &["compare", "a", "b", "--normalise", "default,tar-tme"],
            &["did you mean tar-time?", "--list-normalisations"],
        ),
        (
            &["container", "lock", "bookworm-build", "--to", "/proc/nothing"],
            &["cannot create the folder /proc/nothing", "with --to"],
        ),
        (
            &["rebuild", "pkg:gem/rails@7.0.0"],
            &["are not supported", "deb, pypi"],
        ),
        (
            &["rebuild", "deb:../../etc"],
            &["package name", "help: write it as deb:NAME[=VERSION]"],
        ),
        (
            &["rebuild", "npm:ms@latest"],
            &["is not valid", "help: write it as npm:NAME[@VERSION]"],
        ),
        (
            &["queue", "add", "nothere.txt"],
            &["cannot read nothere.txt: no such file"],
        ),
        (&["rebuild"], &["no subject"]),
        (
            &["rebuild", "--plan", "/nowhere/plan.json"],
            &["cannot read the plan"],
        ),
        (&["rebuild", "--plan", "/etc/passwd"], &["is not a plan"]),
        (
            &["rebuild", "deb:base-files", "--recipe", "/etc/passwd"],
            &["is not a recipe"],
        ),
        (
            &["container", "build", "nothing"],
            &["there is no container", "bookworm-build"],
        ),
        (
            &["attest", "/nowhere"],
            &["cannot read /nowhere: no such folder", "check the path"],
        ),
        (&["attest", "/"], &["there is no key"]),
        (
            &["signer", "--runs", "/nowhere"],
            &["cannot read /nowhere: no such folder"],
        ),
        (
            &["queue", "limit", "foo", "3"],
            &["there is no such ecosystem; write deb, pypi, npm or cargo"],
        ),
    ] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let output = rebuilder_in(folder.path()).args(arguments).output().unwrap();
        check(&output, 2, parts);
    }
    let full = tempfile::tempdir().unwrap();
    fs::write(full.path().join("mine"), "").unwrap();
    let output = rebuilder()
        .args(["rebuild", "deb:base-files", "--out"])
        .arg(full.path())
        .output()
        .unwrap();
    check(
        &output,
        2,
        &[
            "exists and is not empty",
            "help: name another folder with --out, or empty",
        ],
    );
}

#[apply(test)]
fn versions_follow_the_sign_of_any_package_manager() {
    // The name is understood, so that the recipe is what stops them.
    for subject in [
        "pypi:flask@3.0.3",
        "npm:ms==2.1.3",
        "crate:itoa==1.0.0",
        "deb:jq@1.6",
    ] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let output = rebuilder_in(folder.path())
            .args(["plan", subject, "--recipe", "/etc/passwd"])
            .output()
            .unwrap();
        check(&output, 2, &["is not a recipe"]);
    }
}

#[apply(test)]
fn a_missing_file_is_told_with_the_one_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("idna-3.10-py2.py3-none-any.whl"), "").unwrap();
    let wanted = folder.path().join("idna-3.10-py3-none-any.whl");
    for more in [&[][..], &["--purl", "pkg:pypi/idna@3.10"]] {
        let output = rebuilder().arg("plan").arg(&wanted).args(more).output().unwrap();
        check(
            &output,
            2,
            &["no such file", "did you mean", "idna-3.10-py2.py3-none-any.whl?"],
        );
    }
}

#[apply(test)]
fn a_file_that_is_not_what_its_name_says_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("a.crate"), "").unwrap();
    fs::write(place("a.deb"), "no package").unwrap();
    std::os::unix::fs::symlink("nowhere", place("a-1-py3-none-any.whl")).unwrap();
    for (name, parts) in [
        (
            "a.crate",
            &["a.crate as a crate: it is empty", "fetch the file again"][..],
        ),
        (
            "a.deb",
            &["a.deb as a Debian package: it does not say which package it is"],
        ),
        (
            "a-1-py3-none-any.whl",
            &["a-1-py3-none-any.whl: it is a link to nowhere, which does not exist"],
        ),
    ] {
        for command in ["rebuild", "inspect"] {
            let output = rebuilder().arg(command).arg(place(name)).output().unwrap();
            check(&output, 2, parts);
        }
    }
}

#[apply(test)]
fn all_wrong_lines_of_a_list_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    fs::write(&list, "idna\npypi:idna==3.10\npkg:gem/rails@7.0.0\n").unwrap();
    let output = rebuilder().args(["audit", "run"]).arg(&list).output().unwrap();
    check(&output, 2, &["2 lines of", "line 1 of", "line 3 of"]);
}

#[apply(test)]
fn wrong_and_locked_keys_are_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, locked, secret) = (path("key.pem"), path("locked.pem"), path("secret"));
    let (wrong, nowhere) = (path("wrong"), path("nowhere"));
    fs::write(&secret, "correct horse").unwrap();
    fs::write(&wrong, "battery staple").unwrap();
    let make = |arguments: &[&str]| {
        let mut command = rebuilder();
        command
            .env("XDG_CONFIG_HOME", folder.path())
            .args(["key", "generate"]);
        let output = command.args(arguments).output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
    };
    make(&["--to", &key]);
    make(&["--to", &locked, "--encrypt", "--passphrase-file", &secret]);
    let public = format!("{key}.pub");
    for (arguments, parts) in [
        (
            vec!["rebuild", "deb:base-files", "--key", &public],
            &["it is a public key, not a private key", "name the private key"][..],
        ),
        (
            vec!["attest", "/", "--key", &public],
            &["it is a public key, not a private key"],
        ),
        (
            vec!["rebuild", "deb:base-files", "--key", "/etc/passwd"],
            &["/etc/passwd: it is not a private key", "key generate"],
        ),
        (
            vec!["key", "public", "--key", "/etc/passwd"],
            &["/etc/passwd: it is not a private key"],
        ),
        (
            vec!["inspect", "/etc/passwd", "--trusted-key", &key],
            &["it is a private key", "name its public half", "key.pem.pub"],
        ),
        (
            vec!["rebuild", "deb:base-files", "--key", &locked],
            &["locked.pem: it is encrypted", "--passphrase-file"],
        ),
        (
            vec![
                "rebuild",
                "deb:base-files",
                "--key",
                &locked,
                "--passphrase-file",
                &wrong,
            ],
            &["cannot sign: the passphrase of", "locked.pem is wrong"],
        ),
        (
            vec![
                "rebuild",
                "deb:base-files",
                "--key",
                &locked,
                "--passphrase-file",
                &nowhere,
            ],
            &[
                "cannot sign: cannot read the passphrase from",
                "nowhere",
                "(os error 2)",
            ],
        ),
        (
            vec!["key", "public", "--key", &locked, "--passphrase-file", &nowhere],
            &[
                "cannot read the passphrase from",
                "nowhere",
                "(os error 2)",
                "REBUILDER_PASSPHRASE_FILE",
            ],
        ),
    ] {
        let output = rebuilder().args(arguments).output().unwrap();
        check(&output, 2, parts);
    }
}

#[apply(test)]
fn a_policy_without_a_quorum_is_told_in_the_words_of_verify() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    let rules = r#"version = 1
[[parties]]
name = "alice"
identities = [{ subject = "alice@example.org", issuer = "https://accounts.example.org" }]
[[quorums]]
subject = "pkg:npm/*"
threshold = 1
"#;
    fs::write(&policy, rules).unwrap();
    let output = rebuilder()
        .args(["verify", "/etc/passwd", "--policy"])
        .arg(&policy)
        .output()
        .unwrap();
    check(&output, 3, &["cannot verify", "no quorum matches", "[[quorums]]"]);
    assert!(!text(&output).contains("nothing was built"), "{}", text(&output));
}

#[apply(test)]
fn hostile_plans_are_refused() {
    needs(&[NETWORK, SANDBOX]);
    let plan = common::plan("pypi:idna==3.10");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    for (pointer, value) in [
        ("/inputs/0/place", "../../outside"),
        ("/inputs/0/place", "/etc/passwd"),
        ("/files/0/place", ""),
        ("/expected/0/file/name", "../escaped.whl"),
        ("/expected/0/file/sha256", "not a digest"),
    ] {
        let mut plan = plan.clone();
        *plan.pointer_mut(pointer).unwrap() = value.into();
        fs::write(&path, plan.to_string()).unwrap();
        let output = rebuilder()
            .args(["rebuild", "--plan"])
            .arg(&path)
            .output()
            .unwrap();
        check(&output, 2, &["is not a plan"]);
    }
    // Another digest for the same URL: the bytes there are not what the plan wants.
    let mut plan = plan.clone();
    plan["inputs"][0]["file"]["sha256"] = "0".repeat(64).into();
    fs::write(&path, plan.to_string()).unwrap();
    let output = rebuilder()
        .args(["rebuild", "--plan"])
        .arg(&path)
        .output()
        .unwrap();
    check(&output, 4, &["wrong SHA-256", "expected 0000"]);
    let output = rebuilder()
        .args(["--offline", "rebuild", "--plan"])
        .arg(&path)
        .output()
        .unwrap();
    check(&output, 4, &["offline"]);
}

#[apply(test)]
fn a_source_outside_of_its_repository() {
    let commit = "0".repeat(40);
    for (source, part) in [
        (
            format!("https://github.com/o/r@{commit}:../x"),
            "is not a relative path inside a repository",
        ),
        ("https://github.com/o/r@main".to_owned(), "is not a commit"),
        ("https://github.com/o/r".to_owned(), "@COMMIT"),
    ] {
        let output = common::rebuilder()
            .args(["rebuild", "npm:ms@2.1.3", "--source", &source])
            .output()
            .unwrap();
        check(&output, 2, &[part]);
    }
}

#[apply(test)]
fn unknown_packages_and_versions() {
    needs(&[NETWORK, SANDBOX]);
    let store = own_store();
    for (subject, parts) in [
        (
            "deb:no-such-package-here",
            &["no-such-package-here is not in bookworm", "check the name"][..],
        ),
        (
            "deb:base-files=1.0",
            &["base-files 1.0 is not in", "the archive has 12"],
        ),
        (
            "pypi:no-such-project-as-this-one",
            &["is not in https://pypi.org/simple"],
        ),
        ("pypi:idna==0.0.99", &["idna 0.0.99 is not in", "newest versions"]),
        (
            "pkg:pypi/idna@3.10?file_name=idna-3.10-py4-none-any.whl",
            &["idna-3.10-py4-none-any.whl is not in"],
        ),
        ("pypi:pywin32==306", &["neither a pure wheel", "64-bit Linux"]),
    ] {
        let output = rebuilder_in(store.path())
            .args(["rebuild", subject])
            .output()
            .unwrap();
        check(&output, 4, parts);
        nothing_half_written(store.path());
    }
}
