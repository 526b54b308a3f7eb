//! Archives of strangers in tar form, whose headers take a bounded room.
//!
//! A header may say that names or extended fields follow, of any length, and the reader of tar holds them whole.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Maximum number of bytes of all headers of one member: names, extended fields, the map of a sparse file.
pub(crate) const HEADERS: u64 = 4 << 20;
const BLOCK: u64 = 512;

/// How far may be read, and how far was.
#[derive(Debug, Default)]
struct Place {
    read: Cell<u64>,
    /// While headers are read.
    end: Cell<Option<u64>>,
}

/// Bounds the headers of one archive.
#[derive(Debug, Default)]
pub(crate) struct HeaderLimit(Rc<Place>);

impl HeaderLimit {
    /// The reader that the archive must be made of.
    pub fn over<R: Read>(&self, inner: R) -> Limited<R> {
        Limited {
            inner,
            place: self.0.clone(),
        }
    }

    /// The members of the archive; an error where the headers of one are too large.
    pub fn entries<'a, R: Read>(
        &self,
        archive: &'a mut tar::Archive<Limited<R>>,
    ) -> io::Result<Entries<'a, R>> {
        Ok(Entries {
            inner: archive.entries()?,
            place: self.0.clone(),
            data: 0,
        })
    }
}

/// A reader that goes no further than headers may.
pub(crate) struct Limited<R> {
    inner: R,
    place: Rc<Place>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.place.read.get();
        let room = self.place.end.get().map(|end| end.saturating_sub(at));
        let room = room.map_or(usize::MAX, |room| usize::try_from(room).unwrap_or(usize::MAX));
        if room == 0 && !buffer.is_empty() {
            let reason = format!("the headers of a member have more than {HEADERS} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let length = buffer.len().min(room);
        let read = self.inner.read(buffer.get_mut(..length).unwrap_or_default())?;
        self.place.read.set(at.saturating_add(read as u64));
        Ok(read)
    }
}

/// The members of an archive.
pub(crate) struct Entries<'a, R: Read> {
    inner: tar::Entries<'a, Limited<R>>,
    place: Rc<Place>,
    /// Where the data of the last member ends.
    data: u64,
}

impl<'a, R: Read> Iterator for Entries<'a, R> {
    type Item = io::Result<tar::Entry<'a, Limited<R>>>;

    fn next(&mut self) -> Option<Self::Item> {
        // What was not read of the last member is passed over first.
        self.place.end.set(Some(self.data.saturating_add(HEADERS)));
        let next = self.inner.next();
        self.place.end.set(None);
        let next = next?.and_then(|mut entry| {
            let stored = stored(&mut entry)?.checked_next_multiple_of(BLOCK);
            self.data = self.place.read.get().saturating_add(stored.unwrap_or(u64::MAX));
            Ok(entry)
        });
        Some(next)
    }
}

/// How many bytes of the archive are a member's: an extended field says it before the header does.
fn stored<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<u64> {
    let kind = entry.header().entry_type();
    if kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
        // Asked for its fields, such a member would read itself, whole.
        return entry.header().entry_size();
    }
    let extended = entry.pax_extensions()?.into_iter().flatten();
    let mut extended = extended.map_while(Result::ok);
    let size = extended.find(|field| field.key() == Ok("size"));
    let size = size.and_then(|field| field.value().ok()?.parse().ok());
    size.map_or_else(|| entry.header().entry_size(), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member of this type, whose data are so many letters.
    fn member(kind: tar::EntryType, size: u64) -> impl Read {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        let padded = size.next_multiple_of(BLOCK);
        io::Cursor::new(header.as_bytes().to_vec()).chain(io::repeat(b'a').take(padded))
    }

    /// How many members are read before the end, or before an error.
    fn count(archive: impl Read) -> (usize, bool) {
        let limit = HeaderLimit::default();
        let mut archive = tar::Archive::new(limit.over(archive));
        let mut entries = limit.entries(&mut archive).unwrap();
        let read = entries.by_ref().take_while(Result::is_ok).count();
        (read, limit.0.read.get() < (64 << 20))
    }

    #[test]
    fn names_take_a_bounded_room_and_data_do_not() {
        use tar::EntryType;
        let file = || member(EntryType::Regular, 10 << 20);
        assert_eq!(
            count(file().chain(file())),
            (2, true),
            "data may be longer than headers"
        );
        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
            let short = || member(kind, 3000);
            assert_eq!(count(short().chain(file())), (1, true), "{kind:?}");
            let endless = || member(kind, 1 << 40);
            assert_eq!(count(endless()), (0, true), "{kind:?}");
            assert_eq!(
                count(file().chain(endless())),
                (1, true),
                "{kind:?} behind a file"
            );
        }
    }
}
