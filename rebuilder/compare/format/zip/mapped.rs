//! Entries of Android packages that are opened in place: the table of resources, which Android refuses if it is
//! compressed or not aligned, and libraries, which the dynamic loader maps by pages unless they are unpacked.

use super::data::STORED;
use super::header::Header;
use crate::compare::cause::Cause;
use crate::compare::stored::FieldKind;

pub(super) static IN_PLACE: FieldKind = FieldKind::new("data that Android opens in place", Cause::Content);

/// The entry that every Android package has.
pub(super) const MANIFEST: &[u8] = b"AndroidManifest.xml";

/// How such an entry is stored, if its data begins at that offset; `None` for others.
pub(super) fn described(path: &str, header: &Header, start: u64) -> Option<String> {
    const WORD: u64 = 4;
    const PAGE: u64 = 4096;
    let multiple = if path == "resources.arsc" {
        WORD
    } else if path.starts_with("lib/") && path.ends_with(".so") {
        PAGE
    } else {
        return None;
    };
    if header.method != STORED {
        return Some("compressed".to_owned());
    }
    let is = if start.is_multiple_of(multiple) { "a" } else { "no" };
    Some(format!("stored, at {is} multiple of {multiple}"))
}
