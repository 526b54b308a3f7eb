//! What an index of packages, or a mirror, may have opened.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::attack::ground::{Ground, must};
use crate::common;
use rebuilder::artifact::Sha256;
use serde_json::json;

use super::{
    Server, file, index, inspect, ok, own_addresses, page, private_file, refused, stored, unheld,
    where_names_lie, with_files,
};

pub(super) fn index_names_files(ground: &Ground) -> Result<(), String> {
    let (path, content, digest) = private_file(ground, "secret");
    for (url, known) in [
        (format!("file://{path}"), true),
        (format!("file://{path}"), false),
        (format!("FILE://localhost{path}"), true),
        (format!("file:{path}"), true),
        (path.clone(), true),
        (format!("/proc/self/root{path}"), true),
    ] {
        let named = if known { digest } else { unheld(ground) };
        let index = index(vec![file(&url, &named, content.len())]);
        let output = inspect(ground, &index, &[]);
        refused(&output)?;
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
        let told = common::text(&output).contains(&digest.to_hex()) && !known;
        must(!told, format!("the error tells the digest of {url}"))?;
    }
    Ok(())
}

/// Where attestations lie, by an index whose file is all right.
fn attested(url: &str) -> Server {
    let wheel = b"a wheel";
    let mut entry = file(
        "https://files.pythonhosted.org/packages/w.whl",
        &Sha256::of(wheel),
        wheel.len(),
    );
    entry["provenance"] = json!(url);
    Server::new(move |path| {
        if path.starts_with("/packages/") {
            ok(wheel)
        } else {
            page(std::slice::from_ref(&entry))
        }
    })
}

pub(super) fn attestations_are_files(ground: &Ground) -> Result<(), String> {
    let (path, content, digest) = private_file(ground, "secret");
    for url in [
        format!("file://{path}"),
        format!("file:{path}"),
        format!("File://{path}"),
    ] {
        let server = attested(&url);
        let output = inspect(ground, &server, &["--mirror", &with_files(&server)]);
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
        let text = common::text(&output);
        let content = String::from_utf8_lossy(&content).into_owned();
        must(
            !text.contains(content.trim()),
            format!("the content is told: {text}"),
        )?;
    }
    Ok(())
}

fn mkfifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
}

pub(super) fn pipes(ground: &Ground) -> Result<(), String> {
    fs::create_dir_all(ground.folder().join("pool")).unwrap();
    let pipe = ground.folder().join("pool/pipe");
    mkfifo(&pipe);
    let map = format!(
        "https://a.internal/pool=file://{}/pool",
        ground.folder().display()
    );
    for (url, mirror) in [
        (format!("file://{}", pipe.display()), None),
        ("https://a.internal/pool/pipe".to_owned(), Some(&map)),
    ] {
        let server = index(vec![file(&url, &unheld(ground), 1)]);
        let more: Vec<&str> = mirror.iter().flat_map(|map| ["--mirror", map.as_str()]).collect();
        let begun = Instant::now();
        let output = inspect(ground, &server, &more);
        refused(&output).map_err(|gained| format!("{url}: {gained}"))?;
        must(begun.elapsed() < Duration::from_secs(15), format!("{url} hangs"))?;
    }
    Ok(())
}

pub(super) fn paths_out_of_a_mirror(ground: &Ground) -> Result<(), String> {
    let (path, content, digest) = private_file(ground, "private");
    fs::create_dir_all(ground.folder().join("pool/deep")).unwrap();
    fs::create_dir_all(ground.folder().join("pool-private")).unwrap();
    fs::write(ground.folder().join("pool-private/x"), &content).unwrap();
    std::os::unix::fs::symlink(&path, ground.folder().join("pool/link")).unwrap();
    std::os::unix::fs::symlink(ground.folder(), ground.folder().join("pool/deep/up")).unwrap();
    let map = |prefix: &str| format!("{prefix}=file://{}/pool", ground.folder().display());
    for (prefix, rest) in [
        ("https://a.internal/pool", "/../private"),
        ("https://a.internal/pool", "/%2e%2e/private"),
        ("https://a.internal/pool", "/..%2fprivate"),
        ("https://a.internal/pool", "/..%2Fprivate"),
        ("https://a.internal/pool", "/deep/..%2f..%2fprivate"),
        ("https://a.internal/pool", "/..\\private"),
        ("https://a.internal/pool", "-private/x"),
        ("https://a.internal/pool", "/link"),
        ("https://a.internal/pool", "/deep/up/private"),
        ("https://a.internal/", "-private/x"),
        ("https://a.internal/", "%2e%2e%2fprivate"),
    ] {
        let url = format!("{prefix}{rest}");
        let server = index(vec![file(&url, &digest, content.len())]);
        let output = inspect(ground, &server, &["--mirror", &map(prefix)]);
        refused(&output).map_err(|gained| format!("{url}: {gained}"))?;
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
    }
    Ok(())
}

pub(super) fn services_by_file(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for url in own_addresses(service.port) {
        let index = index(vec![file(&url, &unheld(ground), 8)]);
        let output = inspect(ground, &index, &[]);
        service.untouched(&url)?;
        refused(&output).map_err(|gained| format!("{url}: {gained}"))?;
    }
    Ok(())
}

pub(super) fn services_by_attestation(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for url in own_addresses(service.port).into_iter().take(6) {
        let server = attested(&url);
        inspect(ground, &server, &["--mirror", &with_files(&server)]);
        service.untouched(&url)?;
    }
    Ok(())
}

pub(super) fn public_name(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let url = format!("https://public.example.com:{}/x", service.port);
    let index = index(vec![file(&url, &unheld(ground), 8)]);
    let mut command = ground.rebuilder();
    command
        .arg("--mirror")
        .arg(format!("https://pypi.org/simple=http://{}/simple", index.host()))
        .args(["inspect", "pypi:idna==3.10"]);
    let Some(output) = where_names_lie(ground, command) else {
        return Ok(());
    };
    service.untouched(&url)?;
    refused(&output)?;
    let text = common::text(&output);
    must(text.contains("not a public address"), text)
}

pub(super) fn beside_the_mirror(ground: &Ground) -> Result<(), String> {
    let server = Server::private();
    for place in [
        "/admin",
        "/simple-private/x",
        "/simple/../admin",
        "/simple/%2e%2e/admin",
    ] {
        let url = format!("http://{}{place}", server.host());
        let index = index(vec![file(&url, &unheld(ground), 8)]);
        let map = format!("https://a.internal/simple=http://{}/simple", server.host());
        let output = inspect(ground, &index, &["--mirror", &map]);
        server.untouched(&url)?;
        refused(&output)?;
    }
    Ok(())
}
