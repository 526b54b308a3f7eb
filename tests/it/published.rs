//! Packages whose source nobody signed for: crates from the commit that they name, npm packages from a commit and the
//! lock file of any package manager, wheels whose build has to be found by trying.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use crate::common::{self, GIT, NETWORK, SANDBOX, code, git, json, needs, rebuilder, text};

/// Makes the folder a repository with one commit, and gives its name.
fn commit(folder: &Path) -> String {
    git(folder, &["init", "--quiet", "."]);
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", "a"]);
    git(folder, &["rev-parse", "HEAD"])
}

/// What a command prints, as a version without its name; none where there is no such command.
fn version(command: &str) -> Option<String> {
    let output = Command::new(command).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split_whitespace().find(|word| {
        word.trim_start_matches('v')
            .starts_with(|c: char| c.is_ascii_digit())
    })?;
    Some(version.trim_start_matches('v').to_owned())
}

#[apply(test)]
fn a_crate_comes_from_the_commit_that_it_names() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    // A member of a workspace, with a file that git must not change on its way.
    fs::create_dir_all(source.join("member/src")).unwrap();
    fs::write(
        source.join("Cargo.toml"),
        "[workspace]\nmembers = [\"member\"]\nresolver = \"2\"\n",
    )
    .unwrap();
    fs::write(source.join(".gitattributes"), "* text=auto\n").unwrap();
    fs::write(
        source.join("member/Cargo.toml"),
        "[package]\nname = \"rb-check\"\nversion = \"0.1.0\"\nedition = \"2021\"\nlicense = \"MIT\"\ndescription = \"a\"\nrepository = \"https://github.com/rb-example/check\"\n",
    )
    .unwrap();
    fs::write(source.join("member/src/lib.rs"), "//! Nothing.\n").unwrap();
    let commit = commit(&source);
    let packed = Command::new("cargo")
        .args(["package", "--quiet", "--no-verify", "--offline", "--target-dir"])
        .arg(folder.path().join("target"))
        .current_dir(source.join("member"))
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", text(&packed));

    let released = fs::read(folder.path().join("target/package/rb-check-0.1.0.crate")).unwrap();
    let publish = |bytes: &[u8]| {
        let (index, crates) = (
            folder.path().join("index/rb/-c"),
            folder.path().join("crates/rb-check"),
        );
        fs::create_dir_all(&index).unwrap();
        fs::create_dir_all(&crates).unwrap();
        fs::write(crates.join("rb-check-0.1.0.crate"), bytes).unwrap();
        let checksum = rebuilder::artifact::Sha256::of(bytes);
        let line = format!(
            "{{\"name\":\"rb-check\",\"vers\":\"0.1.0\",\"deps\":[],\"cksum\":\"{checksum}\",\"features\":{{}},\"yanked\":false}}\n"
        );
        fs::write(index.join("rb-check"), line).unwrap();
    };
    let rebuild = || {
        rebuilder()
            .args(["--json", "--mirror"])
            .arg(format!(
                "https://index.crates.io=file://{}",
                folder.path().join("index").display()
            ))
            .arg("--mirror")
            .arg(format!(
                "https://static.crates.io/crates=file://{}",
                folder.path().join("crates").display()
            ))
            .arg("--git-mirror")
            .arg(format!(
                "https://github.com/rb-example/check={}",
                source.join(".git").display()
            ))
            .args(["rebuild", "crate:rb-check", "--attempts", "2"])
            .args(["--tool", &format!("cargo={}", version("cargo").unwrap())])
            .output()
            .unwrap()
    };
    publish(&released);
    let output = rebuild();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let document = json(&output);
    assert_eq!(document["verdict"], "reproduced");
    let claims = document["claims"].as_array().unwrap();
    assert!(
        claims
            .iter()
            .any(|claim| claim["claim"].as_str().unwrap().contains(&commit)),
        "the commit is no claim"
    );

    // A file that is not in the commit: what cargo packs is not what was published.
    fs::write(source.join("member/src/lib.rs"), "//! Something else.\n").unwrap();
    let packed = Command::new("cargo")
        .args([
            "package",
            "--quiet",
            "--no-verify",
            "--offline",
            "--allow-dirty",
            "--target-dir",
        ])
        .arg(folder.path().join("target"))
        .current_dir(source.join("member"))
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", text(&packed));
    publish(&fs::read(folder.path().join("target/package/rb-check-0.1.0.crate")).unwrap());
    let output = rebuild();
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert_eq!(
        json(&output)["outputs"][0]["differs"]["causes"][0]["cause"],
        "other-source"
    );
    // The crate itself says that files were changed since its commit, so it claims nothing else.
    assert_eq!(json(&output)["verdict"], "not-reproduced");

    // It names this commit without such a word, so it was not made from what it names.
    publish(&with_other_code(&released));
    let output = rebuild();
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert_eq!(json(&output)["verdict"], "mismatch", "{}", text(&output));
}

