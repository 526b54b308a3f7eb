//! The headers of cpio's four formats: new ASCII without and with checksums ("newc", "crc"), old ASCII ("odc"), and
//! old binary in both byte orders.

use std::io::{self, Read};

use crate::compare::limits::LONGEST_NAME;

/// One of the formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    New,
    /// With a checksum of each file.
    Sums,
    OldAscii,
    OldBinary {
        little: bool,
    },
}

impl Dialect {
    /// The format, by the first six bytes.
    fn of(head: &[u8]) -> Option<Self> {
        Some(match head {
            [b'0', b'7', b'0', b'7', b'0', b'1', ..] => Self::New,
            [b'0', b'7', b'0', b'7', b'0', b'2', ..] => Self::Sums,
            [b'0', b'7', b'0', b'7', b'0', b'7', ..] => Self::OldAscii,
            [0xc7, 0x71, ..] => Self::OldBinary { little: true },
            [0x71, 0xc7, ..] => Self::OldBinary { little: false },
            _ => return None,
        })
    }

    /// Length of a header.
    fn length(self) -> usize {
        match self {
            Self::New | Self::Sums => 110,
            Self::OldAscii => 76,
            Self::OldBinary { .. } => 26,
        }
    }

    /// Names and contents are padded to multiples of this.
    fn block(self) -> u64 {
        match self {
            Self::New | Self::Sums => 4,
            Self::OldAscii => 1,
            Self::OldBinary { .. } => 2,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::New => "newc",
            Self::Sums => "crc",
            Self::OldAscii => "odc",
            Self::OldBinary { little: true } => "binary, low byte first",
            Self::OldBinary { little: false } => "binary, high byte first",
        }
    }
}

/// Fields of digits after the magic, one after another.
struct Digits<'a> {
    rest: &'a [u8],
    radix: u32,
}

/// Length of the magic in the ASCII formats.
const MAGIC: usize = 6;

impl Digits<'_> {
    fn number(&mut self, width: usize) -> Option<u64> {
        let field;
        (field, self.rest) = self.rest.split_at_checked(width)?;
        let digits = std::str::from_utf8(field).ok()?;
        // Readers treat signs and spaces differently.
        let plain = digits.bytes().all(|byte| char::from(byte).is_digit(self.radix));
        u64::from_str_radix(digits, self.radix).ok().filter(|_| plain)
    }
}

/// A parsed header.
#[derive(Debug)]
pub(super) struct Header {
    pub dialect: Dialect,
    /// Whether its hexadecimal digits are upper or lower case.
    pub letters: &'static str,
    pub inode: u64,
    pub mode: u64,
    pub owner: u64,
    pub group: u64,
    pub links: u64,
    pub time: u64,
    pub size: u64,
    /// Major and minor number of the file system that the file came from.
    pub home: (u64, u64),
    pub device: (u64, u64),
    pub sum: u64,
    name_size: u64,
}

impl Header {
    /// Whether these bytes begin with a header; the whole header and the first bytes of the name must be there.
    pub fn begins(head: &[u8]) -> bool {
        let Some(header) = Dialect::of(head).and_then(|dialect| Self::parse(dialect, head)) else {
            return false;
        };
        let name = head.get(header.dialect.length()..).unwrap_or_default();
        let size = usize::try_from(header.name_size).unwrap_or(usize::MAX);
        let end = size.checked_sub(1);
        let ends = end.is_some_and(|end| name.get(end).is_none_or(|byte| *byte == 0));
        // The two-byte magic may occur by chance, so the mode is checked too.
        ends && name.first().is_some_and(|byte| *byte != 0)
            && (header.mode & 0o170_000 != 0 || name.starts_with(b"TRAILER!!!"))
    }

