//! Two archives walked side by side: members are paired by path as they come, and what is the same on both sides
//! is forgotten at once.
//!
//! Small members stay in memory until their partner comes; the side that is ahead waits for the other. Large ones
//! wait for their partner before they are read, and are then compared piece by piece while both are decoded
//! ([`lockstep`]). What was too large to keep, or whose partner came too late, is read in a second walk.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::finding::Node;
use super::format::{FormatReader, Member};
use super::limits::Meter;
use super::lockstep;
use super::source::Source;
use super::stored::{Fields, is_hard_link};
use crate::artifact::{HashingWriter, Sha256};

/// Largest member that waits in memory for its partner, and how much may wait on each side.
const LARGEST_KEPT: usize = 8 << 20;
const MOST_KEPT: usize = 16 << 20;
/// Members of this size wait for their partner before they are read, and largest one that is kept while it is read.
const WORTH_WAITING: u64 = 1 << 20;
const LARGEST_IN_STEP: usize = 16 << 20;
/// Archives smaller than this are walked one after the other.
const WORTH_A_THREAD: u64 = 1 << 18;
/// How many names are remembered to tell how the order differs.
const MOST_NAMES: usize = 50_000;

/// A member without its bytes, or with them where they are small.
#[derive(Debug)]
pub(super) struct Row {
    pub path: String,
    pub index: usize,
    pub fields: Fields,
    pub size: u64,
    pub identity: Identity,
    pub source: Option<Source>,
}

/// What tells whether two members have the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    Digest(Sha256),
    /// Compared with its partner byte by byte while both were read.
    InStep {
        same: bool,
    },
    /// Its bytes are in memory, and nobody asked for their digest yet.
    Held,
}

impl Row {
    pub fn same_bytes(&self, other: &Self) -> bool {
        if self.size != other.size {
            return false;
        }
        match (self.identity, other.identity) {
            (Identity::InStep { same: own }, Identity::InStep { same: others }) => own && others,
            (Identity::InStep { .. }, _) | (_, Identity::InStep { .. }) => false,
            (Identity::Held, Identity::Held) => match (&self.source, &other.source) {
                (Some(Source::Memory(own)), Some(Source::Memory(others))) => own == others,
                _ => false,
            },
            _ => self.sha256() == other.sha256(),
        }
    }

    /// Its digest, where it was read alone.
    pub fn sha256(&self) -> Option<Sha256> {
        match (self.identity, &self.source) {
            (Identity::Digest(sha256), _) => Some(sha256),
            (Identity::Held, Some(Source::Memory(bytes))) => Some(Sha256::of(&bytes[..])),
            _ => None,
        }
    }

    /// Lets go of its bytes, but not of what tells them from others.
    fn drop_bytes(&mut self) {
        if let Some(sha256) = self.sha256() {
            self.identity = Identity::Digest(sha256);
        }
        self.source = None;
    }
}

/// A pair whose bytes differ and were not both at hand.
pub(super) struct Later {
    pub released: Row,
    pub rebuilt: Row,
}

/// What two walks found.
#[derive(Default)]
pub(super) struct Walked {
    /// Members that differ, with their place in the released archive.
    pub nodes: Vec<(usize, Node)>,
    pub later: Vec<Later>,
    /// Members of one side only.
    pub alone: [Vec<Row>; 2],
    pub same: u64,
    /// Places of pairs in both archives, and their names while there are not too many.
    pub pairs: Vec<(usize, usize)>,
    pub names: HashMap<usize, String>,
    /// Whether some path stands twice, or a hard link depends on what was before it.
    pub order_matters: bool,
    /// Fields of the archives themselves.
    pub fields: [Fields; 2],
    /// What ended a walk early.
    pub errors: [Option<io::Error>; 2],
}

#[derive(Default)]
struct State {
    walked: Walked,
    waiting: [HashMap<(String, u32), Row>; 2],
    seen: [HashMap<u64, u32>; 2],
    kept: [usize; 2],
    /// Whether the side stands still, as it is done or waits for the other.
    still: [bool; 2],
    /// Large members that a side stands before, and its end of the line to the other side once that has come.
    before: [Option<(String, Option<lockstep::Line>)>; 2],
}