/// The same crate with other code, and all else as it was.
fn with_other_code(released: &[u8]) -> Vec<u8> {
    let mut old = tar::Archive::new(flate2::read::GzDecoder::new(released));
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut new = tar::Builder::new(gzip);
    for entry in old.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if entry.path().unwrap().ends_with("src/lib.rs") {
            bytes = b"//! Something else.\n".to_vec();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
        }
        new.append(&header, &bytes[..]).unwrap();
    }
    new.into_inner().unwrap().finish().unwrap()
}

/// A crate that names a native library, so that cargo looks for its build script when it resolves the workspace.
const LINKING: (&str, &str, &str) = (
    "wasm-bindgen-shared",
    "0.2.89",
    "7ab9b36309365056cd639da3134bf87fa8f3d86008abf99e612384a6eecd459f",
);

#[apply(test)]
fn a_workspace_with_a_lock_file_is_packed_though_its_mirror_lacks_a_file() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    let (name, version_of_it, checksum) = LINKING;
    let lock = format!(
        "version = 3\n\n[[package]]\nname = \"other\"\nversion = \"0.1.0\"\ndependencies = [\n \"{name}\",\n]\n\n\
         [[package]]\nname = \"rb-check\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"{name}\"\n\
         version = \"{version_of_it}\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
         checksum = \"{checksum}\"\n"
    );
    let manifest = |name: &str, more: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\nlicense = \"MIT\"\n\
             description = \"a\"\nrepository = \"https://github.com/rb-example/check\"\n{more}"
        )
    };
    // No earlier run may have left it in the kept repository.
    let unseen = format!("//! {}\n", folder.path().display());
    let needed = format!("[dependencies]\n{name} = \"{version_of_it}\"\n");
    for (path, text) in [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"member\", \"other\"]\nresolver = \"2\"\n",
        ),
        ("Cargo.lock", &lock),
        ("data/large.bin", "a file that no crate packs\n"),
        ("member/Cargo.toml", &manifest("rb-check", "")),
        ("member/src/lib.rs", &unseen),
        ("other/Cargo.toml", &manifest("other", &needed)),
        ("other/src/lib.rs", "//! Nothing.\n"),
    ] {
        let path = source.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    commit(&source);
    let packed = Command::new("cargo")
        .args(["package", "--quiet", "--no-verify", "--target-dir"])
        .arg(folder.path().join("target"))
        .current_dir(source.join("member"))
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", text(&packed));
    let released = fs::read(folder.path().join("target/package/rb-check-0.1.0.crate")).unwrap();
    let (index, crates) = (folder.path().join("index/rb/-c"), folder.path().join("crates"));
    fs::create_dir_all(&index).unwrap();
    fs::create_dir_all(&crates).unwrap();
    fs::write(crates.join("rb-check-0.1.0.crate"), &released).unwrap();
    let checksum = rebuilder::artifact::Sha256::of(&released);
    let line = format!(
        "{{\"name\":\"rb-check\",\"vers\":\"0.1.0\",\"deps\":[],\"cksum\":\"{checksum}\",\"features\":{{}},\"yanked\":false}}\n"
    );
    fs::write(index.join("rb-check"), line).unwrap();
    let object = |path: &str| {
        let id = git(&source, &["rev-parse", &format!("HEAD:{path}")]);
        source.join(".git/objects").join(&id[..2]).join(&id[2..])
    };
    let rebuild = |run: &str| {
        rebuilder()
            .args(["--json", "--mirror"])
            .arg(format!(
                "https://index.crates.io=file://{}",
                folder.path().join("index").display()
            ))
            .arg("--mirror")
            .arg(format!(
                "https://static.crates.io/crates/rb-check=file://{}",
                crates.display()
            ))
            .arg("--git-mirror")
            .arg(format!(
                "https://github.com/rb-example/check={}",
                source.join(".git").display()
            ))
            .args(["rebuild", "crate:rb-check", "--attempts", "1", "--out"])
            .arg(folder.path().join(run))
            .args(["--tool", &format!("cargo={}", version("cargo").unwrap())])
            .output()
            .unwrap()
    };
    fs::remove_file(object("data/large.bin")).unwrap();
    // Bytes under the name of others: git reads them as they lie there.
    let (changed, aside) = (object("member/src/lib.rs"), folder.path().join("aside"));
    fs::rename(&changed, &aside).unwrap();
    fs::copy(object("member/Cargo.toml"), &changed).unwrap();
    let output = rebuild("changed");
    assert_ne!(code(&output), 0, "{}", text(&output));
    assert!(text(&output).contains("give the name"), "{}", text(&output));

    fs::remove_file(&changed).unwrap();
    fs::rename(&aside, &changed).unwrap();
    let output = rebuild("lacking");
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["verdict"], "reproduced");
    let plan = fs::read(folder.path().join("lacking/plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    assert_eq!(plan["git"][0]["without"], serde_json::json!(["data/large.bin"]));
}

const PACKAGE: &str = r#"{"name": "rb-check", "version": "1.0.0", "license": "MIT", "files": ["out.txt"],
 "scripts": {"prepack": "node make.js"}, "devDependencies": {"is-number": "7.0.0"}}
