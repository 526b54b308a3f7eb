//! What people and programs read from a server: published builds, rebuilderd's API, and pages.

mod access;
mod beside;
mod browser;
mod clients;
mod embedded;
mod pages;
mod publication;
mod rebuilderd;
mod results;
pub mod seed;

use std::process::Command;

use crate::queue::service::Service;

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Asks as curl does, with these arguments more.
pub fn ask(service: &Service, path: &str, arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--globoff", "--include", "--max-time", "20"])
        .args(arguments);
    let output = command.arg(format!("{}{path}", service.url())).output().unwrap();
    let end = output.stdout.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer to {path}: {output:?}"));
    let headers = String::from_utf8_lossy(&output.stdout[..end]).replace('\r', "");
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = headers
        .lines()
        .skip(1)
        .map(|line| match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}\n", name.to_lowercase()),
            None => format!("{line}\n"),
        })
        .collect();
    Answer {
        status,
        headers,
        body: output.stdout[end + 4..].to_vec(),
    }
}
