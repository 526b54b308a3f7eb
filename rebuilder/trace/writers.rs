//! Who wrote what, from the events of one build.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io::{self, BufRead};

use super::Event;

/// What a process ran from some event on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its command line; never empty.
    pub argv: Vec<String>,
    /// Its working folder at the start.
    pub cwd: String,
}

impl Command {
    /// The name of the program, without its folder.
    pub fn program(&self) -> &str {
        let first = self.argv.first().map_or("", String::as_str);
        first.rsplit('/').next().unwrap_or(first)
    }

    /// Whether it is a shell: its children may be parts of one pipeline.
    pub fn is_shell(&self) -> bool {
        SHELLS.contains(&self.program())
    }

    /// The script or makefile words after the program, as a shell would show them.
    pub fn line(&self) -> String {
        self.argv.join(" ")
    }
}

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

/// A process at some moment: it may have been another program before, and become one later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hand {
    /// Its number.
    pub process: u32,
    /// The number of the event.
    pub at: usize,
}

/// What a file depends on: who had a part in it, and what they read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// The processes, those nearest to the file first.
    pub processes: Vec<Hand>,
    /// Files that were there before the build, in the order in which they were found.
    pub sources: Vec<String>,
}

#[derive(Debug, Default)]
struct Process {
    by: Option<u32>,
    commands: Vec<(usize, Command)>,
    begun: usize,
    ended: Option<usize>,
    reads: Vec<(usize, String)>,
    writes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Touch {
    at: usize,
    process: u32,
    how: How,
    from: Option<String>,
}

/// Most steps that are followed back.
const STEPS: usize = 32;
/// Most processes above one.
const DEPTH: usize = 256;
/// Most processes of a slice.
const MOST_PROCESSES: usize = 4096;
/// Longest line of events.
const LONGEST: u64 = 1 << 20;

const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// Programs that make one file of one other, whatever the two are called.
const COPIERS: [&str; 14] = [
    "cp", "install", "ginstall", "mv", "ln", "cat", "dd", "gzip", "bzip2", "xz", "zstd", "lzip", "strip",
    "objcopy",
];

/// The events of one build, by process and by file.
#[derive(Debug, Default)]
pub struct Writers {
    processes: Vec<Process>,
    files: HashMap<String, Vec<Touch>>,
    /// Renamed folders and files: old name, new name, when, by whom.
    moves: Vec<(usize, u32, String, String)>,
    /// Who set permissions or times of a file last, and who set them before.
    attributes: HashMap<String, Vec<Hand>>,
    cut: bool,
}

impl Writers {
    /// Reads events, one JSON line each; a line that is none is an error.
    pub fn read(events: impl io::Read) -> io::Result<Self> {
        let mut this = Self::default();
        let mut lines = io::BufReader::new(events);
        let mut line = Vec::new();
        for at in 0.. {
            line.clear();
            if io::Read::take(&mut lines, LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            this.add(at, serde_json::from_slice(&line)?);
        }
        Ok(this)
    }

    /// How many processes there were.
    pub fn count(&self) -> usize {
        self.processes.len()
    }

    /// Whether the record ends before the build did.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn process(&mut self, number: u32) -> &mut Process {
        let index = number as usize;
        // Numbers come one after the other; a record that says otherwise has no more processes than lines.
        if self.processes.len() <= index && index < (1 << 22) {
            self.processes
                .resize_with(index.saturating_add(1), Process::default);
        }
        let last = self.processes.len().saturating_sub(1).min(index);
        if self.processes.is_empty() {
            self.processes.push(Process::default());
        }
        #[allow(clippy::indexing_slicing)] // There is at least one, and `last` is at most the last.
        &mut self.processes[last]
    }

    fn touch(&mut self, at: usize, process: u32, path: String, how: How, from: Option<String>) {
        self.process(process).writes.push(path.clone());
        let touch = Touch {
            at,
            process,
            how,
            from,
        };
        self.files.entry(path).or_default().push(touch);
    }

