//! Small trees at random, from paths that are chosen to meet.

/// Steele, Lea and Flood's splitmix64: small, seeded, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// True in `of` out of a hundred cases.
    pub fn chance(&mut self, of: usize) -> bool {
        self.below(100) < of
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    File(Vec<u8>),
    Folder,
    Symlink(Vec<u8>),
    /// Another name for the file of this path.
    Hard(Vec<u8>),
}

#[derive(Debug, Clone)]
pub struct Member {
    pub path: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub time: u64,
    pub owner: u64,
}

/// Two spellings of one tree, or of nearly one.
#[derive(Debug)]
pub struct Trees {
    pub sides: [Vec<Member>; 2],
    /// How many in a hundred of a side's fields are spelled in an unusual way.
    pub odd: [usize; 2],
}

const FOLDERS: [&str; 4] = ["d", "d/e", "b", "l"];

const PATHS: [&str; 16] = [
    "a", "b", "c", "A", "d/a", "d/b", "d/e/f", "D/a", "b/a", "l/a", "é", "e\u{301}", "a b", "a\\b", "l", "d",
];

/// They stay in the folder that the unpacker is given, or a few levels above it: that is the test's own too.
const TARGETS: [&str; 8] = ["a", "b", "d", "d/a", ".", "l", "gone", "d/e"];

fn path(random: &mut Random) -> Vec<u8> {
    match random.below(24) {
        0 => "n".repeat(99 + random.below(4)).into_bytes(),
        1 => format!("d/{}", "m".repeat(97 + random.below(4))).into_bytes(),
        2 => format!("{}/{}", "p".repeat(100), "q".repeat(98 + random.below(6))).into_bytes(),
        3 => b"\xe9".to_vec(),
        4 => format!("d/{}", "\u{e9}".repeat(50)).into_bytes(),
        _ => random.pick(&PATHS).as_bytes().to_vec(),
    }
}

fn bytes(random: &mut Random) -> Vec<u8> {
    match random.below(6) {
        0 => Vec::new(),
        1 => b"x".repeat(511 + random.below(3)),
        _ => format!("{}\n", random.below(1000)).into_bytes(),
    }
}

fn member(random: &mut Random, before: &[Member]) -> Member {
    let mut made = path(random);
    let kind = match random.below(16) {
        0..=8 => Kind::File(bytes(random)),
        9..=11 => {
            if random.chance(70) {
                made = random.pick(&FOLDERS).as_bytes().to_vec();
            }
            Kind::Folder
        }
        12 | 13 => {
            if random.chance(50) {
                made = random.pick(&["l", "b", "d", "d/l"]).as_bytes().to_vec();
            }
            Kind::Symlink(random.pick(&TARGETS).as_bytes().to_vec())
        }
        _ => {
            let files: Vec<_> = before
                .iter()
                .filter(|member| matches!(member.kind, Kind::File(_)))
                .collect();
            if files.is_empty() || random.chance(15) {
                Kind::Hard(path(random))
            } else {
                Kind::Hard(random.pick(&files).path.clone())
            }
        }
    };
    let mode = match kind {
        Kind::Folder => random.pick(&[0o755, 0o755, 0o755, 0o700, 0o777, 0o2755, 0o1777]),
        Kind::Symlink(_) => 0o777,
        _ => random.pick(&[0o644, 0o644, 0o644, 0o755, 0o600, 0o4755, 0o2644, 0o444]),
    };
    Member {
        path: made,
        kind,
        mode,
        time: 1_700_000_000 + random.next() % 1000,
        owner: 0,
    }
}

/// Another way to write the path, which may mean another one.
pub fn respell(random: &mut Random, path: &[u8]) -> Vec<u8> {
    let slash = path.iter().position(|byte| *byte == b'/');
    let between = |with: &[u8]| match slash {
        Some(at) => [&path[..at], with, &path[at + 1..]].concat(),
        None => [b"./", path].concat(),
    };
    match random.below(8) {
        0 | 1 => [b"./", path].concat(),
        2 => [path, b"/"].concat(),
        3 => between(b"//"),
        4 => between(b"/./"),
        5 => [b"d/../", path].concat(),
        6 => [b".//", path].concat(),
        _ => [path, b"/."].concat(),
    }
}

fn plant(random: &mut Random, members: &mut Vec<Member>) {
    let at = random.below(members.len());
    match random.below(9) {
        0 => {
            members.remove(at);
        }
        1 => {
            let again = members[at].clone();
            let to = random.below(members.len() + 1);
            members.insert(to, again);
        }
        2 => members[at].mode ^= random.pick(&[0o100, 0o200, 0o4000, 0o2000, 0o1000, 0o010]),
        3 => members[at].path = path(random),
        4 => {
            let new = member(random, members);
            members.insert(at, new);
        }
        5 => {
            let folder = Member {
                path: random.pick(&FOLDERS).as_bytes().to_vec(),
                kind: Kind::Folder,
                mode: 0o755,
                ..members[at].clone()
            };
            members.insert(at, folder);
        }
        6 => {
            let same = member(random, members);
            members[at].kind = same.kind;
        }
        _ => match &mut members[at].kind {
            Kind::File(bytes) | Kind::Symlink(bytes) | Kind::Hard(bytes) => match bytes.first_mut() {
                // A dot would become the root of this machine.
                Some(first) => *first = if *first == b'.' { b'a' } else { *first ^ 1 },
                None => bytes.push(b'b'),
            },
            Kind::Folder => members[at].kind = Kind::File(Vec::new()),
        },
    }
}

fn reorder(random: &mut Random, members: &mut [Member]) {
    if random.chance(50) {
        let at = random.below(members.len());
        let with = random.below(members.len());
        members.swap(at, with);
    } else {
        for at in (1..members.len()).rev() {
            members.swap(at, random.below(at + 1));
        }
    }
}

pub fn trees(random: &mut Random) -> Trees {
    let mut old = Vec::new();
    for _ in 0..2 + random.below(6) {
        let new = member(random, &old);
        old.push(new);
    }
    if random.chance(30) {
        let at = random.below(old.len());
        old[at].path = respell(random, &old[at].path.clone());
    }
    let mut new = old.clone();
    for member in &mut new {
        if random.chance(50) {
            member.time += random.next() % 100_000;
        }
    }
    if random.chance(60) {
        reorder(random, &mut new);
    }
    if random.chance(35) {
        let at = random.below(new.len());
        new[at].path = respell(random, &new[at].path.clone());
    }
    if random.chance(15) {
        let at = random.below(new.len());
        if let Kind::Hard(target) | Kind::Symlink(target) = &mut new[at].kind {
            *target = respell(random, &target.clone());
        }
    }
    if random.chance(25) {
        plant(random, &mut new);
    }
    let odd = [0, 0, 2, 6, 20];
    Trees {
        sides: if random.chance(50) { [old, new] } else { [new, old] },
        odd: [random.pick(&odd), random.pick(&odd)],
    }
}
