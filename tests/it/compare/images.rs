//! Images of file systems, made by the program that people make them with.

use std::path::{Path, PathBuf};
use std::process::Command;

use rebuilder::compare::{Cause, Options, compare};

use crate::common::skip;

/// A tree with all that an image can hold.
const TREE: &str = r#"
import os, sys
os.makedirs("t/etc"); os.makedirs("t/many"); os.makedirs("t/deep/er")
open("t/etc/conf", "w").write(sys.argv[1])
os.symlink("conf", "t/etc/symbolic")
os.link("t/etc/conf", "t/etc/hard")
os.mkfifo("t/fifo")
open("t/empty", "w").close()
text = "".join(f"{n}\n" for n in range(100000))
for name in ("one", "two"):
    open("t/" + name, "w").write(text)
with open("t/sparse", "wb") as file:
    file.seek(3000000); file.write(b"end")
for n in range(2000):
    open(f"t/many/file-{n}", "w").write(f"{n}\n")
for name in ("t/one", "t/etc/conf"):
    try:
        os.setxattr(name, "user.note", b"z" * 300)
    except OSError:
        pass
for folder, _, names in os.walk("t", topdown=False):
    for name in names + ["."]:
        os.utime(os.path.join(folder, name), (1700000000, 1700000000), follow_symlinks=False)
"#;

fn image(home: &Path, name: &str, conf: &str, options: &[&str]) -> PathBuf {
    let folder = home.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run("python3", &["-c", TREE, conf]);
    let always = ["t", "x.squashfs", "-noappend", "-quiet", "-no-progress"];
    run(
        "mksquashfs",
        &[&always[..], &["-mkfs-time", "1"], options].concat(),
    );
    folder.join("x.squashfs")
}

#[apply(test)]
fn images_are_read_however_they_are_packed() {
    if Command::new("mksquashfs").arg("-version").output().is_err() {
        skip("mksquashfs");
    }
    let home = tempfile::tempdir().unwrap();
    let causes = |one: &Path, other: &Path| -> Vec<(Cause, String)> {
        let found = compare(one, other, &Options::default()).unwrap();
        let causes = found.causes.into_iter();
        causes.map(|cause| (cause.cause, cause.example.path)).collect()
    };
    let plain = image(home.path(), "plain", "safe\n", &["-noI", "-noD", "-noF", "-noX"]);
    for packer in ["gzip", "xz", "lz4", "zstd"] {
        let safe = image(
            home.path(),
            &format!("{packer}-safe"),
            "safe\n",
            &["-comp", packer],
        );
        let open = image(
            home.path(),
            &format!("{packer}-open"),
            "open\n",
            &["-comp", packer],
        );
        assert_eq!(
            causes(&safe, &open),
            [(Cause::Content, "etc/conf".to_owned())],
            "{packer}"
        );
        let repacked = causes(&plain, &safe);
        assert!(
            repacked
                .iter()
                .all(|(cause, _)| matches!(cause, Cause::Compression | Cause::ArchiveDialect)),
            "{packer}: {repacked:?}"
        );
    }
}
