//! Archives written byte by byte, so that a case can spell one tree in many ways and hide bytes where it likes.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rebuilder::artifact::Sha256;

use super::{File, Spelling, Tree};

/// A block of 512 bytes, filled with zeros.
fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn tar_header(name: &str, size: usize, kind: u8, file: &File, spelling: &Spelling) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{:07o}\0", file.mode).as_bytes());
    put(108, format!("{:07o}\0", spelling.owner).as_bytes());
    put(116, format!("{:07o}\0", spelling.owner).as_bytes());
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", spelling.time).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    if let Some(link) = &file.link {
        put(157, link.as_bytes());
    }
    put(
        257,
        if spelling.dialect == 1 {
            b"ustar  \0"
        } else {
            b"ustar\x0000"
        },
    );
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

pub(super) fn tar(tree: &Tree, spelling: &Spelling, prefix: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for file in tree.in_order(spelling) {
        let name = format!("{prefix}{}", file.path);
        if spelling.dialect == 2 {
            let record = |rest: String| {
                let mut length = rest.len() + 3;
                length += length.to_string().len() - 1;
                format!("{length} {rest}\n")
            };
            let text = record(format!("mtime={}", spelling.time));
            let own = File::new("", b"");
            out.extend(tar_header("./PaxHeaders/x", text.len(), b'x', &own, spelling));
            out.extend(padded(text.into_bytes()));
        }
        let (kind, bytes) = match (&file.link, file.folder) {
            (Some(_), _) => (b'2', &[][..]),
            (None, true) => (b'5', &[][..]),
            (None, false) => (b'0', &file.bytes[..]),
        };
        out.extend(tar_header(&name, bytes.len(), kind, file, spelling));
        let mut block = padded(bytes.to_vec());
        if let Some((path, hidden)) = &spelling.hidden
            && *path == file.path
            && block.len() >= bytes.len() + hidden.len()
        {
            block[bytes.len()..bytes.len() + hidden.len()].copy_from_slice(hidden);
        }
        out.extend(block);
    }
    out.resize(out.len() + 1024, 0);
    out
}

