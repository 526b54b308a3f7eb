//! Marshalled objects (`Python/marshal.c`) by meaning: values with their references resolved.
//!
//! Equal values get the same number, whichever side they are on. So two trees are compared in one step, and a file
//! that refers to one value a million times costs no more than its bytes.

use std::borrow::Cow;

use super::value::{Id, Kind, Object, Tree, Values};
use super::version::Layout;

const MOST_OBJECTS: usize = 1_000_000;
/// Python itself refuses deeper nesting.
const DEEPEST: usize = 2000;

/// Reads one marshalled object; `None` if Python would not load it either, or if it has more objects than compilers
/// write.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    layout: &'static Layout,
    values: &mut Values<'a>,
) -> Option<Tree<'a>> {
    let mut reader = Reader {
        rest: bytes,
        layout,
        values,
        objects: Vec::new(),
        references: Vec::new(),
        interned: Vec::new(),
        open: Vec::new(),
    };
    let root = reader.object()?;
    Some(Tree {
        root,
        rest: reader.rest,
        has_mutable: reader.objects.iter().any(|object| object.kind.is_mutable()),
        objects: reader.objects,
    })
}

/// A container whose elements are still being read.
struct Open {
    at: usize,
    kind: Kind,
    /// Number of elements; `None` for a dictionary, which ends with a null.
    count: Option<usize>,
}

struct Reader<'a, 'v> {
    rest: &'a [u8],
    layout: &'static Layout,
    values: &'v mut Values<'a>,
    objects: Vec<Object<'a>>,
    /// Positions of the objects that can be referred to.
    references: Vec<usize>,
    /// Positions of Python 2's interned strings.
    interned: Vec<usize>,
    open: Vec<Open>,
}

/// What one type byte starts.
enum Begun {
    /// An object that is complete.
    Whole(usize),
    /// A container; its elements follow.
    Container,
    /// The end of a dictionary.
    Null,
}

/// The number of an object that is not complete yet.
const UNREAD: Id = Id::MAX;

