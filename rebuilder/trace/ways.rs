//! The history of a file, backwards: who wrote it, from which other file, and everything that it depends on.

use std::collections::{HashMap, HashSet, VecDeque};

use super::siblings::Siblings;
use super::writers::{Hand, Writers, base};

/// How a file came to its name or content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A process opened it for writing.
    Written,
    /// It was renamed.
    Moved,
    /// It is another name of a file, or a link to one.
    Linked,
    /// It is a folder that was created.
    Made,
}

/// One step in the history of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The file, by the name that it had after the step.
    pub path: String,
    /// What happened.
    pub how: How,
    /// The process that did it.
    pub by: Hand,
    /// The file's earlier name, or the file that it was made from, if that is a single one.
    pub from: Option<String>,
    /// Other processes that had it open for writing before, the last one first.
    pub before: Vec<Hand>,
}

/// What a file depends on: the processes that had a part in it, and the files that they read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// The processes, those nearest to the file first.
    pub processes: Vec<Hand>,
    /// Files that existed before the build, in the order in which they were found.
    pub sources: Vec<String>,
}

/// Maximum number of steps that are followed back.
const STEPS: usize = 32;
/// Maximum number of processes that are looked for, for each file that is asked about.
const MOST_PROCESSES: usize = 4096;
/// Maximum number of earlier openings of a file that are searched for other writers.
const OPENINGS: usize = 1024;
/// Maximum number of folders above a file that are checked for having been renamed.
const FOLDERS: usize = 256;
/// Maximum number of files with the same last name that are candidates for the source: as many read before the write
/// as after it.
const NAMESAKES: usize = 16;
/// Suffixes that compressors append to the name of a file.
const COMPRESSED: [&str; 4] = [".gz", ".bz2", ".xz", ".zst"];
/// Programs that make one file from one other, whatever the names of the two are.
const COPIERS: [&str; 14] = [
    "cp", "install", "ginstall", "mv", "ln", "cat", "dd", "gzip", "bzip2", "xz", "zstd", "lzip", "strip",
    "objcopy",
];

impl Writers {
    /// How a file was made, from its last step back to the first known one.
    pub fn whence(&self, path: &str) -> Vec<Step> {
        let (mut steps, mut path, mut before) = (Vec::new(), path.to_owned(), usize::MAX);
        while steps.len() < STEPS {
            let Some((step, at)) = self.last_step(&path, before) else {
                break;
            };
            let from = step.from.clone();
            // The target of a link may have been written later.
            before = if step.how == How::Linked { before } else { at };
            steps.push(step);
            match from {
                Some(from) if from != path => path = from,
                _ => break,
            }
        }
        steps
    }

    fn last_step(&self, path: &str, before: usize) -> Option<(Step, usize)> {
        let touches = self.files.get(path).map_or(&[][..], Vec::as_slice);
        let touches = touches.get(..touches.partition_point(|touch| touch.at < before));
        let mut touches = touches.unwrap_or_default().iter().rev();
        let moved = self.moved_with_its_folder(path, before);
        let Some(last) = touches.next() else {
            return moved;
        };
        if let Some((step, at)) = moved.filter(|(_, at)| *at > last.at) {
            return Some((step, at));
        }
        let earlier = touches
            .take(OPENINGS)
            .take_while(|touch| touch.how == How::Written);
        let mut seen = HashSet::from([last.process]);
        let by = Hand {
            process: last.process,
            at: last.at,
        };
        let step = Step {
            path: path.to_owned(),
            how: last.how,
            by,
            from: match last.how {
                How::Written => self.source_of(by, path),
                _ => last.from.clone(),
            },
            before: earlier
                .filter(|touch| seen.insert(touch.process))
                .map(|touch| Hand {
                    process: touch.process,
                    at: touch.at,
                })
                .take(STEPS)
                .collect(),
        };
        Some((step, last.at))
    }

    fn moved_with_its_folder(&self, path: &str, before: usize) -> Option<(Step, usize)> {
        let folders = path.rmatch_indices('/').take(FOLDERS);
        let moves = folders.filter_map(|(end, _)| {
            let (folder, rest) = path.split_at_checked(end)?;
            let moves = self.moves.get(folder)?;
            let last = moves.partition_point(|(at, ..)| *at < before).checked_sub(1)?;
            let (at, process, from) = moves.get(last)?;
            Some((at, process, from, rest))
        });
        let (at, process, from, rest) = moves.max_by_key(|(at, ..)| **at)?;
        let step = Step {
            path: path.to_owned(),
            how: How::Moved,
            by: Hand {
                process: *process,
                at: *at,
            },
            from: Some(format!("{from}{rest}")),
            before: Vec::new(),
        };
        Some((step, *at))
    }

