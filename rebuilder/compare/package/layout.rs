//! What an archive holds, by the names of its members: enough to tell which kind of package it is.

use super::{PACKAGES, Package};
use crate::compare::format::FormatReader;
use crate::compare::limits::Meter;
use crate::compare::source::Source;

/// An archive that may be a package.
pub(in crate::compare) struct Archive {
    pub format: &'static str,
    /// Names of members, the first ones if there are many.
    pub names: Vec<String>,
}

/// Maximum number of names that are looked at; zip archives list theirs, all others must be read for them.
const MOST_LISTED: usize = 100_000;
const MOST_READ: usize = 4096;
/// Maximum number of bytes of members that are read over for the next name: cheap in a file, but not in what must be
/// decompressed.
const MOST_SKIPPED: u64 = 64 << 20;
const MOST_DECODED: u64 = 128 << 10;

impl Archive {
    /// The names at the beginning of an archive. What cannot be read has none; the walk will say so.
    pub fn read(format: &dyn FormatReader, source: &Source, meter: &Meter) -> Self {
        let names = if format.name() == "zip" {
            listed(source)
        } else {
            read(format, source, meter)
        };
        Self {
            format: format.name(),
            names,
        }
    }

    /// What it is. An archive that could be two things is neither, as it depends on its reader which one.
    pub fn kind(&self) -> Option<&'static Package> {
        let mut kinds = PACKAGES.iter().filter(|package| (package.recognises)(self));
        let kind = kinds.next()?;
        kinds.next().is_none().then_some(*kind)
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// Whether all of it is below one folder that has a file of that name.
    pub fn has_below_top(&self, file: &str) -> bool {
        let top = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        // The folder that was packed may be a member itself.
        let names = || self.names.iter().filter(|name| *name != ".");
        let Some(first) = names().next().map(|name| top(name)) else {
            return false;
        };
        let below = |name: &str| name.strip_prefix(&first)?.strip_prefix('/').map(str::to_owned);
        names().all(|name| *name == first || below(name).is_some())
            && names().any(|name| below(name).is_some_and(|name| name == file))
    }
}

fn listed(source: &Source) -> Vec<String> {
    let Ok(reader) = source.seekable() else {
        return Vec::new();
    };
    let archive = zip::ZipArchive::new(std::io::BufReader::new(reader));
    archive.map_or_else(
        |_| Vec::new(),
        |archive| {
            let names = archive.file_names().take(MOST_LISTED);
            names.flatten().map(std::borrow::Cow::into_owned).collect()
        },
    )
}

fn read(format: &dyn FormatReader, source: &Source, meter: &Meter) -> Vec<String> {
    let most = if source.size().is_some() {
        MOST_SKIPPED
    } else {
        MOST_DECODED
    };
    let (mut names, mut skipped) = (Vec::new(), 0_u64);
    // Whatever ends this early ends the walk as well, which says so.
    let _ = format.walk(source, &meter.apart(), &mut |member| {
        names.push(member.path);
        skipped = skipped.saturating_add(member.size);
        Ok(names.len() < MOST_READ && skipped <= most)
    });
    names
}