"#;
const MAKE: &str =
    "const is = require('is-number');\nrequire('fs').writeFileSync('out.txt', String(is(5)) + '\\n');\n";
const INTEGRITY: &str =
    "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==";

#[apply(test)]
fn lock_files_of_every_manager_bring_what_scripts_need() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let (Some(node), Some(npm)) = (version("node"), version("npm")) else {
        common::skip("node and npm");
    };
    let locks = [
        (
            "package-lock.json",
            format!(
                r#"{{"name": "rb-check", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {{
 "": {{"name": "rb-check", "version": "1.0.0", "license": "MIT", "devDependencies": {{"is-number": "7.0.0"}}}},
 "node_modules/is-number": {{"version": "7.0.0", "resolved": "https://registry.npmjs.org/is-number/-/is-number-7.0.0.tgz",
  "integrity": "{INTEGRITY}", "dev": true, "license": "MIT"}}}}}}"#
            ),
        ),
        (
            "yarn.lock",
            format!(
                "# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n\nis-number@7.0.0:\n  version \"7.0.0\"\n  resolved \"https://registry.yarnpkg.com/is-number/-/is-number-7.0.0.tgz#7535345b896734d5f80c4d06c50955527a14f12b\"\n  integrity {INTEGRITY}\n"
            ),
        ),
        (
            "pnpm-lock.yaml",
            format!(
                "lockfileVersion: '9.0'\n\nsettings:\n  autoInstallPeers: true\n  excludeLinksFromLockfile: false\n\nimporters:\n\n  .:\n    devDependencies:\n      is-number:\n        specifier: 7.0.0\n        version: 7.0.0\n\npackages:\n\n  is-number@7.0.0:\n    resolution: {{integrity: {INTEGRITY}}}\n    engines: {{node: '>=0.12.0'}}\n\nsnapshots:\n\n  is-number@7.0.0: {{}}\n"
            ),
        ),
    ];
    // The last one is no lock file, so the dependencies are solved.
    let all = locks.into_iter().chain([("README.md", String::new())]);
    for (name, lock) in all {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        for (file, content) in [("package.json", PACKAGE), ("make.js", MAKE), (name, &lock)] {
            fs::write(source.join(file), content).unwrap();
        }
        let commit = commit(&source);
        // What the script will write, so that the release needs no installing here.
        fs::write(source.join("out.txt"), "true\n").unwrap();
        let packed = Command::new("npm")
            .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
            .arg(folder.path())
            .current_dir(&source)
            .output()
            .unwrap();
        assert!(packed.status.success(), "{}", text(&packed));
        let rebuild = |recipe: &[&str]| {
            rebuilder()
                .arg("--git-mirror")
                .arg(format!(
                    "https://github.com/rb-example/check={}",
                    source.join(".git").display()
                ))
                .arg("--mirror")
                .arg("https://registry.npmjs.org/rb-check=file:///nowhere")
                .args([
                    "--json",
                    "rebuild",
                    "--allow-equivalent",
                    "--purl",
                    "pkg:npm/rb-check@1.0.0",
                ])
                .args([
                    "--source",
                    &format!("https://github.com/rb-example/check@{commit}"),
                ])
                .args(["--tool", &format!("node={node}"), "--tool", &format!("npm={npm}")])
                .args(recipe)
                .arg(folder.path().join("rb-check-1.0.0.tgz"))
                .output()
                .unwrap()
        };
        // Another build of node may compress otherwise; the files are the same.
        let output = rebuild(&["--recipe", "npm-scripts"]);
        assert_eq!(code(&output), 0, "{name}: {}", text(&output));
        // No document says which scripts ran: what npm publish runs is inferred.
        let output = rebuild(&[]);
        assert_eq!(code(&output), 0, "{name}: {}", text(&output));
    }
}

