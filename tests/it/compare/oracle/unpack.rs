//! The unpackers of this machine, and the trees that they make.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long one unpacker may take.
const LONGEST: Duration = Duration::from_secs(10);

/// A path in the unpacked tree, as bytes, and what is there.
pub type Tree = BTreeMap<Vec<u8>, String>;

/// What an unpacker made of an archive.
#[derive(Debug, PartialEq)]
pub enum Unpacked {
    Refused,
    Tree(Tree),
}

#[derive(Debug, Clone, Copy)]
pub enum How {
    /// Arguments, in which `{}` is the archive and `{to}` the folder; the program runs in the folder.
    Run(&'static [&'static str]),
    /// Likewise, for a program that reads the archive from a pipe.
    Pipe(&'static [&'static str]),
    /// The module of Python's standard library.
    Python(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub struct Unpacker {
    pub name: &'static str,
    /// The programs that must be there.
    pub programs: &'static [&'static str],
    pub how: How,
    /// The highest status with which it says that it has unpacked everything.
    pub warns: i32,
}

const fn run(name: &'static str, programs: &'static [&'static str], how: How) -> Unpacker {
    Unpacker {
        name,
        programs,
        how,
        warns: 0,
    }
}

const BSDTAR: Unpacker = run("bsdtar", &["bsdtar"], How::Run(&["bsdtar", "-xpf", "{}"]));

pub const TAR: &[Unpacker] = &[
    run("GNU tar", &["tar"], How::Run(&["tar", "-xpf", "{}"])),
    BSDTAR,
    run("tarfile", &["python3"], How::Python("tar")),
];

pub const ZIP: &[Unpacker] = &[
    Unpacker {
        warns: 1,
        ..run("unzip", &["unzip"], How::Run(&["unzip", "-qq", "-o", "-K", "{}"]))
    },
    BSDTAR,
    run(
        "bsdtar, of a pipe",
        &["bsdtar", "cat"],
        How::Pipe(&["bsdtar", "-xpf", "-"]),
    ),
    run("zipfile", &["python3"], How::Python("zip")),
];

pub const CPIO: &[Unpacker] = &[
    run(
        "cpio",
        &["cpio"],
        How::Run(&["cpio", "-idu", "--quiet", "--no-absolute-filenames", "-F", "{}"]),
    ),
    run(
        "bsdcpio",
        &["bsdcpio"],
        How::Run(&["bsdcpio", "-idu", "--quiet", "-F", "{}"]),
    ),
    BSDTAR,
];

pub const AR: &[Unpacker] = &[run("ar", &["ar"], How::Run(&["ar", "x", "{}"])), BSDTAR];

pub const DEB: &[Unpacker] = &[
    run(
        "dpkg-deb -x",
        &["dpkg-deb"],
        How::Run(&["dpkg-deb", "-x", "{}", "{to}"]),
    ),
    run(
        "dpkg-deb -e",
        &["dpkg-deb"],
        How::Run(&["dpkg-deb", "-e", "{}", "{to}/DEBIAN"]),
    ),
];

pub const RPM: &[Unpacker] = &[
    run(
        "rpm2cpio and cpio",
        &["rpm2cpio", "cpio", "sh"],
        How::Run(&[
            "sh",
            "-c",
            "rpm2cpio \"$1\" >../payload && cpio -idu --quiet --no-absolute-filenames -F ../payload; s=$?; rm -f ../payload; exit $s",
            "sh",
            "{}",
        ]),
    ),
    BSDTAR,
];

/// Whether the program is in `PATH`.
fn there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The programs of it that this machine lacks.
pub fn missing(unpacker: &Unpacker) -> Vec<&'static str> {
    let programs = unpacker.programs.iter().copied();
    programs.filter(|program| !there(program)).collect()
}

/// Python, which stays: it takes longer to start than to unpack.
pub struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

