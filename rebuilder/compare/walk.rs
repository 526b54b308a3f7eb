//! Walks two archives in parallel: members are paired by path as they come, and equal ones are dropped at once.
//!
//! Small members stay in memory until their partner comes; the side that is ahead waits for the other. Large ones wait
//! for their partner before they are read, and are then compared piece by piece while both are decoded ([`lockstep`]).
//! Members that were too large to keep, or whose partner came too late, are read in a second walk ([`super::again`]).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::both::{Both, Which};
use super::finding::Node;
use super::format::{FormatReader, Member};
use super::front::Front;
use super::limits::{Hit, Meter};
use super::lockstep;
use super::row::{Bytes, Identity, Row};
use super::source::Source;
use super::stored::Fields;
use super::tree::{Outline, Tree};
use crate::artifact::HashingWriter;
use crate::deadline::Over;

/// Maximum size of a member that waits in memory for its partner, and of all waiting members of a side.
const LARGEST_KEPT: usize = 8 << 20;
const MOST_KEPT: usize = 16 << 20;
/// Members of this size wait for their partner before they are read; and maximum size of one that is kept while it is
/// read.
const WORTH_WAITING: u64 = 1 << 20;
const LARGEST_IN_STEP: usize = 16 << 20;
/// Smaller archives are walked one after the other.
const WORTH_A_THREAD: u64 = 1 << 18;
/// Maximum number of names that are remembered, to describe how the order differs.
const MOST_NAMES: usize = 50_000;

/// A pair with different bytes, of which not both were kept.
pub(super) struct Later {
    pub released: Row,
    pub rebuilt: Row,
}

/// The result of two walks.
#[derive(Default)]
pub(super) struct Walked {
    /// Members that differ, by position in the released archive.
    pub nodes: Vec<(usize, Node)>,
    pub later: Vec<Later>,
    /// Members of one side only.
    pub alone: Both<Vec<Row>>,
    pub same: u64,
    /// Positions of pairs in both archives, and their names unless there are too many.
    pub pairs: Vec<(usize, usize)>,
    pub names: HashMap<usize, String>,
    /// The parts of each side's tree that depend on the order of members or on the unpacker.
    pub outlines: Both<Outline>,
    /// Members that readers look for by position.
    pub fronts: Both<Front>,
    /// Fields of the archives themselves.
    pub fields: Both<Fields>,
    /// The error that ended a walk early.
    pub errors: Both<Option<io::Error>>,
}

#[derive(Default)]
struct State {
    walked: Walked,
    sides: Both<Side>,
}

/// The state of one side that the other one sees.
#[derive(Default)]
struct Side {
    /// Members without a partner so far, by path and by the number of earlier members with that path.
    waiting: HashMap<(String, u32), Row>,
    /// How often each path occurred, by its hash.
    seen: HashMap<u64, u32>,
    /// Number of bytes in memory.
    kept: usize,
    /// Whether this side is idle: finished, or waiting for the other.
    idle: bool,
    /// The large member that this side is about to read, and its end of the line when the other side has arrived.
    before: Option<(String, Option<lockstep::Line>)>,
}

/// Called for each pair that is not completely equal; returns its node, or the rows for later.
pub(super) type Judge<'a> = &'a (dyn Fn(Row, Row) -> Judged + Sync);

/// The result for a pair.
pub(super) enum Judged {
    Same,
    Node(Box<Node>),
    Later(Box<Later>),
}

struct Meeting<'a> {
    state: Mutex<State>,
    turn: Condvar,
    hasher: RandomState,
    judge: Judge<'a>,
}

