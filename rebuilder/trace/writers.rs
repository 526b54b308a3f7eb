//! Who wrote what, from the events of one build.

use std::collections::HashMap;
use std::io::{self, BufRead};

use super::Event;
use super::ways::How;

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

/// A process at some moment: it may have been another program before, and become one later.
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
    writes: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Touch {
    pub(super) at: usize,
    pub(super) process: u32,
    pub(super) how: How,
    pub(super) from: Option<String>,
}

/// Most processes above one.
const DEPTH: usize = 256;
/// How far the number of a process may be ahead of the events before it: processes write them side by side.
const AHEAD: usize = 1024;
/// Longest line of events.
const LONGEST: u64 = 1 << 20;

const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// The events of one build, by process and by file.
#[derive(Debug, Default)]
pub struct Writers {
    pub(super) processes: Vec<Process>,
    pub(super) files: HashMap<String, Vec<Touch>>,
    /// Renamed folders and files: old name, new name, when, by whom.
    pub(super) moves: Vec<(usize, u32, String, String)>,
    /// Who set permissions or times of a file last, and who set them before.
    attributes: HashMap<String, Vec<Hand>>,
    cut: bool,
    /// Events so far.
    events: usize,
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
            this.events = at;
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
        // Numbers come one after the other; a record that says otherwise has hardly more processes than lines.
        if self.processes.len() <= index && index <= self.events.saturating_add(AHEAD) {
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
}