const SERVER: &str = r#"
import signal, sys, tarfile, zipfile
signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError()))
# Older ones have no filters; nothing in these archives needs one.
safe = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
for line in sys.stdin:
    kind, path, to = line.rstrip("\n").split("\t")
    signal.alarm(10)
    try:
        if kind == "tar":
            with tarfile.open(path) as archive:
                archive.errorlevel = 2
                archive.extractall(to, **safe)
        else:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(to)
        answer = "yes"
    except Exception as error:
        answer = "no"
    signal.alarm(0)
    print(answer, flush=True)
"#;

impl Python {
    pub fn new() -> Self {
        // A test runs often; a shim that looks for the right Python first is slow.
        let system = Path::new("/usr/bin/python3");
        let program = if system.exists() {
            system
        } else {
            Path::new("python3")
        };
        let mut child = Command::new(program)
            .args(["-W", "ignore", "-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from }
    }

    fn unpack(&mut self, module: &str, archive: &Path, to: &Path) -> bool {
        writeln!(self.to, "{module}\t{}\t{}", archive.display(), to.display()).unwrap();
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        assert!(matches!(answer.trim(), "yes" | "no"), "Python answers {answer:?}");
        answer.trim() == "yes"
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for it, and kills it if it takes too long.
fn status(mut child: Child) -> Option<i32> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begin.elapsed() > LONGEST {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn command(arguments: &[&str], archive: &Path, to: &Path) -> Command {
    let filled = |argument: &&str| {
        argument
            .replace("{to}", to.to_str().unwrap())
            .replace("{}", archive.to_str().unwrap())
    };
    let mut command = Command::new(arguments[0]);
    command
        .args(arguments[1..].iter().map(filled))
        .current_dir(to)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Unpacks into a fresh folder some levels below `below`, and reads all that is there then: what leaves the folder is
/// a part of the tree.
pub fn unpack(
    unpacker: &Unpacker,
    archive: &Path,
    below: &Path,
    python: Option<&mut Python>,
    bits: u32,
) -> Unpacked {
    let top = below.join("unpacked");
    let to = top.join("x/y/z");
    fs::create_dir_all(&to).unwrap();
    let unpacked = match unpacker.how {
        How::Python(module) => python.unwrap().unpack(module, archive, &to),
        How::Run(arguments) => {
            let child = command(arguments, archive, &to).spawn().unwrap();
            status(child).is_some_and(|code| code <= unpacker.warns)
        }
        How::Pipe(arguments) => {
            let mut cat = Command::new("cat")
                .arg(archive)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let stdin = cat.stdout.take().unwrap();
            let child = command(arguments, archive, &to).stdin(stdin).spawn().unwrap();
            let code = status(child);
            status(cat);
            code.is_some_and(|code| code <= unpacker.warns)
        }
    };
    let mut tree = Tree::new();
    let mut links = HashMap::new();
    read(&top, &top, bits, &mut links, &mut tree);
    fs::remove_dir_all(&top).unwrap();
    if unpacked {
        Unpacked::Tree(tree)
    } else {
        Unpacked::Refused
    }
}

fn read(top: &Path, folder: &Path, bits: u32, links: &mut HashMap<u64, PathBuf>, tree: &mut Tree) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let known = entry.metadata().unwrap();
        let inside = path.strip_prefix(top).unwrap().to_owned();
        let mode = known.mode() & bits;
        let what = if known.is_dir() {
            format!("folder {mode:o}")
        } else if known.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            format!("link to {}", target.as_os_str().as_bytes().escape_ascii())
        } else if known.is_file() {
            let bytes = File::open(&path).and_then(|_| fs::read(&path));
            let bytes = bytes.map(|bytes| bytes.escape_ascii().to_string());
            let first = links.entry(known.ino()).or_insert_with(|| inside.clone());
            let name = OsStr::as_bytes(first.as_os_str()).escape_ascii();
            format!("file {mode:o}, first {name}: {}", bytes.unwrap_or_default())
        } else {
            "something else".to_owned()
        };
        tree.insert(inside.as_os_str().as_bytes().to_vec(), what);
        if known.is_dir() {
            read(top, &path, bits, links, tree);
        }
    }
}
