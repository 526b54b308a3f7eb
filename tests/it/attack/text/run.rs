//! Text that a build prints and leaves.

use std::io::Read as _;
use std::path::Path;

use crate::attack::ground::{Ground, must};
use crate::common;
use serde_json::{Value, json};

use super::{EVIL, both, changed, evil_name, on_a_terminal, print_evil, raw, rebuilt, shown};

pub(super) fn log(ground: &Ground) -> Result<(), String> {
    let output = ground.container(
        &[],
        &format!("{}; printf '\\377\\303\\n'; {} >&2", print_evil(), print_evil()),
    );
    // Lines of a log are the command's own.
    let text = String::from_utf8_lossy(&output.stdout)
        .replace("\nFORGED", "\n(line) FORGED")
        .replace("\nerror:", "\n(line) error:");
    shown("container run", text.as_bytes())?;
    must(text.contains("<FF><C3>"), format!("bytes were dropped: {text}"))
}

pub(super) fn live_line(ground: &Ground) -> Result<(), String> {
    let slowly = format!("for i in 1 2 3 4 5; do {}; sleep 0.2; done", print_evil());
    let plan = common::plan("pypi:idna==3.10");
    let file = changed(ground, &plan, &slowly);
    let mut command = ground.rebuilder();
    command
        .args(["rebuild", "--backend", ground.backend, "--plan"])
        .arg(file);
    command.arg("--out").arg(ground.folder().join("run"));
    let text = on_a_terminal(&command);
    must(
        raw(&text).is_none(),
        format!("U+{:04X} in {text:?}", raw(&text).map_or(0, u32::from)),
    )?;
    must(text.contains("FORGED"), format!("(nothing was shown) {text}"))
}

pub(super) fn outputs(ground: &Ground) -> Result<(), String> {
    both("rebuild --json", &rebuilt(ground, &["--json"]))?;
    both("rebuild", &rebuilt(ground, &[]))?;
    let report = ground.folder().join("run/report.html");
    shown("the page", &std::fs::read(report).unwrap())
}

pub(super) fn bundle(ground: &Ground) -> Result<(), String> {
    let _ = rebuilt(ground, &[]);
    let archive = ground.folder().join("e.tar.gz");
    let mut command = ground.rebuilder();
    command
        .args(["evidence", "export"])
        .arg(ground.folder().join("run"))
        .arg("--out")
        .arg(&archive);
    let output = command.output().unwrap();
    must(
        output.status.success(),
        format!("(no bundle) {}", common::text(&output)),
    )?;
    let changed = with_manifest(&archive, |manifest| {
        manifest["subject"] = json!(EVIL);
        manifest["verdict"] = json!(EVIL);
        manifest["run"] = json!(EVIL);
        manifest["files"][0]["path"] = json!(EVIL);
        manifest["files"][0]["what"] = json!(EVIL);
    });
    let path = ground.write(&format!("SEEN{}.tar.gz", evil_name()), changed);
    for options in [&[][..], &["--json"]] {
        let mut command = ground.rebuilder();
        both(
            "evidence verify",
            &command
                .args(options)
                .args(["evidence", "verify"])
                .arg(&path)
                .output()
                .unwrap(),
        )?;
    }
    let broken = with_manifest(&archive, |manifest| {
        *manifest = json!({"version": EVIL, EVIL: EVIL});
    });
    let path = ground.write("SEEN.tar.gz", broken);
    both(
        "a broken one",
        &ground
            .rebuilder()
            .args(["evidence", "verify"])
            .arg(&path)
            .output()
            .unwrap(),
    )
}

/// The archive with a manifest that was changed.
fn with_manifest(archive: &Path, change: impl Fn(&mut Value)) -> Vec<u8> {
    let bytes = std::fs::read(archive).unwrap();
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    let mut members = tar::Archive::new(flate2::read::MultiGzDecoder::new(&bytes[..]));
    for member in members.entries().unwrap() {
        let mut member = member.unwrap();
        let mut header = member.header().clone();
        let name = member.path().unwrap().into_owned();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        if name.ends_with("manifest.json") {
            let mut manifest: Value = serde_json::from_slice(&content).unwrap();
            change(&mut manifest);
            content = manifest.to_string().into_bytes();
            header.set_size(content.len() as u64);
        }
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
