//! The names of an archive's members, which are enough to recognise its kind of package.

use super::{PACKAGES, Package};
use crate::compare::format::FormatReader;
use crate::compare::limits::Meter;
use crate::compare::source::Source;

/// An archive that may be a package.
pub(in crate::compare) struct Archive {
    pub format: &'static str,
    /// Names of members; only the first ones, if there are many.
    pub names: Vec<String>,
}

/// Maximum number of names; zip archives list them, all others must be read to find them.
const MOST_LISTED: usize = 100_000;
const MOST_READ: usize = 4096;
/// Maximum number of bytes of members that are skipped to reach the next name: cheap in a file, but not if it must be
/// decompressed.
const MOST_SKIPPED: u64 = 64 << 20;
const MOST_DECODED: u64 = 128 << 10;

impl Archive {
    /// The first names of an archive. An unreadable archive has none; the walk will report that.
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

    /// Its kind. An archive that may be of two kinds has none, as readers may differ.
    pub fn kind(&self) -> Option<&'static Package> {
        let mut kinds = PACKAGES.iter().filter(|package| (package.recognises)(self));
        let kind = kinds.next()?;
        kinds.next().is_none().then_some(*kind)
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// Whether everything is below one folder that has a file with this name.
    pub fn has_below_top(&self, file: &str) -> bool {
        let top = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        // The folder itself may be a member.
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
    // An error here also ends the walk, which reports it.
    let _ = format.walk(source, &meter.apart(), &mut |member| {
        names.push(member.path);
        skipped = skipped.saturating_add(member.size);
        Ok(names.len() < MOST_READ && skipped <= most)
    });
    names
}
