//! The root that a build starts from is a stranger's: an image that provenance names, a layer that setup steps left.

mod intruder;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::ground::{Ground, Layer, must};
use super::{Case, Who};
use crate::common;
use intruder::{first_program, first_program_looks_around, handles, interpreter, linker, shell, user_lookup};

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
