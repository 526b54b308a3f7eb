//! Reads two large members at the same time, each on the thread of its side, and compares them piece by piece. No
//! digest is needed, and equal pieces are dropped at once.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::file::fill;
use super::format::Member;
use super::row::{Bytes, Identity};
use super::source::Source;

/// Number of bytes that are read at once.
const PIECE: usize = 1 << 18;
/// Number of pieces that one side may be ahead.
const AHEAD: usize = 4;

/// One side's end of the line: one side sends its pieces, the other compares them and answers.
#[derive(Debug)]
pub(super) enum Line {
    Sends {
        pieces: SyncSender<Arc<Vec<u8>>>,
        answer: Receiver<bool>,
    },
    Compares {
        pieces: Receiver<Arc<Vec<u8>>>,
        answer: SyncSender<bool>,
    },
}

/// Both ends.
pub(super) fn lines() -> (Line, Line) {
    let (pieces, arriving) = sync_channel(AHEAD);
    let (reply, answer) = sync_channel(1);
    let compares = Line::Compares {
        pieces: arriving,
        answer: reply,
    };
    (Line::Sends { pieces, answer }, compares)
}

/// The pieces of a member while it is small enough to be kept, and buffers for reuse: most members are equal, and
/// allocating memory costs more than comparing.
#[derive(Default)]
pub(super) struct Pieces {
    kept: Vec<Arc<Vec<u8>>>,
    free: Vec<Vec<u8>>,
}

impl Pieces {
    fn read(&mut self, content: &mut dyn io::Read) -> io::Result<Arc<Vec<u8>>> {
        let mut piece = self.free.pop().unwrap_or_default();
        piece.resize(PIECE, 0);
        let read = fill(content, &mut piece)?.len();
        piece.truncate(read);
        Ok(Arc::new(piece))
    }

    fn give_back(&mut self) {
        let kept = self.kept.drain(..);
        self.free
            .extend(kept.filter_map(|piece| Arc::try_unwrap(piece).ok()));
    }
}

/// Reads a member while the other thread reads its partner. The bytes are kept if there are at most `most` and they
/// differ. If the other side fails and drops its end of the line, the members count as different.
pub(super) fn read(line: Line, member: &mut Member, most: usize, pieces: &mut Pieces) -> io::Result<Bytes> {
    let mut whole = member.size <= most as u64;
    let mut size = 0_u64;
    pieces.give_back();
    let mut next = |pieces: &mut Pieces| -> io::Result<Arc<Vec<u8>>> {
        let piece = pieces.read(member.content)?;
        size = size.saturating_add(piece.len() as u64);
        whole &= size <= most as u64;
        if whole {
            pieces.kept.push(piece.clone());
        } else {
            pieces.give_back();
        }
        Ok(piece)
    };
    let mut next = || next(pieces);
    let same = match line {
        Line::Sends { pieces, answer } => {
            send(&pieces, &mut next)?;
            answer.recv().unwrap_or(false)
        }
        Line::Compares { pieces, answer } => {
            let same = are_same(&pieces, &mut next)?;
            let _ = answer.send(same);
            same
        }
    };
    let source = (whole && !same).then(|| {
        let bytes: Vec<&[u8]> = pieces.kept.iter().map(|piece| piece.as_slice()).collect();
        Source::memory(bytes.concat())
    });
    pieces.give_back();
    Ok(Bytes {
        size,
        identity: Identity::InStep { same },
        source,
    })
}

/// Returns the next piece of a member; an empty one marks the end.
type Next<'a> = &'a mut dyn FnMut() -> io::Result<Arc<Vec<u8>>>;

/// Sends all pieces to the other thread; if it stops listening, the rest is still read.
fn send(line: &SyncSender<Arc<Vec<u8>>>, next: Next) -> io::Result<()> {
    let mut listening = true;
    loop {
        let piece = next()?;
        let ended = piece.is_empty();
        listening = listening && line.send(piece).is_ok();
        if ended {
            return Ok(());
        }
    }
}

/// Whether the pieces from the other thread are equal to our own.
fn are_same(line: &Receiver<Arc<Vec<u8>>>, next: Next) -> io::Result<bool> {
    let (mut same, mut ended) = (true, false);
    loop {
        let own = next()?;
        if ended {
            same &= own.is_empty();
        } else if let Ok(piece) = line.recv() {
            same &= piece == own;
            ended = piece.is_empty();
        } else {
            (same, ended) = (false, true);
        }
        if own.is_empty() {
            break;
        }
    }
    while !ended {
        // The partner is longer.
        same = false;
        ended = line.recv().map_or(true, |piece| piece.is_empty());
    }
    Ok(same)
}
