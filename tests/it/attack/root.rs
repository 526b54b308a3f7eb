//! The root that a build starts from is a stranger's: an image that provenance names, a layer that setup steps left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::ground::{Ground, Layer, must};
use super::{Case, Who};
use crate::common;

const fn case(name: &'static str, run: fn(&Ground) -> Result<(), String>) -> Case {
    Case {
        name,
        builds: true,
        run,
    }
}

pub const CASES: &[Case] = &[
    case(
        "run a program of the host through a handle of the helper's",
        handles,
    ),
    case(
        "load a library into the helper where it looks for a user",
        user_lookup,
    ),
    case("run the program itself as the first program", |ground| {
        first_program(
            ground,
            &["/proc/self/exe", "/proc/1/exe", "/proc/thread-self/exe"],
        )
    }),
    case("run what lies in another process's root", |ground| {
        first_program(
            ground,
            &[
                "/proc/1/root/bin/sh",
                "/proc/self/root/usr/bin/env",
                "/proc/self/cwd/bin/env",
            ],
        )
    }),
    case("climb out of the root to the first program", |ground| {
        first_program(
            ground,
            &["../../../../../../../../usr/bin/env", "/../../../../usr/bin/env"],
        )
    }),
    case("have the helper read by a dynamic linker", linker),
    case("name the helper as interpreter of a script", interpreter),
    case("wait in a pipe for whoever opens the first program", |ground| {
        shell(ground, Layer::default().special(tar::EntryType::Fifo, "bin/sh"))
    }),
    case("give a folder for the first program", |ground| {
        shell(ground, Layer::default().folder("bin/sh", 0o755))
    }),
    case("give no first program", |ground| shell(ground, Layer::default())),
    case("give a first program that nobody may run", |ground| {
        shell(ground, Layer::default().file("bin/sh", 0o644, b"#!"))
    }),
    case(
        "find handles of the host in its first program",
        first_program_looks_around,
    ),
    case("lead the mount points elsewhere", mount_points),
    case("write above the root with a path", paths),
    case("write outside the root through a link", links),
    case("take a file of the host into the root by a hard link", hard_links),
    case("bring a device", devices),
    case("remove the root with a whiteout", whiteouts),
    case("keep a program that runs as its owner", setuid),
    case("keep folders that everyone may write", open_folders),
    case("fill the disk with a sparse entry", sparse),
    case("fill the memory with one name", one_name),
];

/// The programs that the attackers bring, linked statically.
fn program(ground: &Ground, name: &'static str, source: &str) -> Vec<u8> {
    static MADE: OnceLock<std::sync::Mutex<std::collections::HashMap<&'static str, Vec<u8>>>> =
        OnceLock::new();
    let mut made = MADE.get_or_init(std::sync::Mutex::default).lock().unwrap();
    made.entry(name)
        .or_insert_with(|| fs::read(ground.compile(name, source, &["-static"])).unwrap())
        .clone()
}

/// Writes over whatever executable it was started as, and says what it sees.
const INTRUDER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <dirent.h>
#include <errno.h>
int main(void) {
  char path[300], target[300];
  for (int i = 3; i < 64; i++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", i);
    int n = readlink(path, target, sizeof target - 1);
    if (n > 0) { target[n] = 0; printf("handle %d is %s\n", i, target); }
  }
  const char *others[] = {"/proc/1/exe", "/proc/1/cwd", "/proc/1/root", "/proc/self/exe"};
  for (int i = 0; i < 4; i++) {
    int n = readlink(others[i], target, sizeof target - 1);
    if (n > 0) { target[n] = 0; if (strstr(target, "rebuilder") || strstr(target, "memfd")) printf("%s is %s\n", others[i], target); }
  }
  DIR *all = opendir("/proc"); struct dirent *e;
  while (all && (e = readdir(all))) {
    int pid = atoi(e->d_name); if (pid <= 0) continue;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    int w = open(path, O_WRONLY);
    if (w >= 0) printf("could write %s\n", path);
  }
  printf("looked around\n"); fflush(stdout);
  return 3;
}
"#;

