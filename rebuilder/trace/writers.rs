//! Which process wrote which file, from the events of one build.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::sync::Arc;

use super::Event;
use super::siblings::Siblings;
use super::ways::How;

/// A program that a process ran, from some event on.
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

    /// Whether it is a shell, whose children may be parts of one pipeline.
    pub fn is_shell(&self) -> bool {
        SHELLS.contains(&self.program())
    }

    /// The words of the command line, program included, with spaces between them and no quotes.
    pub fn line(&self) -> String {
        self.argv.join(" ")
    }
}

/// A process at some moment: the process may have run another program before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hand {
    /// Its number.
    pub process: u32,
    /// The number of the event.
    pub at: usize,
}

#[derive(Debug, Default)]
pub(super) struct Process {
    by: Option<u32>,
    commands: Vec<(usize, Command)>,
    begun: usize,
    ended: Option<usize>,
    pub(super) reads: Vec<(usize, String)>,
    /// Indices into `reads`, ordered by the last names of the files, and by the order of reading for each name.
    by_name: Vec<usize>,
    /// Indices into `reads` of the first few files that the build made; more than two are never needed.
    pub(super) made: Vec<usize>,
    /// The processes that it started.
    pub(super) children: Siblings,
}

/// Maximum length of `made`: two besides the file that is asked about.
const MADE: usize = 3;

