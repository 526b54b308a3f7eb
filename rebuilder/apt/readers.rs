//! Readers of what an archive lists.

use std::sync::Arc;

use super::AptError;
use super::indexes::{Binary, IndexFile, in_files};
use super::table::{Kind, Table};
use crate::artifact::{PinnedFile, Sha256};
use crate::evidence::deb822;
use crate::reader::Reader;

/// Reads any text as an index, and every package in it.
fn read(kind: Kind, bytes: &[u8]) -> Result<Vec<Binary>, AptError> {
    let index = IndexFile {
        release: 0,
        path: "x".to_owned(),
        table: Arc::new(Table::read(bytes, kind, "x")?),
        file: PinnedFile {
            name: "x".to_owned(),
            urls: Vec::new(),
            sha256: Sha256::of(bytes),
            size: 0,
        },
    };
    for row in index.table.sources() {
        deb822::checksums("x", &row.files.replace(',', "\n"))?;
    }
    in_files(&[index], |_| true)
}

/// For fuzzing.
pub const READERS: &[Reader] = &[
    ("apt-packages", |bytes| drop(read(Kind::Packages, bytes))),
    ("apt-sources", |bytes| drop(read(Kind::Sources, bytes))),
];
