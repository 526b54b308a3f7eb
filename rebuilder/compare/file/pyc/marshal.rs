//! Marshalled objects (`Python/marshal.c`) as a flat list of values, in the order that they are written.

/// One marshalled value; containers are their lengths only, and their elements follow.
#[derive(Debug)]
pub(super) struct Value {
    /// Where it is written; the same value may be elsewhere on the other side.
    pub offset: usize,
    pub kind: Kind,
    /// Whether it may be referred to.
    shared: bool,
    pub bytes: Vec<u8>,
}

/// The type byte without its top bit, told apart as far as the comparison needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A reference to an earlier value.
    Reference,
    /// A string that people may have written.
    Text(u8),
    Other(u8),
}

impl Value {
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.shared == other.shared && self.bytes == other.bytes
    }

    /// The value of a string, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self.kind {
            Kind::Text(_) => std::str::from_utf8(&self.bytes).ok(),
            _ => None,
        }
    }
}

const MOST_VALUES: usize = 1_000_000;
const DEEPEST: u32 = 200;

/// Every value in the order it is written; none if `bytes` are not marshalled code.
pub(super) fn values(bytes: &[u8], magic: u32) -> Option<Vec<Value>> {
    let mut reader = Reader {
        rest: bytes,
        length: bytes.len(),
        magic,
        values: Vec::new(),
    };
    reader.value(DEEPEST)?;
    reader.rest.is_empty().then_some(reader.values)
}

struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    magic: u32,
    values: Vec<Value>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken;
        (taken, self.rest) = self.rest.split_at_checked(length)?;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn word(&mut self) -> Option<[u8; 4]> {
        self.take(4)?.first_chunk().copied()
    }

    fn short_length(&mut self) -> Option<usize> {
        self.byte().map(usize::from)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.word()?)).ok()
    }

    /// One type byte, whose top bit says that the value may be referred to later; then what the type has.
    fn value(&mut self, depth: u32) -> Option<()> {
        let below = depth.checked_sub(1)?;
        if self.values.len() > MOST_VALUES {
            return None;
        }
        let offset = self.length.saturating_sub(self.rest.len());
        let byte = self.byte()?;
        let kind = byte & 0x7f;
        let index = self.values.len();
        self.values.push(Value {
            offset,
            kind: match kind {
                b'r' => Kind::Reference,
                b't' | b'u' | b'a' | b'A' | b'z' | b'Z' => Kind::Text(kind),
                _ => Kind::Other(kind),
            },
            shared: byte & 0x80 != 0,
            bytes: Vec::new(),
        });
        let mut elements: usize = 0;
        let own = match kind {
            b'0' | b'N' | b'F' | b'T' | b'S' | b'.' => Vec::new(),
            b'i' | b'r' => self.take(4)?.to_vec(),
            b'I' | b'g' => self.take(8)?.to_vec(),
            b'y' => self.take(16)?.to_vec(),
            b'l' => self.long()?,
            b's' | b't' | b'u' | b'a' | b'A' => {
                let length = self.length()?;
                self.take(length)?.to_vec()
            }
            b'z' | b'Z' => {
                let length = self.short_length()?;
                self.take(length)?.to_vec()
            }
            b'(' | b'[' | b'<' | b'>' => {
                elements = self.length()?;
                elements.to_le_bytes().to_vec()
            }
            b')' => {
                elements = self.short_length()?;
                elements.to_le_bytes().to_vec()
            }
            b'{' => return self.pairs(below),
            b':' => {
                elements = 3;
                Vec::new()
            }
            b'c' => return self.code(index, below),
            _ => return None,
        };
        self.values.get_mut(index)?.bytes = own;
        (0..elements).try_for_each(|_| self.value(below))
    }

    /// A large number: how many digits of 15 bits, with its sign, then two bytes for each.
    fn long(&mut self) -> Option<Vec<u8>> {
        let count = self.word()?;
        let digits = usize::try_from(i32::from_le_bytes(count).unsigned_abs()).ok()?;
        let digits = self.take(digits.checked_mul(2)?)?;
        Some([&count, digits].concat())
    }

    /// A dictionary: keys and values until a null.
    fn pairs(&mut self, depth: u32) -> Option<()> {
        while *self.rest.first()? != b'0' {
            self.value(depth)?;
            self.value(depth)?;
        }
        self.byte().map(|_| ())
    }

    /// A code object: a few numbers, values, the first line, and tables.
    fn code(&mut self, index: usize, depth: u32) -> Option<()> {
        let (numbers, before, after) = match self.magic {
            3450.. => (5_usize, 8, 2),
            3400.. => (6, 8, 1),
            3360.. => (5, 8, 1),
            _ => return None,
        };
        let mut own = self.take(numbers.checked_mul(4)?)?.to_vec();
        (0..before).try_for_each(|_| self.value(depth))?;
        own.extend_from_slice(self.take(4)?);
        self.values.get_mut(index)?.bytes = own;
        (0..after).try_for_each(|_| self.value(depth))
    }
}
