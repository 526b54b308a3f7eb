//! One case: two archives, what we say of them, and what the unpackers make of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rebuilder::compare::{Options, Outcome, compare_bytes};

use super::generate::{Member, Random, trees};
use super::unpack::{Python, Tree, Unpacked, Unpacker, unpack};
use super::{other, tar, unpack as tools, zip};

type Write = fn(&mut Random, usize, &[Member]) -> Vec<u8>;

/// A format, or a kind of package.
#[derive(Clone, Copy)]
pub struct Format {
    /// The name of the archive.
    pub name: &'static str,
    write: Write,
    mutate: fn(&mut Random, &mut [u8]),
    pub unpackers: &'static [Unpacker],
    /// Bits of the mode that must be the same.
    bits: u32,
    /// Whether times are content.
    timed: bool,
    /// A member that tells what kind of package it is.
    mark: Option<&'static str>,
}

const PLAIN: Format = Format {
    name: "x.tar",
    write: tar::write,
    mutate: tar::mutate,
    unpackers: tools::TAR,
    bits: 0o7777,
    timed: false,
    mark: None,
};

pub const TAR: &[Format] = &[
    PLAIN,
    PLAIN,
    PLAIN,
    Format {
        name: "x.tar.gz",
        write: |random, odd, members| {
            let bytes = tar::write(random, odd, members);
            other::gzip(random, odd, &bytes)
        },
        mutate: |_, _| (),
        ..PLAIN
    },
    Format {
        name: "x.tar",
        bits: 0o7700,
        mark: Some("package/package.json"),
        ..PLAIN
    },
];

pub const ZIP: &[Format] = &[
    ZIPPED,
    ZIPPED,
    Format {
        name: "x.whl",
        bits: 0o7700,
        mark: Some("x-1.dist-info/WHEEL"),
        ..ZIPPED
    },
];

const ZIPPED: Format = Format {
    name: "x.zip",
    write: zip::write,
    mutate: zip::mutate,
    unpackers: tools::ZIP,
    bits: 0o7777,
    timed: false,
    mark: None,
};

pub const CPIO: &[Format] = &[Format {
    name: "x.cpio",
    write: other::cpio,
    mutate: other::mutate,
    unpackers: tools::CPIO,
    timed: true,
    ..PLAIN
}];

pub const AR: &[Format] = &[Format {
    name: "x.a",
    write: other::plain_ar,
    mutate: other::mutate,
    unpackers: tools::AR,
    bits: 0,
    timed: false,
    mark: None,
}];

pub const DEB: &[Format] = &[Format {
    name: "x.deb",
    write: other::deb,
    mutate: other::mutate,
    unpackers: tools::DEB,
    ..PLAIN
}];

pub const RPM: &[Format] = &[Format {
    name: "x.rpm",
    write: other::rpm,
    mutate: |_, _| (),
    unpackers: tools::RPM,
    timed: true,
    ..PLAIN
}];

/// The two archives of a seed.
pub fn archives(formats: &[Format], seed: u64) -> (Format, [Vec<u8>; 2]) {
    let mut random = Random::new(seed);
    let format = random.pick(formats);
    let mut made = trees(&mut random);
    if format.timed {
        made.sides.iter_mut().flatten().for_each(|member| member.time = 1);
    }
    if let Some(mark) = format.mark {
        for side in &mut made.sides {
            let mut first = side[0].clone();
            first.path = mark.into();
            first.kind = super::generate::Kind::File(b"{}\n".to_vec());
            first.mode = 0o644;
            side.insert(0, first);
        }
    }
    // Both sides draw the same numbers in some cases: then only what differs between the trees differs.
    let mut twin = random.clone();
    let old = (format.write)(&mut random, made.odd[0], &made.sides[0]);
    // Where sizes and dialects are content, that is nearly always needed.
    let alike = twin.chance(if format.timed { 90 } else { 40 });
    let again = if alike { &mut twin } else { &mut random };
    let odd = if alike { made.odd[0] } else { made.odd[1] };
    let mut new = (format.write)(again, odd, &made.sides[1]);
    if random.chance(30) {
        (format.mutate)(&mut random, &mut new);
    }
    (format, [old, new])
}

/// Where an unpacker makes two trees of archives that we call equivalent.
pub struct Wrong {
    pub seed: u64,
    pub unpacker: &'static str,
    pub archives: [PathBuf; 2],
    pub differs: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [old, new] = self.archives.each_ref().map(|path| path.display());
        write!(
            f,
            "seed {}, by {}: {old} and {new}: {}",
            self.seed, self.unpacker, self.differs
        )
    }
}

/// What came of a case.
pub enum Judged {
    NotEquivalent,
    Equivalent,
    Wrong(Wrong),
}

fn beyond(old: &Unpacked, new: &Unpacked) -> String {
    let (Unpacked::Tree(old), Unpacked::Tree(new)) = (old, new) else {
        return format!(
            "refused: {} and {}",
            *old == Unpacked::Refused,
            *new == Unpacked::Refused
        );
    };
    let lines = |tree: &Tree, other: &Tree| -> Vec<String> {
        let own = tree.iter().filter(|(path, what)| other.get(*path) != Some(*what));
        own.map(|(path, what)| format!("{}: {what:.120}", path.escape_ascii()))
            .collect()
    };
    format!("{:#?} and {:#?}", lines(old, new), lines(new, old))
}

/// Judges the case of a seed below the folder; archives of a wrong one are kept in `kept`.
pub fn judge(
    formats: &[Format],
    seed: u64,
    unpackers: &dyn Fn(&Unpacker) -> bool,
    below: &Path,
    kept: &Path,
    mut python: Option<&mut Python>,
) -> Judged {
    let (format, [old, new]) = archives(formats, seed);
    if compare_bytes(format.name, &old, &new, &Options::default()).outcome != Outcome::Equivalent {
        return Judged::NotEquivalent;
    }
    let paths = [("a", &old), ("b", &new)].map(|(side, bytes)| {
        let folder = below.join(side);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format.name);
        fs::write(&path, bytes).unwrap();
        path
    });
    for unpacker in format.unpackers.iter().filter(|unpacker| unpackers(unpacker)) {
        let [old, new] = [&paths[0], &paths[1]]
            .map(|path| unpack(unpacker, path, below, python.as_deref_mut(), format.bits));
        if old != new {
            let archives = ["a", "b"].map(|side| kept.join(format!("{seed}-{side}-{}", format.name)));
            fs::create_dir_all(kept).unwrap();
            for (from, to) in paths.iter().zip(&archives) {
                fs::copy(from, to).unwrap();
            }
            let differs = beyond(&old, &new);
            return Judged::Wrong(Wrong {
                seed,
                unpacker: unpacker.name,
                archives,
                differs,
            });
        }
    }
    Judged::Equivalent
}
