//! The constant pool of a class (JVMS 4.4), and the meaning of its constants, wherever they are stored.

use std::cell::{Cell, RefCell};

/// Reads big-endian numbers from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken;
        (taken, self.0) = self.0.split_at_checked(length)?;
        Some(taken)
    }

    pub fn u1(&mut self) -> Option<u8> {
        let (number, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*number)
    }

    pub fn u2(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    pub fn u4(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// One constant as it is stored.
#[derive(Debug, Clone, Copy)]
enum Constant<'a> {
    Utf8(&'a [u8]),
    /// A number: the tag and its bits.
    Number(u8, &'a [u8]),
    /// A class, string, method type, module or package: one reference.
    One(u8, u16),
    /// A field, method, name and type: two references.
    Two(u8, u16, u16),
    /// A method handle: its kind and one reference.
    Handle(u8, u16),
    /// A computed constant or call: its bootstrap method, and its name and type.
    Dynamic(u8, u16, u16),
}

/// All constants by index, and bootstrap methods once they are read.
#[derive(Debug, Default)]
pub(super) struct Pool<'a> {
    constants: Vec<Option<Constant<'a>>>,
    bootstraps: Vec<(u16, Vec<u16>)>,
    /// Number of bytes that all constants were resolved to.
    resolved: Cell<usize>,
    /// The constants that were resolved so far.
    used: RefCell<Vec<bool>>,
}

/// Maximum length in bytes of the text that one constant is resolved to.
const LONGEST: usize = 1 << 18;
/// Maximum number of bytes that all uses of constants are resolved to.
const MOST_RESOLVED: usize = 64 << 20;
/// Maximum depth of references: a computed constant may be an argument of another.
const DEEPEST: u32 = 12;

/// A mark before the name of a referenced method.
pub(super) const METHOD: &str = "\u{1}";

impl<'a> Pool<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let count = reader.u2()?;
        let mut constants = vec![None];
        while constants.len() < usize::from(count) {
            let tag = reader.u1()?;
            let constant = match tag {
                1 => {
                    let length = reader.u2()?;
                    Constant::Utf8(reader.take(usize::from(length))?)
                }
                3 | 4 => Constant::Number(tag, reader.take(4)?),
                5 | 6 => Constant::Number(tag, reader.take(8)?),
                7 | 8 | 16 | 19 | 20 => Constant::One(tag, reader.u2()?),
                9..=12 => Constant::Two(tag, reader.u2()?, reader.u2()?),
                15 => Constant::Handle(reader.u1()?, reader.u2()?),
                17 | 18 => Constant::Dynamic(tag, reader.u2()?, reader.u2()?),
                _ => return None,
            };
            constants.push(Some(constant));
            if matches!(tag, 5 | 6) {
                // An eight-byte constant takes two indices.
                constants.push(None);
            }
        }
        let used = RefCell::new(vec![false; constants.len()]);
        (constants.len() == usize::from(count).max(1)).then_some(Self {
            used,
            constants,
            bootstraps: Vec::new(),
            resolved: Cell::new(0),
        })
    }

    /// Reads the attribute `BootstrapMethods`.
    pub fn read_bootstraps(&mut self, mut reader: Reader<'a>) -> Option<()> {
        for _ in 0..reader.u2()? {
            let method = reader.u2()?;
            let count = reader.u2()?;
            let arguments = (0..count).map(|_| reader.u2()).collect::<Option<Vec<_>>>()?;
            self.bootstraps.push((method, arguments));
        }
        reader.is_empty().then_some(())
    }

    fn get(&self, index: u16) -> Option<Constant<'a>> {
        self.constants.get(usize::from(index)).copied().flatten()
    }

    /// The text at an index.
    pub fn utf8(&self, index: u16) -> Option<String> {
        match self.get(index)? {
            Constant::Utf8(bytes) => {
                self.mark(index);
                Some(text(bytes))
            }
            _ => None,
        }
    }

    fn mark(&self, index: u16) {
        if let Some(used) = self.used.borrow_mut().get_mut(usize::from(index)) {
            *used = true;
        }
    }

    /// The meaning of a constant; index 0 means nothing, where that is allowed.
    pub fn meaning(&self, index: u16) -> Option<String> {
        if index == 0 {
            return Some("nothing".into());
        }
        let mut meaning = String::new();
        self.resolve(index, 0, &mut meaning)?;
        let resolved = self.resolved.get().saturating_add(meaning.len());
        self.resolved.set(resolved);
        (resolved <= MOST_RESOLVED).then_some(meaning)
    }

    fn resolve(&self, index: u16, depth: u32, to: &mut String) -> Option<()> {
        if depth > DEEPEST || to.len() > LONGEST {
            return None;
        }
        let below = depth.saturating_add(1);
        self.mark(index);
        match self.get(index)? {
            Constant::Utf8(bytes) => to.push_str(&text(bytes)),
            Constant::Number(tag, bits) => to.push_str(&number(tag, bits)?),
            Constant::One(tag, one) => {
                let (before, after) = match tag {
                    8 => ("\"", "\""),
                    16 => ("type ", ""),
                    19 => ("module ", ""),
                    20 => ("package ", ""),
                    _ => ("class ", ""),
                };
                to.push_str(before);
                // A single reference leads to a text.
                to.push_str(&self.utf8(one)?);
                to.push_str(after);
            }
            Constant::Two(tag, one, two) => {
                to.push_str(match tag {
                    9 => "field ",
                    10 => "method ",
                    11 => "interface method ",
                    _ => "",
                });
                self.resolve(one, below, to)?;
                // The name of a method must be distinguishable from all texts, which have no control characters here.
                to.push_str(match tag {
                    12 => ":",
                    9 => ".",
                    _ => METHOD,
                });
                self.resolve(two, below, to)?;
            }
            Constant::Handle(kind, of) => {
                to.push_str(&format!("handle {kind} of "));
                self.resolve(of, below, to)?;
            }
            Constant::Dynamic(tag, bootstrap, of) => {
                to.push_str(if tag == 17 { "constant " } else { "call " });
                self.resolve(of, below, to)?;
                let (method, arguments) = self.bootstraps.get(usize::from(bootstrap))?;
                to.push_str(" by ");
                self.resolve(*method, below, to)?;
                to.push('(');
                for argument in arguments {
                    self.resolve(*argument, below, to)?;
                    to.push_str(", ");
                }
                to.push(')');
            }
        }
        Some(())
    }

    /// The meanings, sorted, of the constants that nothing refers to.
    pub fn unused(&self) -> Option<Vec<String>> {
        let used = self.used.borrow().clone();
        let mut unused = Vec::new();
        for (index, _) in (0..=u16::MAX).zip(&used).filter(|(_, used)| !**used) {
            if let Some(constant) = self.get(index) {
                unused.push(format!("{} {}", constant.tag(), self.meaning(index)?));
            }
        }
        unused.sort();
        Some(unused)
    }
}

impl Constant<'_> {
    fn tag(self) -> u8 {
        match self {
            Self::Utf8(_) => 1,
            Self::Number(tag, _) | Self::One(tag, _) | Self::Two(tag, ..) | Self::Dynamic(tag, ..) => tag,
            Self::Handle(..) => 15,
        }
    }
}

/// Decodes modified UTF-8 and escapes other bytes, so that different texts stay different.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn number(tag: u8, bits: &[u8]) -> Option<String> {
    let four = || bits.first_chunk().copied();
    let eight = || bits.first_chunk().copied();
    Some(match tag {
        3 => format!("int {}", i32::from_be_bytes(four()?)),
        4 => format!("float {} ({})", f32::from_be_bytes(four()?), hex::encode(bits)),
        5 => format!("long {}", i64::from_be_bytes(eight()?)),
        _ => format!("double {} ({})", f64::from_be_bytes(eight()?), hex::encode(bits)),
    })
}
