//! cpio and ar archives, and the packages that hold archives: deb and rpm.

mod cpio;

use std::io::Write as _;

use super::generate::{Kind, Member, Random};
use super::tar;
pub use cpio::cpio;

fn aligned(out: &mut Vec<u8>, to: usize, with: u8) {
    out.resize(out.len().next_multiple_of(to), with);
}

#[derive(Clone, Copy, PartialEq)]
pub enum Ar {
    Plain,
    Gnu,
    Bsd,
}

pub fn ar(random: &mut Random, odd: usize, dialect: Ar, members: &[(Vec<u8>, Vec<u8>, u64)]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    let header = |random: &mut Random, name: &[u8], time: u64, size: usize| {
        let mut text = vec![b' '; 16];
        text[..name.len()].copy_from_slice(name);
        let owner = if random.chance(odd) { 1000 } else { 0 };
        let mode = if random.chance(odd) { "100755" } else { "100644" };
        text.extend(format!("{time:<12}{owner:<6}{owner:<6}{mode:<8}{size:<10}`\n").into_bytes());
        text
    };
    let mut table = Vec::new();
    let mut names = Vec::new();
    for (name, ..) in members {
        let long = name.len() > 15 || (random.chance(odd) && dialect != Ar::Plain);
        names.push(match dialect {
            Ar::Gnu if long => {
                let at = table.len();
                table.extend_from_slice(&[&name[..], b"/\n"].concat());
                format!("/{at}").into_bytes()
            }
            Ar::Gnu => [&name[..], b"/"].concat(),
            Ar::Bsd if long || name.contains(&b' ') => format!("#1/{}", name.len()).into_bytes(),
            _ => name[..name.len().min(16)].to_vec(),
        });
    }
    if !table.is_empty() {
        let mut text = b"//              ".to_vec();
        if random.chance(odd) {
            text.extend(format!("{:<12}{:<6}{:<6}{:<8}", 0, 0, 0, 0).into_bytes());
        } else {
            text.extend([b' '; 32]);
        }
        text.extend(format!("{:<10}`\n", table.len()).into_bytes());
        out.extend(text);
        out.extend(table);
        aligned(&mut out, 2, b'\n');
    }
    for ((name, bytes, time), short) in members.iter().zip(names) {
        let mut all = Vec::new();
        if short.starts_with(b"#1/") {
            all.extend_from_slice(name);
        }
        all.extend_from_slice(bytes);
        out.extend(header(random, &short, *time, all.len()));
        out.extend(all);
        let with = if random.chance(odd / 4) {
            random.pick(b"\0 h")
        } else {
            b'\n'
        };
        aligned(&mut out, 2, with);
    }
    out
}

pub fn plain_ar(random: &mut Random, odd: usize, members: &[Member]) -> Vec<u8> {
    let dialect = random.pick(&[Ar::Plain, Ar::Gnu, Ar::Gnu, Ar::Bsd]);
    let flat: Vec<_> = members
        .iter()
        .map(|member| {
            let bytes = match &member.kind {
                Kind::File(bytes) => bytes.clone(),
                _ => b"other\n".to_vec(),
            };
            let name: Vec<u8> = member.path.iter().copied().filter(|byte| *byte != b'/').collect();
            (name, bytes, member.time)
        })
        .collect();
    ar(random, odd, dialect, &flat)
}

/// With a header and in as many parts as gunzip takes.
pub fn gzip(random: &mut Random, odd: usize, bytes: &[u8]) -> Vec<u8> {
    let parts = if random.chance(odd) { 2 } else { 1 };
    let mut out = Vec::new();
    for part in bytes.chunks(bytes.len().div_ceil(parts).max(1)) {
        let mut builder = flate2::GzBuilder::new().mtime(u32::try_from(random.below(1000)).unwrap());
        if random.chance(odd) {
            builder = builder.filename("a.tar").comment("c");
        }
        let level = flate2::Compression::new(u32::try_from(1 + random.below(9)).unwrap());
        let mut encoder = builder.write(Vec::new(), level);
        encoder.write_all(part).unwrap();
        out.extend(encoder.finish().unwrap());
    }
    if random.chance(odd / 4) {
        out.extend_from_slice(random.pick(&[&b"\0\0\0\0"[..], b"hidden"]));
    }
    out
}

fn control(package: &str, time: u64, path: &str) -> Vec<Member> {
    let text = format!("Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: b\n");
    vec![Member {
        path: path.into(),
        kind: Kind::File(text.into_bytes()),
        mode: 0o644,
        time,
        owner: 0,
    }]
}

