//! JSON (RFC 8259) as written: numbers keep their digits, and objects keep the order of their members and repeated
//! names; strings are decoded.

use std::borrow::Cow;

#[derive(Debug)]
pub(in crate::compare::file) struct Value<'a> {
    /// The text of the value.
    pub raw: &'a str,
    pub is: Is<'a>,
}

#[derive(Debug)]
pub(in crate::compare::file) enum Is<'a> {
    /// null, true, false, or a number; its meaning is its text.
    Word,
    /// Text in UTF-8, or in UTF-8's encoding of half a surrogate pair.
    Text(Cow<'a, [u8]>),
    Array(Vec<Value<'a>>),
    Object(Vec<Member<'a>>),
}

#[derive(Debug)]
pub(in crate::compare::file) struct Member<'a> {
    pub name: Cow<'a, [u8]>,
    /// The name with its quotes.
    pub raw_name: &'a str,
    pub value: Value<'a>,
}

impl Value<'_> {
    /// The name of the value's type.
    pub fn kind(&self) -> &'static str {
        match self.is {
            Is::Word if matches!(self.raw, "true" | "false") => "boolean",
            Is::Word if self.raw == "null" => "null",
            Is::Word => "number",
            Is::Text(_) => "string",
            Is::Array(_) => "array",
            Is::Object(_) => "object",
        }
    }

    /// Whether both have the same values, whatever the order of members.
    pub fn means_the_same(&self, other: &Self) -> bool {
        match (&self.is, &other.is) {
            (Is::Word, Is::Word) => self.raw == other.raw,
            (Is::Text(text), Is::Text(same)) => text == same,
            (Is::Array(list), Is::Array(same)) => {
                list.len() == same.len()
                    && list
                        .iter()
                        .zip(same)
                        .all(|(one, other)| one.means_the_same(other))
            }
            (Is::Object(object), Is::Object(same)) => {
                let (one, other) = (by_name(object), by_name(same));
                let same = |(one, other): (&&Member, &&Member)| {
                    one.name == other.name && one.value.means_the_same(&other.value)
                };
                one.len() == other.len() && one.iter().zip(&other).all(same)
            }
            _ => false,
        }
    }
}

/// Members sorted by name; members with the same name keep their order, as readers take the first or the last.
pub(in crate::compare::file) fn by_name<'v, 'a>(object: &'v [Member<'a>]) -> Vec<&'v Member<'a>> {
    let mut members: Vec<_> = object.iter().collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    members
}

/// A single document, or several, one a line.
#[derive(Debug)]
pub(in crate::compare::file) struct Documents<'a> {
    pub values: Vec<Value<'a>>,
    /// The white space between tokens, one entry for each run.
    pub layout: Vec<&'a str>,
}

/// Maximum depth that is read.
const DEEPEST: u32 = 200;

/// `None` if the text is not JSON, or is nested more deeply than most readers allow.
pub(in crate::compare::file) fn read(text: &str) -> Option<Documents<'_>> {
    let mut reader = Reader {
        rest: text,
        layout: Vec::new(),
    };
    let mut values = Vec::new();
    reader.space();
    while !reader.rest.is_empty() {
        values.push(reader.value(DEEPEST)?);
        let after = reader.space();
        // Readers of single documents refuse a second one; readers of JSON lines require each on a separate line.
        if !reader.rest.is_empty() && !after.contains('\n') {
            return None;
        }
    }
    let one_line_each = || values.iter().all(|value| !value.raw.contains('\n'));
    let fine = values.len() == 1 || values.len() > 1 && one_line_each();
    fine.then_some(Documents {
        values,
        layout: reader.layout,
    })
}