/// Wheels whose first plan gives other bytes, and what the second or a later one changes.
const TRIED: &[(&str, &str)] = &[
    ("pypi:google-cloud-storage==2.13.0", "setuptools"),
    ("pypi:websocket-client==1.6.4", "setuptools"),
];
/// Wheels that show what they were built on: Windows, another Python, a backend that asks for more, an old setuptools,
/// requirements that contradict the release, unsorted folders.
const READ_OFF: &[&str] = &[
    "pypi:send2trash==1.8.2",
    "pypi:google-api-core==2.13.0",
    "pypi:typer==0.9.0",
    "pypi:ply==3.11",
    "pypi:text-unidecode==1.3",
    "pypi:poetry-core==1.8.1",
];

#[apply(test)]
fn what_differs_leads_to_the_plan_that_gives_the_release() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    for (index, (subject, changed)) in TRIED.iter().enumerate() {
        let run = folder.path().join(index.to_string());
        let output = rebuilder()
            .args(["--json", "rebuild", subject, "--out"])
            .arg(&run)
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{subject}: {}", text(&output));
        let document = json(&output);
        let attempts = document["attempts"].as_array().unwrap();
        assert!(attempts.len() > 1, "{subject}");
        assert_eq!(attempts[0]["ended"], "not-reproduced", "{subject}");
        let chosen = attempts.iter().find(|attempt| attempt["chosen"] == true).unwrap();
        assert!(
            chosen["because"].as_str().unwrap().contains(changed),
            "{subject}: {chosen}"
        );
        assert_eq!(chosen["plan"], document["plan"], "{subject}");
        assert!(
            run.join("attempts/1/plan.json").is_file(),
            "{subject}: the first plan is gone"
        );
        let plan = fs::read_to_string(run.join("plan.json")).unwrap();
        assert!(
            plan.contains("\"tried\""),
            "{subject}: the plan does not say what was tried"
        );
    }
    // With a single attempt, what the first plan gave is the answer.
    let output = rebuilder()
        .args(["--json", "rebuild", TRIED[0].0, "--attempts", "1"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(json(&output).get("attempts").is_none());
}

#[apply(test)]
fn a_wheel_shows_the_surroundings_of_its_build() {
    needs(&[NETWORK, SANDBOX]);
    for subject in READ_OFF {
        let output = rebuilder()
            .args(["--json", "rebuild", subject, "--attempts", "1"])
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{subject}: {}", text(&output));
    }
}

#[apply(test)]
fn compiled_wheels_end_with_the_compiler_as_cause() {
    needs(&[NETWORK, SANDBOX]);
    let subject = "pkg:pypi/markupsafe@2.1.3?file_name=MarkupSafe-2.1.3-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl";
    let output = rebuilder()
        .args(["--json", "rebuild", subject, "--attempts", "1"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    let document = json(&output);
    let causes = document["outputs"][0]["differs"]["causes"].as_array().unwrap();
    assert!(
        causes
            .iter()
            .any(|cause| cause["cause"] == "tool-version" && cause["key"].as_str().unwrap().contains("GCC")),
        "{causes:?}"
    );
    let foreign = "pkg:pypi/markupsafe@2.1.3?file_name=MarkupSafe-2.1.3-cp311-cp311-macosx_10_9_x86_64.whl";
    let output = rebuilder().args(["--json", "rebuild", foreign]).output().unwrap();
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(text(&output).contains("64-bit Linux"), "{}", text(&output));
}

#[apply(test)]
fn a_buildinfo_names_the_packages_and_the_path() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let plan = common::plan("deb:ucf");
    let released = &plan["expected"][0]["file"];
    let (name, subject) = (
        released["name"].as_str().unwrap(),
        plan["subject"].as_str().unwrap(),
    );
    let version = name.split('_').nth(1).unwrap();
    let installed: Vec<String> = plan["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|input| input["role"] == "dependency")
        .map(|input| {
            let name = input["file"]["name"].as_str().unwrap();
            let purl = input["purl"].as_str().unwrap();
            let version = purl.split('@').nth(1).unwrap().split('?').next().unwrap();
            let version = version
                .replace("%2B", "+")
                .replace("%3A", ":")
                .replace("%7E", "~");
            format!(" {} (= {version})", name.split('_').next().unwrap())
        })
        .collect();
    let write = |installed: &[String]| {
        let text = format!(
            "Format: 1.0\nSource: ucf\nBinary: ucf\nArchitecture: all source\nVersion: {version}\nChecksums-Sha256:\n {} {} {name}\nBuild-Origin: Debian\nBuild-Architecture: amd64\nBuild-Date: Tue, 24 Nov 2026 00:00:00 +0000\nBuild-Path: /build/elsewhere/ucf-{version}\nInstalled-Build-Depends:\n{}\nEnvironment:\n DEB_BUILD_OPTIONS=\"parallel=1\"\n LC_ALL=\"C.UTF-8\"\n",
            released["sha256"].as_str().unwrap(),
            released["size"],
            installed.join(",\n"),
        );
        let path = folder.path().join("ucf.buildinfo");
        fs::write(&path, text).unwrap();
        path
    };
    // The dated snapshot is today's archive: what it lacks, no archive has.
    let dated = |archive: &str| format!("https://snapshot.debian.org/archive/{archive}/20261124T000000Z");
    let rebuild = |path: &Path| {
        let mut command = rebuilder();
        for archive in ["debian", "debian-security"] {
            command
                .arg("--mirror")
                .arg(format!("{}=https://deb.debian.org/{archive}", dated(archive)));
        }
        command
            .args(["--json", "rebuild", subject, "--provenance"])
            .arg(path)
            .output()
            .unwrap()
    };
    let output = rebuild(&write(&installed));
    assert_eq!(code(&output), 0, "{}", text(&output));
    let run = json(&output)["run"].as_str().unwrap().to_owned();
    let plan = fs::read_to_string(Path::new(&run).join("plan.json")).unwrap();
    assert!(
        plan.contains("/build/elsewhere/ucf-"),
        "the path of the record was not taken"
    );
    assert!(
        plan.contains("nocheck parallel=1"),
        "the options of the record were not taken"
    );
    assert!(
        plan.contains("the .buildinfo"),
        "the plan does not name its source"
    );

    let mut more = installed;
    more.push(" debhelper-of-another-time (= 99)".to_owned());
    let output = rebuild(&write(&more));
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("debhelper-of-another-time 99"),
        "{}",
        text(&output)
    );
}