/// Called for each pair that is not the same in everything; gives its node, or the rows back for later.
pub(super) type Judge<'a> = &'a (dyn Fn(Row, Row) -> Judged + Sync);

/// What came of a pair.
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

/// Walks both and pairs their members.
pub(super) fn walk(format: &dyn FormatReader, sides: [&Source; 2], meter: &Meter, judge: Judge) -> Walked {
    let meeting = Meeting {
        state: Mutex::new(State::default()),
        turn: Condvar::new(),
        hasher: RandomState::new(),
        judge,
    };
    let small = sides
        .iter()
        .all(|side| side.size().is_some_and(|size| size < WORTH_A_THREAD));
    if small {
        meeting.lock().still = [true, true];
        meeting.side(0, format, sides[0], meter);
        meeting.side(1, format, sides[1], meter);
    } else {
        std::thread::scope(|scope| {
            scope.spawn(|| meeting.side(0, format, sides[0], meter));
            meeting.side(1, format, sides[1], meter);
        });
    }
    let state = meeting.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut walked = state.walked;
    for (side, waiting) in state.waiting.into_iter().enumerate() {
        let mut rows: Vec<_> = waiting.into_values().collect();
        rows.sort_by_key(|row| row.index);
        walked.alone[side] = rows;
    }
    walked
}

impl Meeting<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn side(&self, side: usize, format: &dyn FormatReader, source: &Source, meter: &Meter) {
        let mut index = 0;
        let (mut buffer, mut pieces) = (vec![0; 1 << 16], lockstep::Pieces::default());
        let end = format.walk(source, meter, &mut |member| {
            let large = member.source.is_none() && member.size >= WORTH_WAITING;
            let line = if large {
                self.wait_before(side, &member.path)
            } else {
                None
            };
            let row = match line {
                Some(line) => lockstep::read(line, member, index, LARGEST_IN_STEP, &mut pieces)?,
                None => read(member, index, &mut buffer)?,
            };
            index += 1;
            self.meet(side, row);
            Ok(true)
        });
        let mut state = self.lock();
        match end {
            Ok(fields) => state.walked.fields[side] = fields,
            Err(error) => state.walked.errors[side] = Some(error),
        }
        state.still[side] = true;
        self.turn.notify_all();
    }

    /// Waits until the other side stands before the member of the same path, or never will.
    fn wait_before(&self, side: usize, path: &str) -> Option<lockstep::Line> {
        let other = 1 - side;
        let mut state = self.lock();
        // A partner that was read already, or one of several with this path, is paired by its digest.
        let hash = self.hasher.hash_one(path);
        if state.seen[other].get(&hash) != state.seen[side].get(&hash) {
            return None;
        }
        if let Some((there, line)) = &mut state.before[other] {
            if there != path {
                // Both stand before different members: neither waits on.
                state.before[other] = None;
                self.turn.notify_all();
                return None;
            }
            let (own, theirs) = lockstep::lines();
            *line = Some(theirs);
            self.turn.notify_all();
            return Some(own);
        }
        if state.still[other] {
            return None;
        }
        state.before[side] = Some((path.to_owned(), None));
        state.still[side] = true;
        self.turn.notify_all();
        loop {
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
            let alone = state.still[other];
            let called_off = match &state.before[side] {
                None => true,
                Some((_, Some(_))) => false,
                Some((_, None)) if alone => true,
                Some((_, None)) => continue,
            };
            state.still[side] = false;
            let line = state.before[side].take().and_then(|(_, line)| line);
            return if called_off { None } else { line };
        }
    }

    /// Pairs the member with its partner, or leaves it to wait for one.
    fn meet(&self, side: usize, mut row: Row) {
        let other = 1 - side;
        let mut state = self.lock();
        let hash = self.hasher.hash_one(&row.path);
        let nth = state.seen[side].entry(hash).or_default();
        *nth += 1;
        let key = (row.path.clone(), *nth);
        if key.1 > 1 || is_hard_link(&row.fields) {
            state.walked.order_matters = true;
        }
        let size = match &row.source {
            Some(Source::Memory(bytes)) => bytes.len(),
            _ => 0,
        };
        loop {
            if let Some(partner) = state.waiting[other].remove(&key) {
                if let Some(Source::Memory(bytes)) = &partner.source {
                    state.kept[other] -= bytes.len();
                    self.turn.notify_all();
                }
                let (released, rebuilt) = if side == 0 { (row, partner) } else { (partner, row) };
                return self.pair(state, released, rebuilt);
            }
            if state.kept[side] + size <= MOST_KEPT {
                break;
            }
            if state.still[other] {
                // Nobody will make room: the bytes are read again later.
                row.drop_bytes();
                break;
            }
            state.still[side] = true;
            // The other may wait for this side to stand still.
            self.turn.notify_all();
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.still[side] = false;
        }
        if row.source.is_some() {
            state.kept[side] += size;
        }
        state.waiting[side].insert(key, row);
        self.turn.notify_all();
    }

    fn pair(&self, mut state: MutexGuard<State>, released: Row, rebuilt: Row) {
        let places = (released.index, rebuilt.index);
        if state.walked.pairs.len() < MOST_NAMES {
            state.walked.names.insert(places.0, released.path.clone());
        }
        state.walked.pairs.push(places);
        if released.same_bytes(&rebuilt) && released.fields == rebuilt.fields {
            state.walked.same += 1;
            return;
        }
        drop(state);
        let judged = (self.judge)(released, rebuilt);
        let mut state = self.lock();
        match judged {
            Judged::Same => state.walked.same += 1,
            Judged::Node(node) => state.walked.nodes.push((places.0, *node)),
            Judged::Later(later) => state.walked.later.push(*later),
        }
    }
}

