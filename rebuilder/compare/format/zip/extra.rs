//! Extra fields (APPNOTE 4.5 and 4.6): known kinds by their grammar; anything else is unknown.

use super::bytes::Numbers;

pub(super) const ZIP64: u16 = 0x0001;
pub(super) const AES: u16 = 0x9901;
pub(super) const ALIGNMENT: u16 = 0xd935;

/// One record, or the rest of a field that ends in the middle of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// `None` for the rest.
    pub id: Option<u16>,
    pub data: &'a [u8],
}

/// The records of an extra field.
pub(super) fn records(mut extra: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        if extra.is_empty() {
            return None;
        }
        let whole = extra.split_first_chunk::<4>().and_then(|(head, rest)| {
            let numbers = Numbers(head);
            let (data, behind) = rest.split_at_checked(usize::from(numbers.u16(2)))?;
            Some((Some(numbers.u16(0)), data, behind))
        });
        let (id, data, behind) = whole.unwrap_or((None, extra, &[]));
        extra = behind;
        Some(Record { id, data })
    })
}

/// The data of the first record of this kind.
pub(super) fn find(extra: &[u8], id: u16) -> Option<&[u8]> {
    records(extra)
        .find(|record| record.id == Some(id))
        .map(|record| record.data)
}

/// The meaning of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// Unix seconds.
    Times(Times),
    /// In 100 nanoseconds since 1601: modified, accessed, created.
    NtfsTimes([u64; 3]),
    /// User and group, and the times stored with them.
    Owner(Option<(u64, u64)>, Times),
    Zip64,
    /// The mark of the first entry of a jar.
    Jar,
    /// The alignment of the data, and the padding that produces it.
    Alignment(u16, &'a [u8]),
    /// CRC-32 of the header's name or comment, and the text that replaces it.
    UnicodePath(u32, &'a [u8]),
    UnicodeComment(u32, &'a [u8]),
    Aes(String),
    Unknown,
}

/// Times in Unix seconds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub modified: Option<i64>,
    pub accessed: Option<i64>,
    pub created: Option<i64>,
}

impl Times {
    pub fn each(self) -> [Option<i64>; 3] {
        [self.modified, self.accessed, self.created]
    }
}

/// The meaning of a record in a local or central header.
pub(super) fn meaning<'a>(record: &Record<'a>, is_local: bool) -> Meaning<'a> {
    let data = record.data;
    let known = match record.id {
        Some(0x5455) => universal_times(data, is_local).map(Meaning::Times),
        Some(0x5855 | 0x000d) => old_unix(data, record.id == Some(0x000d)),
        Some(0x7855) => short_owner(data),
        Some(0x7875) => owner(data).map(|owner| Meaning::Owner(Some(owner), Times::default())),
        Some(0x000a) => ntfs(data).map(Meaning::NtfsTimes),
        Some(ZIP64) => Some(Meaning::Zip64),
        Some(0xcafe) => data.is_empty().then_some(Meaning::Jar),
        Some(ALIGNMENT) => data
            .split_first_chunk()
            .map(|(multiple, padding)| Meaning::Alignment(u16::from_le_bytes(*multiple), padding)),
        Some(0x7075) => unicode(data).map(|(crc, text)| Meaning::UnicodePath(crc, text)),
        Some(0x6375) => unicode(data).map(|(crc, text)| Meaning::UnicodeComment(crc, text)),
        Some(AES) => aes(data).map(Meaning::Aes),
        _ => None,
    };
    known.unwrap_or(Meaning::Unknown)
}

fn seconds(data: &[u8], at: usize) -> i64 {
    i64::from(i32::from_le_bytes(Numbers(data).u32(at).to_le_bytes()))
}

/// Flags, and the times that they announce; a central header has only the modification time, whatever they say.
fn universal_times(data: &[u8], is_local: bool) -> Option<Times> {
    let (flags, mut rest) = data.split_first()?;
    if flags & !7 != 0 {
        return None;
    }
    let mut times = [None; 3];
    for (bit, time) in times.iter_mut().enumerate() {
        let left_out = !is_local && rest.is_empty();
        if flags >> bit & 1 == 1 && !left_out {
            let own;
            (own, rest) = rest.split_at_checked(4)?;
            *time = Some(seconds(own, 0));
        }
    }
    let [modified, accessed, created] = times;
    rest.is_empty().then_some(Times {
        modified,
        accessed,
        created,
    })
}

/// Access and modification time, and optionally the owner.
fn old_unix(data: &[u8], needs_owner: bool) -> Option<Meaning<'static>> {
    let numbers = Numbers(data);
    let owner = match data.len() {
        8 if !needs_owner => None,
        12 => Some((u64::from(numbers.u16(8)), u64::from(numbers.u16(10)))),
        _ => return None,
    };
    let times = Times {
        accessed: Some(seconds(data, 0)),
        modified: Some(seconds(data, 4)),
        created: None,
    };
    Some(Meaning::Owner(owner, times))
}

/// The owner; empty in central headers.
fn short_owner(data: &[u8]) -> Option<Meaning<'static>> {
    let numbers = Numbers(data);
    let owner = match data.len() {
        0 => None,
        4 => Some((u64::from(numbers.u16(0)), u64::from(numbers.u16(2)))),
        _ => return None,
    };
    Some(Meaning::Owner(owner, Times::default()))
}

/// Version 1, followed by user and group, each with its length.
fn owner(data: &[u8]) -> Option<(u64, u64)> {
    fn number(data: &[u8]) -> Option<(u64, &[u8])> {
        let (length, rest) = data.split_first()?;
        let (own, rest) = rest.split_at_checked(usize::from(*length))?;
        if own.len() > 8 {
            return None;
        }
        let number = own
            .iter()
            .rev()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Some((number, rest))
    }
    let (user, rest) = number(data.strip_prefix(&[1])?)?;
    let (group, rest) = number(rest)?;
    rest.is_empty().then_some((user, group))
}

/// Four reserved bytes, and one attribute of 24 bytes.
fn ntfs(data: &[u8]) -> Option<[u64; 3]> {
    let times = data.strip_prefix(&[0, 0, 0, 0, 1, 0, 24, 0])?;
    (times.len() == 24).then(|| [0, 8, 16].map(|at| Numbers(times).u64(at)))
}

fn unicode(data: &[u8]) -> Option<(u32, &[u8])> {
    let (crc, text) = data.strip_prefix(&[1])?.split_first_chunk()?;
    std::str::from_utf8(text).ok()?;
    Some((u32::from_le_bytes(*crc), text))
}

fn aes(data: &[u8]) -> Option<String> {
    let numbers = Numbers(data);
    let vendor = data.get(2..4) == Some(b"AE");
    (data.len() == 7 && vendor).then(|| {
        let strength = data.get(4).copied().unwrap_or(0);
        format!("AES, version {}, strength {strength}", numbers.u16(0))
    })
}
