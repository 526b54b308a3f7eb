//! Gzipped tar archives: npm's tarballs, crates, source distributions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use super::{FormatReader, Visit};

/// One ending of their file names.
pub(super) struct Tarball(pub &'static str);

impl FormatReader for Tarball {
    fn name(&self) -> &'static str {
        "gzipped tar"
    }

    fn ending(&self) -> &'static str {
        self.0
    }

    fn walk(&self, file: File, visit: Visit) -> io::Result<()> {
        let gzip = flate2::read::MultiGzDecoder::new(io::BufReader::new(file));
        let mut archive = tar::Archive::new(gzip);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let header = entry.header();
            let fields = BTreeMap::from([
                ("mode", field(header.mode().map(|mode| format!("{mode:o}")))),
                ("time", field(header.mtime())),
                (
                    "owner",
                    format!("{}:{}", field(header.uid()), field(header.gid())),
                ),
                ("kind", format!("{:?}", header.entry_type())),
                (
                    "link",
                    entry
                        .link_name()?
                        .map(|target| target.display().to_string())
                        .unwrap_or_default(),
                ),
            ]);
            let path = entry.path()?.display().to_string();
            if !visit(path, fields, &mut entry)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// npm leaves fields empty that say nothing; such a header is whole all the same.
fn field(value: io::Result<impl ToString>) -> String {
    value.map_or_else(|_| "-".to_owned(), |value| value.to_string())
}
