//! The syntax of PDF objects (ISO 32000-1, 7.2 and 7.3): where each begins and ends.

use std::ops::Range;

/// An object, and its place.
#[derive(Debug)]
pub(super) struct Object {
    pub range: Range<usize>,
    pub value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Dictionary(Vec<(Range<usize>, Object)>),
    Array(Vec<Object>),
    /// A string in parentheses or in hexadecimal.
    String,
    Name,
    /// Number and generation of an object.
    Reference(u32),
    Number(Option<usize>),
    Word,
}

impl Object {
    /// The value of a key; `None` if the key occurs twice.
    pub fn get<'o>(&'o self, bytes: &[u8], key: &[u8]) -> Option<&'o Self> {
        let Value::Dictionary(entries) = &self.value else {
            return None;
        };
        let mut own = entries
            .iter()
            .filter(|(name, _)| bytes.get(name.clone()) == Some(key));
        let (_, value) = own.next()?;
        own.next().is_none().then_some(value)
    }

    pub fn reference(&self) -> Option<u32> {
        match self.value {
            Value::Reference(number) => Some(number),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<usize> {
        match self.value {
            Value::Number(number) => number,
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
    )
}

impl<'a> Lexer<'a> {
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments.
    pub fn space(&mut self) {
        while let Some(byte) = self.rest().first() {
            if *byte == b'%' {
                let line = self.rest().iter().position(|byte| matches!(byte, 10 | 13));
                self.at = self.at.saturating_add(line.unwrap_or(self.rest().len()));
            } else if is_space(*byte) {
                self.at = self.at.saturating_add(1);
            } else {
                return;
            }
        }
    }

    pub fn word(&mut self, word: &[u8]) -> Option<()> {
        let rest = self.rest().strip_prefix(word)?;
        let ends = rest
            .first()
            .is_none_or(|byte| is_space(*byte) || is_delimiter(*byte));
        ends.then_some(())?;
        self.at = self.at.checked_add(word.len())?;
        Some(())
    }

    /// Reads a number without a sign.
    pub fn number(&mut self) -> Option<usize> {
        let digits = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let text = std::str::from_utf8(self.rest().get(..digits)?).ok()?;
        let number = text.parse().ok()?;
        self.at = self.at.checked_add(digits)?;
        Some(number)
    }

    /// Reads `12 0 obj`: the number of the object that begins here.
    pub fn header(&mut self) -> Option<u32> {
        let mut ahead = *self;
        let number = u32::try_from(ahead.number()?).ok()?;
        ahead.space();
        ahead.number()?;
        ahead.space();
        ahead.word(b"obj")?;
        *self = ahead;
        Some(number)
    }

    fn reference(&mut self) -> Option<u32> {
        let mut ahead = *self;
        let number = u32::try_from(ahead.number()?).ok()?;
        ahead.space();
        ahead.number()?;
        ahead.space();
        ahead.word(b"R")?;
        *self = ahead;
        Some(number)
    }

    /// Reads one object, including nested ones.
    pub fn object(&mut self, depth: u32) -> Option<Object> {
        let depth = depth.checked_sub(1)?;
        self.space();
        let start = self.at;
        let value = match self.rest() {
            [b'<', b'<', ..] => self.dictionary(depth)?,
            [b'[', ..] => {
                self.at = self.at.checked_add(1)?;
                let mut items = Vec::new();
                loop {
                    self.space();
                    if self.rest().first() == Some(&b']') {
                        self.at = self.at.checked_add(1)?;
                        break Value::Array(items);
                    }
                    items.push(self.object(depth)?);
                }
            }
            [b'<', ..] => {
                let end = self.rest().iter().position(|byte| *byte == b'>')?;
                self.at = self.at.checked_add(end)?.checked_add(1)?;
                Value::String
            }
            [b'(', ..] => self.string()?,
            [b'/', ..] => {
                self.at = self.at.checked_add(1)?;
                self.regular()?;
                Value::Name
            }
            [b'0'..=b'9', ..] => {
                let start = self.at;
                if let Some(number) = self.reference() {
                    Value::Reference(number)
                } else {
                    self.regular()?;
                    let text = std::str::from_utf8(self.bytes.get(start..self.at)?).ok()?;
                    Value::Number(text.parse().ok())
                }
            }
            _ => {
                (self.regular()? > 0).then_some(())?;
                Value::Word
            }
        };
        Some(Object {
            range: start..self.at,
            value,
        })
    }

    fn dictionary(&mut self, depth: u32) -> Option<Value> {
        self.at = self.at.checked_add(2)?;
        let mut entries = Vec::new();
        loop {
            self.space();
            if self.rest().starts_with(b">>") {
                self.at = self.at.checked_add(2)?;
                return Some(Value::Dictionary(entries));
            }
            let key = self.object(1)?;
            matches!(key.value, Value::Name).then_some(())?;
            entries.push((key.range, self.object(depth)?));
        }
    }

    /// Reads a string in parentheses; inner parentheses are balanced or escaped.
    fn string(&mut self) -> Option<Value> {
        let mut open: u32 = 0;
        let mut escaped = false;
        for (nth, byte) in self.rest().iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'(' => open = open.checked_add(1)?,
                b')' => open = open.checked_sub(1)?,
                _ => {}
            }
            if open == 0 {
                self.at = self.at.checked_add(nth)?.checked_add(1)?;
                return Some(Value::String);
            }
        }
        None
    }

    fn regular(&mut self) -> Option<usize> {
        let own = |byte: &&u8| !is_space(**byte) && !is_delimiter(**byte);
        let length = self.rest().iter().take_while(own).count();
        self.at = self.at.checked_add(length)?;
        Some(length)
    }
}
