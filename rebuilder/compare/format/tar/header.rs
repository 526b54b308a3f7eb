//! A header block: each byte is a value, the spelling of a value, or unused.

use super::number::{is_usual, number, spelling};
use crate::compare::stored::{Type, Value};

/// Archives consist of blocks of this size.
pub(super) const BLOCK: usize = 512;
pub(super) type Block = [u8; BLOCK];

/// Start and length of a field.
pub(super) type Span = (usize, usize);

pub(super) const NAME: Span = (0, 100);
pub(super) const MODE: Span = (100, 8);
pub(super) const UID: Span = (108, 8);
pub(super) const GID: Span = (116, 8);
pub(super) const SIZE: Span = (124, 12);
pub(super) const TIME: Span = (136, 12);
pub(super) const CHECKSUM: Span = (148, 8);
pub(super) const LINK: Span = (157, 100);
pub(super) const UNAME: Span = (265, 32);
pub(super) const GNAME: Span = (297, 32);
pub(super) const MAJOR: Span = (329, 8);
pub(super) const MINOR: Span = (337, 8);
const MAGIC: Span = (257, 8);
const VERSION: Span = (263, 2);
const PREFIX: Span = (345, 155);
const SHORT_PREFIX: Span = (345, 131);
const NUMBERS: [Span; 6] = [MODE, UID, GID, SIZE, TIME, CHECKSUM];
const TYPE_AT: usize = 156;

/// The format of the fields after those that all headers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    /// No magic: Unix Version 7.
    V7,
    /// POSIX.
    Ustar,
    /// GNU, with its own fields after the device numbers.
    Gnu,
    /// POSIX with times instead of the end of the prefix, as star and npm write it; star adds a mark at the end.
    Star,
    /// Something else.
    Other,
}

/// One header.
pub(super) struct Header<'a> {
    pub block: &'a Block,
    pub magic: Magic,
    pub letter: u8,
}

impl<'a> Header<'a> {
    pub fn new(block: &'a Block) -> Self {
        let times = [(476, 12), (488, 12)].map(|span| field(block, span));
        let has_times = block.get(475) == Some(&0)
            && times
                .iter()
                .all(|time| number(time).is_some() && time.iter().any(|byte| *byte != 0));
        let magic = match field(block, MAGIC) {
            // Readers use the version only to distinguish GNU from POSIX.
            [b'u', b's', b't', b'a', b'r', 0, ..] if has_times => Magic::Star,
            [b'u', b's', b't', b'a', b'r', 0, ..] => Magic::Ustar,
            b"ustar  \0" => Magic::Gnu,
            b"\0\0\0\0\0\0\0\0" => Magic::V7,
            _ => Magic::Other,
        };
        let letter = block.get(TYPE_AT).copied().unwrap_or(0);
        Self { block, magic, letter }
    }

    /// A text field up to its first NUL.
    pub fn text(&self, span: Span) -> &'a [u8] {
        let bytes = field(self.block, span);
        bytes.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    pub fn number(&self, span: Span) -> Option<i128> {
        number(field(self.block, span))
    }

    /// A non-negative number.
    pub fn unsigned(&self, span: Span) -> Option<u64> {
        self.number(span).and_then(|value| value.try_into().ok())
    }

    /// The name with its prefix.
    pub fn name(&self) -> Vec<u8> {
        let (name, prefix) = (self.text(NAME), self.prefix());
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    /// POSIX: the folders that do not fit into the name field.
    fn prefix(&self) -> &'a [u8] {
        match self.magic {
            Magic::Ustar | Magic::Star => self.text(PREFIX),
            _ => b"",
        }
    }

