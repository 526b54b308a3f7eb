//! Pairs of equal artifacts with one meaningful change planted among everything benign that is known: the change must
//! never be set aside, content must be the first cause, and the place must be named. And the reverse: what is benign
//! alone is set aside, or its own cause comes first.
//!
//! `REBUILDER_ADVERSARY_CASES=20000 cargo test --test it compare::adversary::` runs more of them. The seeds of cases that
//! ever went wrong are in [`OLD_SEEDS`].

mod formats;
mod writers;

use formats::FORMATS;
use md5::Digest as _;
use rebuilder::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

/// Seeds of cases that once went wrong.
const OLD_SEEDS: &[u64] = &[];

/// One file of an artifact.
#[derive(Debug, Clone)]
struct File {
    path: String,
    bytes: Vec<u8>,
    mode: u32,
    link: Option<String>,
    folder: bool,
}

impl File {
    fn new(path: &str, bytes: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            bytes: bytes.to_vec(),
            mode: 0o644,
            link: None,
            folder: false,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Tree {
    files: Vec<File>,
    /// How many of the first keep their place, whatever the spelling says.
    first: usize,
}

impl Tree {
    fn in_order(&self, spelling: &Spelling) -> Vec<&File> {
        let (first, rest) = self.files.split_at(self.first);
        let mut rest: Vec<_> = rest.iter().collect();
        if spelling.reverse {
            rest.reverse();
        }
        first.iter().chain(rest).collect()
    }

    fn file(&mut self, path: &str) -> &mut File {
        self.files.iter_mut().find(|file| file.path == path).unwrap()
    }
}

/// How a tree is written: what may differ, and what may be hidden.
#[derive(Debug, Clone)]
struct Spelling {
    time: i64,
    owner: u32,
    level: u32,
    reverse: bool,
    /// tar: 0 ustar, 1 GNU, 2 pax.
    dialect: u8,
    /// The tool that a manifest names.
    tool: &'static str,
    /// Bytes after the data of a file, where no unpacker looks.
    hidden: Option<(String, Vec<u8>)>,
    /// A file whose digest in a list is that of other bytes; for jars, another main class.
    lie: Option<String>,
    /// zip: the name of a file in its local header.
    local_name: Option<(String, String)>,
}

type Write = fn(&Tree, &Spelling) -> Vec<u8>;

/// The formats, with what each may differ in.
struct Format {
    name: &'static str,
    write: Write,
    /// Owners of members differ without anyone noticing.
    owners: bool,
    links: bool,
    lists: bool,
    zip: bool,
    tar: bool,
}

/// The same numbers for the same seed, everywhere (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

fn md5(bytes: &[u8]) -> String {
    hex::encode(md5::Md5::digest(bytes))
}

const CODE: &str = "pkg/core.py";
const SCRIPT: &str = "pkg/run.sh";
const LINK: &str = "pkg/link";

fn tree(dice: &mut Dice, format: &Format) -> Tree {
    let mut files = vec![
        File::new(
            CODE,
            b"import os\n\ndef allowed(user):\n    return user == 'root'\n\nLIMIT = 4096\n",
        ),
        File {
            mode: 0o755,
            ..File::new(SCRIPT, b"#!/bin/sh\nset -e\nbackup\ndelete --all\n")
        },
        File::new(
            "pkg/conf.json",
            br#"{"limit": 10, "host": "db.example.org", "on": true}"#,
        ),
        File::new(
            "pkg/x.service",
            b"[Service]\nUser=www-data\nExecStart=/usr/bin/x\n",
        ),
        File::new(
            "pkg/guide.txt",
            b"Run make install.\nThen log in as admin@example.org.\n",
        ),
    ];
    let mut noise = vec![0_u8; 40 + dice.roll(900)];
    for byte in &mut noise {
        *byte = u8::try_from(dice.roll(256)).unwrap();
    }
    noise[0] = 0;
    files.push(File::new("pkg/data.bin", &noise));
    if format.links {
        files.push(File {
            link: Some("run.sh".into()),
            mode: 0o777,
            ..File::new(LINK, b"")
        });
    }
    let own: &[(&str, &str)] = match format.name {
        "x-1.tgz" => &[("package.json", r#"{"name": "x", "version": "1.0.0"}"#)],
        "x-1.crate" => &[
            ("Cargo.toml", "[package]\nname = \"x\"\nversion = \"1.0.0\"\n"),
            (
                "Cargo.toml.orig",
                "[package]\nname = \"x\"\nversion = \"1.0.0\"\n",
            ),
        ],
        _ => &[],
    };
    files.extend(own.iter().map(|(path, text)| File::new(path, text.as_bytes())));
    Tree { files, first: 0 }
}

fn spelling(dice: &mut Dice, format: &Format) -> Spelling {
    Spelling {
        time: 1_704_200_000 + 2 * i64::try_from(dice.roll(20_000)).unwrap(),
        owner: if format.owners {
            u32::try_from(dice.roll(3)).unwrap()
        } else {
            0
        },
        level: 1 + u32::try_from(dice.roll(9)).unwrap(),
        reverse: dice.roll(2) == 1,
        dialect: if format.tar {
            u8::try_from(dice.roll(3)).unwrap()
        } else {
            0
        },
        tool: ["11.0.2", "17.0.1"][dice.roll(2)],
        hidden: None,
        lie: None,
        local_name: None,
    }
}

/// Plants one change; gives what must be named, or `None` where the format has no such thing.
// Long, as it is one table.
fn plant(dice: &mut Dice, format: &Format, tree: &mut Tree, spelling: &mut Spelling) -> Option<&'static str> {
    let single = format.name == "core.py.gz";
    let replace = |file: &mut File, from: &str, to: &str| {
        let text = String::from_utf8(file.bytes.clone()).unwrap();
        assert!(text.contains(from), "{from}");
        file.bytes = text.replacen(from, to, 1).into_bytes();
    };
    let kind = if single { dice.roll(3) } else { dice.roll(18) };
    let archives_modes = !["x.a", "core.py.gz"].contains(&format.name);
    match kind {
        0 => replace(tree.file(CODE), "'root'", "'toor'"),
        1 => replace(tree.file(CODE), "4096", "4097"),
        2 => replace(tree.file(CODE), "import os\n", "import os; os.system('x')\n"),
        3 => {
            replace(
                tree.file(SCRIPT),
                "backup\ndelete --all\n",
                "delete --all\nbackup\n",
            );
            return Some("run.sh");
        }
        4 => {
            replace(tree.file("pkg/conf.json"), "10", "11");
            return Some("conf.json");
        }
        5 => {
            replace(tree.file("pkg/x.service"), "www-data", "root");
            return Some("x.service");
        }
        6 => {
            replace(
                tree.file("pkg/guide.txt"),
                "admin@example.org",
                "admin@example.com",
            );
            return Some("guide.txt");
        }
        7 => {
            replace(tree.file("pkg/conf.json"), "db.example.org", "db.examp1e.org");
            return Some("conf.json");
        }
        8 => {
            let file = tree.file("pkg/data.bin");
            let at = dice.roll(file.bytes.len() - 1) + 1;
            file.bytes[at] ^= 1 << dice.roll(8);
            return Some("data.bin");
        }
        9 => {
            tree.files.retain(|file| file.path != SCRIPT);
            return Some("run.sh");
        }
        10 => {
            tree.files.push(File::new("pkg/extra.pth", b"import evil\n"));
            return Some("extra.pth");
        }
        11 => {
            "pkg/bore.py".clone_into(&mut tree.file(CODE).path);
            return Some("ore.py");
        }
        12 if archives_modes => {
            tree.file(SCRIPT).mode = 0o644;
            return Some("run.sh");
        }
        13 if archives_modes => {
            tree.file(SCRIPT).mode = 0o4755;
            return Some("run.sh");
        }
        14 if format.links => {
            tree.file(LINK).link = Some("xun.sh".into());
            return Some("link");
        }
        15 if format.lists => {
            spelling.lie = Some(CODE.into());
            return Some(match format.name {
                "x.jar" => "MANIFEST.MF",
                "x_1_all.deb" => "md5sums",
                _ => "RECORD",
            });
        }
        16 if format.tar || format.zip => {
            // Odd enough to leave room before the next block.
            spelling.hidden = Some((CODE.into(), b"#!/bin/sh hidden".to_vec()));
            return Some("");
        }
        17 if format.zip => {
            spelling.local_name = Some((CODE.into(), "pkg/evil.py".into()));
            return Some("");
        }
        _ => return None,
    }
    Some(if format.name == "core.py.gz" {
        ""
    } else {
        "core.py"
    })
}

/// What a comparison says, as text, for the message of a failure and to look for names in.
fn told(found: &Comparison) -> String {
    serde_json::to_string(found).unwrap()
}

/// Paths of all nodes in which a finding is more than benign.
fn accused(found: &Comparison) -> Vec<String> {
    let mut paths = Vec::new();
    if let Some(tree) = &found.tree {
        tree.each("", &mut |path, node| {
            for finding in &node.findings {
                if matches!(
                    finding.cause,
                    Cause::Content | Cause::Unread | Cause::AmbiguousArchive
                ) {
                    paths.push(format!(
                        "{path} {} {} {}",
                        finding.place, finding.released, finding.rebuilt
                    ));
                }
            }
        });
    }
    paths
}

struct Case {
    format: &'static Format,
    released: Vec<u8>,
    rebuilt: Vec<u8>,
    /// What must be named; `None` where everything is benign.
    planted: Option<&'static str>,
}

fn case(seed: u64, benign: bool) -> Option<Case> {
    let mut dice = Dice(seed);
    let format = &FORMATS[dice.roll(FORMATS.len())];
    let released = tree(&mut dice, format);
    let (one, mut other) = (spelling(&mut dice, format), spelling(&mut dice, format));
    let mut rebuilt = released.clone();
    let planted = if benign {
        None
    } else {
        Some(plant(&mut dice, format, &mut rebuilt, &mut other)?)
    };
    Some(Case {
        format,
        released: (format.write)(&released, &one),
        rebuilt: (format.write)(&rebuilt, &other),
        planted,
    })
}

fn judged(case: &Case) -> Result<(), String> {
    let found = compare_bytes(
        case.format.name,
        &case.released,
        &case.rebuilt,
        &Options::default(),
    );
    let fail = |why: &str| Err(format!("{}: {why}: {}", case.format.name, told(&found)));
    let Some(name) = case.planted else {
        return match found.outcome {
            Outcome::Identical | Outcome::Equivalent => Ok(()),
            Outcome::Different if accused(&found).is_empty() => Ok(()),
            Outcome::Different => fail("what is benign is called content"),
        };
    };
    if found.outcome != Outcome::Different {
        return fail("a planted change is set aside");
    }
    let first = found.causes.first().map(|cause| cause.cause);
    if !matches!(
        first,
        Some(Cause::Content | Cause::Unread | Cause::AmbiguousArchive)
    ) {
        return fail("content is not the first cause");
    }
    let accused = accused(&found);
    if !accused.iter().any(|path| path.contains(name)) {
        return fail(&format!("{name} is not named but {accused:?}"));
    }
    Ok(())
}

/// How many cases are tried; all of them take as long as the tests of a change may.
fn cases() -> u64 {
    let asked = std::env::var("REBUILDER_ADVERSARY_CASES");
    asked.ok().and_then(|text| text.parse().ok()).unwrap_or(3000)
}

#[apply(test)]
fn a_planted_change_is_never_hidden() {
    let mut failed = Vec::new();
    let mut formats = std::collections::BTreeMap::<_, u64>::new();
    for seed in OLD_SEEDS.iter().copied().chain(0..cases()) {
        let Some(case) = case(seed, false) else { continue };
        *formats.entry(case.format.name).or_default() += 1;
        failed.extend(judged(&case).err().map(|why| format!("seed {seed}: {why}")));
    }
    assert!(
        failed.is_empty(),
        "{} of {formats:?}\n{}",
        failed.len(),
        failed[..failed.len().min(5)].join("\n")
    );
    assert!(formats.len() >= 14, "{formats:?}");
}

#[apply(test)]
fn what_is_benign_is_set_aside_or_named() {
    let all = cases() / 4;
    let mut failed = Vec::new();
    let mut wrong = std::collections::BTreeMap::<_, u64>::new();
    for seed in 0..all {
        let Some(case) = case(seed, true) else { continue };
        if let Err(why) = judged(&case) {
            *wrong.entry(case.format.name).or_default() += 1;
            failed.push(format!("seed {seed}: {why}"));
        }
    }
    println!(
        "{} of {all} benign pairs are called content: {wrong:?}",
        failed.len()
    );
    assert!(
        failed.len() as u64 * 20 <= all,
        "{} of {all}\n{}",
        failed.len(),
        failed[..failed.len().min(5)].join("\n")
    );
}
