//! What `examples/deploy/` gives a worker of an engine: enough for a sandbox, and nothing that it could do without.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::common::{BIN, DOCKER, ROOT, SANDBOX, needs, text};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/deploy");

/// The worker's settings in the Compose file, as arguments of `docker run`.
fn settings() -> Vec<String> {
    let file = std::fs::read_to_string(Path::new(FOLDER).join("compose.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&file).unwrap();
    let worker = &file["x-worker"];
    let list = |name: &str| {
        let list = worker[name].as_array().or(file["x-rebuilder"][name].as_array());
        list.unwrap().iter().map(|word| word.as_str().unwrap().to_owned())
    };
    let drops = list("cap_drop").map(|name| format!("--cap-drop={name}"));
    let adds = list("cap_add").map(|name| format!("--cap-add={name}"));
    let options = list("security_opt").map(|option| {
        let option = option.replace("seccomp=", &format!("seccomp={FOLDER}/"));
        format!("--security-opt={option}")
    });
    drops.chain(adds).chain(options).collect()
}

/// An image without anything of its own but a user, as the Dockerfile makes one: its programs are those of this machine.
fn image() -> String {
    let mut tar = tar::Builder::new(Vec::new());
    let header = |kind: tar::EntryType, mode: u32, owner: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_size(0);
        header
    };
    for (name, mode, owner) in [
        ("etc", 0o755, 0),
        ("proc", 0o755, 0),
        ("sys", 0o755, 0),
        ("dev", 0o755, 0),
        ("usr", 0o755, 0),
        ("tmp", 0o1777, 0),
        ("store", 0o700, 64102),
    ] {
        let mut header = header(tar::EntryType::Directory, mode, owner);
        tar.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, name, format!("usr/{name}")).unwrap();
    }
    for (name, content) in [
        (
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\nrebuilder-a:x:64102:64102::/store:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nrebuilder-a:x:64102:\n"),
        ("etc/subuid", "rebuilder-a:1500000000:65536\n"),
        ("etc/subgid", "rebuilder-a:1500000000:65536\n"),
    ] {
        let mut header = header(tar::EntryType::Regular, 0o644, 0);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let mut import = Command::new("docker");
    import
        .args(["import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut import = import.spawn().unwrap();
    std::io::Write::write_all(import.stdin.as_mut().unwrap(), &tar.into_inner().unwrap()).unwrap();
    let output = import.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output).trim().to_owned()
}

/// This machine's programs for ids, with a capability in place of the set-uid bit, as the Dockerfile makes them.
fn mappers(folder: &Path) -> Vec<String> {
    let mapper = |(name, capability): (&str, u32)| {
        let copy = folder.join(name);
        std::fs::copy(Path::new("/usr/bin").join(name), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        // capabilities(7), version 2: effective, and permitted this one.
        let words = [0x0200_0001, 1 << capability, 0, 0, 0];
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        xattr::set(&copy, "security.capability", &bytes).unwrap();
        format!("--volume={}:/usr/bin/{name}:ro", copy.display())
    };
    [("newuidmap", 7), ("newgidmap", 6)].map(mapper).into()
}

/// Whether a worker with these settings can start a sandbox.
fn doctor(image: &str, settings: &[String]) -> Output {
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp"]);
    docker.args(["--user=rebuilder-a", "--volume=/store", "--volume=/usr:/usr:ro"]);
    docker.arg(format!("--volume={BIN}:/rebuilder:ro")).args(settings);
    docker.args([image, "/rebuilder", "--store", "/store", "doctor"]);
    docker.output().unwrap()
}

#[apply(test)]
fn a_worker_in_a_container_has_what_a_sandbox_needs_and_no_more() {
    needs(&[DOCKER, SANDBOX, ROOT]);
    let folder = tempfile::tempdir().unwrap();
    let (image, mappers, all) = (image(), mappers(folder.path()), settings());
    let doctor = |settings: &[String]| doctor(&image, &[settings, mappers.as_slice()].concat());
    let output = doctor(&all);
    assert!(
        output.status.success() && text(&output).contains("embedded: works"),
        "{all:?}: {}",
        text(&output)
    );
    let has_apparmor = Path::new("/sys/kernel/security/apparmor").exists();
    let is_needed = |setting: &&String| {
        !setting.starts_with("--cap-drop") && (has_apparmor || !setting.contains("apparmor"))
    };
    for without in all.iter().filter(is_needed) {
        let mut rest = all.clone();
        rest.retain(|setting| setting != without);
        let output = doctor(&rest);
        assert!(!output.status.success(), "without {without}: {}", text(&output));
    }
    let bound = [all.as_slice(), &["--security-opt=no-new-privileges".to_owned()]].concat();
    let output = doctor(&bound);
    assert!(!output.status.success(), "{}", text(&output));
    // What remains is a few bytes.
    let _ = Command::new("docker").args(["rmi", &image]).output();
}
