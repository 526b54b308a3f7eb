//! The way of a file, backwards: who wrote it, from which other file, and all that it depends on.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::writers::{Hand, Writers};

/// How a file came to its name or content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A process opened it for writing.
    Written,
    /// It was renamed.
    Moved,
    /// It is another name of a file, or points at one.
    Linked,
    /// It is a folder that was made.
    Made,
}

/// One step on the way of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The file, by the name that it had after the step.
    pub path: String,
    /// What happened.
    pub how: How,
    /// Who did it.
    pub by: Hand,
    /// What it was before, or what it was made of, if that is one file.
    pub from: Option<String>,
    /// Others who had it open for writing before, the last one first.
    pub before: Vec<Hand>,
}

/// What a file depends on: who had a part in it, and what they read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// The processes, those nearest to the file first.
    pub processes: Vec<Hand>,
    /// Files that were there before the build, in the order in which they were found.
    pub sources: Vec<String>,
}

/// Most steps that are followed back.
const STEPS: usize = 32;
/// Most processes of a slice.
const MOST_PROCESSES: usize = 4096;
/// Programs that make one file of one other, whatever the two are called.
const COPIERS: [&str; 14] = [
    "cp", "install", "ginstall", "mv", "ln", "cat", "dd", "gzip", "bzip2", "xz", "zstd", "lzip", "strip",
    "objcopy",
];

impl Writers {
    /// How a file came to be, from its last step back to the first that is known.
    pub fn whence(&self, path: &str) -> Vec<Step> {
        let (mut steps, mut path, mut before) = (Vec::new(), path.to_owned(), usize::MAX);
        while steps.len() < STEPS {
            let Some((step, at)) = self.last_step(&path, before) else {
                break;
            };
            let from = step.from.clone();
            // What a link points at may have been written later.
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
        let mut touches = touches.iter().rev().filter(|touch| touch.at < before);
        let moved = self.moved_with_its_folder(path, before);
        let Some(last) = touches.next() else {
            return moved;
        };
        if let Some((step, at)) = moved.filter(|(_, at)| *at > last.at) {
            return Some((step, at));
        }
        let earlier = touches.take_while(|touch| touch.how == How::Written);
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
        let mut moves = self.moves.iter().rev().filter(|(at, ..)| *at < before);
        let (at, process, from, rest) = moves.find_map(|(at, process, from, to)| {
            let rest = path.strip_prefix(to.as_str())?;
            rest.starts_with('/').then_some((at, process, from, rest))
        })?;
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

    /// The one file that a process made this one of: one of the same name, or, if it copies, the only one that it read.
    fn source_of(&self, by: Hand, path: &str) -> Option<String> {
        let reads = &self.processes.get(by.process as usize)?.reads;
        let others = || reads.iter().filter(|(_, read)| read != path);
        let name = base(path);
        let same = |read: &str| {
            let read = base(read);
            !read.is_empty()
                && name
                    .strip_prefix(read)
                    .is_some_and(|end| end.is_empty() || [".gz", ".bz2", ".xz", ".zst"].contains(&end))
        };
        let named = others().filter(|(_, read)| same(read));
        // Among files of one name that in the most similar folder, and then the one that was read last before.
        let best = named.max_by_key(|(when, read)| (shared_end(read, path), *when < by.at, *when));
        if let Some((_, read)) = best {
            return Some(read.clone());
        }
        let copies = self
            .command(by)
            .is_some_and(|command| COPIERS.contains(&command.program()));
        let mut existing = others().filter(|(_, read)| self.files.contains_key(read));
        match (copies, existing.next(), existing.next()) {
            (true, Some((_, only)), None) => Some(only.clone()),
            _ => None,
        }
    }

    /// The file that became a member of an archive: what the writer of the archive read or named by the member's path.
    pub fn member(&self, archive: &str, member: &str) -> Option<String> {
        let writers = self.makers(archive);
        let member = member.trim_start_matches("./");
        let fits = |path: &&str| {
            path.strip_suffix(member)
                .is_some_and(|front| front.is_empty() || front.ends_with('/'))
        };
        let read = writers
            .iter()
            .flat_map(|writer| self.reads(writer.process))
            .filter(fits)
            .max_by_key(|path| path.len());
        // Folders and empty files are not opened, but some process made them.
        read.map(str::to_owned).or_else(|| {
            let made = self.files.keys().map(String::as_str).filter(fits);
            made.min().map(str::to_owned)
        })
    }

    /// Who had a hand in the content of a file at its last writing: the writer, its pipeline, and what they started.
    pub fn makers(&self, path: &str) -> Vec<Hand> {
        let mut makers = Vec::new();
        for step in self.whence(path).iter().filter(|step| step.how == How::Written) {
            for hand in [step.by].into_iter().chain(step.before.iter().copied()) {
                makers.push(hand);
                makers.extend(self.peers(hand));
            }
        }
        let mut seen = HashSet::new();
        makers.retain(|hand| seen.insert(hand.process));
        makers
    }

    /// All that a file depends on: its makers, the makers of what they read, and so on.
    pub fn slice(&self, path: &str) -> Slice {
        let mut slice = Slice::default();
        let (mut asked, mut known, mut sources) = (HashSet::new(), HashSet::new(), BTreeSet::new());
        let mut queue = VecDeque::from([path.to_owned()]);
        while let Some(path) = queue.pop_front() {
            if !asked.insert(path.clone()) || slice.processes.len() > MOST_PROCESSES {
                continue;
            }
            for hand in self.makers(&path) {
                if !known.insert(hand.process) {
                    continue;
                }
                slice.processes.push(hand);
                for read in self.reads(hand.process) {
                    if self.last_step(read, usize::MAX).is_some() {
                        queue.push_back(read.to_owned());
                    } else if sources.insert(read.to_owned()) {
                        slice.sources.push(read.to_owned());
                    }
                }
            }
        }
        slice
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// How many names at the end two paths share.
fn shared_end(one: &str, other: &str) -> usize {
    one.rsplit('/')
        .zip(other.rsplit('/'))
        .take_while(|(one, other)| one == other)
        .count()
}
