//! Small packages of each ecosystem, made by the test.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

/// A Debian package for all architectures with one file.
pub(super) fn deb(folder: &Path, name: &str, content: &str) -> PathBuf {
    deb_with_epoch(folder, name, content, "")
}

/// The same with an epoch, such as `1:`, which no archive has in the name of the file.
pub(super) fn deb_with_epoch(folder: &Path, name: &str, content: &str, epoch: &str) -> PathBuf {
    let tree = folder.join(format!("{name}-tree"));
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::create_dir_all(tree.join("usr/share").join(name)).unwrap();
    fs::write(tree.join("usr/share").join(name).join("content"), content).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {epoch}1.0-1\nArchitecture: all\nMaintainer: A <a@b.example>\nDescription: a test\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let file = folder.join(format!("{name}_1.0-1_all.deb"));
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .arg(&tree)
        .arg(&file));
    fs::remove_dir_all(tree).unwrap();
    file
}

/// A pure wheel with one module.
pub(super) fn wheel(folder: &Path, name: &str, requires: &[&str]) -> PathBuf {
    let file = folder.join(format!("{name}-1.0-py3-none-any.whl"));
    let info = format!("{name}-1.0.dist-info");
    let mut metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    for other in requires {
        metadata.push_str(&format!("Requires-Dist: {other}\n"));
    }
    let wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let members = [
        (format!("{name}.py"), "value = 1\n".to_owned()),
        (format!("{info}/METADATA"), metadata),
        (format!("{info}/WHEEL"), wheel.to_owned()),
        (
            format!("{info}/RECORD"),
            format!("{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"),
        ),
    ];
    let mut zip = zip::ZipWriter::new(fs::File::create(&file).unwrap());
    for (path, text) in members {
        zip.start_file(path, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    file
}

/// A gzipped tar file.
pub(super) fn tarball(file: &Path, members: &[(String, String)]) {
    let gzip = flate2::write::GzEncoder::new(fs::File::create(file).unwrap(), flate2::Compression::default());
    let mut tar = tar::Builder::new(gzip);
    for (path, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

/// An npm package whose script leaves a file in the project that installs it.
pub(super) fn npm(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}-1.0.0.tgz"));
    let script = "node -e \\\"require('fs').writeFileSync(process.env.INIT_CWD+'/ran','')\\\"";
    let manifest =
        format!("{{\"name\":\"{name}\",\"version\":\"1.0.0\",\"scripts\":{{\"postinstall\":\"{script}\"}}}}");
    tarball(
        &file,
        &[
            ("package/package.json".into(), manifest),
            ("package/index.js".into(), "1\n".into()),
        ],
    );
    file
}

/// A crate whose build script fails unless a file may be written.
pub(super) fn krate(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}-1.0.0.crate"));
    let top = format!("{name}-1.0.0");
    let manifest = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
    let build = "fn main() { std::fs::write(std::env::var(\"GATE_MARK\").unwrap(), \"\").unwrap(); }\n";
    tarball(
        &file,
        &[
            (format!("{top}/Cargo.toml"), manifest),
            (format!("{top}/build.rs"), build.into()),
            (format!("{top}/src/lib.rs"), "pub fn one() -> u8 { 1 }\n".into()),
        ],
    );
    file
}
