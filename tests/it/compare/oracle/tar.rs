//! tar archives, byte by byte, in all dialects and with odd spellings of their fields.

use super::generate::{Kind, Member, Random};

fn octal(random: &mut Random, odd: usize, field: &mut [u8], value: u64) {
    let width = field.len();
    let text = if random.chance(odd) {
        match random.below(6) {
            0 => format!("{value:o} \0"),
            1 => format!("{value:>0$o} ", width - 1),
            2 => format!("{value:0>width$o}"),
            3 => format!(" {value:o}\0"),
            4 => format!("{value:0>0$o} \0", width - 2),
            _ => {
                field.fill(0);
                field[0] = 0x80;
                let bytes = value.to_be_bytes();
                let from = width.saturating_sub(8).max(1);
                field[from..].copy_from_slice(&bytes[8 - (width - from)..]);
                return;
            }
        }
    } else {
        format!("{value:0>0$o}\0", width - 1)
    };
    let bytes = text.as_bytes();
    let length = bytes.len().min(width);
    field.fill(0);
    field[..length].copy_from_slice(&bytes[..length]);
}

pub fn check(header: &mut [u8], signed: bool) {
    header[148..156].fill(b' ');
    let sum: i64 = header[..512]
        .iter()
        .map(|byte| {
            if signed {
                i64::from(byte.cast_signed())
            } else {
                i64::from(*byte)
            }
        })
        .sum();
    header[148..156].copy_from_slice(format!("{:06o}\0 ", sum.max(0)).as_bytes());
}

fn padded(out: &mut Vec<u8>, bytes: &[u8], with: u8) {
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(512), with);
}

pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    V7,
    Ustar,
    Gnu,
    Pax,
}

struct Header<'a> {
    name: &'a [u8],
    target: &'a [u8],
    kind: u8,
    size: usize,
    mode: u32,
    time: u64,
    owner: u64,
}

fn header(random: &mut Random, odd: usize, dialect: Dialect, of: &Header) -> [u8; 512] {
    let mut out = [0; 512];
    let mut name = of.name;
    if dialect != Dialect::V7 && dialect != Dialect::Gnu {
        let splits: Vec<usize> = (1..name.len().min(156))
            .filter(|at| name[*at] == b'/' && name.len() - at - 1 <= 100 && at + 1 < name.len())
            .collect();
        if !splits.is_empty() && (name.len() > 100 || random.chance(odd)) {
            let at = random.pick(&splits);
            out[345..345 + at].copy_from_slice(&name[..at]);
            name = &name[at + 1..];
        }
    }
    let length = name.len().min(100);
    out[..length].copy_from_slice(&name[..length]);
    octal(random, odd, &mut out[100..108], u64::from(of.mode));
    octal(random, odd, &mut out[108..116], of.owner);
    octal(random, odd, &mut out[116..124], of.owner);
    octal(random, odd, &mut out[124..136], of.size as u64);
    octal(random, odd, &mut out[136..148], of.time);
    out[156] = of.kind;
    let length = of.target.len().min(100);
    out[157..157 + length].copy_from_slice(&of.target[..length]);
    match dialect {
        Dialect::V7 => {}
        Dialect::Gnu => out[257..265].copy_from_slice(b"ustar  \0"),
        _ => out[257..265].copy_from_slice(b"ustar\x0000"),
    }
    if dialect != Dialect::V7 && random.chance(odd) {
        octal(random, odd, &mut out[329..337], 0);
        octal(random, odd, &mut out[337..345], 0);
    }
    if random.chance(odd / 4) {
        // Where no reader looks, or some do.
        let at = random.pick(&[
            99, 256, 263, 296, 328, 336, 344, 345, 400, 475, 482, 483, 499, 500, 511,
        ]);
        out[at] = random.pick(b"a0 \xff");
    }
    let signed = random.chance(odd);
    check(&mut out, signed);
    out
}

fn extension(random: &mut Random, out: &mut Vec<u8>, dialect: Dialect, kind: u8, name: &[u8], bytes: &[u8]) {
    let of = Header {
        name,
        target: b"",
        kind,
        size: bytes.len(),
        mode: 0o644,
        time: 0,
        owner: 0,
    };
    out.extend_from_slice(&header(random, 0, dialect, &of));
    padded(out, bytes, 0);
}