fn first_program_looks_around(ground: &Ground) -> Result<(), String> {
    let intruder = program(ground, "intruder", INTRUDER);
    ground.victim();
    let layer = Layer::default()
        .folder("bin", 0o755)
        .file("bin/sh", 0o755, &intruder)
        .end();
    let output = ground.on_image(&[layer], "true");
    let log = ground.log();
    must(
        log.contains("looked around"),
        format!("it did not run: {log} {}", common::text(&output)),
    )?;
    must(!log.contains("handle"), format!("it found {log}"))?;
    must(!log.contains("could write"), format!("it found {log}"))?;
    must(!log.contains(" is "), format!("it found {log}"))?;
    ground.untouched()
}

/// What the C library loads to look for users and hosts, if `nsswitch.conf` says so.
const LOOKUP: &str = r#"
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {
  char path[64], target[300];
  int n = readlink("/proc/self/exe", target, sizeof target - 1);
  dprintf(1, "loaded into %.*s\n", n > 0 ? n : 0, target);
  for (int i = 3; i < 64; i++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", i);
    n = readlink(path, target, sizeof target - 1);
    if (n > 0) dprintf(1, "handle %d is %.*s\n", i, n, target);
  }
}
"#;

fn user_lookup(ground: &Ground) -> Result<(), String> {
    let intruder = program(ground, "intruder", INTRUDER);
    let library = fs::read(ground.compile("lookup", LOOKUP, &["-shared", "-fPIC"])).unwrap();
    ground.victim();
    let mut layer = Layer::default()
        .folder("bin", 0o755)
        .file("bin/sh", 0o755, &intruder);
    let lookups = ["passwd", "group", "hosts", "initgroups", "shadow"];
    let switch: String = lookups.map(|name| [name, ": evil\n"].concat()).concat();
    layer = layer
        .folder("etc", 0o755)
        .file("etc/nsswitch.conf", 0o644, switch.as_bytes());
    for folder in [
        "lib",
        "lib64",
        "usr/lib",
        "usr/lib64",
        "lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu",
    ] {
        layer = layer.file(&format!("{folder}/libnss_evil.so.2"), 0o755, &library);
    }
    // With a home among them, nobody would have to look for it.
    let env = serde_json::json!({"PATH": "/usr/bin:/bin"});
    let output = ground.on_image_in(&[layer.end()], "true", Some(env));
    let log = ground.log();
    must(
        log.contains("looked around"),
        format!("it did not run: {log} {}", common::text(&output)),
    )?;
    must(!log.contains("loaded into"), format!("it was {log}"))?;
    ground.untouched()
}

/// A root whose shell is a link; whatever happens, nothing of the host runs or changes.
fn shell(ground: &Ground, layer: Layer) -> Result<(), String> {
    ground.victim();
    let intruder = program(ground, "intruder", INTRUDER);
    let layer = layer.file("intruder", 0o755, &intruder).end();
    let output = ground.on_image(&[layer], "echo the build ran");
    let (text, log) = (common::text(&output), ground.log());
    // The root is made, and the build is over before it began.
    must(
        common::code(&output) == 4,
        format!("exit {}: {text}", common::code(&output)),
    )?;
    let begun = text.contains("inconclusive (build")
        || ground.backend != "embedded" && text.contains("unable to start container process");
    must(begun, format!("it did not come to the build: {text}"))?;
    must(!log.contains("the build ran"), format!("it ran: {log}"))?;
    ground.untouched()
}

