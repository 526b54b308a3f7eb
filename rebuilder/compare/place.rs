//! The place of a difference in a node. Reports and JSON show it as text; the comparison itself uses its type.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::stored::FieldKind;

/// A place in a node; it is serialised as its text, which also decides whether two places are equal.
#[derive(Debug, Clone)]
pub struct Place(Where);

#[derive(Debug, Clone)]
enum Where {
    /// A field that a format stores.
    Field(&'static FieldKind),
    /// Anything else: a line, a section, an offset.
    Words(String),
}

impl Place {
    /// The stored field, if the place is one.
    pub(super) fn field(&self) -> Option<&'static FieldKind> {
        match self.0 {
            Where::Field(kind) => Some(kind),
            Where::Words(_) => None,
        }
    }

    /// Whether the place is this stored field.
    pub(super) fn is(&self, kind: &'static FieldKind) -> bool {
        self.field().is_some_and(|own| std::ptr::eq(own, kind))
    }

    /// Whether the place has this text and is not a stored field.
    pub(super) fn is_words(&self, words: &str) -> bool {
        matches!(&self.0, Where::Words(own) if own == words)
    }

    /// Whether the place is a field that a format stores, such as a time or an owner.
    pub fn is_stored(&self) -> bool {
        self.field().is_some()
    }

    fn words(&self) -> &str {
        match &self.0 {
            Where::Field(kind) => kind.name,
            Where::Words(words) => words,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl Eq for Place {}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.words())
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl From<&'static FieldKind> for Place {
    fn from(kind: &'static FieldKind) -> Self {
        Self(Where::Field(kind))
    }
}

impl From<String> for Place {
    fn from(words: String) -> Self {
        Self(Where::Words(words))
    }
}

impl From<&String> for Place {
    fn from(words: &String) -> Self {
        Self::from(words.clone())
    }
}

impl From<&str> for Place {
    fn from(words: &str) -> Self {
        Self::from(words.to_owned())
    }
}