    fn version(&self) -> &'a [u8] {
        field(self.block, VERSION)
    }

    /// The text of an owner; Unix Version 7 has none.
    pub fn owner(&self, span: Span) -> &'a [u8] {
        if self.magic == Magic::V7 {
            b""
        } else {
            self.text(span)
        }
    }

    /// Major and minor number of a device, if they are valid.
    pub fn device(&self) -> Option<(u64, u64)> {
        Some((self.unsigned(MAJOR)?, self.unsigned(MINOR)?))
    }

    pub fn is_device(&self) -> bool {
        matches!(self.letter, b'3' | b'4')
    }

    /// Whether the block is a header at all; very old archives sum signed bytes.
    pub fn checksum(&self) -> Checksum {
        let bytes = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))
        };
        let spaces = [b' '; CHECKSUM.1];
        let own = bytes(field(self.block, CHECKSUM));
        let unsigned = bytes(self.block).wrapping_sub(own).wrapping_add(bytes(&spaces));
        let unsigned = i128::from(unsigned);
        let stored = self.number(CHECKSUM);
        if stored == Some(unsigned) {
            return Checksum::Unsigned;
        }
        let rest = [field(self.block, (0, 148)), field(self.block, (156, 356))];
        let high = rest.into_iter().flatten().filter(|byte| **byte >= 128).count();
        let high = i128::try_from(high).unwrap_or(0).saturating_mul(256);
        if stored == unsigned.checked_sub(high) {
            return Checksum::Signed;
        }
        Checksum::Wrong
    }

    /// Number fields that readers interpret differently.
    pub fn odd_numbers(&self) -> Vec<String> {
        let odd = NUMBERS.into_iter().chain([MAJOR, MINOR]).filter(|span| {
            let value = self.number(*span);
            value.is_none_or(|value| value < 0 && *span != TIME)
        });
        odd.map(|span| format!("{}: {}", span.0, field(self.block, span).escape_ascii()))
            .collect()
    }

    /// The form of the header, whatever its values are: magic, type letter, forms of its numbers, end of its prefix.
    pub fn dialect(&self) -> String {
        let name = match self.magic {
            Magic::V7 => "v7",
            Magic::Ustar if self.version() == b"00" => "ustar",
            Magic::Ustar => "ustar of another version",
            Magic::Gnu => "gnu",
            Magic::Star if self.block.ends_with(b"tar\0") => "star",
            Magic::Star => "ustar with times",
            Magic::Other => "other magic",
        };
        let mut text = match self.letter {
            0 => format!("{name}, type nul"),
            letter => format!("{name}, type {}", letter.escape_ascii()),
        };
        let [common @ .., checksum] = NUMBERS;
        let usual = common.iter().all(|span| is_usual(field(self.block, *span)))
            && field(self.block, checksum)
                .strip_suffix(b" ")
                .is_some_and(is_usual);
        if !usual {
            let forms: Vec<_> = NUMBERS
                .iter()
                .map(|span| spelling(field(self.block, *span)))
                .collect();
            text.push_str(&format!(", numbers {}", forms.join(" ")));
        }
        let devices = [MAJOR, MINOR].map(|span| field(self.block, span));
        let blank = devices.iter().all(|device| device.iter().all(|byte| *byte == 0));
        if !blank {
            text.push_str(", devices");
            if !devices.iter().all(|device| is_usual(device)) {
                text.push_str(&format!(" {} {}", spelling(devices[0]), spelling(devices[1])));
            }
        }
        let prefix = self.prefix().len();
        if prefix > 0 {
            text.push_str(&format!(", prefix of {prefix} bytes"));
        }
        if matches!(self.magic, Magic::Ustar | Magic::Star) && self.version() != b"00" {
            text.push_str(&format!(" {}", self.version().escape_ascii()));
        }
        text
    }

    /// Whether the checksum is that of signed bytes. npm leaves out the member, and cargo refuses the archive.
    pub fn is_summed_signed(&self) -> bool {
        !self.block.is_ascii() && self.checksum() == Checksum::Signed
    }

    /// Unused bytes: after the end of texts, and where the header has no fields. They have no meaning, so anything but
    /// NUL is hidden data.
    pub fn unused(&self) -> Vec<u8> {
        const STAR_MARK: &[u8] = b"tar\0";
        let (texts, whole): (&[Span], &[Span]) = match self.magic {
            Magic::V7 => (&[NAME, LINK], &[(265, 64), (345, 167)]),
            Magic::Other => (&[NAME, LINK, UNAME, GNAME], &[MAGIC, (345, 167)]),
            Magic::Ustar => (&[NAME, LINK, UNAME, GNAME, PREFIX], &[(500, 12)]),
            Magic::Star if self.block.ends_with(STAR_MARK) => {
                (&[NAME, LINK, UNAME, GNAME, SHORT_PREFIX], &[(500, 8)])
            }
            Magic::Star => (&[NAME, LINK, UNAME, GNAME, SHORT_PREFIX], &[(500, 12)]),
            // The map of a sparse file and the bytes around it are read separately.
            Magic::Gnu if self.letter == b'S' => (&[NAME, LINK, UNAME, GNAME], &[]),
            Magic::Gnu => (&[NAME, LINK, UNAME, GNAME], &[(369, 143)]),
        };
        let version: &[Span] = match self.magic {
            Magic::Ustar | Magic::Star if !matches!(self.version(), b"00" | b"\0\0" | b"  ") => &[VERSION],
            _ => &[],
        };
        let after = texts.iter().map(|span| {
            let bytes = field(self.block, *span);
            bytes.get(self.text(*span).len()..).unwrap_or_default()
        });
        let whole = whole.iter().chain(version).map(|span| field(self.block, *span));
        let unused: Vec<&[u8]> = after.chain(whole).collect();
        if unused.iter().all(|bytes| bytes.iter().all(|byte| *byte == 0)) {
            return Vec::new();
        }
        unused.concat()
    }

    /// Times in GNU headers, in place of the beginning of POSIX's prefix.
    pub fn gnu_times(&self) -> Option<&'a [u8]> {
        let times = field(self.block, (345, 24));
        (self.magic == Magic::Gnu && times.iter().any(|byte| *byte != 0)).then_some(times)
    }

    /// Times in headers of star and npm, in place of the end of POSIX's prefix.
    pub fn star_times(&self) -> Option<&'a [u8]> {
        (self.magic == Magic::Star).then(|| field(self.block, (476, 24)))
    }

    /// What unpackers make from the member.
    pub fn type_of(&self, path: &[u8]) -> Value {
        let folder = path.ends_with(b"/");
        let name = match self.letter {
            b'1' => return Value::Type(Type::HardLink),
            // Before there was a letter for folders, a trailing slash marked them.
            0 if folder => return Value::Type(Type::Folder),
            b'S' if self.magic != Magic::Gnu => "sparse file of another dialect",
            b'0' | b'7' if folder => return Value::Type(Type::FileOrFolder),
            0 | b'0' | b'7' | b'S' => return Value::Type(Type::File),
            b'2' => return Value::Type(Type::SymbolicLink),
            b'3' => return Value::Type(Type::CharacterDevice),
            b'4' => return Value::Type(Type::BlockDevice),
            b'5' => return Value::Type(Type::Folder),
            b'6' => return Value::Type(Type::Fifo),
            b'V' => "label of a volume",
            b'M' => "rest of a file of another volume",
            b'D' => "folder with a list of its files",
            letter => return Value::Text(format!("unknown type {}", letter.escape_ascii())),
        };
        Value::Text(name.to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    Unsigned,
    Signed,
    Wrong,
}

/// The bytes of a field.
pub(super) fn field(block: &Block, (at, length): Span) -> &[u8] {
    at.checked_add(length)
        .and_then(|end| block.get(at..end))
        .unwrap_or_default()
}

/// Whether the block is part of the end marker.
pub(super) fn is_zero(block: &Block) -> bool {
    block.iter().all(|byte| *byte == 0)
}