fn first_program(ground: &Ground, targets: &[&str]) -> Result<(), String> {
    for target in targets {
        let layer = Layer::default().folder("bin", 0o755).link("bin/sh", target);
        shell(ground, layer).map_err(|error| format!("{target}: {error}"))?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}

fn handles(ground: &Ground) -> Result<(), String> {
    let victim = ground.victim();
    let up = "../".repeat(12);
    let victim = victim.to_str().unwrap().trim_start_matches('/');
    let targets: Vec<_> = (3..10)
        .map(|handle| format!("/proc/self/fd/{handle}/{up}{victim}"))
        .collect();
    let targets: Vec<_> = targets
        .iter()
        .map(|target| &target[..target.len().min(100)])
        .collect();
    first_program(ground, &targets)
}

fn linker(ground: &Ground) -> Result<(), String> {
    // A dynamic program whose linker is the helper, or a handle of its own.
    let shell_program = ground.compile("dynamic", "int main(void) { return 0; }", &[]);
    let shell_program = fs::read(shell_program).unwrap();
    for target in ["/proc/self/exe", "/proc/self/fd/3", "/proc/1/exe"] {
        let layer = Layer::default()
            .folder("bin", 0o755)
            .file("bin/sh", 0o755, &shell_program)
            .folder("lib64", 0o755)
            .link("lib64/ld-linux-x86-64.so.2", target);
        shell(ground, layer).map_err(|error| format!("{target}: {error}"))?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}

fn interpreter(ground: &Ground) -> Result<(), String> {
    for interpreter in ["/proc/self/exe", "/proc/self/fd/3", "/intruder-link"] {
        let script = format!("#!{interpreter}\n");
        let layer = Layer::default()
            .folder("bin", 0o755)
            .file("bin/sh", 0o755, script.as_bytes())
            .link("intruder-link", "/proc/self/exe");
        shell(ground, layer).map_err(|error| format!("{interpreter}: {error}"))?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}

/// A root with a shell that works: busybox, linked statically, from this machine.
pub fn working() -> Layer {
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    Layer::default()
        .folder("bin", 0o755)
        .file("bin/busybox", 0o755, &busybox)
        .link("bin/sh", "busybox")
}

/// What a build on this root prints, or that it was refused, which is as good.
fn printed(ground: &Ground, layers: &[Vec<u8>], script: &str) -> Result<String, String> {
    let output = ground.on_image(layers, script);
    must(
        common::code(&output) != 70,
        format!("an internal error: {}", common::text(&output)),
    )?;
    Ok(ground.log())
}

fn mount_points(ground: &Ground) -> Result<(), String> {
    let outside = outside(ground);
    let target = outside.to_str().unwrap();
    for name in ["proc", "dev", "inputs", "out", "sys", "etc", "dev/shm"] {
        let layer = working().folder("dev", 0o755).link(name, target).end();
        printed(
            ground,
            &[layer],
            "/bin/busybox touch /out/x /etc/x /dev/shm/x || true",
        )?;
        let found = fs::read_dir(&outside).unwrap().count();
        must(found == 0, format!("{name}: {found} files were made on the host"))?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}

/// A folder of the host that nothing may be written into.
fn outside(ground: &Ground) -> PathBuf {
    let folder = ground.folder().join("outside");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

fn paths(ground: &Ground) -> Result<(), String> {
    let outside = outside(ground);
    let name = outside.to_str().unwrap().trim_start_matches('/').to_owned();
    let layer = working()
        .file(&format!("../../../../../../../../{name}/a"), 0o644, b"x")
        .file(&format!("/{name}/b"), 0o644, b"x")
        .end();
    printed(ground, &[layer], "true")?;
    must(
        fs::read_dir(&outside).unwrap().count() == 0,
        "files were made on the host",
    )
}

fn links(ground: &Ground) -> Result<(), String> {
    let outside = outside(ground);
    let target = outside.to_str().unwrap();
    let first = working()
        .link("way", target)
        .link("up", "../../../../../../../..")
        .end();
    let name = target.trim_start_matches('/');
    let second = Layer::default()
        .file("way/a", 0o644, b"x")
        .file(&format!("up/{name}/b"), 0o644, b"x")
        .end();
    printed(ground, &[first, second], "true")?;
    must(
        fs::read_dir(&outside).unwrap().count() == 0,
        "files were made on the host",
    )
}

fn hard_links(ground: &Ground) -> Result<(), String> {
    let secret = ground.write("secret", "the host's secret");
    let layer = working()
        .hard("taken", secret.to_str().unwrap())
        .hard("taken-too", &format!("../../../../../..{}", secret.display()))
        .end();
    let log = printed(
        ground,
        &[layer],
        "/bin/busybox cat /taken /taken-too 2>&1 || true",
    )?;
    must(
        !log.contains("the host's secret"),
        "the build read the host's secret",
    )
}

fn devices(ground: &Ground) -> Result<(), String> {
    let layer = working()
        .special(tar::EntryType::Block, "disk")
        .special(tar::EntryType::Char, "memory")
        .end();
    let log = printed(
        ground,
        &[layer],
        "/bin/busybox ls -l / | /bin/busybox grep -c '^[bc]' || true",
    )?;
    must(
        log.trim().lines().last().is_none_or(|count| count == "0"),
        format!("devices: {log}"),
    )
}

fn whiteouts(ground: &Ground) -> Result<(), String> {
    for name in [".wh...", ".wh..", ".wh.", "bin/.wh..."] {
        let layer = Layer::default().file(name, 0o644, b"").end();
        let output = ground.on_image(&[working().end(), layer], "echo the build ran");
        let text = common::text(&output);
        must(
            common::code(&output) != 70,
            format!("{name}: an internal error: {text}"),
        )?;
        must(
            text.contains("whiteout") || ground.log().contains("the build ran"),
            format!("{name}: {text}"),
        )?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}

/// Modes of everything that is kept below the store's roots and layers.
fn kept(ground: &Ground, find: &[&str]) -> Result<(), String> {
    for folder in ["roots", "layers"] {
        let output = std::process::Command::new("find")
            .arg(ground.store().join(folder))
            .args(find)
            .output()
            .unwrap();
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        must(
            found.is_empty(),
            format!("kept: {}", found.lines().take(3).collect::<Vec<_>>().join(" ")),
        )?;
    }
    Ok(())
}

fn setuid(ground: &Ground) -> Result<(), String> {
    let layer = working()
        .file("bin/become", 0o4755, b"#!/bin/sh\n")
        .file("bin/join", 0o2755, b"#!/bin/sh\n")
        .end();
    printed(ground, &[layer], "true")?;
    kept(ground, &["-type", "f", "-perm", "/6000"])
}

fn open_folders(ground: &Ground) -> Result<(), String> {
    let layer = working()
        .folder("srv", 0o777)
        .file("without/a/folder/of/its/own", 0o666, b"")
        .end();
    printed(ground, &[layer], "true")?;
    kept(
        ground,
        &[
            "!", "-type", "l", "-perm", "-0002", "!", "-perm", "-1000", "!", "-type", "c",
        ],
    )?;
    let mode = fs::metadata(ground.store()).unwrap().permissions().mode();
    must(mode & 0o077 == 0, format!("the data folder has mode {mode:o}"))
}

fn one_name(ground: &Ground) -> Result<(), String> {
    use std::io::Write as _;
    const SIZE: u64 = 1300 << 20;
    // Once is enough for what takes so long.
    if ground.backend != "embedded" || ground.who != Who::Root {
        return Ok(());
    }
    // GNU long name: its reader holds it whole.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(SIZE);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_mode(0o644);
    header.set_cksum();
    let mut layer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    layer.write_all(header.as_bytes()).unwrap();
    let piece = vec![b'a'; 1 << 20];
    for _ in 0..SIZE >> 20 {
        layer.write_all(&piece).unwrap();
    }
    let output = ground.on_image(&[working().end(), layer.finish().unwrap()], "true");
    let text = common::text(&output);
    must(
        common::code(&output) == 4,
        format!("exit {}: {text}", common::code(&output)),
    )?;
    must(text.contains("unpacking layers"), text)
}

fn sparse(ground: &Ground) -> Result<(), String> {
    // GNU sparse: 60 TB, of which nothing is stored.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.as_mut_bytes()[..4].copy_from_slice(b"huge");
    let size = 60_u64 << 40;
    let mut field = [0_u8; 12];
    field[0] = 0x80;
    field[4..].copy_from_slice(&size.to_be_bytes());
    header.as_mut_bytes()[483..495].copy_from_slice(&field);
    header.as_mut_bytes()[386..398].copy_from_slice(&field);
    header.as_mut_bytes()[398..410].copy_from_slice(&[0; 12]);
    header.set_cksum();
    let mut layer = header.as_bytes().to_vec();
    layer.extend([0; 1024]);
    let begun = std::time::Instant::now();
    let output = ground.on_image(&[working().end(), layer], "true");
    must(common::code(&output) != 0, "it was taken")?;
    must(
        begun.elapsed().as_secs() < 20,
        format!("it took {:?}", begun.elapsed()),
    )
}
