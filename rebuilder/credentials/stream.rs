//! Files of any length, looked through and cleaned piece by piece.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::Path;

use super::scan::{self, SecretHit};
use super::{Depth, Findings, MOST};
use crate::deadline::Deadline;
use crate::store::StoreError;

/// Maximum number of bytes that are looked at together; a secret longer than the overlap of two such pieces can be
/// missed.
pub(super) const PIECE: usize = 1 << 20;
pub(super) const OVERLAP: usize = 16 << 10;
/// How much of what was written already is shown to the rules again, for the words before a secret.
const BEFORE: usize = 1 << 10;
impl Findings {
    pub(super) fn stream(
        &mut self,
        place: &str,
        path: &str,
        content: &mut dyn Read,
        deadline: &Deadline,
    ) -> io::Result<()> {
        let mut piece = Vec::new();
        let (mut line, mut known) = (1_u64, 0);
        loop {
            let kept = piece.len();
            let read = content
                .take(PIECE.saturating_sub(kept) as u64)
                .read_to_end(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            if self.is_full() {
                return Err(io::Error::other(format!("more than {MOST} credentials")));
            }
            let hits = scan::scan(&piece, path, Depth::Precise, deadline)?;
            self.add(place, &piece, known, line, &hits);
            let done = piece.len().saturating_sub(OVERLAP);
            line = line.saturating_add(piece.get(..done).map_or(0, lines));
            piece.drain(..done);
            known = piece.len();
        }
    }

    /// Takes credentials out of a log. What there is no time to look at is cut off: a log is kept without credentials,
    /// or not at all.
    pub fn redact_file(&mut self, kind: &str, path: &Path, deadline: &Deadline) -> Result<(), StoreError> {
        let error = |what| StoreError::io(what, path);
        let mut reader = File::open(path).map_err(error("read"))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder).map_err(StoreError::io("write into", folder))?;
        let mut writer = BufWriter::new(file);
        // Of a piece, the first bytes are written already: words before a secret that comes later.
        let (mut piece, mut written, mut line, mut changed) = (Vec::new(), 0, 1_u64, false);
        let mut last = false;
        while !last {
            let read = (&mut reader)
                .take(PIECE as u64)
                .read_to_end(&mut piece)
                .map_err(error("read"))?;
            last = read < PIECE;
            let hits = match scan::scan(&piece, "", Depth::All, deadline) {
                Ok(hits) => hits,
                Err(over) => {
                    self.unsearched.push(format!("{kind}: {over}"));
                    let notice = format!(
                        "\n[rebuilder: the rest of this log is cut off, as it could not be searched for credentials: {over}]\n"
                    );
                    writer.write_all(notice.as_bytes()).map_err(error("write"))?;
                    changed = true;
                    break;
                }
            };
            let end = if last {
                piece.len()
            } else {
                cut(&piece, written, &hits)
            };
            let hits: Vec<_> = hits.into_iter().filter(|hit| hit.secret.start < end).collect();
            self.add(kind, &piece, written, line, &hits);
            let ready = piece.get(..end).unwrap_or(&piece);
            changed |= replace(ready, written, &hits, &mut writer).map_err(error("write"))?;
            let done = ready.len().saturating_sub(BEFORE);
            written = ready.len().min(BEFORE);
            line = line.saturating_add(piece.get(..done).map_or(0, lines));
            piece.drain(..done);
        }
        if !changed {
            return Ok(());
        }
        let file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .map_err(error("write"))?;
        file.as_file().sync_all().map_err(error("write"))?;
        let persisted = file
            .persist(path)
            .map_err(|failed| failed.error)
            .map_err(error("write"))?;
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        persisted.set_permissions(readable).map_err(error("write"))
    }
}

/// Up to where a piece can be written although more follows: what ends later may be the beginning of a secret.
fn cut(piece: &[u8], written: usize, hits: &[SecretHit]) -> usize {
    let end = piece.len().saturating_sub(OVERLAP);
    let line = memchr::memrchr(b'\n', piece.get(..end).unwrap_or_default());
    let line = line.map_or(end, |at| at.saturating_add(1));
    let mut end = if line > end / 2 { line } else { end };
    for hit in hits.iter().rev() {
        if hit.secret.start < end && end < hit.secret.end {
            // The rest of it may not have come yet, unless it is longer than everything that is looked at together.
            end = if hit.secret.start > written {
                hit.secret.start
            } else {
                hit.secret.end
            };
        }
    }
    end.max(written)
}

/// How many lines end in a text.
pub(super) fn lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

/// Writes a text from `from` on without the secrets in it; says whether there were any.
pub(super) fn replace(
    text: &[u8],
    from: usize,
    hits: &[SecretHit],
    to: &mut impl io::Write,
) -> io::Result<bool> {
    let (mut at, mut changed) = (from, false);
    for hit in hits {
        if hit.secret.end <= at || hit.secret.start >= text.len() {
            continue;
        }
        to.write_all(text.get(at..hit.secret.start).unwrap_or_default())?;
        write!(to, "[redacted: {}]", hit.rule.id)?;
        at = hit.secret.end.min(text.len());
        changed = true;
    }
    to.write_all(text.get(at..).unwrap_or_default())?;
    Ok(changed)
}
