//! What may be set aside and still be called equivalent: a named, versioned set.
//!
//! A normalisation never rewrites an archive. The comparison attributes each difference to one place, and a
//! normalisation names the places that it sets aside; whatever it does not name stays visible. Names that OSS
//! Rebuild's stabilizers have are used for the same thing.

use std::collections::BTreeSet;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Normalisation {
    /// Its name.
    pub name: &'static str,
    /// Grows with every change of meaning.
    pub version: u32,
    /// Whether it is taken when nothing else is asked.
    pub default: bool,
    /// Formats that it is for.
    pub formats: &'static str,
    /// What it sets aside.
    pub sets_aside: &'static str,
    /// Why that can hide no change of what is installed or run.
    pub safe: &'static str,
}

macro_rules! table {
    ($($name:literal $default:literal $formats:literal $aside:literal $safe:literal;)*) => {
        /// All of them, by name.
        pub const NORMALISATIONS: &[Normalisation] = &[$(Normalisation {
            name: $name, version: 1, default: $default, formats: $formats, sets_aside: $aside, safe: $safe,
        }),*];
    };
}

table! {
    "ar-metadata" true "ar, deb" "time, owner and mode of ar members" "dpkg and linkers read only names and contents";
    "bzip2-compression" true "bzip2" "how the bytes are compressed" "both decompress to the same bytes";
    "cargo-vcs-hash" true "crate" "git commit in .cargo_vcs_info.json" "cargo never reads it when building";
    "deb-md5sums" true "deb" "lines of DEBIAN/md5sums that follow from other differences" "checked file by file: a line counts only where the file it names was compared";
    "elf-build-id" false "ELF" ".note.gnu.build-id" "a name for debuggers; code does not depend on it unless it reads its own notes";
    "elf-debug-link" false "ELF" ".gnu_debuglink: name and CRC of the separate debug file" "only debuggers read it";
    "gem-exclude-checksums" true "gem" "checksums.yaml.gz" "holds digests of the other members, which are compared themselves";
    "gem-exclude-signatures" true "gem" "*.sig members" "signatures depend on a key that only the publisher has";
    "gem-inner-archives" true "gem" "times, owners and compression of data.tar.gz and metadata.gz" "RubyGems sets its own when unpacking";
    "gem-metadata-date" true "gem" "date in the gem's specification" "RubyGems only shows it";
    "gem-metadata-rubygems-version" true "gem" "rubygems_version in the gem's specification" "names the tool that packed it";
    "gzip-compression" true "gzip" "how the bytes are compressed, and the level that the header names" "both decompress to the same bytes";
    "gzip-misc" true "gzip" "operating system, comment, flags and extra fields of the header" "gunzip ignores them";
    "gzip-name" true "gzip" "file name in the header" "used by gunzip -N only";
    "gzip-time" true "gzip" "time in the header" "used by gunzip -N only";
    "jar-attribute-value-order" true "jar" "order of comma-separated attribute values in MANIFEST.MF" "OSGi reads them as sets";
    "jar-build-metadata" true "jar" "build tool, JDK, user, host and time attributes of MANIFEST.MF" "the JVM does not read them";
    "jar-git-properties" true "jar" "git.properties" "says where the source was built, and is read by nothing that loads classes";
    "jar-maven-pom-properties" true "jar" "comments of pom.properties" "comments";
    "jar-signature" true "jar" "signature files in META-INF and the digests in MANIFEST.MF" "signatures depend on a key that only the publisher has";
    "lzma-compression" true "lzma" "how the bytes are compressed" "both decompress to the same bytes";
    "pyc-source-time" false "pyc" "time of the source in the header" "decides only whether Python compiles anew";
    "tar-device-number" true "tar" "device numbers of members that are no devices" "unused by anything that unpacks files";
    "tar-file-mode" true "tar, outside packages that install modes" "permission bits of group and others" "the owner's execute bit and set-id bits are never set aside";
    "tar-file-order" true "tar without repeated names or hard links" "order of members" "each path is written once, in any order";
    "tar-headers" true "tar" "which tar dialect holds the same values" "every reader understands ustar, GNU and pax headers alike; numbers that are neither octal nor small in base 256 are never set aside";
    "tar-owners" true "tar, outside packages that install owners" "user and group, by number and name" "cargo, npm, pip and gem unpack as the calling user";
    "tar-time" true "tar" "times of members" "no package manager's behaviour depends on them";
    "tar-xattrs" true "tar" "remarks, attributes of the user's and owners in pax headers" "no unpacker takes a name, a size or content from them; other records, capabilities and labels are never set aside";
    "wheel-metadata-order" true "wheel" "order of repeated header fields of METADATA, such as Requires-Dist" "the core metadata specification gives their order no meaning; which fields there are is compared";
    "wheel-record" true "wheel" "lines of RECORD that follow from other differences" "checked file by file: a line counts only where the file it names was compared";
    "xz-compression" true "xz" "how the bytes are compressed" "both decompress to the same bytes";
    "zip-compression" true "zip" "method and level" "both decompress to the same bytes";
    "zip-data-descriptor" true "zip" "whether sizes stand before or after the data" "readers take them from the central directory";
    "zip-file-encoding" true "zip" "the flag that says a pure ASCII name is UTF-8" "ASCII is the same in both";
    "zip-file-mode" true "zip" "permission bits of group and others" "the owner's execute bit and set-id bits are never set aside";
    "zip-file-order" true "zip without repeated names" "order of entries" "readers find entries by name";
    "zip-misc" true "zip" "versions, creating system, internal attributes, known extra fields, directory entries' own data" "unzip, pip and the JVM ignore them";
    "zip-modified-time" true "zip" "times of entries" "no package manager's behaviour depends on them";
    "zstd-compression" true "zstd" "how the bytes are compressed" "both decompress to the same bytes";
}

