//! Wheels (PyPA binary distribution format): zip archives.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use super::{FormatReader, Visit};

pub(super) struct Wheel;

impl FormatReader for Wheel {
    fn name(&self) -> &'static str {
        "wheel"
    }

    fn ending(&self) -> &'static str {
        "whl"
    }

    fn walk(&self, file: File, visit: Visit) -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file))?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let time = entry
                .last_modified()
                .map(|time| time.to_string())
                .unwrap_or_default();
            let fields = BTreeMap::from([
                (
                    "mode",
                    entry
                        .unix_mode()
                        .map(|mode| format!("{mode:o}"))
                        .unwrap_or_default(),
                ),
                ("time", time),
                ("compression", entry.compression().to_string()),
                ("compressed size", entry.compressed_size().to_string()),
                ("comment", entry.comment().to_owned()),
            ]);
            let path = entry.name()?.into_owned();
            if !visit(path, fields, &mut entry)? {
                return Ok(());
            }
        }
        Ok(())
    }
}