/// Walks both archives and pairs their members.
pub(super) fn walk(format: &dyn FormatReader, sides: Both<&Source>, meter: &Meter, judge: Judge) -> Walked {
    let meeting = Meeting {
        state: Mutex::new(State::default()),
        turn: Condvar::new(),
        hasher: RandomState::new(),
        judge,
    };
    if sides.all(|side| side.size().is_some_and(|size| size < WORTH_A_THREAD)) {
        {
            let mut state = meeting.lock();
            (state.sides.released.idle, state.sides.rebuilt.idle) = (true, true);
        }
        for (which, source) in sides.each() {
            meeting.side(which, format, source, meter);
        }
    } else {
        std::thread::scope(|scope| {
            scope.spawn(|| meeting.side(Which::Released, format, sides.released, meter));
            meeting.side(Which::Rebuilt, format, sides.rebuilt, meter);
        });
    }
    let state = meeting.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let alone = state.sides.map(|side| {
        let mut rows: Vec<_> = side.waiting.into_values().collect();
        rows.sort_by_key(|row| row.index);
        rows
    });
    Walked {
        alone,
        ..state.walked
    }
}

impl Meeting<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.turn.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks one side to its end.
    fn side(&self, which: Which, format: &dyn FormatReader, source: &Source, meter: &Meter) {
        let mut places = 0..;
        let (mut tree, mut front) = (Tree::new(&self.hasher), Front::default());
        let (mut buffer, mut pieces) = (vec![0; 1 << 16], lockstep::Pieces::default());
        let mut last = String::new();
        let mut named = false;
        let end = format.walk(source, meter, &mut |mut member| {
            last.clone_from(&member.path);
            let large = member.source.is_none() && member.size >= WORTH_WAITING;
            let line = if large {
                self.wait_before(which, &member.path)
            } else {
                None
            };
            let index = places.next().unwrap_or(usize::MAX);
            tree.add(&member.path, &member.fields);
            front.add(format.name(), &member.path, &member.fields);
            let read = match line {
                Some(line) => lockstep::read(line, &mut member, LARGEST_IN_STEP, &mut pieces),
                None => read(&mut member, &mut buffer),
            };
            let bytes = match read {
                // In a stream, the next member begins where this one ends, if that can be found.
                Err(error) if !format.streams() && Hit::of(&error).is_none() => Bytes {
                    size: member.size,
                    identity: Identity::Unread(error.to_string()),
                    source: None,
                },
                Err(error) => {
                    named = true;
                    return Err(at(&member.path, &error).unwrap_or(error));
                }
                Ok(bytes) => bytes,
            };
            self.meet(
                which,
                Row {
                    path: member.path,
                    index,
                    fields: member.fields,
                    size: bytes.size,
                    identity: bytes.identity,
                    source: bytes.source,
                },
            );
            Ok(true)
        });
        let end = end.map_err(|error| {
            if named || last.is_empty() {
                return error;
            }
            at(&format!("in {last} or behind it"), &error).unwrap_or(error)
        });
        self.end(which, end, tree.outline(), front);
    }

    /// Stores the result of one walk, and lets the other side continue alone.
    fn end(&self, which: Which, end: io::Result<Fields>, outline: Outline, front: Front) {
        let mut state = self.lock();
        *state.walked.outlines.of_mut(which) = outline;
        *state.walked.fronts.of_mut(which) = front;
        match end {
            Ok(fields) => *state.walked.fields.of_mut(which) = fields,
            Err(error) => *state.walked.errors.of_mut(which) = Some(error),
        }
        state.sides.of_mut(which).idle = true;
        self.turn.notify_all();
    }

    /// Waits until the other side is about to read the member with the same path, or never will.
    fn wait_before(&self, which: Which, path: &str) -> Option<lockstep::Line> {
        let other = which.other();
        let mut state = self.lock();
        // A partner that was already read, or one of several with this path, is paired by its digest.
        let hash = self.hasher.hash_one(path);
        let times = state.sides.as_ref().map(|side| side.seen.get(&hash));
        if !times.same() {
            return None;
        }
        let theirs = state.sides.of_mut(other);
        if let Some((there, line)) = &mut theirs.before {
            if there != path {
                // The sides are at different members: neither waits any longer.
                theirs.before = None;
                self.turn.notify_all();
                return None;
            }
            let (own, others) = lockstep::lines();
            *line = Some(others);
            self.turn.notify_all();
            return Some(own);
        }
        if theirs.idle {
            return None;
        }
        let own = state.sides.of_mut(which);
        own.before = Some((path.to_owned(), None));
        own.idle = true;
        self.turn.notify_all();
        loop {
            state = self.wait(state);
            let other_is_idle = state.sides.of(other).idle;
            let own = state.sides.of_mut(which);
            let called_off = match &own.before {
                None => true,
                Some((_, Some(_))) => false,
                Some((_, None)) if other_is_idle => true,
                Some((_, None)) => continue,
            };
            own.idle = false;
            let line = own.before.take().and_then(|(_, line)| line);
            return if called_off { None } else { line };
        }
    }

    /// Pairs the member with its partner, or stores it until the partner comes.
    fn meet(&self, which: Which, mut row: Row) {
        let other = which.other();
        let mut state = self.lock();
        let hash = self.hasher.hash_one(&row.path);
        let times = state.sides.of_mut(which).seen.entry(hash).or_default();
        *times = times.saturating_add(1);
        let key = (row.path.clone(), *times);
        let size = row.held();
        loop {
            let theirs = state.sides.of_mut(other);
            if let Some(partner) = theirs.waiting.remove(&key) {
                theirs.kept = theirs.kept.saturating_sub(partner.held());
                self.turn.notify_all();
                let (released, rebuilt) = match which {
                    Which::Released => (row, partner),
                    Which::Rebuilt => (partner, row),
                };
                return self.pair(state, released, rebuilt);
            }
            let others_are_idle = theirs.idle;
            let own = state.sides.of_mut(which);
            if own.kept.saturating_add(size) <= MOST_KEPT {
                break;
            }
            if others_are_idle {
                // The other side will not make room: the bytes are read again later.
                row.drop_bytes();
                break;
            }
            own.idle = true;
            // The other side may wait for this one to become idle.
            self.turn.notify_all();
            state = self.wait(state);
            state.sides.of_mut(which).idle = false;
        }
        let own = state.sides.of_mut(which);
        own.kept = own.kept.saturating_add(row.held());
        own.waiting.insert(key, row);
        self.turn.notify_all();
    }

    fn pair(&self, mut state: MutexGuard<State>, released: Row, rebuilt: Row) {
        let walked = &mut state.walked;
        let places = (released.index, rebuilt.index);
        if walked.pairs.len() < MOST_NAMES {
            walked.names.insert(places.0, released.path.clone());
        }
        walked.pairs.push(places);
        if released.same_bytes(&rebuilt) && released.fields == rebuilt.fields {
            walked.same = walked.same.saturating_add(1);
            return;
        }
        drop(state);
        let judged = (self.judge)(released, rebuilt);
        let walked = &mut self.lock().walked;
        match judged {
            Judged::Same => walked.same = walked.same.saturating_add(1),
            Judged::Node(node) => walked.nodes.push((places.0, *node)),
            Judged::Later(later) => walked.later.push(*later),
        }
    }
}