/// The last name of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Process {
    /// When it began and ended, by the numbers of events.
    pub(super) fn time(&self) -> (usize, usize) {
        (self.begun, self.ended.unwrap_or(usize::MAX))
    }

    /// Indices into `reads` of the files with this last name, in the order of reading.
    fn places_named(&self, name: &str) -> &[usize] {
        let of = |place: &usize| self.reads.get(*place).map_or("", |(_, path)| base(path));
        let first = self.by_name.partition_point(|place| of(place) < name);
        let behind = self.by_name.partition_point(|place| of(place) <= name);
        self.by_name.get(first..behind).unwrap_or_default()
    }

    /// The files with this last name that it read, in the order of reading.
    pub(super) fn reads_named(&self, name: &str) -> impl Iterator<Item = &(usize, String)> {
        let places = self.places_named(name).iter();
        places.filter_map(|place| self.reads.get(*place))
    }

    /// Of these, the last `most` that it read before an event, and the first `most` after it.
    pub(super) fn reads_named_near(
        &self,
        name: &str,
        at: usize,
        most: usize,
    ) -> impl Iterator<Item = &(usize, String)> {
        let places = self.places_named(name);
        let when = |place: &usize| self.reads.get(*place).map_or(0, |(when, _)| *when);
        let middle = places.partition_point(|place| when(place) < at);
        let near = middle.saturating_sub(most)..middle.saturating_add(most).min(places.len());
        let places = places.get(near).unwrap_or_default().iter();
        places.filter_map(|place| self.reads.get(*place))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Touch {
    pub(super) at: usize,
    pub(super) process: u32,
    pub(super) how: How,
    pub(super) from: Option<String>,
}

/// Maximum depth of the tree of processes.
const DEPTH: usize = 256;
/// How far the number of a process may be ahead of the number of events: several processes write events at the same
/// time.
const AHEAD: usize = 1024;
/// Stands for a process that cannot exist: no record is long enough for so many.
const NOBODY: u32 = u32::MAX;
/// Maximum length of a line of events, in bytes.
const LONGEST: u64 = 1 << 20;

const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// The events of one build, by process and by file.
#[derive(Debug, Default)]
pub struct Writers {
    pub(super) processes: Vec<Process>,
    pub(super) files: HashMap<Arc<str>, Vec<Touch>>,
    /// The names of `files`, ordered by their last names.
    by_name: Vec<Arc<str>>,
    /// Renames by the new name, in order of time: the number of the event, the process, and the old name.
    pub(super) moves: HashMap<String, Vec<(usize, u32, String)>>,
    /// Who set the permissions or times of a file, in order of time.
    attributes: HashMap<String, Vec<Hand>>,
    cut: bool,
    /// Number of events so far.
    events: usize,
}

impl Writers {
    /// Reads events, one JSON line each; a line that is not an event is an error.
    pub fn read(events: impl io::Read) -> io::Result<Self> {
        let mut this = Self::default();
        let mut lines = io::BufReader::new(events);
        let mut line = Vec::new();
        for at in 0.. {
            line.clear();
            if io::Read::take(&mut lines, LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            this.events = at;
            this.add(at, serde_json::from_slice(&line)?);
        }
        this.index();
        Ok(this)
    }

    /// Prepares the orders that questions need, so that no question looks at everything.
    fn index(&mut self) {
        self.by_name = self.files.keys().cloned().collect();
        self.by_name
            .sort_unstable_by(|a, b| (base(a), a).cmp(&(base(b), b)));
        let mut children: HashMap<u32, Vec<_>> = HashMap::new();
        for (number, process) in (0..).zip(&self.processes) {
            if let Some(by) = process.by {
                children.entry(by).or_default().push((number, process.time()));
            }
        }
        for (by, children) in children {
            if let Some(process) = self.processes.get_mut(by as usize) {
                process.children = Siblings::new(&children);
            }
        }
        for process in &mut self.processes {
            let name = |place: &usize| process.reads.get(*place).map_or("", |(_, path)| base(path));
            let mut by_name: Vec<_> = (0..process.reads.len()).collect();
            by_name.sort_by(|a, b| name(a).cmp(name(b)));
            let made = (0..).zip(&process.reads);
            let made = made.filter(|(_, (_, path))| self.files.contains_key(path.as_str()));
            process.made = made.map(|(place, _)| place).take(MADE).collect();
            process.by_name = by_name;
        }
    }

    /// The files with this last name that the build made.
    pub(super) fn files_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let first = self.by_name.partition_point(|path| base(path) < name);
        let paths = self.by_name.iter().skip(first).map(|path| &**path);
        paths.take_while(move |path| base(path) == name)
    }

    /// Number of processes.
    pub fn count(&self) -> usize {
        self.processes.len()
    }

    /// Whether the record ends before the build does.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The process with this number; `None` if there can be none.
    fn process(&mut self, number: u32) -> Option<&mut Process> {
        let index = number as usize;
        // Numbers are consecutive. A record that says otherwise must not take more memory than its number of lines
        // justifies.
        if self.processes.len() <= index && index <= self.events.saturating_add(AHEAD) {
            self.processes
                .resize_with(index.saturating_add(1), Process::default);
        }
        self.processes.get_mut(index)
    }

    /// Who acts under this number. The start of a process may not have been recorded.
    fn actor(&mut self, number: u32) -> u32 {
        self.process(number).map_or(NOBODY, |_| number)
    }

    fn touch(&mut self, at: usize, process: u32, path: String, how: How, from: Option<String>) {
        let touch = Touch {
            at,
            process: self.actor(process),
            how,
            from,
        };
        match self.files.get_mut(path.as_str()) {
            Some(touches) => touches.push(touch),
            None => drop(self.files.insert(path.into(), vec![touch])),
        }
    }

    fn add(&mut self, at: usize, event: Event) {
        match event {
            Event::Start { p, by } => {
                if let Some(process) = self.process(p) {
                    (process.by, process.begun) = (by, at);
                }
            }
            Event::Exec { p, argv, cwd, out } => {
                if let Some(process) = self.process(p) {
                    process.commands.push((at, Command { argv, cwd }));
                }
                if let Some(path) = out {
                    self.touch(at, p, path, How::Written, None);
                }
            }
            Event::End { p } => {
                if let Some(process) = self.process(p) {
                    process.ended = Some(at);
                }
            }
            Event::Read { p, path } => {
                if let Some(process) = self.process(p) {
                    process.reads.push((at, path));
                }
            }
            Event::Open { p, path } => self.touch(at, p, path, How::Written, None),
            Event::Folder { p, path } => self.touch(at, p, path, How::Made, None),
            Event::Move { p, from, to } => {
                let actor = self.actor(p);
                let moves = self.moves.entry(to.clone()).or_default();
                moves.push((at, actor, from.clone()));
                self.touch(at, p, to, How::Moved, Some(from));
            }
            Event::Link { p, from, to } => self.touch(at, p, to, How::Linked, Some(from)),
            Event::Times { p, path } | Event::Mode { p, path } => {
                let process = self.actor(p);
                self.attributes
                    .entry(path)
                    .or_default()
                    .push(Hand { process, at });
            }
            // The removed name is not asked about any more, unless it is written again.
            Event::Remove { .. } => {}
            Event::Cut => self.cut = true,
        }
    }

    /// The program that a process was running; if it had executed none yet, the program of the process that started
    /// it.
    pub fn command(&self, hand: Hand) -> Option<&Command> {
        Some(self.running(hand)?.1)
    }

    /// The same, together with the process that executed the program.
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

    /// The process that started this one, at the moment of the start.
    fn starter(&self, process: u32) -> Option<Hand> {
        let this = self.processes.get(process as usize)?;
        Some(Hand {
            process: this.by.filter(|parent| *parent < process)?,
            at: this.begun,
        })
    }

    /// The program of a process, and those of the processes above it at the time when they started the one below, up
    /// to the first process.
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

    /// The files that a process read; reads of the system's own files are not recorded.
    pub fn reads(&self, process: u32) -> impl Iterator<Item = &str> {
        let process = self.processes.get(process as usize);
        process
            .into_iter()
            .flat_map(|process| process.reads.iter().map(|(_, path)| path.as_str()))
    }

    /// Who set the times or permissions of a file, the last one first.
    pub fn attributes(&self, path: &str) -> impl Iterator<Item = Hand> + '_ {
        self.attributes.get(path).into_iter().flatten().rev().copied()
    }

    /// The other parts of a process's pipeline, and the processes that it started itself.
    pub fn peers(&self, hand: Hand) -> Vec<Hand> {
        self.peers_beside(hand, |shell, (begun, ended)| {
            let shell = self.processes.get(shell as usize);
            shell.map_or_else(Vec::new, |shell| shell.children.beside(begun, ended))
        })
    }

    /// The same; `beside` finds the children of a shell that ran at some time.
    pub(super) fn peers_beside(
        &self,
        hand: Hand,
        beside: impl FnOnce(u32, (usize, usize)) -> Vec<u32>,
    ) -> Vec<Hand> {
        let Some(this) = self.processes.get(hand.process as usize) else {
            return Vec::new();
        };
        let mut numbers = this.children.numbers().to_vec();
        let shell = self
            .starter(hand.process)
            .filter(|starter| self.command(*starter).is_some_and(Command::is_shell));
        if let Some(shell) = shell {
            numbers.extend(beside(shell.process, this.time()));
        }
        numbers.sort_unstable();
        let others = numbers.into_iter().filter(|number| *number != hand.process);
        others
            .filter_map(|process| {
                let (_, at) = self.processes.get(process as usize)?.time();
                Some(Hand { process, at })
            })
            .collect()
    }
}
