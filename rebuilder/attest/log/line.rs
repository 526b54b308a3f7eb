//! Writes and reads lines: each is bounded, plain, and has the digest of the line before.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::{Anchor, Event, Line, LogError, TEXT, is_plain, shortened};
use crate::artifact::Sha256;

/// Maximum length of a line that is read.
const LINE: u64 = 1 << 20;
/// Maximum length of a line that is written: well below the reader's limit, so that no writer can block readers.
const LONGEST: usize = 256 << 10;
/// Maximum number of workers in a line.
const WORKERS: usize = 64;

/// The only way to make a line: bounded, plain, and read back by the log's own reader before anyone writes it.
pub(super) fn encode(line: &Line) -> Result<Vec<u8>, LogError> {
    let refuse = |reason: String| LogError::Line { reason };
    if let Event::Signed { workers, .. } = &line.event
        && workers.len() > WORKERS
    {
        return Err(refuse(format!(
            "it names {} workers, but the maximum is {WORKERS}",
            workers.len()
        )));
    }
    for text in line.event.texts() {
        if text.len() > TEXT {
            return Err(refuse(format!(
                "a text has {} bytes, but the maximum is {TEXT}: {}",
                text.len(),
                shortened(text).chars().take(40).collect::<String>()
            )));
        }
        if !is_plain(text) {
            return Err(refuse(format!("{text:?} has control characters")));
        }
    }
    let bytes = serde_jcs::to_vec(line).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() > LONGEST {
        return Err(refuse(format!(
            "it has {} bytes, but the maximum is {LONGEST}",
            bytes.len()
        )));
    }
    match serde_json::from_slice::<Line>(&bytes) {
        Ok(again) if again == *line => Ok(bytes),
        Ok(_) => Err(refuse("it would be read as a different line".into())),
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// Where a line would be added, and what of a last line that is not whole was cut off.
pub(super) fn next(path: &Path, file: &mut File) -> Result<(Anchor, Option<(u64, Sha256)>), LogError> {
    let io = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    let first = Anchor {
        sequence: 0,
        previous: Sha256::of(""),
    };
    if length == 0 {
        return Ok((first, None));
    }
    // Half a line, and the whole one before it.
    let from = length.saturating_sub(2 * LINE);
    file.seek(SeekFrom::Start(from)).map_err(io)?;
    let mut tail = Vec::new();
    (&mut *file).take(2 * LINE).read_to_end(&mut tail).map_err(io)?;
    let broken = |reason: &str| LogError::Broken {
        path: path.to_owned(),
        line: 0,
        reason: format!("the last line {reason}"),
    };
    let mut torn = None;
    if tail.last() != Some(&b'\n') {
        // A crash left half a line. Nothing was signed for it, because signing waits for the disk.
        let whole = after_last_newline(&tail);
        if whole == 0 && from > 0 {
            return Err(broken("is too long"));
        }
        let rest = tail.split_off(whole);
        torn = Some((rest.len() as u64, Sha256::of(&rest)));
        file.set_len(from.saturating_add(whole as u64))
            .and_then(|()| file.sync_data())
            .map_err(io)?;
        if tail.is_empty() {
            return Ok((first, torn));
        }
    }
    let body = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let last = body.get(after_last_newline(body)..).unwrap_or_default();
    let line: Line = serde_json::from_slice(last).map_err(|error| broken(&error.to_string()))?;
    let sequence = line
        .sequence
        .checked_add(1)
        .ok_or_else(|| broken("has the highest number"))?;
    Ok((
        Anchor {
            sequence,
            previous: Sha256::of(last),
        },
        torn,
    ))
}

fn after_last_newline(bytes: &[u8]) -> usize {
    let at = bytes.iter().rposition(|byte| *byte == b'\n');
    at.map_or(0, |at| at.saturating_add(1))
}

/// Calls `take` with each line and its digest, after checking it against the line before.
pub(super) fn each(path: &Path, mut take: impl FnMut(Line, Sha256)) -> Result<(), LogError> {
    let io = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let (mut previous, mut sequence, mut bytes) = (Sha256::of(""), 0_u64, Vec::new());
    loop {
        bytes.clear();
        let read = reader
            .by_ref()
            .take(LINE)
            .read_until(b'\n', &mut bytes)
            .map_err(io)?;
        if read == 0 {
            return Ok(());
        }
        let broken = |reason: String| LogError::Broken {
            path: path.to_owned(),
            line: sequence.saturating_add(1),
            reason,
        };
        let body = bytes
            .strip_suffix(b"\n")
            .ok_or_else(|| broken("it is not complete".into()))?;
        let line: Line = serde_json::from_slice(body).map_err(|error| broken(error.to_string()))?;
        if line.sequence != sequence {
            return Err(broken(format!(
                "it has the number {}, not {sequence}",
                line.sequence
            )));
        }
        if line.previous != previous {
            return Err(broken(format!(
                "it follows {}, but the line before is {previous}",
                line.previous
            )));
        }
        previous = Sha256::of(body);
        sequence = sequence.saturating_add(1);
        take(line, previous);
    }
}