struct Reader<'a> {
    rest: &'a str,
    layout: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn space(&mut self) -> &'a str {
        let after = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let length = self.rest.len().saturating_sub(after.len());
        let space = self.rest.get(..length).unwrap_or_default();
        if !space.is_empty() {
            self.layout.push(space);
        }
        self.rest = after;
        space
    }

    fn take(&mut self, sign: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(sign)?;
        Some(())
    }

    fn next_is(&mut self, sign: char) -> bool {
        self.take(sign).is_some()
    }

    fn value(&mut self, depth: u32) -> Option<Value<'a>> {
        let below = depth.checked_sub(1)?;
        let whole = self.rest;
        let is = match whole.bytes().next()? {
            b'{' => Is::Object(self.object(below)?),
            b'[' => Is::Array(self.array(below)?),
            b'"' => Is::Text(self.string()?),
            _ => {
                self.word()?;
                Is::Word
            }
        };
        let length = whole.len().checked_sub(self.rest.len())?;
        Some(Value {
            raw: whole.get(..length)?,
            is,
        })
    }

    fn object(&mut self, depth: u32) -> Option<Vec<Member<'a>>> {
        self.take('{')?;
        self.space();
        let mut members = Vec::new();
        if self.next_is('}') {
            return Some(members);
        }
        loop {
            let whole = self.rest;
            let name = self.string()?;
            let raw_name = whole.get(..whole.len().checked_sub(self.rest.len())?)?;
            self.space();
            self.take(':')?;
            self.space();
            let value = self.value(depth)?;
            members.push(Member {
                name,
                raw_name,
                value,
            });
            self.space();
            if self.next_is('}') {
                return Some(members);
            }
            self.take(',')?;
            self.space();
        }
    }

    fn array(&mut self, depth: u32) -> Option<Vec<Value<'a>>> {
        self.take('[')?;
        self.space();
        let mut values = Vec::new();
        if self.next_is(']') {
            return Some(values);
        }
        loop {
            values.push(self.value(depth)?);
            self.space();
            if self.next_is(']') {
                return Some(values);
            }
            self.take(',')?;
            self.space();
        }
    }

    fn word(&mut self) -> Option<()> {
        let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']);
        let (word, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest;
        (matches!(word, "null" | "true" | "false") || is_number(word)).then_some(())
    }

    fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        self.take('"')?;
        let end = self
            .rest
            .bytes()
            .position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        let (plain, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        if self.next_is('"') {
            return Some(Cow::Borrowed(plain.as_bytes()));
        }
        let mut text = plain.as_bytes().to_vec();
        loop {
            let end = self
                .rest
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
            let (plain, rest) = self.rest.split_at_checked(end)?;
            text.extend_from_slice(plain.as_bytes());
            self.rest = rest;
            if self.next_is('"') {
                return Some(Cow::Owned(text));
            }
            self.take('\\')?;
            self.escape(&mut text)?;
        }
    }

    /// Reads the rest of an escape, after the backslash.
    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let sign = self.rest.bytes().next().filter(u8::is_ascii)?;
        self.rest = self.rest.get(1..)?;
        let single = match sign {
            b'"' | b'\\' | b'/' => sign,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.unit()?;
                return self.character(unit, text);
            }
            _ => return None,
        };
        text.push(single);
        Some(())
    }

    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| hex)
    }

    /// Reads a UTF-16 unit, and the second half of its pair if that follows.
    fn character(&mut self, unit: u32, text: &mut Vec<u8>) -> Option<()> {
        if let Some(character) = char::from_u32(unit) {
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        let before = self.rest;
        if (0xd800..0xdc00).contains(&unit)
            && let Some(rest) = self.rest.strip_prefix("\\u")
        {
            self.rest = rest;
            let low = self.unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let both = (unit & 0x3ff) << 10 | low & 0x3ff;
                let character = char::from_u32(both.checked_add(0x1_0000)?)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            self.rest = before;
        }
        // Half a pair has no UTF-8; the bytes that UTF-8 would use for it are distinct from all texts.
        let bits = |shift: u32, mask: u32, mark: u32| u8::try_from(unit >> shift & mask | mark).ok();
        text.extend([bits(12, 0x0f, 0xe0)?, bits(6, 0x3f, 0x80)?, bits(0, 0x3f, 0x80)?]);
        Some(())
    }
}

/// `-1`, `0.5`, `1e9`: no leading zero, no plus sign, digits on both sides of the point.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (number, exponent) = unsigned
        .split_once(['e', 'E'])
        .map_or((unsigned, None), |(number, exponent)| (number, Some(exponent)));
    let (whole, part) = number
        .split_once('.')
        .map_or((number, None), |(whole, part)| (whole, Some(part)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && part.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}
