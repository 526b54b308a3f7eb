//! What the answers of a server may do.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::attack::ground::{Ground, must};
use crate::common;
use rebuilder::artifact::Sha256;

use super::{
    Server, answer, ended, endless, file, index, inspect, ok, page, private_file, redirect, refused, stored,
    unheld, with_files, within,
};

pub(super) fn redirects(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let (path, content, digest) = private_file(ground, "secret");
    let by_http = format!("http://{}/x", service.host());
    let by_https = format!("https://{}/x", service.host());
    let by_name = format!("https://localhost:{}/x", service.port);
    let with_password = format!("http://me:secret@{}/x", service.host());
    let by_file = format!("file://{path}");
    for (status, to) in [
        (301, &by_http),
        (302, &by_https),
        (303, &by_name),
        (307, &by_http),
        (308, &with_password),
        (302, &by_file),
    ] {
        // The page itself, then the file that it names.
        let to = to.clone();
        let elsewhere = to.clone();
        let index = Server::new(move |_| redirect(status, &elsewhere));
        let output = inspect(ground, &index, &[]);
        service.untouched(&to)?;
        refused(&output)?;
        let elsewhere = to.clone();
        let entry = file(
            "https://files.pythonhosted.org/packages/w",
            &digest,
            content.len(),
        );
        let index = Server::new(move |path| {
            if path.starts_with("/packages/") {
                redirect(status, &elsewhere)
            } else {
                page(std::slice::from_ref(&entry))
            }
        });
        let output = inspect(ground, &index, &["--mirror", &with_files(&index)]);
        service.untouched(&to)?;
        refused(&output)?;
        must(!stored(ground, &digest), format!("{to} lies in the store"))?;
    }
    Ok(())
}

pub(super) fn endless_redirects(ground: &Ground) -> Result<(), String> {
    let index = Server::new(|path| redirect(302, &format!("{path}x")));
    let output = inspect(ground, &index, &[]);
    refused(&output)?;
    let count = index.connections.load(Ordering::SeqCst);
    must(count <= 6, format!("{count} requests"))
}

pub(super) fn credentials(ground: &Ground) -> Result<(), String> {
    let server = Server::private();
    let allow = server.host();
    for url in [
        format!("https://me:hunter2@{}/x", server.host()),
        format!("http://hunter2@{}/x", server.host()),
        "https://me:hunter2@files.pythonhosted.org/x".to_owned(),
        "ftp://me:hunter2@host.example/x".to_owned(),
        "https://me:hunter2@[bad/x".to_owned(),
    ] {
        let index = index(vec![file(&url, &unheld(ground), 8)]);
        let output = inspect(ground, &index, &["--allow-host", &allow]);
        server.untouched(&url)?;
        refused(&output)?;
        let text = common::text(&output);
        must(!text.contains("hunter2"), format!("printed: {text}"))?;
    }
    // What the user typed is sent, and not printed either.
    let empty = Server::new(|_| answer("404 Not Found", "", b""));
    let mut command = ground.rebuilder();
    command
        .arg("--mirror")
        .arg(format!(
            "https://pypi.org/simple=http://me:hunter2@{}/simple",
            empty.host()
        ))
        .args(["inspect", "pypi:idna==3.10"]);
    let text = common::text(&within(command, Duration::from_secs(30)));
    must(!text.contains("hunter2"), format!("printed: {text}"))
}

pub(super) fn rubbish_is_kept(ground: &Ground) -> Result<(), String> {
    let rubbish = format!("rubbish of {}", ground.folder().display());
    let digest = Sha256::of(&rubbish);
    let body = rubbish.clone();
    let server = Server::new(move |_| ok(body.as_bytes()));
    for (prefix, subject) in [
        ("https://pypi.org/simple", "pypi:idna==3.10"),
        ("https://index.crates.io", "crate:itoa"),
        ("https://registry.npmjs.org", "npm:ms@2.1.3"),
        ("https://deb.debian.org", "deb:base-files"),
    ] {
        let mut command = ground.rebuilder();
        command
            .arg("--mirror")
            .arg(format!("{prefix}=http://{}", server.host()))
            .args(["inspect", subject]);
        let output = within(command, Duration::from_secs(30));
        refused(&output)?;
        must(
            !stored(ground, &digest),
            format!("the answer for {subject} lies in the store"),
        )?;
    }
    Ok(())
}

pub(super) fn one_name_twice(ground: &Ground) -> Result<(), String> {
    let one = file("https://files.pythonhosted.org/a", &Sha256::of("a"), 1);
    let two = file("https://files.pythonhosted.org/b", &Sha256::of("b"), 1);
    let index = index(vec![one, two]);
    let output = inspect(ground, &index, &[]);
    refused(&output)?;
    let text = common::text(&output);
    must(text.contains("twice"), text)
}

pub(super) fn endless_answer(ground: &Ground) -> Result<(), String> {
    let index = Server::new(|_| endless());
    let begun = Instant::now();
    let output = inspect(ground, &index, &[]);
    refused(&output)?;
    must(begun.elapsed() < Duration::from_secs(15), "it was read on and on")?;
    let text = common::text(&output);
    must(text.contains("is larger than"), text)
}

pub(super) fn silent_server(ground: &Ground) -> Result<(), String> {
    // Nothing at all; and an answer that never ends its header.
    for first in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"] {
        let index = Server::new(move |_| first.to_vec());
        let mut command = ground.rebuilder();
        command
            .arg("--mirror")
            .arg(format!("https://pypi.org/simple=http://{}/simple", index.host()))
            .args(["inspect", "pypi:idna==3.10"]);
        ended(command, &index)?;
    }
    Ok(())
}