pub fn deb(random: &mut Random, odd: usize, members: &[Member]) -> Vec<u8> {
    let path = if random.chance(80) { "./control" } else { "control" };
    let mut first = control("p", members.first().map_or(0, |member| member.time), path);
    if random.chance(odd) {
        let script = Member {
            path: b"./postinst".to_vec(),
            kind: Kind::File(b"#!/bin/sh\n".to_vec()),
            mode: 0o755,
            ..first[0].clone()
        };
        first.insert(random.below(2), script);
    }
    let control = tar::write(random, odd / 2, &first);
    let data = tar::write(random, odd, members);
    let mut parts = vec![(b"debian-binary".to_vec(), b"2.0\n".to_vec(), 7)];
    for (name, bytes) in [("control.tar", control), ("data.tar", data)] {
        let time = random.next() % 1000;
        if random.chance(odd) {
            parts.push((name.into(), bytes, time));
        } else {
            parts.push((format!("{name}.gz").into_bytes(), gzip(random, odd, &bytes), time));
        }
    }
    if random.chance(odd / 4) {
        let at = random.below(parts.len() + 1);
        let again = random.pick(&parts);
        parts.insert(at, again);
    }
    if random.chance(odd / 4) {
        parts.push((
            random.pick(&[&b"_gpgorigin"[..], b"other"]).to_vec(),
            b"hidden".to_vec(),
            0,
        ));
    }
    let dialect = random.pick(&[Ar::Plain, Ar::Plain, Ar::Gnu]);
    ar(random, odd / 2, dialect, &parts)
}

fn index(entries: &[(u32, u32, u32, Vec<u8>)]) -> Vec<u8> {
    let (mut table, mut store) = (Vec::new(), Vec::new());
    for (tag, kind, count, value) in entries {
        if *kind == 4 {
            aligned(&mut store, 4, 0);
        }
        let offset = u32::try_from(store.len()).unwrap();
        for number in [*tag, *kind, offset, *count] {
            table.extend(number.to_be_bytes());
        }
        store.extend_from_slice(value);
    }
    let count = u32::try_from(entries.len()).unwrap().to_be_bytes();
    let size = u32::try_from(store.len()).unwrap().to_be_bytes();
    [
        &[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0][..],
        &count,
        &size,
        &table,
        &store,
    ]
    .concat()
}

pub fn rpm(random: &mut Random, odd: usize, members: &[Member]) -> Vec<u8> {
    let payload = cpio(random, odd, members);
    let plain = payload.len();
    // Its size is content, so another order of members must not change it.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(&payload).unwrap();
    let packed = encoder.finish().unwrap();
    let text = |text: &str| [text.as_bytes(), b"\0"].concat();
    let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes().to_vec();
    let header = index(&[
        (1000, 6, 1, text("p")),
        (1001, 6, 1, text("1")),
        (1002, 6, 1, text("1")),
        (1006, 4, 1, number(1_700_000_000)),
        (1021, 6, 1, text("linux")),
        (1022, 6, 1, text("noarch")),
        (1124, 6, 1, text("cpio")),
        (1125, 6, 1, text("gzip")),
        (1126, 6, 1, text("9")),
    ]);
    let signature = index(&[
        (1000, 4, 1, number(header.len() + packed.len())),
        (1007, 4, 1, number(plain)),
    ]);
    let mut out = vec![0xed, 0xab, 0xee, 0xdb, 3, 0, 0, 0, 0, 1];
    out.extend_from_slice(b"p-1-1");
    out.resize(76, 0);
    out.extend([0, 1, 0, 5]);
    out.resize(96, 0);
    out.extend(signature);
    aligned(&mut out, 8, 0);
    out.extend(header);
    out.extend(packed);
    out
}

/// Changes one byte of the text of a header.
pub fn mutate(random: &mut Random, archive: &mut [u8]) {
    let headers: Vec<usize> = (0..archive.len())
        .filter(|at| {
            let rest = &archive[*at..];
            rest.starts_with(b"07070") || rest.starts_with(b"`\n")
        })
        .collect();
    if headers.is_empty() {
        return;
    }
    let at = random.pick(&headers);
    let offset = if archive[at] == b'`' {
        (at + 2).saturating_sub(random.below(60) + 1)
    } else {
        at + random.below(116)
    };
    let Some(byte) = archive.get_mut(offset) else {
        return;
    };
    let new = match random.below(3) {
        0 => b'0' + u8::try_from(random.below(8)).unwrap(),
        1 => *byte ^ (1 << random.below(8)),
        _ => random.pick(b" \0Af1"),
    };
    // No name and no target may become absolute.
    if new != b'/' {
        *byte = new;
    }
}
