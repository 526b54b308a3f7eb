//! Real cargo, with a sparse registry on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rebuilder::artifact::Sha256;
use serde_json::json;

use super::{CARGO, Scene, packages};
use crate::common::http::{Reply, Server};
use crate::common::{code, needs, text};

/// A sparse registry with one crate, from a folder.
fn registry(folder: PathBuf) -> Server {
    Server::new(move |path| {
        let host = fs::read_to_string(folder.join("host")).unwrap();
        let bytes = fs::read(folder.join("gatedep-1.0.0.crate")).unwrap();
        match path {
            "/config.json" => Reply::ok(json!({"dl": format!("http://{host}/dl")}).to_string()),
            "/ga/te/gatedep" => {
                let line = json!({
                    "name": "gatedep", "vers": "1.0.0", "deps": [], "cksum": Sha256::of(&bytes).to_hex(),
                    "features": {}, "yanked": false
                });
                Reply::ok(format!("{line}\n"))
            }
            "/dl/gatedep/1.0.0/download" => Reply::ok(bytes),
            _ => Reply::status(404),
        }
    })
}

/// A project that takes the crate from the registry at `url`.
fn write_project(project: &Path, url: &str) {
    fs::create_dir_all(project.join("src")).unwrap();
    fs::create_dir(project.join(".cargo")).unwrap();
    let put = |name: &str, text: &str| fs::write(project.join(name), text).unwrap();
    put("src/lib.rs", "pub use gatedep::one;\n");
    put(
        "Cargo.toml",
        "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n\
         gatedep = { version = \"1\", registry = \"here\" }\n[workspace]\n",
    );
    put(
        ".cargo/config.toml",
        &format!("[registries.here]\nindex = \"sparse+{url}/\"\n"),
    );
}

#[apply(test)]
fn cargo_compiles_what_has_a_quorum_and_nothing_else() {
    needs(&[CARGO]);
    let scene = Scene::new();
    let files = scene.path("files");
    fs::create_dir(&files).unwrap();
    let file = packages::krate(&files, "gatedep");
    let server = registry(files.clone());
    fs::write(files.join("host"), server.host()).unwrap();
    let project = scene.path("project");
    write_project(&project, &server.url());
    let mark = scene.path("ran");
    let command = |program: &mut std::process::Command| -> Output {
        program
            .current_dir(&project)
            .env("GATE_MARK", &mark)
            .env("CARGO_HOME", scene.path("cargo"));
        for name in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(name) {
                program.env(name, value);
            }
        }
        // rustup finds its toolchains by the home of whoever runs the tests.
        program.env("HOME", std::env::var_os("HOME").unwrap_or_default());
        program.output().unwrap()
    };
    let locked = command(std::process::Command::new("cargo").arg("generate-lockfile"));
    assert!(locked.status.success(), "{}", text(&locked));
    let build = || command(scene.gate("cargo").args(["--", "check"]));
    let output = build();
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("pkg:cargo/gatedep@1.0.0: refused"),
        "{}",
        text(&output)
    );
    assert!(!mark.exists());
    scene.vouch(&file);
    let output = build();
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(mark.exists());
    // Vendored sources take the registry's place, and cargo does not compare them with the crate, which is still in its cache.
    fs::remove_file(&mark).unwrap();
    let settings = project.join(".cargo/config.toml");
    let usual = fs::read_to_string(&settings).unwrap();
    let vendored = format!(
        "{usual}[source.here]\nregistry = \"sparse+{}/\"\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"{}\"\n",
        server.url(),
        project.join("vendor").display()
    );
    let vendor = project.join("vendor/gatedep");
    fs::create_dir_all(vendor.join("src")).unwrap();
    fs::write(
        vendor.join("Cargo.toml"),
        "[package]\nname = \"gatedep\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
    )
    .unwrap();
    fs::write(vendor.join("src/lib.rs"), "pub fn one() -> u8 { 2 }\n").unwrap();
    let sum = json!({"files": {}, "package": Sha256::of(fs::read(&file).unwrap()).to_hex()});
    fs::write(vendor.join(".cargo-checksum.json"), sum.to_string()).unwrap();
    fs::write(&settings, &vendored).unwrap();
    let output = build();
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("cargo compiles it from"),
        "{}",
        text(&output)
    );
    // The same by an option.
    fs::write(&settings, &usual).unwrap();
    fs::write(scene.path("more.toml"), &vendored).unwrap();
    let more = scene.path("more.toml").display().to_string();
    let output = command(scene.gate("cargo").args(["--", "check", "--config", &more]));
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("cargo compiles it from"),
        "{}",
        text(&output)
    );
    let output = command(
        scene
            .gate("cargo")
            .args(["--", "check", "--lockfile-path", "other/Cargo.lock"]),
    );
    assert_eq!(code(&output), 2, "{}", text(&output));
    // Bytes in cargo's own cache that are not those of the lock file.
    let cache = scene.path("cargo/registry/cache");
    let cached = fs::read_dir(cache)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join("gatedep-1.0.0.crate");
    fs::write(cached, "other").unwrap();
    let output = build();
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert_eq!(
        code(&command(scene.gate("cargo").args(["--", "install", "ripgrep"]))),
        2
    );
}
