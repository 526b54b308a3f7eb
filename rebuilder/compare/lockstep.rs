//! Two large members read at the same time, each on the thread of its side, and compared piece by piece: no digest
//! is needed, and what is equal is dropped at once.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::format::Member;
use super::leaf::fill;
use super::source::Source;
use super::walk::{Identity, Row};

/// How much is read at once.
const PIECE: usize = 1 << 18;
/// How many pieces one side may be ahead.
const AHEAD: usize = 4;

/// One side's end of the line: one sends its pieces, the other compares them and answers.
#[derive(Debug)]
pub(super) enum Line {
    Sends {
        pieces: SyncSender<Vec<u8>>,
        /// Buffers that come back.
        empty: Receiver<Vec<u8>>,
        answer: Receiver<bool>,
    },
    Compares {
        pieces: Receiver<Vec<u8>>,
        empty: SyncSender<Vec<u8>>,
        answer: SyncSender<bool>,
    },
}

/// Both ends.
pub(super) fn lines() -> (Line, Line) {
    let (pieces, arriving) = sync_channel(AHEAD);
    let (give_back, empty) = sync_channel(AHEAD + 1);
    let (reply, answer) = sync_channel(1);
    let sends = Line::Sends {
        pieces,
        empty,
        answer,
    };
    let compares = Line::Compares {
        pieces: arriving,
        empty: give_back,
        answer: reply,
    };
    (sends, compares)
}

/// Reads a member while its partner is read on the other thread. Its bytes are kept in `scratch`, and taken out of it
/// where they are at most `most` and not the same. An end of the line that breaks off (the other side failed) counts as different.
pub(super) fn read(
    line: Line,
    member: Member,
    index: usize,
    most: usize,
    scratch: &mut Vec<u8>,
) -> io::Result<Row> {
    // One buffer for all members: most of them turn out the same, and fresh memory costs more than copying.
    scratch.clear();
    let mut whole = member.size <= most as u64;
    let mut keep = |piece: &[u8]| {
        whole &= scratch.len() + piece.len() <= most;
        if whole {
            scratch.extend_from_slice(piece);
        }
    };
    let mut size = 0;
    let same = match line {
        Line::Sends {
            pieces,
            empty,
            answer,
        } => {
            let mut listening = true;
            loop {
                let mut piece = empty.try_recv().unwrap_or_default();
                piece.resize(PIECE, 0);
                let read = fill(member.content, &mut piece)?;
                piece.truncate(read);
                size += read as u64;
                keep(&piece);
                // An empty piece says that this was the end.
                listening = listening && pieces.send(piece).is_ok();
                if read == 0 {
                    break;
                }
            }
            answer.recv().unwrap_or(false)
        }
        Line::Compares {
            pieces,
            empty,
            answer,
        } => {
            let (mut same, mut ended) = (true, false);
            let mut own = vec![0; PIECE];
            loop {
                let read = fill(member.content, &mut own)?;
                size += read as u64;
                keep(&own[..read]);
                if !ended {
                    if let Ok(piece) = pieces.recv() {
                        same &= piece[..] == own[..read];
                        ended = piece.is_empty();
                        // Nobody needs it any more where the other side is done.
                        let _ = empty.try_send(piece);
                    } else {
                        (same, ended) = (false, true);
                    }
                } else if read > 0 {
                    same = false;
                }
                if read == 0 {
                    break;
                }
            }
            while !ended {
                // The partner is longer.
                same = false;
                ended = pieces.recv().map_or(true, |piece| piece.is_empty());
            }
            let _ = answer.send(same);
            same
        }
    };
    Ok(Row {
        path: member.path,
        index,
        fields: member.fields,
        size,
        identity: Identity::InStep { same },
        source: (whole && !same).then(|| Source::memory(std::mem::take(scratch))),
    })
}