pub(super) fn zip(tree: &Tree, spelling: &Spelling) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for file in tree.in_order(spelling) {
        let bytes = file.link.as_ref().map_or(&file.bytes[..], |link| link.as_bytes());
        let name = if file.folder {
            format!("{}/", file.path)
        } else {
            file.path.clone()
        };
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let deflated = {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(spelling.level));
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let (method, packed) = if spelling.level == 0 {
            (0_u16, bytes.to_vec())
        } else {
            (8, deflated)
        };
        // 2024-01-02, at a time of the day that the spelling chooses.
        let seconds = spelling.time.rem_euclid(86_400);
        let time =
            u16::try_from((seconds / 3600) << 11 | (seconds / 60 % 60) << 5 | (seconds % 60 / 2)).unwrap();
        let day: u16 = (44 << 9) | (1 << 5) | 2;
        let kind = match (&file.link, file.folder) {
            (Some(_), _) => 0o120_000,
            (None, true) => 0o040_000,
            (None, false) => 0o100_000,
        };
        let offset = u32::try_from(out.len()).unwrap();
        let mut common = Vec::new();
        for word in [20_u16, 0, method, time, day] {
            common.extend(word.to_le_bytes());
        }
        for word in [
            crc.sum(),
            u32::try_from(packed.len()).unwrap(),
            u32::try_from(bytes.len()).unwrap(),
        ] {
            common.extend(word.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        let local = match &spelling.local_name {
            Some((path, other)) if *path == file.path => other.clone(),
            _ => name.clone(),
        };
        assert_eq!(local.len(), name.len(), "the length is written above");
        out.extend(local.as_bytes());
        out.extend(&packed);
        if let Some((path, hidden)) = &spelling.hidden
            && *path == file.path
        {
            out.extend(hidden);
        }
        directory.extend(b"PK\x01\x02");
        directory.extend([20, 3]);
        directory.extend(&common);
        for word in [0_u16, 0, 0] {
            directory.extend(word.to_le_bytes());
        }
        directory.extend(((kind | file.mode) << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        count += 1;
    }
    let (start, size) = (out.len(), directory.len());
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(u32::try_from(size).unwrap().to_le_bytes());
    out.extend(u32::try_from(start).unwrap().to_le_bytes());
    out.extend([0, 0]);
    out
}

pub(super) fn ar(members: &[(&str, Vec<u8>)], time: i64) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let header = format!(
            "{name:<16}{time:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            "100644",
            bytes.len()
        );
        out.extend(header.as_bytes());
        out.extend(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

pub(super) fn cpio(tree: &Tree, spelling: &Spelling) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entry = |name: &str, kind: u32, file: &File, bytes: &[u8], ino: usize| {
        let mode = kind | file.mode;
        let mut header = b"070701".to_vec();
        let time = if name == "TRAILER!!!" { 0 } else { spelling.time };
        let numbers: [u64; 13] = [
            ino as u64,
            if name == "TRAILER!!!" { 0 } else { u64::from(mode) },
            0,
            0,
            1,
            u64::try_from(time).unwrap(),
            bytes.len() as u64,
            0,
            0,
            0,
            0,
            name.len() as u64 + 1,
            0,
        ];
        for number in numbers {
            header.extend(format!("{number:08x}").as_bytes());
        }
        header.extend(name.as_bytes());
        header.push(0);
        header.resize(header.len().next_multiple_of(4), 0);
        header.extend(bytes);
        header.resize(header.len().next_multiple_of(4), 0);
        out.extend(header);
    };
    for (number, file) in tree.in_order(spelling).into_iter().enumerate() {
        let (kind, bytes) = match (&file.link, file.folder) {
            (Some(link), _) => (0o120_000, link.as_bytes()),
            (None, true) => (0o040_000, &[][..]),
            (None, false) => (0o100_000, &file.bytes[..]),
        };
        entry(&file.path, kind, file, bytes, number + 1);
    }
    entry(
        "TRAILER!!!",
        0,
        &File {
            mode: 0,
            ..File::new("", b"")
        },
        b"",
        0,
    );
    out
}

pub(super) fn gzip(bytes: &[u8], spelling: &Spelling) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .mtime(u32::try_from(spelling.time).unwrap())
        .write(Vec::new(), flate2::Compression::new(spelling.level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn xz(bytes: &[u8], spelling: &Spelling) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), spelling.level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zst(bytes: &[u8], spelling: &Spelling) -> Vec<u8> {
    zstd::encode_all(bytes, i32::try_from(spelling.level).unwrap()).unwrap()
}

pub(super) fn bz2(bytes: &[u8], spelling: &Spelling) -> Vec<u8> {
    let mut encoder =
        bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(spelling.level.max(1)));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A wheel: its RECORD names every file; `lie` has the digest of other bytes there.
pub(super) fn wheel(tree: &Tree, spelling: &Spelling) -> Vec<u8> {
    let mut tree = tree.clone();
    tree.files.retain(|file| file.link.is_none() && !file.folder);
    let info = "x-1.dist-info";
    tree.files.push(File::new(
        &format!("{info}/METADATA"),
        b"Metadata-Version: 2.1\nName: x\nVersion: 1\n",
    ));
    tree.files.push(File::new(
        &format!("{info}/WHEEL"),
        b"Wheel-Version: 1.0\nGenerator: x (1)\nTag: py3-none-any\n",
    ));
    let line = |file: &File| {
        let lie = spelling.lie.as_ref() == Some(&file.path);
        let digest = Sha256::of(if lie { b"other".as_slice() } else { &file.bytes });
        let digest = URL_SAFE_NO_PAD.encode(digest.as_bytes());
        format!("{},sha256={digest},{}\n", file.path, file.bytes.len())
    };
    let record: String = tree.files.iter().map(line).collect();
    let record = format!("{record}{info}/RECORD,,\n");
    tree.files
        .push(File::new(&format!("{info}/RECORD"), record.as_bytes()));
    zip(&tree, spelling)
}

/// A jar: the manifest first.
pub(super) fn jar(tree: &Tree, spelling: &Spelling) -> Vec<u8> {
    let main = if spelling.lie.is_some() { "Evil" } else { "Main" };
    let text = format!(
        "Manifest-Version: 1.0\r\nMain-Class: app.{main}\r\nCreated-By: {} (Vendor)\r\n\r\n",
        spelling.tool
    );
    let mut all = tree.clone();
    all.files
        .insert(0, File::new("META-INF/MANIFEST.MF", text.as_bytes()));
    all.first = 1;
    zip(&all, spelling)
}

/// A Debian package with md5sums; a lie is in there.
pub(super) fn deb(tree: &Tree, spelling: &Spelling) -> Vec<u8> {
    let mut data = Tree::default();
    data.files.push(File {
        folder: true,
        mode: 0o755,
        ..File::new("./", b"")
    });
    data.files.push(File {
        folder: true,
        mode: 0o755,
        ..File::new("./pkg/", b"")
    });
    let inner = tree.files.iter().map(|file| File {
        path: format!("./{}", file.path),
        ..file.clone()
    });
    data.files.extend(inner);
    data.first = 2;
    let mut sums = String::new();
    for file in data
        .files
        .iter()
        .filter(|file| !file.folder && file.link.is_none())
    {
        let lie = spelling
            .lie
            .as_ref()
            .is_some_and(|path| file.path.ends_with(path));
        let sum = super::md5(if lie { b"other" } else { &file.bytes });
        writeln!(sums, "{sum}  {}", file.path.trim_start_matches("./")).unwrap();
    }
    let mut control = Tree::default();
    let text = b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: n <n@n>\nDescription: x\n";
    control.files.push(File::new("./control", text));
    control.files.push(File::new("./md5sums", sums.as_bytes()));
    // Owners are installed.
    let own = Spelling {
        owner: 0,
        reverse: false,
        ..spelling.clone()
    };
    // dpkg refuses pax headers.
    let hidden = Spelling {
        hidden: spelling
            .hidden
            .clone()
            .map(|(path, bytes)| (format!("./{path}"), bytes)),
        dialect: spelling.dialect.min(1),
        ..own.clone()
    };
    let plain = Spelling { hidden: None, ..own };
    ar(
        &[
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.xz", xz(&tar(&control, &plain, ""), &plain)),
            ("data.tar.xz", xz(&tar(&data, &hidden, ""), &hidden)),
        ],
        spelling.time,
    )
}

/// A gem: metadata and data, each compressed, and a tar around both.
pub(super) fn gem(tree: &Tree, spelling: &Spelling) -> Vec<u8> {
    let data = gzip(&tar(tree, spelling, ""), spelling);
    let metadata =
        b"--- !ruby/object:Gem::Specification\nname: x\nversion: !ruby/object:Gem::Version\n  version: '1'\n";
    let mut outer = Tree::default();
    outer
        .files
        .push(File::new("metadata.gz", &gzip(metadata, spelling)));
    outer.files.push(File::new("data.tar.gz", &data));
    tar(
        &outer,
        &Spelling {
            hidden: None,
            reverse: false,
            ..spelling.clone()
        },
        "",
    )
}
