//! Reads bytes a second time: those of members that were not kept, and those of streams that must be read in any
//! order.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::format::FormatReader;
use super::limits::Meter;
use super::source::Source;

/// Maximum number of bytes of second walks that are kept in memory; more go into an unnamed temporary file.
const MOST_IN_MEMORY: usize = 24 << 20;

/// Members whose bytes are wanted, by their positions, and the bytes once they are found.
pub(super) type Wanted = HashMap<usize, Option<Source>>;

/// Walks the archive again for the bytes of some members.
pub(super) fn fetch(
    format: &dyn FormatReader,
    source: &Source,
    meter: &Meter,
    wanted: &mut Wanted,
) -> io::Result<()> {
    let mut places = 0_usize..;
    let mut left = wanted.len();
    let mut room = MOST_IN_MEMORY;
    format.walk(source, meter, &mut |member| {
        let Some(place) = places.next().and_then(|own| wanted.get_mut(&own)) else {
            return Ok(true);
        };
        left = left.saturating_sub(1);
        let source = match member.source {
            Some(source) => source,
            None => materialise(member.content, room)?,
        };
        if let Source::Memory(bytes) = &source {
            room = room.saturating_sub(bytes.len());
        }
        *place = Some(source);
        Ok(left > 0)
    })?;
    Ok(())
}

/// The bytes of a stream, readable in any order: in memory up to `room`, otherwise in a temporary file.
pub(super) fn materialise(content: &mut dyn Read, room: usize) -> io::Result<Source> {
    let mut spool = tempfile::SpooledTempFile::new(room);
    let size = io::copy(content, &mut spool)?;
    Ok(match spool.into_inner() {
        tempfile::SpooledData::InMemory(cursor) => Source::memory(cursor.into_inner()),
        tempfile::SpooledData::OnDisk(file) => Source::Part {
            file: Arc::new(file),
            start: 0,
            size,
        },
    })
}
