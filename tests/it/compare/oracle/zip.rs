//! zip archives, record by record.

use std::io::Write as _;

use super::generate::{Kind, Member, Random};

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn extra(id: u16, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&id.to_le_bytes()[..], &length.to_le_bytes(), bytes].concat()
}

/// Extra fields of the local record and of the central one.
fn extras(random: &mut Random, odd: usize, member: &Member, name: &[u8]) -> [Vec<u8>; 2] {
    let time = u32::try_from(member.time).unwrap().to_le_bytes();
    let mut both = [Vec::new(), Vec::new()];
    let mut add = |local: Vec<u8>, central: Vec<u8>| {
        both[0].extend(local);
        both[1].extend(central);
    };
    if random.chance(odd + 10) {
        let field = extra(0x5455, &[&[1][..], &time].concat());
        add(field.clone(), field);
    }
    if random.chance(odd + 10) {
        let field = extra(0x7875, &[1, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
        add(field.clone(), field);
    }
    if random.chance(odd) {
        let other = if random.chance(50) { name } else { b"other" };
        let sum = if random.chance(80) { crc(name) } else { 7 };
        let field = extra(0x7075, &[&[1][..], &sum.to_le_bytes(), other].concat());
        match random.below(3) {
            0 => add(field.clone(), field),
            1 => add(Vec::new(), field),
            _ => add(field, Vec::new()),
        }
    }
    if random.chance(odd) {
        let field = random.pick(&[
            extra(0x9999, b"hidden"),
            extra(0xcafe, b""),
            extra(0xd935, &[4, 0, 0, 0]),
            extra(0x6375, b"\x01\0\0\0\0comment"),
            extra(0x000d, &[0; 12]),
            extra(0x756e, &[0; 14]),
            extra(0x6c78, &[1, 0xff]),
            extra(0x6c78, &[7, 0, 3, 0, 0, 0xed, 0x81]),
            vec![0, 0, 0],
        ]);
        match random.below(3) {
            0 => add(field.clone(), field),
            1 => add(Vec::new(), field),
            _ => add(field, Vec::new()),
        }
    }
    both
}

struct Entry {
    local: Vec<u8>,
    central: Vec<u8>,
}

/// Both records; the offset in the central one is written later.
fn entry(random: &mut Random, odd: usize, member: &Member, level: u32) -> Entry {
    let (bytes, kind): (&[u8], u32) = match &member.kind {
        Kind::File(bytes) => (bytes, 0o100_000),
        Kind::Folder => (b"", 0o040_000),
        Kind::Symlink(target) => (target, 0o120_000),
        Kind::Hard(target) => (target, 0o100_000),
    };
    let mut name = member.path.clone();
    if kind == 0o040_000 && !random.chance(odd) {
        name.push(b'/');
    }
    let stored = bytes.is_empty() || kind == 0o120_000 || random.chance(20);
    let packed = if stored {
        bytes.to_vec()
    } else {
        deflate(bytes, level)
    };
    let utf8 =
        std::str::from_utf8(&name).is_ok() && (!name.is_ascii() && !random.chance(odd) || random.chance(odd));
    let descriptor = random.chance(odd.max(5)) && (!stored || random.chance(odd));
    let flags: u16 = u16::from(descriptor) << 3 | u16::from(utf8) << 11 | u16::from(random.chance(odd)) << 1;
    let (sum, small, large) = (
        crc(bytes).to_le_bytes(),
        u32::try_from(packed.len()).unwrap().to_le_bytes(),
        u32::try_from(bytes.len()).unwrap().to_le_bytes(),
    );
    let [local_extra, central_extra] = extras(random, odd, member, &name);
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_le_bytes();
    let day = u16::try_from(member.time % 28).unwrap() + 1 + (44 << 9) + (3 << 5);
    let shared = |sizes: bool| {
        let zero = [0; 4];
        [
            &[20, 0][..],
            &flags.to_le_bytes(),
            &[if stored { 0 } else { 8 }, 0, 0, 0],
            &day.to_le_bytes(),
            if sizes { &sum } else { &zero },
            if sizes { &small } else { &zero },
            if sizes { &large } else { &zero },
        ]
        .concat()
    };
    let mut local_name = name.clone();
    if random.chance(odd / 4) {
        local_name = b"other".to_vec();
    }
    let mut local = [
        b"PK\x03\x04",
        &shared(!descriptor)[..],
        &length(&local_name),
        &length(&local_extra),
        &local_name,
        &local_extra,
        &packed,
    ]
    .concat();
    if descriptor {
        if !random.chance(odd) {
            local.extend_from_slice(b"PK\x07\x08");
        }
        local.extend([sum, small, large].concat());
    }
    let (attributes, host) = attributes(random, odd, kind, member.mode);
    let central = [
        b"PK\x01\x02",
        &[30, host][..],
        &shared(true),
        &length(&name),
        &length(&central_extra),
        &[0, 0, 0, 0, u8::from(random.chance(odd)), 0],
        &attributes.to_le_bytes(),
        &[0; 4],
        &name,
        &central_extra,
    ]
    .concat();
    Entry { local, central }
}

/// External attributes, and the system that they are of.
fn attributes(random: &mut Random, odd: usize, kind: u32, permissions: u32) -> (u32, u8) {
    let mut mode = kind | permissions;
    if kind != 0o120_000 && random.chance(odd) {
        mode = random.pick(&[0, permissions, kind, 0o100_000 | permissions]);
    }
    let mut attributes = mode << 16 | u32::from(kind == 0o040_000) << 4;
    if random.chance(odd) {
        attributes ^= random.pick(&[0x10, 0x20, 0x01, 0x02, 0x04, 0x08, 0x8000, 0x100]);
    }
    let host = if random.chance(odd) {
        random.pick(&[0, 1, 6, 7, 10, 11, 14, 19, 20])
    } else {
        3
    };
    (attributes, host)
}

pub fn write(random: &mut Random, odd: usize, members: &[Member]) -> Vec<u8> {
    let level = u32::try_from(1 + random.below(9)).unwrap();
    let mut out = Vec::new();
    if random.chance(odd / 4) {
        out.extend_from_slice(b"#!/bin/sh\n");
    }
    let mut directory = Vec::new();
    for member in members {
        if random.chance(odd / 4) {
            out.extend_from_slice(b"gap");
        }
        let mut made = entry(random, odd, member, level);
        let offset = u32::try_from(out.len()).unwrap();
        made.central[42..46].copy_from_slice(&offset.to_le_bytes());
        out.extend(made.local);
        if !random.chance(odd / 4) {
            directory.push(made.central);
        }
    }
    if random.chance(odd) {
        directory.reverse();
    }
    let begin = u32::try_from(out.len()).unwrap();
    let count = u16::try_from(directory.len()).unwrap().to_le_bytes();
    out.extend(directory.concat());
    let size = u32::try_from(out.len()).unwrap() - begin;
    let comment: &[u8] = if random.chance(odd / 4) { b"hidden" } else { b"" };
    out.extend(
        [
            &b"PK\x05\x06\0\0\0\0"[..],
            &count,
            &count,
            &size.to_le_bytes(),
            &begin.to_le_bytes(),
            &u16::try_from(comment.len()).unwrap().to_le_bytes(),
            comment,
        ]
        .concat(),
    );
    out
}

/// Changes one byte of a record's fixed part.
pub fn mutate(random: &mut Random, archive: &mut [u8]) {
    let records: Vec<(usize, usize)> = (0..archive.len().saturating_sub(46))
        .filter_map(|at| match &archive[at..at + 4] {
            b"PK\x03\x04" => Some((at, 30)),
            b"PK\x01\x02" => Some((at, 46)),
            _ => None,
        })
        .collect();
    if records.is_empty() {
        return;
    }
    let (at, length) = random.pick(&records);
    // Some bytes of the name and the extra fields behind it too.
    let offset = (at + 4 + random.below(length + 8)).min(archive.len() - 1);
    let new = archive[offset] ^ (1 << random.below(8));
    // No name and no target may become absolute.
    if new != b'/' {
        archive[offset] = new;
    }
}