/// Which of them a comparison takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen(BTreeSet<&'static str>);

impl Default for Chosen {
    fn default() -> Self {
        let names = NORMALISATIONS
            .iter()
            .filter(|normalisation| normalisation.default);
        Self(names.map(|normalisation| normalisation.name).collect())
    }
}

/// A name that is not in the set.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("there is no normalisation {0:?}")]
#[diagnostic(help(
    "\"rebuilder compare --list-normalisations\" shows them; none, default and all are short forms"
))]
pub struct UnknownNormalisation(String);

impl Chosen {
    /// `none`, `default`, `all`, or names with commas between; `default,NAME` adds, `-NAME` takes away.
    pub fn parse(text: &str) -> Result<Self, UnknownNormalisation> {
        let mut chosen = Self(BTreeSet::new());
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, add) = word.strip_prefix('-').map_or((word, true), |name| (name, false));
            let names: Vec<_> = match name {
                "none" => Vec::new(),
                "default" => Self::default().0.into_iter().collect(),
                "all" => NORMALISATIONS
                    .iter()
                    .map(|normalisation| normalisation.name)
                    .collect(),
                name => vec![
                    find(name)
                        .ok_or_else(|| UnknownNormalisation(name.to_owned()))?
                        .name,
                ],
            };
            for name in names {
                if add {
                    chosen.0.insert(name);
                } else {
                    chosen.0.remove(name);
                }
            }
        }
        Ok(chosen)
    }

    /// Whether it is taken.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// The normalisation of that name.
pub fn find(name: &str) -> Option<&'static Normalisation> {
    NORMALISATIONS
        .iter()
        .find(|normalisation| normalisation.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_normalisation_is_documented_and_used() {
        let page = include_str!("../../docs/normalisations.md");
        let sources = [
            include_str!("format/ar.rs"),
            include_str!("format/tar.rs"),
            include_str!("format/zip.rs"),
            include_str!("gzip.rs"),
            include_str!("pair.rs"),
            include_str!("fields.rs"),
            include_str!("file/mod.rs"),
            include_str!("file/elf/mod.rs"),
            include_str!("file/json.rs"),
            include_str!("file/pyc.rs"),
            include_str!("file/text.rs"),
        ];
        for known in NORMALISATIONS {
            let default = if known.default { "yes" } else { "no" };
            let row = format!(
                "| `{}` | {} | {} | {default} | {} | {} |",
                known.name, known.version, known.formats, known.sets_aside, known.safe
            );
            assert!(page.contains(&row), "docs/normalisations.md lacks\n{row}");
            let named = format!("\"{}\"", known.name);
            assert!(
                sources.iter().any(|source| source.contains(&named)),
                "nothing sets aside {}",
                known.name
            );
        }
    }

    #[test]
    fn lists_are_read_as_they_are_written() {
        let has = |list: &str, name: &str| Chosen::parse(list).is_ok_and(|chosen| chosen.has(name));
        assert!(has("default", "tar-time") && !has("default", "elf-build-id"));
        assert!(has("all", "elf-build-id") && !has("none", "tar-time"));
        assert!(has("default, elf-build-id", "elf-build-id") && !has("default,-tar-time", "tar-time"));
        assert!(Chosen::parse("tar-tyme").is_err());
    }
}