// Long, as it is one table.
fn add(random: &mut Random, odd: usize, dialect: Dialect, out: &mut Vec<u8>, member: &Member) {
    let (mut kind, bytes, target): (u8, &[u8], &[u8]) = match &member.kind {
        Kind::File(bytes) => (b'0', bytes, b""),
        Kind::Folder => (b'5', b"", b""),
        Kind::Symlink(target) => (b'2', b"", target),
        Kind::Hard(target) => (b'1', b"", target),
    };
    let mut name = member.path.clone();
    if kind == b'5' && !random.chance(odd) {
        name.push(b'/');
    }
    if kind == b'0' && random.chance(odd) {
        kind = random.pick(b"\x0077");
    }
    if kind == b'5' && random.chance(odd) && name.ends_with(b"/") {
        kind = random.pick(b"0\0D");
    }
    let mut bytes = bytes.to_vec();
    if matches!(kind, b'1' | b'2' | b'5') && random.chance(odd / 2) {
        bytes = b"data of a link".to_vec();
    }
    let mut of = Header {
        name: &name,
        target,
        kind,
        size: bytes.len(),
        mode: member.mode,
        time: member.time,
        owner: member.owner,
    };
    let long = name.len() > 100;
    let mut short = name.clone();
    match dialect {
        Dialect::Gnu => {
            if long || random.chance(odd) {
                let end: &[u8] = if random.chance(odd) { b"" } else { b"\0" };
                let text = [&name, end].concat();
                extension(random, out, dialect, b'L', b"././@LongLink", &text);
                if random.chance(odd) {
                    short = b"other".to_vec();
                }
            }
            if target.len() > 100 || (!target.is_empty() && random.chance(odd)) {
                extension(
                    random,
                    out,
                    dialect,
                    b'K',
                    b"././@LongLink",
                    &[target, b"\0"].concat(),
                );
            }
        }
        Dialect::Pax => {
            let mut records = Vec::new();
            if long || random.chance(odd) {
                records.push(record("path", &name));
                if random.chance(odd) {
                    short = b"other".to_vec();
                }
            }
            if target.len() > 100 || (!target.is_empty() && random.chance(odd)) {
                records.push(record("linkpath", target));
            }
            if random.chance(odd + 5) {
                records.push(record("mtime", format!("{}.5", member.time).as_bytes()));
            }
            if random.chance(odd) {
                records.push(record("size", bytes.len().to_string().as_bytes()));
                if random.chance(30) {
                    of.size = 0;
                }
            }
            if random.chance(odd) {
                let (key, value): (&str, &[u8]) = random.pick(&[
                    ("uid", &b"0"[..]),
                    ("comment", b"x"),
                    ("path", b""),
                    ("hdrcharset", b"BINARY"),
                    ("SCHILY.ino", b"7"),
                    ("SCHILY.filetype", b"dir"),
                    ("GNU.sparse.name", b"other"),
                    ("GNU.sparse.realsize", b"3"),
                    ("SCHILY.realsize", b"3"),
                    ("LIBARCHIVE.creationtime", b"1"),
                    ("mode", b"0000755"),
                    ("linkpath", b"a"),
                    ("size", b""),
                ]);
                records.insert(random.below(records.len() + 1), record(key, value));
            }
            if !records.is_empty() {
                extension(random, out, dialect, b'x', b"PaxHeaders/x", &records.concat());
            }
        }
        _ => {}
    }
    of.name = &short;
    out.extend_from_slice(&header(random, odd, dialect, &of));
    let with = if random.chance(odd / 4) { b'h' } else { 0 };
    padded(out, &bytes, with);
}

pub fn write(random: &mut Random, odd: usize, members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    let dialects = [
        Dialect::V7,
        Dialect::Ustar,
        Dialect::Gnu,
        Dialect::Pax,
        Dialect::Pax,
    ];
    let most = random.pick(&dialects[1..]);
    if random.chance(odd) {
        let global = random.pick(&[
            record("comment", b"0123"),
            record("path", b"a"),
            record("linkpath", b"a"),
            record("mtime", b"7"),
            record("size", b"1"),
        ]);
        extension(
            random,
            &mut out,
            Dialect::Pax,
            b'g',
            b"pax_global_header",
            &global,
        );
    }
    for member in members {
        let long = member.path.len() > 99;
        let mut dialect = if random.chance(odd) {
            random.pick(&dialects)
        } else {
            most
        };
        if long && matches!(dialect, Dialect::V7 | Dialect::Ustar) {
            dialect = Dialect::Gnu;
        }
        add(random, odd, dialect, &mut out, member);
        if random.chance(odd / 8) {
            out.extend_from_slice(&[0; 512]);
        }
    }
    let blocks = if random.chance(odd) { random.below(8) } else { 2 };
    out.resize(out.len() + blocks * 512, 0);
    if random.chance(odd / 4) {
        out.extend_from_slice(&[b'h'; 512]);
    }
    out
}

/// Changes one byte of a header and makes its checksum right.
pub fn mutate(random: &mut Random, archive: &mut [u8]) {
    let blocks: Vec<usize> = (0..archive.len() / 512)
        .map(|at| at * 512)
        .filter(|at| {
            let block = &archive[*at..at + 512];
            block[148..154].iter().all(|byte| (b'0'..b'8').contains(byte)) && block[154] == 0
        })
        .collect();
    if blocks.is_empty() {
        return;
    }
    let at = random.pick(&blocks);
    let field = random.pick(&[
        (0, 100),
        (100, 108),
        (124, 136),
        (136, 148),
        (156, 157),
        (157, 257),
        (257, 265),
        (265, 345),
        (345, 500),
        (500, 512),
    ]);
    let offset = at + field.0 + random.below(field.1 - field.0);
    let new = match random.below(5) {
        0 => 0,
        1 => b' ',
        2 => b'0' + u8::try_from(random.below(8)).unwrap(),
        3 => archive[offset] ^ (1 << random.below(8)),
        _ => random.pick(b"a.ALKxgS157\x80\xff"),
    };
    // No name and no target may become absolute.
    if new != b'/' {
        archive[offset] = new;
    }
    check(&mut archive[at..at + 512], false);
}