    /// The one file that a process made this one from: one with the same name, or, if the program copies, the only one
    /// that it read.
    fn source_of(&self, by: Hand, path: &str) -> Option<String> {
        let process = self.processes.get(by.process as usize)?;
        let name = base(path);
        let stems = COMPRESSED.iter().filter_map(|end| name.strip_suffix(end));
        let names = [name].into_iter().chain(stems).filter(|name| !name.is_empty());
        let named = names.flat_map(|name| process.reads_named_near(name, by.at, NAMESAKES));
        // Of the files with this name, prefer the most similar folder, then a read before the write, then the latest
        // read.
        let best = named
            .filter(|(_, read)| read != path)
            .max_by_key(|(when, read)| (shared_end(read, path), *when < by.at, *when));
        if let Some((_, read)) = best {
            return Some(read.clone());
        }
        let copies = self
            .command(by)
            .is_some_and(|command| COPIERS.contains(&command.program()));
        let made = process.made.iter().filter_map(|place| process.reads.get(*place));
        let mut existing = made.filter(|(_, read)| read != path);
        match (copies, existing.next(), existing.next()) {
            (true, Some((_, only)), None) => Some(only.clone()),
            _ => None,
        }
    }

    /// The file that became a member of an archive: a file with the member's path that the writer of the archive read,
    /// or else one that was made during the build.
    pub fn member(&self, archive: &str, member: &str) -> Option<String> {
        let writers = self.makers(archive);
        let member = member.trim_start_matches("./");
        let name = base(member);
        let fits = |path: &str, member: &str| {
            path.strip_suffix(member)
                .is_some_and(|front| front.is_empty() || front.ends_with('/'))
        };
        let read = || {
            let processes = writers.iter().map(|writer| writer.process as usize);
            processes
                .filter_map(move |process| self.processes.get(process))
                .flat_map(move |process| process.reads_named(name))
                .map(|(_, path)| path.as_str())
        };
        let whole = read()
            .filter(|path| fits(path, member))
            .max_by_key(|path| path.len());
        // Folders and empty files are not opened, but some process made them.
        let made = |member: &str| -> Vec<&str> {
            let files = self.files_named(name);
            files.filter(|path| fits(path, member)).collect()
        };
        // A packer may put a folder of its own around what it packs.
        let below = || {
            let (_, below) = member.split_once('/')?;
            let made = made(below).into_iter();
            made.filter(|path| read().any(|read| read == *path)).min()
        };
        whole
            .or_else(|| made(member).into_iter().min())
            .or_else(below)
            .map(str::to_owned)
    }

    /// The processes that had a part in the content of a file: its writers, their pipelines, and what they started.
    pub fn makers(&self, path: &str) -> Vec<Hand> {
        Gathering::of(self).makers(path)
    }

    /// Everything that a file depends on: its makers, the makers of the files that they read, and so on.
    pub fn slice(&self, path: &str) -> Slice {
        self.slice_of([path])
    }

    /// Everything that these files depend on, beginning with the first file.
    pub fn slice_of<'a>(&'a self, paths: impl IntoIterator<Item = &'a str>) -> Slice {
        let mut slice = Slice::default();
        let mut gathering = Gathering::of(self);
        let (mut known, mut asked) = (HashSet::new(), HashSet::new());
        for path in paths {
            let most = slice.processes.len().saturating_add(MOST_PROCESSES);
            let mut queue = VecDeque::new();
            queue.extend(asked.insert(path).then_some(path));
            while let Some(path) = queue.pop_front().filter(|_| slice.processes.len() <= most) {
                for hand in gathering.makers(path) {
                    if !known.insert(hand.process) {
                        continue;
                    }
                    slice.processes.push(hand);
                    for read in self.reads(hand.process) {
                        if !asked.insert(read) {
                            continue;
                        }
                        if self.was_made(read) {
                            queue.push_back(read);
                        } else {
                            slice.sources.push(read.to_owned());
                        }
                    }
                }
            }
        }
        slice
    }

    /// Whether the build made the file or gave it its name.
    fn was_made(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.moved_with_its_folder(path, usize::MAX).is_some()
    }
}

/// Finds the makers of one file after another, and the peers of each process only once.
struct Gathering<'a> {
    writers: &'a Writers,
    asked: HashSet<u32>,
    /// Children of shells that have not been found yet, by the shell's number.
    left: HashMap<u32, Siblings>,
}

impl<'a> Gathering<'a> {
    fn of(writers: &'a Writers) -> Self {
        Self {
            writers,
            asked: HashSet::new(),
            left: HashMap::new(),
        }
    }

    /// The makers of a file; peers that were found before are left out.
    fn makers(&mut self, path: &str) -> Vec<Hand> {
        let mut makers = Vec::new();
        let steps = self.writers.whence(path);
        for step in steps.iter().filter(|step| step.how == How::Written) {
            for hand in [step.by].into_iter().chain(step.before.iter().copied()) {
                makers.push(hand);
                if self.asked.insert(hand.process) {
                    makers.extend(self.peers(hand));
                }
            }
        }
        let mut seen = HashSet::new();
        makers.retain(|hand| seen.insert(hand.process));
        makers
    }

    fn peers(&mut self, hand: Hand) -> Vec<Hand> {
        let Self { writers, left, .. } = self;
        writers.peers_beside(hand, |shell, (begun, ended)| {
            let all = || {
                let shell = writers.processes.get(shell as usize);
                shell.map(|shell| shell.children.clone()).unwrap_or_default()
            };
            left.entry(shell).or_insert_with(all).take_beside(begun, ended)
        })
    }
}

/// Number of path components at the end that two paths share.
fn shared_end(one: &str, other: &str) -> usize {
    one.rsplit('/')
        .zip(other.rsplit('/'))
        .take_while(|(one, other)| one == other)
        .count()
}