    /// The next header; `None` at the end of the stream.
    pub fn read(reader: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        reader.by_ref().take(6).read_to_end(&mut head)?;
        if head.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "no header where a member should begin",
            )
        };
        let dialect = Dialect::of(&head).ok_or_else(wrong)?;
        let left = dialect.length().saturating_sub(head.len()) as u64;
        reader.by_ref().take(left).read_to_end(&mut head)?;
        if head.len() < dialect.length() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::parse(dialect, &head).map(Some).ok_or_else(wrong)
    }

    fn parse(dialect: Dialect, head: &[u8]) -> Option<Self> {
        let head = head.get(..dialect.length())?;
        match dialect {
            Dialect::New | Dialect::Sums => Self::new(dialect, head),
            Dialect::OldAscii => Self::old_ascii(head),
            Dialect::OldBinary { little } => Self::old_binary(head, little),
        }
    }

    /// Reads numbers of eight hexadecimal digits.
    fn new(dialect: Dialect, head: &[u8]) -> Option<Self> {
        let rest = head.get(MAGIC..)?;
        let mut digits = Digits { rest, radix: 16 };
        let mut hex = || digits.number(8);
        Some(Self {
            letters: letters(head),
            inode: hex()?,
            mode: hex()?,
            owner: hex()?,
            group: hex()?,
            links: hex()?,
            time: hex()?,
            size: hex()?,
            home: (hex()?, hex()?),
            device: (hex()?, hex()?),
            name_size: hex()?,
            sum: hex()?,
            ..Self::blank(dialect)
        })
    }

    /// Reads numbers of six or eleven octal digits.
    fn old_ascii(head: &[u8]) -> Option<Self> {
        let rest = head.get(MAGIC..)?;
        let mut digits = Digits { rest, radix: 8 };
        let mut octal = |width: usize| digits.number(width);
        Some(Self {
            home: numbers(octal(6)?),
            inode: octal(6)?,
            mode: octal(6)?,
            owner: octal(6)?,
            group: octal(6)?,
            links: octal(6)?,
            device: numbers(octal(6)?),
            time: octal(11)?,
            name_size: octal(6)?,
            size: octal(11)?,
            ..Self::blank(Dialect::OldAscii)
        })
    }

    /// Reads two-byte words in the byte order of the machine that wrote them.
    fn old_binary(head: &[u8], little: bool) -> Option<Self> {
        let (words, _) = head.as_chunks::<2>();
        let mut words = words.iter().skip(1).map(|word| {
            u64::from(if little {
                u16::from_le_bytes(*word)
            } else {
                u16::from_be_bytes(*word)
            })
        });
        let mut word = || words.next();
        Some(Self {
            home: numbers(word()?),
            inode: word()?,
            mode: word()?,
            owner: word()?,
            group: word()?,
            links: word()?,
            device: numbers(word()?),
            // The high word of a long number is first in both byte orders.
            time: word()? << 16 | word()?,
            name_size: word()?,
            size: word()? << 16 | word()?,
            ..Self::blank(Dialect::OldBinary { little })
        })
    }

    fn blank(dialect: Dialect) -> Self {
        Self {
            dialect,
            letters: "",
            inode: 0,
            mode: 0,
            owner: 0,
            group: 0,
            links: 0,
            time: 0,
            size: 0,
            home: (0, 0),
            device: (0, 0),
            sum: 0,
            name_size: 0,
        }
    }

    /// The name, and any bytes after it that are not its padding.
    pub fn read_name(&self, reader: &mut impl Read) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let size = usize::try_from(self.name_size).unwrap_or(usize::MAX);
        if size > LONGEST_NAME {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a name of more than 64 KiB",
            ));
        }
        let padding = filled(
            self.name_size.saturating_add(self.dialect.length() as u64),
            self.dialect,
        );
        let whole = self.name_size.saturating_add(padding);
        let mut name = Vec::new();
        reader.by_ref().take(whole).read_to_end(&mut name)?;
        if (name.len() as u64) < whole {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let mut behind = name.split_off(end);
        // One NUL ends the name; no reader would read other bytes that are counted with it.
        let zeros = behind.iter().all(|byte| *byte == 0);
        if zeros && name.len().checked_add(1) == Some(size) {
            behind.clear();
        } else if behind.is_empty() {
            behind = b"no zero".to_vec();
        }
        Ok((name, behind))
    }

    /// Number of padding bytes after the contents.
    pub fn padding(&self) -> u64 {
        filled(self.size, self.dialect)
    }
}

fn filled(size: u64, dialect: Dialect) -> u64 {
    let block = dialect.block();
    size.next_multiple_of(block).saturating_sub(size)
}

/// Major and minor number from a single number, as on old systems.
fn numbers(device: u64) -> (u64, u64) {
    (device >> 8, device & 0xff)
}

fn letters(digits: &[u8]) -> &'static str {
    let has = |is: fn(&u8) -> bool| digits.iter().any(is);
    match (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase)) {
        (_, false) => "",
        (false, true) => ", small letters",
        (true, true) => ", small and capital letters",
    }
}
