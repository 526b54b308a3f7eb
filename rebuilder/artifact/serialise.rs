//! JSON whose bytes are digested or signed: a value that cannot be written is an error, never other bytes in its place.

use serde::Serialize;
use serde_json::Value;

/// A value that cannot be written as JSON.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot write {what} as JSON")]
#[diagnostic(help("nothing was digested or signed; this is a bug in rebuilder, please report it"))]
pub struct SerialiseError {
    /// The document, with its article.
    what: &'static str,
    source: serde_json::Error,
}

/// The canonical form (RFC 8785), for digests that others compute again.
pub fn canonical<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<Vec<u8>, SerialiseError> {
    serde_jcs::to_vec(value).map_err(|source| SerialiseError { what, source })
}

/// One line without spaces, for what is signed or sent.
pub fn compact<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<Vec<u8>, SerialiseError> {
    serde_json::to_vec(value).map_err(|source| SerialiseError { what, source })
}

/// Indented, with a line feed at the end, for files.
pub fn pretty<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<Vec<u8>, SerialiseError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|source| SerialiseError { what, source })?;
    text.push(b'\n');
    Ok(text)
}

/// The value as a tree, whose members are in the order of their names.
pub fn tree<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<Value, SerialiseError> {
    serde_json::to_value(value).map_err(|source| SerialiseError { what, source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_cannot_be_written_has_no_bytes() {
        let odd = BTreeMap::from([((1, 2), "a key that is not a text")]);
        for written in [
            canonical("the test", &odd),
            compact("the test", &odd),
            pretty("the test", &odd),
        ] {
            assert_eq!(written.unwrap_err().to_string(), "cannot write the test as JSON");
        }
        assert!(tree("the test", &odd).is_err());
    }
}