/// Reads a member: its bytes, if they are few and cannot be read again without a walk, otherwise their digest.
fn read(member: &mut Member, buffer: &mut [u8]) -> io::Result<Bytes> {
    let again = member.source.take();
    let mut kept = Vec::new();
    let mut hashing = again.is_some().then(|| HashingWriter::new(io::sink()));
    let mut size: u64 = 0;
    loop {
        let read = match member.content.read(buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        size = size.saturating_add(read as u64);
        if hashing.is_none() && kept.len().saturating_add(read) > LARGEST_KEPT {
            let mut writer = HashingWriter::new(io::sink());
            writer.write_all(&std::mem::take(&mut kept))?;
            hashing = Some(writer);
        }
        match &mut hashing {
            Some(hashing) => hashing.write_all(bytes)?,
            None => kept.extend_from_slice(bytes),
        }
    }
    let (identity, source) = match hashing {
        Some(hashing) => (Identity::Digest(hashing.finish().1), again),
        None => (Identity::Held, Some(Source::memory(kept))),
    };
    Ok(Bytes {
        size,
        identity,
        source,
    })
}

/// The error with the place where a walk ended; a limit concerns the whole comparison and has its own message.
fn at(place: &str, error: &io::Error) -> Option<io::Error> {
    let is_limit = Hit::of(error).is_some() || Over::of(error).is_some();
    (!is_limit).then(|| io::Error::new(error.kind(), format!("{place}: {error}")))
}
