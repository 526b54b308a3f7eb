//! Metadata streams (XMP, ISO 16684): dates, identifiers and tools, by the names of their properties.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::document::Kind;
use super::syntax::Object;

type Field = (Range<usize>, Kind, String);

/// A property as an element or an attribute, with the prefixes that all writers use.
static PROPERTY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?-u)\b((?:xmp|xap):(?:CreateDate|ModifyDate|MetadataDate)|(?:xmpMM|xapMM):(?:DocumentID|InstanceID|OriginalDocumentID)|pdf:Producer|(?:xmp|xap):CreatorTool|rdf:about)(?:>([^<>]*)</|='([^'<>]*)'|="([^"<>]*)")"#,
    )
    .ok()
});

static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})?$").ok()
});

static IDENTIFIER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)^(?:(?:urn:)?uuid:|xmp\.[id]id:)[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$").ok()
});

fn fits(pattern: &LazyLock<Option<Regex>>, value: &[u8]) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(value))
}

/// The fields of a stream, if it is an uncompressed metadata stream.
pub(super) fn fields(bytes: &[u8], object: &Object, stream: &Range<usize>) -> Vec<Field> {
    let is = |key: &[u8], value: &[u8]| {
        object
            .get(bytes, key)
            .is_some_and(|object| bytes.get(object.range.clone()) == Some(value))
    };
    let is_metadata =
        is(b"/Type", b"/Metadata") && is(b"/Subtype", b"/XML") && object.get(bytes, b"/Filter").is_none();
    let (true, Some(pattern), Some(text)) = (is_metadata, PROPERTY.as_ref(), bytes.get(stream.clone()))
    else {
        return Vec::new();
    };
    let field = |found: regex::bytes::Captures| {
        let name = String::from_utf8_lossy(found.get(1)?.as_bytes()).into_owned();
        let value = found.get(2).or(found.get(3)).or(found.get(4))?;
        let kind = match name.as_str() {
            "pdf:Producer" => Kind::Tool,
            name if name.ends_with("CreatorTool") => Kind::Tool,
            _ if fits(&DATE, value.as_bytes()) => Kind::Date,
            _ if fits(&IDENTIFIER, value.as_bytes()) => Kind::Identifier,
            _ => return None,
        };
        let range = stream.start.checked_add(value.start())?..stream.start.checked_add(value.end())?;
        Some((range, kind, format!("metadata, {name}")))
    };
    pattern.captures_iter(text).filter_map(field).collect()
}
