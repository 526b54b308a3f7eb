//! YAML as Psych loads it into Ruby: scalars by meaning, mappings without an order.

use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};

/// A value, with the tag from which Ruby makes an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    pub tag: String,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    /// Text, in any quotes.
    Text(String),
    /// A plain scalar that Ruby reads as a number, a date, a symbol, true or false; empty for nil.
    Plain(String),
    List(Vec<Value>),
    Map(BTreeMap<Value, Value>),
}

/// Maximum number of values in a file; those behind aliases count each time.
const MOST_VALUES: usize = 200_000;
const DEEPEST: usize = 32;

/// Reads one document without comments and directives; `None` for anything else.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let mut options = Options::default();
    options.disallow_directives = true;
    options.set_emit_comments(true);
    let text = std::str::from_utf8(bytes).ok()?;
    // Emitters write at most one trailing space, after a key without a value.
    let ends_oddly = |line: &str| {
        line.trim_end().len().saturating_add(1) < line.len() || (!line.is_empty() && line.trim().is_empty())
    };
    text.split('\n').all(|line| !ends_oddly(line)).then_some(())?;
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: BTreeMap::new(),
        left: MOST_VALUES,
    };
    matches!(reader.next()?, Event::StreamStart).then_some(())?;
    matches!(reader.next()?, Event::DocumentStart(..)).then_some(())?;
    let first = reader.next()?;
    let value = reader.value(first, 0)?;
    matches!(reader.next()?, Event::DocumentEnd).then_some(())?;
    matches!(reader.next()?, Event::StreamEnd).then_some(value)
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    /// Values that aliases refer to, each with its number of values.
    anchors: BTreeMap<usize, (Value, usize)>,
    left: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Event<'a>> {
        self.parser.next_event()?.ok().map(|(event, _)| event)
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        (depth < DEEPEST).then_some(())?;
        let before = self.left;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref())),
            Event::SequenceStart(_, anchor, tag) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => list.push(self.value(event, depth.saturating_add(1))?),
                    }
                }
                (anchor, tagged(tag.as_deref(), Content::List(list)))
            }
            Event::MappingStart(_, anchor, tag) => {
                let mut map = BTreeMap::new();
                loop {
                    let key = match self.next()? {
                        Event::MappingEnd => break,
                        event => self.value(event, depth.saturating_add(1))?,
                    };
                    let event = self.next()?;
                    let value = self.value(event, depth.saturating_add(1))?;
                    // Ruby merges `<<`, and uses the last of equal keys.
                    let plain = key.content != Content::Plain("<<".into());
                    (plain && map.insert(key, value).is_none()).then_some(())?;
                }
                (anchor, tagged(tag.as_deref(), Content::Map(map)))
            }
            Event::Alias(anchor) => {
                let (value, size) = self.anchors.get(&anchor)?;
                self.left = self.left.checked_sub(*size)?;
                return Some(value.clone());
            }
            _ => return None,
        };
        if anchor > 0 {
            let size = before.saturating_sub(self.left);
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Some(value)
    }
}

fn tagged(tag: Option<&Tag>, content: Content) -> Value {
    let tag = tag.map_or_else(String::new, ToString::to_string);
    Value { tag, content }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let content = if style == ScalarStyle::Plain && tag.is_none() && !is_text(text) {
        Content::Plain(if text == "~" {
            String::new()
        } else {
            text.to_owned()
        })
    } else {
        Content::Text(text.to_owned())
    };
    tagged(tag, content)
}

/// Whether Ruby reads a plain scalar as text, rather than as one of YAML 1.1's words or numbers.
fn is_text(plain: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "yes", "n", "no", "on", "off", "true", "false", "null", "nan"];
    let mut characters = plain.chars();
    let first = characters.next();
    first.is_some_and(|first| first.is_alphabetic() || first == '/' || first == '_')
        && !WORDS.iter().any(|word| plain.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_are_the_same_in_any_style() {
        for (one, other, same) in [
            (
                "--- !ruby/object:A\na: b\n",
                "--- !ruby/object:A\na: \"b\"\n",
                true,
            ),
            ("a: b\nc: d\n", "c: d\na: b\n", true),
            ("a: \">=\"\n", "a: '>='\n", true),
            ("a:\n", "a: \n", true),
            ("a:\n", "a: ~\n", true),
            ("a: |\n  x\n  y\n", "a: \"x\\ny\\n\"\n", true),
            ("a: >-\n  x\n  y\n", "a: x y\n", true),
            ("a: &1 x\nb: *1\n", "a: x\nb: x\n", true),
            ("- a\n- b\n", "- b\n- a\n", false),
            ("a: 1.0\n", "a: '1.0'\n", false),
            ("a: true\n", "a: 'true'\n", false),
            ("a: :x\n", "a: ':x'\n", false),
            ("a:\n", "a: ''\n", false),
            ("a: |\n  x\n", "a: |-\n  x\n", false),
            ("--- !ruby/object:A\na: b\n", "--- !ruby/object:B\na: b\n", false),
        ] {
            let values = [read(one.as_bytes()), read(other.as_bytes())];
            assert!(values.iter().all(Option::is_some), "{one:?} {other:?}");
            assert_eq!(values[0] == values[1], same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_ruby_might_read_in_another_way_is_not_read() {
        for text in [
            "a: b # c\n",
            "# c\na: b\n",
            "a: 1\na: 2\n",
            "a: b\n--- \nc: d\n",
            "%YAML 1.1\n---\na: b\n",
            "a: &1 x\nb:\n  <<: *1\n",
            "a: *none\n",
            "a: b  \n",
            "a: b\n \nc: d\n",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
        let mut bomb = format!("k0: &a0 [{}]\n", ["x"; 10].join(", "));
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("k{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        }
        assert_eq!(read(bomb.as_bytes()), None);
    }
}
