//! Real pip, with an index on this machine.

use std::fs;
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

#[apply(test)]
fn pip_installs_what_has_a_quorum_and_nothing_else() {
    needs(&[PIP]);
    let scene = Scene::new();
    let files = scene.path("files");
    fs::create_dir(&files).unwrap();
    let app = packages::wheel(&files, "gateapp", &["gatelib"]);
    let lib = packages::wheel(&files, "gatelib", &[]);
    // Its code would leave a file, whoever resolves it.
    let mark = scene.path("ran");
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
    let server = index(files.clone());
    let target = scene.path("target");
    let install = |what: &[&str]| -> Output {
        let mut gate = scene.gate("pip");
        gate.args(["--", "install", "--target"]).arg(&target);
        gate.args([
            "--index-url",
            &format!("{}/simple", server.url()),
            "--no-cache-dir",
        ])
        .args(what);
        gate.output().unwrap()
    };
    scene.vouch(&app);
    let output = install(&["gateapp"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("pkg:pypi/gatelib@1.0: refused"),
        "{}",
        text(&output)
    );
    assert!(!target.join("gateapp.py").exists());
    scene.vouch(&lib);
    let output = install(&["gateapp"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(target.join("gateapp.py").exists() && target.join("gatelib.py").exists());
    // A source distribution is not even resolved.
    let output = install(&["gatesource"]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    let output = install(&[&format!("{}/files/gatesource-1.0.tar.gz", server.url())]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(!mark.exists());
    // pip would see a second line in each of these, or another file.
    let source = format!("{}/files/gatesource-1.0.tar.gz", server.url());
    let list = scene.path("list.txt");
    for line in [
        format!("gateapp\r{source}\n"),
        format!("# all\u{85}{source}\n"),
        format!("# all\u{c}{source}\n"),
        format!("# \\\n{source}\n"),
        format!("--pre -e {source}\n"),
    ] {
        fs::write(&list, &line).unwrap();
        let output = install(&["-r", list.to_str().unwrap()]);
        assert_eq!(code(&output), 2, "{line:?}: {}", text(&output));
    }
    fs::write(&list, format!("{source}\n")).unwrap();
    for name in ["PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_EDITABLE"] {
        let output = scene
            .gate("pip")
            .env(name, &list)
            .args(["--", "install", "gateapp"])
            .output()
            .unwrap();
        assert_eq!(code(&output), 2, "{name}: {}", text(&output));
    }
    assert!(!mark.exists());
    // What both read is installed.
    fs::write(&list, "# \\\ngateapp \\\n  # the rest\n").unwrap();
    fs::remove_dir_all(&target).unwrap();
    let output = install(&["-r", list.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(target.join("gateapp.py").exists());
    // The index changes the file once it was checked.
    fs::remove_dir_all(&target).unwrap();
    fs::write(&lib, fs::read(&app).unwrap()).unwrap();
    let output = install(&["gatelib"]);
    assert_ne!(code(&output), 0, "{}", text(&output));
    assert!(!target.exists());
}
