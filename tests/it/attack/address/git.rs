//! What a repository may make git open.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::attack::ground::{Ground, must};
use crate::common;

use super::{Server, ended, own_addresses, provenance, redirect, where_names_lie, within};

pub(super) fn git_to_a_service(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for address in own_addresses(service.port) {
        let repository = address.replace("/x", "/o/r");
        within(provenance(ground, &repository), Duration::from_secs(30));
        service.untouched(&repository)?;
    }
    // With the host allowed it is asked, so the attack reaches the code that asks.
    let mut command = provenance(ground, &format!("http://{}/o/r", service.host()));
    command.arg("--allow-host").arg(service.host());
    within(command, Duration::from_secs(30));
    let count = service.connections.load(Ordering::SeqCst);
    must(count > 0, "the attack was not tried")
}

pub(super) fn git_by_public_name(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let repository = format!("https://public.example.com:{}/o/r", service.port);
    where_names_lie(ground, provenance(ground, &repository));
    service.untouched(&repository)
}

pub(super) fn git_redirects(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let to = format!("http://{}/o/r", service.host());
    let server = Server::new(move |path| {
        let rest = path.strip_prefix("/o/r").unwrap_or_default();
        redirect(302, &format!("{to}{rest}"))
    });
    let by_mirror = format!("https://github.com/=http://{}/", server.host());
    let by_permission = format!("http://{}/o/r", server.host());
    for (repository, option, value) in [
        ("https://github.com/o/r", "--git-mirror", by_mirror),
        (by_permission.as_str(), "--allow-host", server.host()),
    ] {
        let before = server.connections.load(Ordering::SeqCst);
        let mut command = provenance(ground, repository);
        command.arg(option).arg(value);
        let output = within(command, Duration::from_secs(30));
        service.untouched("a redirect")?;
        let after = server.connections.load(Ordering::SeqCst);
        must(
            after > before,
            format!("the attack was not tried: {}", common::text(&output)),
        )?;
    }
    Ok(())
}

pub(super) fn silent_git(ground: &Ground) -> Result<(), String> {
    let server = Server::new(|_| Vec::new());
    let mut command = provenance(ground, "https://github.com/o/r");
    command
        .arg("--git-mirror")
        .arg(format!("https://github.com/=http://{}/", server.host()));
    ended(command, &server)?;
    // No helper of git is left that still talks to the server.
    let place = format!("http://{}/", server.host());
    let talks = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .any(|line| String::from_utf8_lossy(&line).contains(&place))
    };
    let begun = Instant::now();
    while talks() && begun.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(50));
    }
    must(!talks(), "git still runs")
}
