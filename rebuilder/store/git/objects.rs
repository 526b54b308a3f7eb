//! Objects of a kept repository, each compared with its name as it is read.
//!
//! An object's name is the digest of its kind, its length and its bytes. So everything that is used of a commit is
//! proven to be part of it, and objects that are not used cost nothing. One git process reads all of them.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::checkout::Checkout;

/// The end of git's answer for an object that it does not have.
const MISSING: &str = " missing";
/// Maximum length of the line before an object.
const LINE_LIMIT: u64 = 4096;

/// A conversation with `git cat-file --batch`.
pub(super) struct Objects {
    child: Child,
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
}

/// The line before an object's bytes.
pub(super) struct Head {
    pub kind: String,
    pub size: u64,
}

/// The running digest of an object; the length of its name tells the algorithm.
enum Naming {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Naming {
    fn of(name: &str) -> Self {
        if name.len() == 64 {
            Self::Sha256(Sha256::new())
        } else {
            Self::Sha1(Sha1::new())
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Sha1(digest) => hex::encode(digest.finalize()),
            Self::Sha256(digest) => hex::encode(digest.finalize()),
        }
    }
}

impl Objects {
    pub fn open(checkout: &Checkout) -> io::Result<Self> {
        Self::start(checkout, &["cat-file", "--batch"])
    }

    fn start(checkout: &Checkout, command: &[&str]) -> io::Result<Self> {
        let mut child = checkout
            .git(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (ask, answer) = (child.stdin.take(), child.stdout.take());
        let answer = answer.ok_or_else(|| io::Error::other("git has no pipes"))?;
        Ok(Self {
            child,
            ask,
            answer: BufReader::with_capacity(1 << 18, answer),
        })
    }

    /// Passes these objects to `take`, one after another; all of them must exist.
    ///
    /// All questions are sent ahead: waiting for each answer would cost more than the answers.
    pub fn each(
        checkout: &Checkout,
        wanted: &[TreeEntry],
        mut take: impl FnMut(&TreeEntry, &Head, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut objects = Self::start(checkout, &["cat-file", "--batch", "--buffer"])?;
        let mut names = String::new();
        for one in wanted {
            names.extend([one.id.as_str(), "\n"]);
        }
        let ask = objects.ask.take();
        std::thread::scope(|scope| {
            // If git ends early, reading the answers reports that.
            scope.spawn(move || ask.map(|mut ask| ask.write_all(names.as_bytes())));
            let taken = wanted.iter().try_for_each(|one| {
                let name = one.id.as_str();
                let there = objects.answer(name, |head, content| take(one, head, content))?;
                there.ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the object {name} is missing"),
                    )
                })
            });
            // Otherwise writing the questions would block on answers that nobody reads.
            objects.end();
            taken
        })
    }