impl<'a> Reader<'a, '_> {
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

    /// Reads a length. Lengths are signed; a negative one is damage.
    fn length(&mut self) -> Option<usize> {
        usize::try_from(i32::from_le_bytes(self.word()?)).ok()
    }

    /// Reads one object with everything in it.
    fn object(&mut self) -> Option<usize> {
        loop {
            let mut done = match self.begin()? {
                Begun::Whole(at) => Some(at),
                Begun::Container => None,
                Begun::Null => {
                    let open = self.open.last_mut().filter(|open| open.kind == Kind::Dict)?;
                    open.count = Some(self.objects.get(open.at)?.elements.len());
                    None
                }
            };
            // A complete object becomes an element of the innermost open container, which may complete that as well.
            while let Some(open) = self.open.last() {
                let (at, kind, count) = (open.at, open.kind, open.count);
                if let Some(element) = done.take() {
                    self.objects.get_mut(at)?.elements.push(element);
                }
                let read = self.objects.get(at)?.elements.len();
                if kind == Kind::Code && read == self.layout.before_line.len() {
                    let line = self.word()?;
                    self.objects.get_mut(at)?.bytes.to_mut().extend_from_slice(&line);
                }
                if count != Some(read) {
                    break;
                }
                self.open.pop();
                self.finish(at)?;
                done = Some(at);
            }
            if let (Some(at), true) = (done, self.open.is_empty()) {
                return Some(at);
            }
        }
    }

    /// Numbers an object whose elements have all been read.
    fn finish(&mut self, at: usize) -> Option<()> {
        let object = self.objects.get(at)?;
        if object.kind == Kind::Dict && object.elements.len() % 2 != 0 {
            return None;
        }
        let ids = object.elements.iter().map(|element| self.objects.get(*element));
        let ids: Option<Vec<Id>> = ids.map(|element| element.map(|element| element.id)).collect();
        let id = self.values.number(object.kind, object.bytes.clone(), ids?)?;
        self.objects.get_mut(at)?.id = id;
        Some(())
    }

    fn add(&mut self, kind: Kind, interned: bool, bytes: Cow<'a, [u8]>, referred: bool) -> Option<usize> {
        if self.objects.len() >= MOST_OBJECTS {
            return None;
        }
        let at = self.objects.len();
        self.objects.push(Object {
            kind,
            interned,
            bytes,
            elements: Vec::new(),
            id: UNREAD,
        });
        if referred {
            self.references.push(at);
        }
        Some(at)
    }

    fn whole(&mut self, kind: Kind, interned: bool, bytes: Cow<'a, [u8]>, referred: bool) -> Option<Begun> {
        let at = self.add(kind, interned, bytes, referred)?;
        self.finish(at)?;
        Some(Begun::Whole(at))
    }

    fn container(
        &mut self,
        kind: Kind,
        count: Option<usize>,
        own: &'a [u8],
        referred: bool,
    ) -> Option<Begun> {
        let at = self.add(kind, false, Cow::Borrowed(own), referred)?;
        if count == Some(0) {
            self.finish(at)?;
            return Some(Begun::Whole(at));
        }
        // Each element takes at least a byte.
        if self.open.len() >= DEEPEST || count.is_some_and(|count| count > self.rest.len()) {
            return None;
        }
        self.open.push(Open { at, kind, count });
        Some(Begun::Container)
    }

    /// An object that was read before, if it is complete.
    fn again(&self, at: Option<usize>) -> Option<Begun> {
        let at = at?;
        (self.objects.get(at)?.id != UNREAD).then_some(Begun::Whole(at))
    }

    /// Reads one type byte, whose top bit says that the object may be referred to later, and the data of the type.
    fn begin(&mut self) -> Option<Begun> {
        let byte = self.byte()?;
        let (kind, referred) = if self.layout.flagged {
            (byte & 0x7f, byte & 0x80 != 0)
        } else {
            (byte, false)
        };
        match kind {
            b'0' => Some(Begun::Null),
            // Readers never refer to these, whatever the top bit says.
            b'N' => self.whole(Kind::None, false, Cow::default(), false),
            b'F' => self.whole(Kind::False, false, Cow::default(), false),
            b'T' => self.whole(Kind::True, false, Cow::default(), false),
            b'S' => self.whole(Kind::StopIteration, false, Cow::default(), false),
            b'.' => self.whole(Kind::Ellipsis, false, Cow::default(), false),
            b'i' | b'I' | b'l' | b'g' | b'y' => self.number(kind, referred),
            b'(' | b')' => {
                let count = if kind == b')' {
                    self.short_length()?
                } else {
                    self.length()?
                };
                self.container(Kind::Tuple, Some(count), &[], referred)
            }
            b'[' | b'<' | b'>' => {
                let count = self.length()?;
                let kind = match kind {
                    b'[' => Kind::List,
                    b'<' => Kind::Set,
                    _ => Kind::FrozenSet,
                };
                self.container(kind, Some(count), &[], referred)
            }
            b'{' => self.container(Kind::Dict, None, &[], referred),
            b':' => self.container(Kind::Slice, Some(3), &[], referred),
            b'c' => {
                let numbers = self.take(self.layout.numbers.len().checked_mul(4)?)?;
                self.container(Kind::Code, Some(self.layout.fields().count()), numbers, referred)
            }
            b'r' if self.layout.flagged => {
                let index = self.length()?;
                self.again(self.references.get(index).copied())
            }
            b'R' if !self.layout.flagged => {
                let index = self.length()?;
                self.again(self.interned.get(index).copied())
            }
            other => self.string(other, referred),
        }
    }

    fn number(&mut self, kind: u8, referred: bool) -> Option<Begun> {
        match kind {
            b'i' => {
                let number = i32::from_le_bytes(self.word()?);
                self.whole(Kind::Int, false, Cow::Owned(digits(i64::from(number))), referred)
            }
            b'I' if !self.layout.flagged => {
                let number = i64::from_le_bytes(*self.take(8)?.first_chunk()?);
                self.whole(Kind::Int, false, Cow::Owned(digits(number)), referred)
            }
            b'l' => {
                let kind = if self.layout.flagged {
                    Kind::Int
                } else {
                    Kind::Long
                };
                let number = self.long()?;
                self.whole(kind, false, number, referred)
            }
            b'g' => {
                let number = self.take(8)?;
                self.whole(Kind::Float, false, Cow::Borrowed(number), referred)
            }
            b'y' => {
                let number = self.take(16)?;
                self.whole(Kind::Complex, false, Cow::Borrowed(number), referred)
            }
            _ => None,
        }
    }

    fn string(&mut self, kind: u8, referred: bool) -> Option<Begun> {
        let length = match kind {
            b'z' | b'Z' if self.layout.flagged => self.short_length()?,
            b'a' | b'A' if self.layout.flagged => self.length()?,
            b's' | b't' | b'u' => self.length()?,
            _ => return None,
        };
        let bytes = self.take(length)?;
        match kind {
            b's' => self.whole(Kind::Bytes, false, Cow::Borrowed(bytes), referred),
            b't' if !self.layout.flagged => {
                self.interned.push(self.objects.len());
                self.whole(Kind::Bytes, true, Cow::Borrowed(bytes), false)
            }
            b't' | b'u' => self.whole(Kind::Text, kind == b't', Cow::Borrowed(bytes), referred),
            // One byte for each character; Python does not check that it is ASCII.
            _ => {
                let text = if bytes.is_ascii() {
                    Cow::Borrowed(bytes)
                } else {
                    let text: String = bytes.iter().copied().map(char::from).collect();
                    Cow::Owned(text.into_bytes())
                };
                self.whole(Kind::Text, matches!(kind, b'A' | b'Z'), text, referred)
            }
        }
    }

    /// A large number: a signed count of digits, then two bytes for each digit of 15 bits.
    fn long(&mut self) -> Option<Cow<'a, [u8]>> {
        let whole = self.rest;
        let count = usize::try_from(i32::from_le_bytes(self.word()?).unsigned_abs()).ok()?;
        let digits = self.take(count.checked_mul(2)?)?;
        let (digits, _) = digits.as_chunks::<2>();
        let in_range = digits.iter().all(|digit| u16::from_le_bytes(*digit) < 1 << 15);
        // Python refuses numbers with leading zeros.
        let is_short = digits.last().is_none_or(|last| *last != [0, 0]);
        let length = count.checked_mul(2)?.checked_add(4)?;
        (in_range && is_short).then_some(Cow::Borrowed(whole.get(..length)?))
    }
}

/// A small number in the form of a large one.
fn digits(number: i64) -> Vec<u8> {
    let mut left = number.unsigned_abs();
    let mut digits = Vec::new();
    let mut count: i32 = 0;
    while left > 0 {
        digits.extend_from_slice(&u16::try_from(left & 0x7fff).unwrap_or_default().to_le_bytes());
        left >>= 15;
        count = count.saturating_add(1);
    }
    let count = if number < 0 { count.saturating_neg() } else { count };
    [count.to_le_bytes().as_slice(), digits.as_slice()].concat()
}
