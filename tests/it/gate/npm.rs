//! Real npm, with a registry on this machine.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::Digest as _;

use super::{NPM, Scene, packages};
use crate::common::http::{Reply, Server};
use crate::common::{code, needs, text};

/// A registry with one version of each tarball in a folder.
fn registry(folder: std::path::PathBuf) -> Server {
    Server::new(move |path| {
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        if let Ok(bytes) = fs::read(folder.join(&last)) {
            return Reply::ok(bytes);
        }
        let Ok(bytes) = fs::read(folder.join(format!("{last}-1.0.0.tgz"))) else {
            return Reply::status(404);
        };
        let port = fs::read_to_string(folder.join("port")).unwrap();
        let integrity = format!("sha512-{}", STANDARD.encode(sha2::Sha512::digest(&bytes)));
        let dist =
            json!({"tarball": format!("http://{port}/files/{last}-1.0.0.tgz"), "integrity": integrity});
        let version = json!({"name": last, "version": "1.0.0", "dist": dist, "hasInstallScript": true});
        let packument =
            json!({"name": last, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}});
        Reply::ok(packument.to_string())
    })
}

const MANIFEST: &str = "{\"name\":\"project\",\"version\":\"1.0.0\",\"private\":true}\n";

/// A project, and a registry with a package that somebody vouches for and one that nobody does.
struct Place {
    scene: Scene,
    _server: Server,
    project: PathBuf,
    good: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scene = Scene::new();
        let files = scene.path("files");
        fs::create_dir(&files).unwrap();
        let good = packages::npm(&files, "gategood");
        packages::npm(&files, "gateunknown");
        let server = registry(files.clone());
        fs::write(files.join("port"), server.host()).unwrap();
        let project = scene.path("project");
        fs::create_dir(&project).unwrap();
        fs::write(project.join("package.json"), MANIFEST).unwrap();
        let settings = format!(
            "registry={}/\ncache={}\nupdate-notifier=false\nfetch-retries=0\n",
            server.url(),
            scene.path("cache").display()
        );
        fs::write(project.join(".npmrc"), settings).unwrap();
        Self {
            scene,
            _server: server,
            project,
            good,
        }
    }

    /// The same with the good package installed.
    fn installed() -> Self {
        let place = Self::new();
        place.scene.vouch(&place.good);
        let output = place.npm(&["install", "gategood"]);
        assert_eq!(code(&output), 0, "{}", text(&output));
        place
    }

    fn npm(&self, arguments: &[&str]) -> Output {
        let mut gate = self.scene.gate("npm");
        gate.arg("--").args(arguments).current_dir(&self.project);
        gate.output().unwrap()
    }
}

#[apply(test)]
fn npm_installs_what_has_a_quorum_and_nothing_else() {
    needs(&[NPM]);
    let place = Place::new();
    let output = place.npm(&["install", "gategood"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("pkg:npm/gategood@1.0.0: refused"),
        "{}",
        text(&output)
    );
    assert!(!place.project.join("ran").exists() && !place.project.join("node_modules").exists());
    // What was refused is not in the project's files.
    assert_eq!(
        fs::read_to_string(place.project.join("package.json")).unwrap(),
        MANIFEST
    );
    assert!(!place.project.join("package-lock.json").exists());
    place.scene.vouch(&place.good);
    let output = place.npm(&["install", "gategood"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(
        place.project.join("ran").exists() && place.project.join("node_modules/gategood/index.js").exists()
    );
    fs::remove_dir_all(place.project.join("node_modules")).unwrap();
    let output = place.npm(&["ci"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(place.project.join("node_modules/gategood/index.js").exists());
    let locked = fs::read(place.project.join("package-lock.json")).unwrap();
    let output = place.npm(&["install", "gateunknown"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert_eq!(fs::read(place.project.join("package-lock.json")).unwrap(), locked);
    assert!(!place.project.join("node_modules/gateunknown").exists());
}

#[apply(test)]
fn npm_installs_this_project_from_its_lock_file_alone() {
    needs(&[NPM]);
    let place = Place::installed();
    // Only a registry's packages can be checked.
    for other in ["./folder", "owner/repository", "git+https://h.example/r"] {
        assert_eq!(code(&place.npm(&["install", other])), 2, "{other}");
    }
    // What is installed is this project, from its lock file.
    let other = place.scene.path("other").display().to_string();
    for option in [
        format!("--prefix={other}"),
        format!("--pre={other}"),
        "--os=darwin".into(),
        "-g".into(),
    ] {
        for command in ["ci", "install"] {
            let output = place.npm(&[command, &option]);
            assert_eq!(code(&output), 2, "{command} {option}: {}", text(&output));
        }
    }
    let shrinkwrap = place.project.join("npm-shrinkwrap.json");
    fs::write(
        &shrinkwrap,
        fs::read(place.project.join("package-lock.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(code(&place.npm(&["ci"])), 2);
    fs::remove_file(&shrinkwrap).unwrap();
    let below = place.project.join("below");
    fs::create_dir(&below).unwrap();
    fs::write(
        below.join("package-lock.json"),
        fs::read(place.project.join("package-lock.json")).unwrap(),
    )
    .unwrap();
    let output = place
        .scene
        .gate("npm")
        .args(["--", "ci"])
        .current_dir(&below)
        .output()
        .unwrap();
    assert!(
        text(&output).contains("it would install into"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn files_and_settings_do_not_lead_npm_elsewhere() {
    needs(&[NPM]);
    let place = Place::installed();
    let other = place.scene.path("other").display().to_string();
    // npm would pack this file, as its name and version are those of the lock file.
    let manifest = fs::read_to_string(place.project.join("package.json")).unwrap();
    let evil = packages::npm(&place.project, "gategood");
    let evil = evil.file_name().unwrap().to_str().unwrap();
    fs::write(
        place.project.join("package.json"),
        manifest.replace("^1.0.0", &format!("file:{evil}")),
    )
    .unwrap();
    let output = place.npm(&["ci"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("package.json takes it from"),
        "{}",
        text(&output)
    );
    fs::write(place.project.join("package.json"), &manifest).unwrap();
    // Settings do not move it either.
    fs::remove_dir_all(place.project.join("node_modules")).unwrap();
    let mut gate = place.scene.gate("npm");
    gate.args(["--", "ci"]).current_dir(&place.project);
    gate.env("NPM_CONFIG_PREFIX", &other)
        .env("NPM_CONFIG_GLOBAL", "true")
        .env("NPM_CONFIG_OS", "darwin");
    let output = gate.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(place.project.join("node_modules/gategood/index.js").exists());
    assert!(!place.scene.path("other").exists());
}

/// The registry's bytes are those of a package that somebody vouches for, and the lock file calls them something else.
#[apply(test)]
fn a_package_is_not_taken_for_another_one() {
    needs(&[NPM]);
    let place = Place::installed();
    for name in ["package.json", "package-lock.json"] {
        let file = place.project.join(name);
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("\"gategood\"", "\"left-pad\"");
        fs::write(
            &file,
            text.replace("\"node_modules/gategood\"", "\"node_modules/left-pad\""),
        )
        .unwrap();
    }
    let output = place.npm(&["ci"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("pkg:npm/left-pad@1.0.0")
            && text(&output).contains("its package.json says pkg:npm/gategood@1.0.0"),
        "{}",
        text(&output)
    );
    assert!(!place.project.join("node_modules/left-pad").exists());
}
