//! A small writer of compiled Python, for tests.

pub(super) const PYTHON_3_11: u16 = 3495;
pub(super) const PYTHON_3_6: u16 = 3379;
pub(super) const PYTHON_2_7: u16 = 62211;

/// A marshalled value, written as the tests need it.
#[derive(Clone)]
pub(super) struct Written(pub Vec<u8>);

pub(super) fn text(text: &str) -> Written {
    let length = u8::try_from(text.len()).unwrap();
    Written([&[b'z', length], text.as_bytes()].concat())
}

pub(super) fn long_text(text: &str) -> Written {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    Written([b"a".as_slice(), length.as_slice(), text.as_bytes()].concat())
}

pub(super) fn bytes(bytes: &[u8]) -> Written {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    Written([b"s".as_slice(), length.as_slice(), bytes].concat())
}

pub(super) fn number(number: i32) -> Written {
    Written([b"i".as_slice(), number.to_le_bytes().as_slice()].concat())
}

pub(super) fn none() -> Written {
    Written(vec![b'N'])
}

pub(super) fn again(index: u32) -> Written {
    Written([b"r".as_slice(), index.to_le_bytes().as_slice()].concat())
}

/// The same value, marked as one that may be referred to.
pub(super) fn marked(Written(mut bytes): Written) -> Written {
    bytes[0] |= 0x80;
    Written(bytes)
}

pub(super) fn many(kind: u8, elements: &[Written]) -> Written {
    let count = u32::try_from(elements.len()).unwrap().to_le_bytes();
    let mut bytes = [&[kind], count.as_slice()].concat();
    for element in elements {
        bytes.extend(&element.0);
    }
    Written(bytes)
}

pub(super) fn tuple(elements: &[Written]) -> Written {
    many(b'(', elements)
}

#[derive(Clone)]
pub(super) struct Code {
    pub name: &'static str,
    pub file: &'static str,
    pub instructions: &'static [u8],
    pub constants: Vec<Written>,
    pub first_line: i32,
}

impl Default for Code {
    fn default() -> Self {
        Self {
            name: "<module>",
            file: "m.py",
            instructions: b"\x97\0d\0S\0",
            constants: vec![none()],
            first_line: 1,
        }
    }
}

impl Code {
    pub fn written(&self, magic: u16) -> Written {
        let is_new = (PYTHON_3_11..PYTHON_2_7).contains(&magic);
        let numbers: usize = match magic {
            PYTHON_2_7 => 4,
            3400..3450 => 6,
            _ => 5,
        };
        let mut out = vec![b'c'];
        out.resize(1 + numbers * 4, 0);
        let name = |name| {
            if magic == PYTHON_2_7 {
                bytes(str::as_bytes(name))
            } else {
                text(name)
            }
        };
        let mut values = vec![
            bytes(self.instructions),
            tuple(&self.constants),
            tuple(&[]),
            tuple(&[]),
        ];
        if is_new {
            values.extend([bytes(b""), name(self.file), name(self.name), name(self.name)]);
        } else {
            values.extend([tuple(&[]), tuple(&[]), name(self.file), name(self.name)]);
        }
        for value in &values {
            out.extend(&value.0);
        }
        out.extend(self.first_line.to_le_bytes());
        out.extend(bytes(b"\x01").0);
        if is_new {
            out.extend(bytes(b"").0);
        }
        Written(out)
    }

    pub fn with(constants: &[Written]) -> Self {
        Self {
            constants: constants.to_vec(),
            ..Self::default()
        }
    }
}

/// A whole file; `words` follow the magic number.
pub(super) fn file(magic: u16, words: &[u32], code: &Written) -> Vec<u8> {
    let mut file = magic.to_le_bytes().to_vec();
    file.extend(b"\r\n");
    for word in words {
        file.extend(word.to_le_bytes());
    }
    file.extend(&code.0);
    file
}
