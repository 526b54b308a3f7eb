//! Layers of images and Debian packages, unpacked as the sandbox helper does it: into a root of their own.
//!
//! Needs root, or `unshare --map-root-user --mount`, as unpacking changes the root. Each input has a thread with a root
//! of its own, below a small file system that no other process sees.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rebuilder::rootfs::{
    LayerPlan, PackageFile, Times, UnpackPlan, digest, empty, normalise, unpack, unpack_layers,
};

/// Where the small file system is.
const PLACE: &str = "/dev/shm/rebuilder-fuzz";
/// What must never change.
const OUTSIDE: &str = "not a part of the tree";

static MOUNTED: LazyLock<()> = LazyLock::new(|| {
    fs::create_dir_all(PLACE).expect("the folder can be made");
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).expect("root, or \"unshare --map-root-user --mount\", is needed");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("mounts are private");
    mount(
        Some("tmpfs"),
        PLACE,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=64m,nr_inodes=20000"),
    )
    .expect("a file system can be mounted");
    fs::write(Path::new(PLACE).join("outside"), OUTSIDE).expect("a file can be written");
});

/// Takes bytes from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// What comes before the next zero.
    fn text(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        text
    }
}

/// An archive whose headers have good checksums, as random bytes never have: an entry is its type, its mode, its name,
/// its link and its content, of which any may be odd.
fn archive(input: &mut Input) -> Vec<u8> {
    const TYPES: &[u8; 16] = b"0000555512346LKx";
    let mut bytes = Vec::new();
    while !input.0.is_empty() && input.0.first() != Some(&b'\n') {
        let kind = input.byte();
        let mut header = if kind & 0x80 == 0 {
            tar::Header::new_gnu()
        } else {
            tar::Header::new_ustar()
        };
        let mode = u32::from(input.byte());
        let (name, link, content) = (input.text(), input.text(), input.text());
        let fields = header.as_old_mut();
        let short = name.len().min(fields.name.len());
        fields.name[..short].copy_from_slice(&name[..short]);
        let short = link.len().min(fields.linkname.len());
        fields.linkname[..short].copy_from_slice(&link[..short]);
        fields.linkflag = if kind & 0x40 == 0 {
            [TYPES[usize::from(kind % 16)]]
        } else {
            [kind & 0x3f | 0x40]
        };
        // Special bits come of the low ones.
        header.set_mode(mode << 4 | mode & 0o7);
        header.set_uid(u64::from(kind >> 4));
        header.set_gid(0);
        header.set_mtime(u64::from(mode));
        header.set_size(if kind == 0x7f {
            u64::MAX >> 8
        } else {
            content.len() as u64
        });
        header.set_cksum();
        bytes.extend(header.as_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    input.byte();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A package of two archives.
fn package(input: &mut Input) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    let mut control = archive(input);
    if control.len() == 1024 {
        let text = b"Package: x\nVersion: 1\nArchitecture: all\n";
        let mut header = tar::Header::new_gnu();
        header.set_path("control").expect("it is short");
        header.set_size(text.len() as u64);
        header.set_cksum();
        let mut tar = tar::Builder::new(Vec::new());
        tar.append(&header, &text[..]).expect("memory is written");
        control = tar.into_inner().expect("memory is written");
    }
    for (name, bytes) in [("control.tar", control), ("data.tar", archive(input))] {
        let header = ar::Header::new(name.into(), bytes.len() as u64);
        builder.append(&header, &bytes[..]).expect("memory is written");
    }
    builder.into_inner().expect("memory is written")
}

// The first byte chooses what is unpacked.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    LazyLock::force(&MOUNTED);
    let place = Path::new(PLACE);
    let (inputs, root) = (place.join("inputs"), place.join("root"));
    fs::create_dir_all(&inputs).expect("the folder can be made");
    fs::create_dir_all(&root).expect("the folder can be made");
    let mut input = Input(data);
    let kind = input.byte();
    let (names, files) = match kind % 8 {
        0..3 => (["a.tar", "b.tar"], [archive(&mut input), archive(&mut input)]),
        3..6 => (["a.deb", "b.deb"], [package(&mut input), package(&mut input)]),
        6 => {
            let end = ["tar.gz", "tar.zst", "tar.xz", "tar"][usize::from(input.byte() % 4)];
            let (a, b): (&str, &str) = match end {
                "tar.gz" => ("a.tar.gz", "b.tar.gz"),
                "tar.zst" => ("a.tar.zst", "b.tar.zst"),
                "tar.xz" => ("a.tar.xz", "b.tar.xz"),
                _ => ("a.tar", "b.tar"),
            };
            ([a, b], [input.0.to_vec(), Vec::new()])
        }
        _ => (["a.deb", "b.deb"], [input.0.to_vec(), input.0.to_vec()]),
    };
    for (name, bytes) in names.iter().zip(&files) {
        fs::write(inputs.join(name), bytes).expect("inputs are small");
    }
    let packages = names[0].ends_with(".deb");
    let unpacking = || {
        unshare(CloneFlags::CLONE_FS).expect("a thread may have a root of its own");
        let folder = inputs.clone();
        let done = if packages {
            let package = |name: &&str| PackageFile {
                package: (*name).into(),
                file: (*name).into(),
            };
            unpack(
                &UnpackPlan {
                    folder,
                    packages: names.iter().map(package).collect(),
                },
                &root,
            )
        } else {
            unpack_layers(
                &LayerPlan {
                    folder,
                    files: names.map(str::to_owned).to_vec(),
                },
                &root,
            )
        };
        if done.is_ok() {
            let times = if packages { Times::Epoch(1) } else { Times::Layers };
            if let Ok(made) = normalise(Path::new("/"), times) {
                assert_eq!(digest(Path::new("/")).expect("what was read is read again"), made);
            }
        }
    };
    std::thread::scope(|scope| scope.spawn(unpacking).join().expect("it does not panic"));
    empty(&root).expect("whatever was unpacked can be removed");
    fs::remove_dir(&root).expect("it is empty");
    empty(&inputs).expect("inputs can be removed");
    let outside = fs::read_to_string(place.join("outside")).expect("what is outside is there");
    assert_eq!(outside, OUTSIDE);
    let there: Vec<_> = fs::read_dir(place)
        .expect("it is a folder")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(there.len(), 2, "nothing new is outside: {there:?}");
});