    fn add(&mut self, at: usize, event: Event) {
        match event {
            Event::Start { p, by } => {
                let process = self.process(p);
                (process.by, process.begun) = (by, at);
            }
            Event::Exec { p, argv, cwd, out } => {
                let command = Command { argv, cwd };
                self.process(p).commands.push((at, command));
                if let Some(path) = out {
                    self.touch(at, p, path, How::Written, None);
                }
            }
            Event::End { p } => self.process(p).ended = Some(at),
            Event::Read { p, path } => self.process(p).reads.push((at, path)),
            Event::Open { p, path } => self.touch(at, p, path, How::Written, None),
            Event::Folder { p, path } => self.touch(at, p, path, How::Made, None),
            Event::Move { p, from, to } => {
                self.moves.push((at, p, from.clone(), to.clone()));
                self.touch(at, p, to, How::Moved, Some(from));
            }
            Event::Link { p, from, to } => self.touch(at, p, to, How::Linked, Some(from)),
            Event::Times { p, path } | Event::Mode { p, path } => {
                self.attributes
                    .entry(path)
                    .or_default()
                    .push(Hand { process: p, at });
            }
            // Whoever had written it before is not asked for any more by that name, or it is written again.
            Event::Remove { .. } => {}
            Event::Cut => self.cut = true,
        }
    }

    /// What a process was running; what it was forked from, if it had no program of its own yet.
    pub fn command(&self, hand: Hand) -> Option<&Command> {
        Some(self.running(hand)?.1)
    }

    /// The same, with the process that the program was started in.
    fn running(&self, hand: Hand) -> Option<(u32, &Command)> {
        let mut hand = hand;
        for _ in 0..DEPTH {
            let process = self.processes.get(hand.process as usize)?;
            let mut commands = process.commands.iter().rev();
            if let Some((_, command)) = commands.find(|(at, _)| *at <= hand.at) {
                return Some((hand.process, command));
            }
            hand = self.starter(hand.process)?;
        }
        None
    }

    /// The process that started this one, at that moment.
    fn starter(&self, process: u32) -> Option<Hand> {
        let this = self.processes.get(process as usize)?;
        Some(Hand {
            process: this.by.filter(|parent| *parent < process)?,
            at: this.begun,
        })
    }

    /// What a process ran, and what those above it did when they started it, up to the first process.
    pub fn chain(&self, hand: Hand) -> Vec<(Hand, &Command)> {
        let (mut chain, mut next) = (Vec::new(), Some(hand));
        while let Some(hand) = next.filter(|_| chain.len() < DEPTH) {
            let Some((process, command)) = self.running(hand) else {
                break;
            };
            chain.push((Hand { process, ..hand }, command));
            next = self.starter(process);
        }
        chain
    }

    /// Every process that ran one of these programs, in the order of their start.
    pub fn that_ran<'a>(&'a self, programs: &'a [&str]) -> impl Iterator<Item = Hand> + 'a {
        (0..).zip(&self.processes).filter_map(move |(number, process)| {
            let ran = |(_, command): &&(usize, Command)| programs.contains(&command.program());
            let (at, _) = process.commands.iter().find(ran)?;
            Some(Hand {
                process: number,
                at: *at,
            })
        })
    }

    /// What a process read, without the system's own files.
    pub fn reads(&self, process: u32) -> impl Iterator<Item = &str> {
        let process = self.processes.get(process as usize);
        process
            .into_iter()
            .flat_map(|process| process.reads.iter().map(|(_, path)| path.as_str()))
    }

    /// Who set times or permissions of a file, the last one first.
    pub fn attributes(&self, path: &str) -> impl Iterator<Item = Hand> + '_ {
        self.attributes.get(path).into_iter().flatten().rev().copied()
    }

    /// The other parts of a process's pipeline, and what it started itself.
    pub fn peers(&self, hand: Hand) -> Vec<Hand> {
        let Some(this) = self.processes.get(hand.process as usize) else {
            return Vec::new();
        };
        let of_shell = |starter: &Hand| self.command(*starter).is_some_and(Command::is_shell);
        let shell = self
            .starter(hand.process)
            .filter(of_shell)
            .map(|shell| shell.process);
        let overlaps = |other: &Process| {
            let ends = |process: &Process| process.ended.unwrap_or(usize::MAX);
            other.begun < ends(this) && this.begun < ends(other)
        };
        let numbered = (0..).zip(&self.processes);
        numbered
            .filter(|(number, other)| {
                *number != hand.process
                    && (other.by == Some(hand.process)
                        || shell.is_some() && other.by == shell && overlaps(other))
            })
            .map(|(process, other)| Hand {
                process,
                at: other.ended.unwrap_or(usize::MAX),
            })
            .collect()
    }

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
