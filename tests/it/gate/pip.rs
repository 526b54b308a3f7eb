//! Real pip, with an index on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rebuilder::artifact::Sha256;

use super::{PIP, Scene, packages};
use crate::common::http::{Reply, Server};
use crate::common::{code, needs, text};

/// An index with every file of a folder.
fn index(folder: std::path::PathBuf) -> Server {
    Server::new(move |path| {
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if let Ok(bytes) = fs::read(folder.join(last)) {
            return Reply::ok(bytes);
        }
        let mut page = String::from("<!DOCTYPE html><html><body>\n");
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.split('-').next() == Some(last) {
                let digest = Sha256::of(fs::read(entry.path()).unwrap());
                page.push_str(&format!("<a href=\"/files/{name}#sha256={digest}\">{name}</a>\n"));
            }
        }
        let headers = vec![("content-type", "text/html".to_owned())];
        Reply::Give(200, headers, page.into_bytes())
    })
}

/// Packages that are vouched for one by one, and a source distribution whose code would leave a mark.
struct Place {
    scene: Scene,
    app: PathBuf,
    lib: PathBuf,
    mark: PathBuf,
    target: PathBuf,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let scene = Scene::new();
        let files = scene.path("files");
        fs::create_dir(&files).unwrap();
        let mark = scene.path("ran");
        source(&files, &mark);
        Self {
            app: packages::wheel(&files, "gateapp", &["gatelib"]),
            lib: packages::wheel(&files, "gatelib", &[]),
            mark,
            target: scene.path("target"),
            server: index(files),
            scene,
        }
    }

    /// The same with both packages vouched for.
    fn vouched() -> Self {
        let place = Self::new();
        place.scene.vouch(&place.app);
        place.scene.vouch(&place.lib);
        place
    }

    fn install(&self, what: &[&str]) -> Output {
        let mut gate = self.scene.gate("pip");
        gate.args(["--", "install", "--target"]).arg(&self.target);
        gate.args([
            "--index-url",
            &format!("{}/simple", self.server.url()),
            "--no-cache-dir",
        ])
        .args(what);
        gate.output().unwrap()
    }
}

/// Its code would leave a file, whoever resolves it.
fn source(files: &Path, mark: &Path) {
    let setup = format!(
        "open('{}', 'w')\nfrom setuptools import setup\nsetup(name='gatesource', version='1.0')\n",
        mark.display()
    );
    packages::tarball(
        &files.join("gatesource-1.0.tar.gz"),
        &[
            ("gatesource-1.0/setup.py".into(), setup),
            (
                "gatesource-1.0/PKG-INFO".into(),
                "Metadata-Version: 2.1\nName: gatesource\nVersion: 1.0\n".into(),
            ),
        ],
    );
}

#[apply(test)]
fn pip_installs_what_has_a_quorum_and_nothing_else() {
    needs(&[PIP]);
    let place = Place::new();
    place.scene.vouch(&place.app);
    let output = place.install(&["gateapp"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("pkg:pypi/gatelib@1.0: refused"),
        "{}",
        text(&output)
    );
    assert!(!place.target.join("gateapp.py").exists());
    place.scene.vouch(&place.lib);
    let output = place.install(&["gateapp"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(place.target.join("gateapp.py").exists() && place.target.join("gatelib.py").exists());
    // The index changes the file once it was checked.
    fs::remove_dir_all(&place.target).unwrap();
    fs::write(&place.lib, fs::read(&place.app).unwrap()).unwrap();
    let output = place.install(&["gatelib"]);
    assert_ne!(code(&output), 0, "{}", text(&output));
    assert!(!place.target.exists());
}

#[apply(test)]
fn pip_runs_no_source_and_reads_what_the_gate_read() {
    needs(&[PIP]);
    let place = Place::vouched();
    // A source distribution is not even resolved.
    let output = place.install(&["gatesource"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    let output = place.install(&[&format!("{}/files/gatesource-1.0.tar.gz", place.server.url())]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(!place.mark.exists());
    // pip would see a second line in each of these, or another file.
    let source = format!("{}/files/gatesource-1.0.tar.gz", place.server.url());
    let list = place.scene.path("list.txt");
    for line in [
        format!("gateapp\r{source}\n"),
        format!("# all\u{85}{source}\n"),
        format!("# all\u{c}{source}\n"),
        format!("# \\\n{source}\n"),
        format!("--pre -e {source}\n"),
    ] {
        fs::write(&list, &line).unwrap();
        let output = place.install(&["-r", list.to_str().unwrap()]);
        assert_eq!(code(&output), 2, "{line:?}: {}", text(&output));
    }
    fs::write(&list, format!("{source}\n")).unwrap();
    for name in ["PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_EDITABLE"] {
        let output = place
            .scene
            .gate("pip")
            .env(name, &list)
            .args(["--", "install", "gateapp"])
            .output()
            .unwrap();
        assert_eq!(code(&output), 2, "{name}: {}", text(&output));
    }
    assert!(!place.mark.exists());
    // What both read is installed.
    fs::write(&list, "# \\\ngateapp \\\n  # the rest\n").unwrap();
    let output = place.install(&["-r", list.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(place.target.join("gateapp.py").exists());
}