/// Reads a member: its bytes where they are few and cannot be read again without walking, else their digest.
fn read(member: Member, index: usize, buffer: &mut [u8]) -> io::Result<Row> {
    let again = member.source;
    let mut kept = Vec::new();
    let mut hashing = again.is_some().then(|| HashingWriter::new(io::sink()));
    let mut size = 0;
    loop {
        let read = match member.content.read(buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = &buffer[..read];
        size += read as u64;
        if hashing.is_none() && kept.len() + read > LARGEST_KEPT {
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
    Ok(Row {
        path: member.path,
        index,
        fields: member.fields,
        size,
        identity,
        source,
    })
}

/// What is kept of second walks: in memory up to this much, in an unnamed temporary file beyond.
const MOST_IN_MEMORY: usize = 24 << 20;

/// Walks again for the bytes of some members, by their places.
pub(super) fn fetch(
    format: &dyn FormatReader,
    source: &Source,
    meter: &Meter,
    wanted: &mut HashMap<usize, Option<Source>>,
) -> io::Result<()> {
    let (mut index, mut left) = (0, wanted.len());
    let mut in_memory = 0;
    format.walk(source, meter, &mut |member| {
        let own = index;
        index += 1;
        let Some(place) = wanted.get_mut(&own) else {
            return Ok(true);
        };
        left -= 1;
        *place = Some(match member.source {
            Some(source) => source,
            None => materialise(member.content, MOST_IN_MEMORY.saturating_sub(in_memory))?,
        });
        if let Some(Source::Memory(bytes)) = place {
            in_memory += bytes.len();
        }
        Ok(left > 0)
    })?;
    Ok(())
}

/// Bytes that can be read in any order, of a stream that cannot: in memory up to `room`, beyond in a temporary file.
pub(super) fn materialise(content: &mut dyn Read, room: usize) -> io::Result<Source> {
    let mut spool = tempfile::SpooledTempFile::new(room);
    let size = io::copy(content, &mut spool)?;
    Ok(match spool.into_inner() {
        tempfile::SpooledData::InMemory(cursor) => Source::memory(cursor.into_inner()),
        tempfile::SpooledData::OnDisk(file) => Source::Part {
            file: std::sync::Arc::new(file),
            start: 0,
            size,
        },
    })
}
