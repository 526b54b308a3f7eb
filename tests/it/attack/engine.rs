//! What others who may use the same engine, and builds in its containers, try there; see `main.rs`.

mod inside;
mod limits;
mod sweep;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::common::text;
use serde_json::Value;

use super::Case;
use super::ground::{Ground, must};

pub const CASES: &[Case] = &[
    Case {
        name: "put an image of its own under a root's name",
        builds: true,
        run: foreign_image,
    },
    Case {
        name: "remove the container of a rebuilder in another process namespace",
        builds: true,
        run: sweep::sweep_from_another_namespace,
    },
    Case {
        name: "remove the containers of another store, machine or boot",
        builds: true,
        run: sweep::sweep_of_foreign_containers,
    },
    Case {
        name: "make a rebuilder touch files through the labels of a container",
        builds: true,
        run: sweep::labels_as_paths,
    },
    Case {
        name: "let a container run on after its worker was killed",
        builds: true,
        run: sweep::killed_worker,
    },
    Case {
        name: "let a container run on after an interrupt",
        builds: true,
        run: sweep::interrupted_worker,
    },
    Case {
        name: "fill the engine's disk with a log",
        builds: true,
        run: limits::endless_log,
    },
    Case {
        name: "hand out more files than are allowed",
        builds: true,
        run: limits::too_many_outputs,
    },
    Case {
        name: "hand out more bytes than are allowed, by second names and holes",
        builds: true,
        run: limits::too_many_bytes,
    },
    Case {
        name: "hand out what is not a file",
        builds: true,
        run: limits::strange_outputs,
    },
    Case {
        name: "write beyond the disk limit unseen",
        builds: true,
        run: limits::disk,
    },
    Case {
        name: "run on by closing its log",
        builds: true,
        run: limits::closed_log,
    },
    Case {
        name: "reach the machine by a socket or a call that older engines allow",
        builds: true,
        run: inside::calls,
    },
    Case {
        name: "see or change the engine's own files and the machine's devices",
        builds: true,
        run: inside::places,
    },
    Case {
        name: "raise the limits of its processes",
        builds: true,
        run: limits::raised_limits,
    },
];

/// Cases about an engine say nothing about namespaces without one.
fn no_engine(ground: &Ground) -> bool {
    ground.backend != "docker"
}

/// A request to the engine, as any other of its users may make it; the status and the answer.
fn ask(ground: &Ground, method: &str, path: &str, body: &[u8], kind: &str) -> (u16, Vec<u8>) {
    let host = ground.engine();
    let mut socket = UnixStream::connect(host.strip_prefix("unix://").unwrap()).unwrap();
    let head = format!(
        "{method} /v1.41{path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // An engine that refuses may answer before it has read everything.
    let _ = socket
        .write_all(head.as_bytes())
        .and_then(|()| socket.write_all(body));
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[..split]);
    let status = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, answer.split_off(split + 4))
}

fn ask_json(ground: &Ground, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let (_, answer) = ask(ground, method, path, body.as_bytes(), "application/json");
    serde_json::from_slice(&answer).unwrap_or_default()
}

/// An image that prints a line, whatever it is asked to do; the attacker's program is its only file.
fn image(ground: &Ground, says: &str) -> String {
    let program = ground.compile(
        "shell",
        &format!("#include <stdio.h>\nint main() {{ puts(\"{says}\"); return 0; }}"),
        &["-static"],
    );
    let mut tar = tar::Builder::new(Vec::new());
    for folder in ["bin", "out", "inputs", "tmp"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, folder, std::io::empty()).unwrap();
    }
    tar.append_path_with_name(program, "bin/sh").unwrap();
    let tar = tar.into_inner().unwrap();
    let (_, answer) = ask(
        ground,
        "POST",
        "/images/create?fromSrc=-",
        &tar,
        "application/x-tar",
    );
    let answer = String::from_utf8(answer).unwrap();
    let at = answer.rfind("sha256:").unwrap() + "sha256:".len();
    answer[at..at + 64].to_owned()
}

/// The names of this store's roots on the engine.
fn roots(ground: &Ground) -> Vec<String> {
    let images = ask_json(ground, "GET", "/images/json", &Value::Null);
    let tags = images.as_array().unwrap().iter();
    let tags = tags.flat_map(|image| image["RepoTags"].as_array().cloned().unwrap_or_default());
    let tags = tags.filter_map(|tag| Some(tag.as_str()?.split_once("rebuilder/root:")?.1.to_owned()));
    tags.collect()
}

fn foreign_image(ground: &Ground) -> Result<(), String> {
    if no_engine(ground) {
        return Ok(());
    }
    // The root is there, as it should be.
    let output = ground.container(&[], "echo honest");
    must(text(&output).contains("honest"), text(&output))?;
    let tags = roots(ground);
    must(!tags.is_empty(), "no root has a name on the engine")?;
    let id = image(ground, "foreign");
    for tag in &tags {
        ask_json(
            ground,
            "POST",
            &format!("/images/{id}/tag?repo=rebuilder/root&tag={tag}"),
            &Value::Null,
        );
    }
    let output = ground.container(&[], "echo honest");
    must(
        !text(&output).contains("foreign") && text(&output).contains("honest"),
        format!("its image was run: {}", text(&output)),
    )
}

fn remove(ground: &Ground, id: &str) {
    ask(
        ground,
        "DELETE",
        &format!("/containers/{id}?force=1"),
        b"",
        "application/json",
    );
}

/// This store's containers that run.
fn running(ground: &Ground) -> Vec<Value> {
    let name = fs::read_to_string(ground.store().join("locks/engine-owner")).unwrap_or_default();
    let all = ask_json(ground, "GET", "/containers/json", &Value::Null);
    let all = all.as_array().cloned().unwrap_or_default();
    all.into_iter()
        .filter(|container| !name.is_empty() && container["Labels"]["rebuilder.store"] == name)
        .collect()
}