    /// For each of these objects, whether it is in the repository.
    pub fn there<'a>(checkout: &Checkout, names: impl Iterator<Item = &'a str>) -> io::Result<Vec<bool>> {
        let names: Vec<_> = names.collect();
        let mut objects = Self::start(checkout, &["cat-file", "--batch-check", "--buffer"])?;
        let mut questions = names.join("\n");
        questions.push('\n');
        let ask = objects.ask.take();
        std::thread::scope(|scope| {
            scope.spawn(move || ask.map(|mut ask| ask.write_all(questions.as_bytes())));
            let there = names
                .iter()
                .map(|name| Ok(!objects.line(name)?.ends_with(MISSING)))
                .collect();
            objects.end();
            there
        })
    }

    /// Reads the line before an object.
    fn line(&mut self, name: &str) -> io::Result<String> {
        let mut line = String::new();
        self.answer.by_ref().take(LINE_LIMIT).read_line(&mut line)?;
        if line.split(' ').next() != Some(name) {
            return Err(io::Error::other(format!("git answers {line:?} to {name}")));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    /// Asks for the object with this full name; `None` if the repository does not have it.
    fn copy<T>(
        &mut self,
        name: &str,
        take: impl FnOnce(&Head, &mut dyn Read) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let Some(ask) = self.ask.as_mut() else {
            return Err(io::Error::other("git was asked after its end"));
        };
        writeln!(ask, "{name}")?;
        ask.flush()?;
        self.answer(name, take)
    }

    /// Passes on the bytes of the object that git was asked for.
    ///
    /// The bytes may be used only if this returns successfully: they are compared with the name at their end.
    fn answer<T>(
        &mut self,
        name: &str,
        take: impl FnOnce(&Head, &mut dyn Read) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let line = self.line(name)?;
        if line.ends_with(MISSING) {
            return Ok(None);
        }
        let words: Vec<_> = line.split(' ').collect();
        let [_, kind, size] = words[..] else {
            return Err(io::Error::other(format!("git answers {line:?} to {name}")));
        };
        let head = Head {
            kind: kind.to_owned(),
            size: size.parse().map_err(io::Error::other)?,
        };
        let mut naming = Naming::of(name);
        naming.update(format!("{} {}\0", head.kind, head.size).as_bytes());
        let mut content = Named {
            inner: self.answer.by_ref().take(head.size),
            naming,
        };
        let taken = take(&head, &mut content)?;
        io::copy(&mut content, &mut io::sink())?;
        let named = content.naming.name();
        if named != name {
            let reason = format!("the bytes of the object {name} give the name {named}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        // A line feed follows each object.
        self.answer.read_exact(&mut [0])?;
        Ok(Some(taken))
    }

    /// Reads an object of this kind, of at most `limit` bytes; `None` if it does not exist.
    pub fn read(&mut self, name: &str, kind: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.copy(name, |head, content| {
            if head.kind != kind {
                return Err(io::Error::other(format!(
                    "{name} is a {}, not a {kind}",
                    head.kind
                )));
            }
            if head.size > limit {
                return Err(io::Error::other(format!("{name} has more than {limit} bytes")));
            }
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    fn end(&mut self) {
        self.ask = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.end();
    }
}

/// A reader that computes the object's name as it reads.
struct Named<R> {
    inner: R,
    naming: Naming,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.naming.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// One entry of a tree.
pub(super) struct TreeEntry {
    /// As in the tree: `40000`, `100644`, `100755`, `120000` or `160000`.
    pub mode: String,
    pub id: String,
    /// The name of the entry, or its path from the top.
    pub path: Vec<u8>,
}

/// The entries of a tree object, in its order; `name` is the tree's own name, which is as long as all names in it.
pub(super) fn tree(bytes: &[u8], name: &str) -> io::Result<Vec<TreeEntry>> {
    let bad = || io::Error::other(format!("the tree {name} cannot be read"));
    let length = name.len() / 2;
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(bad)?;
        let (head, after) = rest.split_at_checked(end).ok_or_else(bad)?;
        let space = head.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
        let (mode, path) = head.split_at_checked(space).ok_or_else(bad)?;
        let (id, after) = after
            .get(1..)
            .and_then(|after| after.split_at_checked(length))
            .ok_or_else(bad)?;
        let path = path.get(1..).unwrap_or_default();
        // Fetching refuses such names; objects that are read from a mirror's folder are checked only here.
        let is_special = [&b""[..], b".", b".."].contains(&path) || path.eq_ignore_ascii_case(b".git");
        if is_special || path.contains(&b'/') {
            let shown = String::from_utf8_lossy(path);
            return Err(io::Error::other(format!(
                "the tree {name} has an entry named {shown:?}"
            )));
        }
        entries.push(TreeEntry {
            // Old tools padded modes.
            mode: std::str::from_utf8(mode)
                .map_err(|_| bad())?
                .trim_start_matches('0')
                .to_owned(),
            id: hex::encode(id),
            path: path.to_vec(),
        });
        rest = after;
    }
    Ok(entries)
}
