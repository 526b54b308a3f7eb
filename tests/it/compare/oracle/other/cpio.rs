//! cpio archives, in three forms.

use super::{Kind, Member, Random, aligned};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Cpio {
    Newc,
    Crc,
    Odc,
}

pub(super) struct Record<'a> {
    name: &'a [u8],
    bytes: &'a [u8],
    mode: u32,
    inode: u64,
    links: usize,
    time: u64,
}

pub(super) fn record(random: &mut Random, odd: usize, dialect: Cpio, out: &mut Vec<u8>, of: &Record) {
    let mut name = [of.name, b"\0"].concat();
    if random.chance(odd / 4) {
        name.extend_from_slice(random.pick(&[&b"\0"[..], b"h\0", b"\0\0\0"]));
    }
    let device = if random.chance(odd) { 8 } else { 0 };
    if dialect == Cpio::Odc {
        let fields = format!(
            "070707{:06o}{:06o}{:06o}{:06o}{:06o}{:06o}{:06o}{:011o}{:06o}{:011o}",
            device,
            of.inode,
            of.mode,
            0,
            0,
            of.links,
            0,
            of.time,
            name.len(),
            of.bytes.len()
        );
        out.extend(fields.into_bytes());
        out.extend(name);
        out.extend_from_slice(of.bytes);
        return;
    }
    let sum: u32 = match dialect {
        Cpio::Crc => of.bytes.iter().map(|byte| u32::from(*byte)).sum(),
        _ if random.chance(odd / 4) => 7,
        _ => 0,
    };
    let fields = [
        of.inode,
        u64::from(of.mode),
        0,
        0,
        of.links as u64,
        of.time,
        of.bytes.len() as u64,
        device,
        0,
        0,
        0,
        name.len() as u64,
        u64::from(sum),
    ];
    out.extend_from_slice(if dialect == Cpio::Crc {
        b"070702"
    } else {
        b"070701"
    });
    let upper = random.chance(odd);
    for field in fields {
        let text = if upper {
            format!("{field:08X}")
        } else {
            format!("{field:08x}")
        };
        out.extend(text.into_bytes());
    }
    let with = if random.chance(odd / 4) { b'h' } else { 0 };
    out.extend(name);
    aligned(out, 4, with);
    out.extend_from_slice(of.bytes);
    aligned(out, 4, with);
}

/// Members of one file, and where its bytes are.
pub fn cpio(random: &mut Random, odd: usize, members: &[Member]) -> Vec<u8> {
    let dialect = random.pick(&[Cpio::Newc, Cpio::Newc, Cpio::Crc, Cpio::Odc]);
    let first = |path: &[u8]| members.iter().position(|member| member.path == path);
    let file = |at: usize| match &members[at].kind {
        Kind::Hard(target) => first(target)
            .filter(|to| matches!(members[*to].kind, Kind::File(_)))
            .unwrap_or(at),
        _ => at,
    };
    let begin = if random.chance(40) {
        random.below(2000) as u64
    } else {
        1
    };
    let mut out = Vec::new();
    for (at, member) in members.iter().enumerate() {
        let to = file(at);
        let group: Vec<usize> = (0..members.len()).filter(|other| file(*other) == to).collect();
        let content: &[u8] = match &members[to].kind {
            Kind::File(bytes) => bytes,
            Kind::Symlink(target) => target,
            _ => b"",
        };
        let last = group.last() == Some(&at);
        let everywhere = dialect == Cpio::Odc || random.chance(odd);
        let kind = match member.kind {
            Kind::Folder => 0o040_000,
            Kind::Symlink(_) => 0o120_000,
            _ => 0o100_000,
        };
        let mut name = member.path.clone();
        if kind == 0o040_000 && random.chance(odd) {
            name.push(b'/');
        }
        let inode = if random.chance(odd / 2) {
            1
        } else {
            begin + to as u64
        };
        let links = if random.chance(odd) {
            1 + random.below(3)
        } else {
            group.len()
        };
        let of = Record {
            name: &name,
            bytes: if last || everywhere { content } else { b"" },
            mode: kind | members[to].mode,
            inode,
            links,
            time: member.time,
        };
        record(random, odd, dialect, &mut out, &of);
    }
    let end = Record {
        name: b"TRAILER!!!",
        bytes: b"",
        mode: 0,
        inode: 0,
        links: 1,
        time: 0,
    };
    record(random, 0, dialect, &mut out, &end);
    if random.chance(50) {
        aligned(&mut out, 512, 0);
    }
    if random.chance(odd / 2) {
        out.extend_from_slice(&[0; 512]);
    }
    if random.chance(odd / 4) {
        out.extend_from_slice(b"hidden");
    }
    out
}
