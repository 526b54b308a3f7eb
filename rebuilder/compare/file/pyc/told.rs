//! Describes values of compiled Python, nearly as Python would write them.

use super::value::{Kind, Object, Tree};
use super::version::Layout;
use crate::compare::file::bytes::window;

const LONGEST: usize = 200;
const DEEPEST: u32 = 3;

/// The value of a string object.
pub(super) fn text<'o>(object: &'o Object) -> Option<&'o str> {
    match object.kind {
        Kind::Text | Kind::Bytes => std::str::from_utf8(&object.bytes).ok(),
        _ => None,
    }
}

pub(super) fn value(tree: &Tree, at: usize) -> String {
    let mut words = String::new();
    write(&mut words, tree, at, DEEPEST);
    words
}

fn write(words: &mut String, tree: &Tree, at: usize, depth: u32) {
    let (Some(object), Some(below)) = (tree.get(at), depth.checked_sub(1)) else {
        words.push('…');
        return;
    };
    if words.len() > LONGEST.saturating_mul(4) {
        words.push('…');
        return;
    }
    let (open, close) = match object.kind {
        Kind::Tuple => ("(", ")"),
        Kind::List => ("[", "]"),
        Kind::Dict | Kind::Set => ("{", "}"),
        Kind::FrozenSet => ("frozenset({", "})"),
        Kind::Slice => ("slice(", ")"),
        Kind::Code => return words.push_str("a function"),
        _ => return words.push_str(&single(object)),
    };
    words.push_str(open);
    for (index, element) in object.elements.iter().enumerate() {
        if index > 0 {
            words.push_str(", ");
        }
        write(words, tree, *element, below);
        if words.len() > LONGEST.saturating_mul(4) {
            break;
        }
    }
    words.push_str(close);
}

/// Describes a value without elements.
fn single(object: &Object) -> String {
    let bytes = object.bytes.as_ref();
    match object.kind {
        Kind::None => "None".into(),
        Kind::False => "False".into(),
        Kind::True => "True".into(),
        Kind::Ellipsis => "Ellipsis".into(),
        Kind::StopIteration => "StopIteration".into(),
        Kind::Int | Kind::Long => {
            number(bytes).unwrap_or_else(|| format!("a number, {}", hex::encode(window(bytes, 0, 40))))
        }
        Kind::Float => float(bytes).unwrap_or_default(),
        Kind::Complex => {
            let (real, imaginary) = bytes.split_at_checked(8).unwrap_or_default();
            let told = |part| float(part).unwrap_or_default();
            format!("({}, {}j)", told(real), told(imaginary))
        }
        Kind::Bytes => match std::str::from_utf8(bytes) {
            Ok(text) => format!("b{text:?}"),
            Err(_) => hex::encode(window(bytes, 0, LONGEST)),
        },
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => format!("{text:?}"),
            Err(_) => hex::encode(window(bytes, 0, LONGEST)),
        },
    }
}

/// A number from a signed count and digits of 15 bits.
fn number(bytes: &[u8]) -> Option<String> {
    let (count, digits) = bytes.split_first_chunk::<4>()?;
    let (digits, _) = digits.as_chunks::<2>();
    let mut sum: u128 = 0;
    for digit in digits.iter().rev() {
        sum = sum
            .checked_mul(1 << 15)?
            .checked_add(u128::from(u16::from_le_bytes(*digit)))?;
    }
    let sign = if i32::from_le_bytes(*count) < 0 { "-" } else { "" };
    Some(format!("{sign}{sum}"))
}

fn float(bytes: &[u8]) -> Option<String> {
    Some(format!("{:?}", f64::from_le_bytes(*bytes.first_chunk()?)))
}

/// Two texts from a little before their first difference, so that it is visible.
pub(super) fn apart(released: &str, rebuilt: &str) -> (String, String) {
    const BEFORE: usize = 40;
    let same = released
        .chars()
        .zip(rebuilt.chars())
        .take_while(|(old, new)| old == new)
        .count();
    let skip = same.saturating_sub(BEFORE);
    if skip == 0 || released.len().max(rebuilt.len()) < LONGEST {
        return (released.to_owned(), rebuilt.to_owned());
    }
    let cut = |text: &str| format!("…{}", text.chars().skip(skip).collect::<String>());
    (cut(released), cut(rebuilt))
}

/// The first bytes that differ, on both sides.
pub(super) fn bytes(released: &[u8], rebuilt: &[u8]) -> (String, String) {
    let same = released
        .iter()
        .zip(rebuilt)
        .take_while(|(old, new)| old == new)
        .count();
    let told = |bytes: &[u8]| {
        format!(
            "+{same:#x} {} of {} bytes",
            hex::encode(window(bytes, same, 16)),
            bytes.len()
        )
    };
    (told(released), told(rebuilt))
}

/// The name of a code object; `None` for other objects.
pub(super) fn code_name(tree: &Tree, at: usize, layout: &Layout) -> Option<String> {
    let code = tree.get(at).filter(|object| object.kind == Kind::Code)?;
    let index = layout
        .fields()
        .position(|field| field == "qualified name")
        .or_else(|| layout.fields().position(|field| field == "name"))?;
    let (_, name) = tree.element(code, index)?;
    text(name).map(str::to_owned)
}

/// The name of an inner function. Since Python 3.11, it already contains that of the outer one.
pub(super) fn nested(outer: &str, name: &str) -> String {
    const LONGEST: usize = 120;
    if outer == "<module>" || name.starts_with(outer) || outer.len() > LONGEST {
        return name.chars().take(LONGEST).collect();
    }
    format!("{outer}.{name}").chars().take(LONGEST).collect()
}

/// Whether the first constant of a code object, if it is a string, is its docstring.
pub(super) fn is_function(code: &Object, layout: &Layout) -> bool {
    const OPTIMISED_AND_NEW_LOCALS: u32 = 3;
    let flags = layout.numbers.iter().position(|name| *name == "flags");
    let (numbers, _) = code.bytes.as_chunks::<4>();
    let flags = flags.and_then(|index| numbers.get(index));
    flags.is_some_and(|flags| {
        u32::from_le_bytes(*flags) & OPTIMISED_AND_NEW_LOCALS == OPTIMISED_AND_NEW_LOCALS
    })
}
