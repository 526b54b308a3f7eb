//! Canonical JSON as securesystemslib writes it, over which in-toto's own form is signed: no white space, members in order,
//! and no escapes but those of `"` and `\`.
//!
//! Texts stay as they are. OLPC's specification asks for Unicode's form C, which in-toto does not do, so that a file's name
//! in another form, as macOS gives it, is signed as it is.

use serde_json::Value;

/// A value that canonical JSON does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("canonical JSON does not have the number {0}")]
pub struct CanonicalError(String);

/// The bytes that are signed.
pub(super) fn canonical(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Ok(bytes)
}

/// The depth is bounded by the parser that read the value.
fn write(value: &Value, to: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => to.extend(b"null"),
        Value::Bool(true) => to.extend(b"true"),
        Value::Bool(false) => to.extend(b"false"),
        Value::Number(number) if number.is_f64() => return Err(CanonicalError(number.to_string())),
        Value::Number(number) => to.extend(number.to_string().bytes()),
        Value::String(text) => quote(text, to),
        Value::Array(list) => {
            to.push(b'[');
            for (position, item) in list.iter().enumerate() {
                if position > 0 {
                    to.push(b',');
                }
                write(item, to)?;
            }
            to.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            to.push(b'{');
            for (position, (name, item)) in members.into_iter().enumerate() {
                if position > 0 {
                    to.push(b',');
                }
                quote(name, to);
                to.push(b':');
                write(item, to)?;
            }
            to.push(b'}');
        }
    }
    Ok(())
}

fn quote(text: &str, to: &mut Vec<u8>) {
    to.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            to.push(b'\\');
        }
        to.push(byte);
    }
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As `securesystemslib.formats.encode_canonical` of version 1.6.0 answers.
    #[test]
    fn writes_what_securesystemslib_writes() {
        for (value, expected) in [
            (
                json!({"b": [1, -2, true, null], "a": {}, "B": []}),
                r#"{"B":[],"a":{},"b":[1,-2,true,null]}"#,
            ),
            (json!("a\"b\\c\n\u{1}/"), "\"a\\\"b\\\\c\n\u{1}/\""),
            (
                json!({"e\u{301}": "\u{e9}", "\u{10000}": 1, "\u{ffff}": 2}),
                "{\"e\u{301}\":\"\u{e9}\",\"\u{ffff}\":2,\"\u{10000}\":1}",
            ),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ] {
            assert_eq!(String::from_utf8(canonical(&value).unwrap()).unwrap(), expected);
        }
        assert!(canonical(&json!({"a": 1.5})).is_err());
    }
}
