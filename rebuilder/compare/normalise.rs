//! What may be set aside and still be called equivalent: a named, versioned set.
//!
//! A normalisation never rewrites an archive. The comparison attributes each difference to one place, and a
//! normalisation names the places that it sets aside; every other difference stays visible. Names that OSS Rebuild's
//! stabilizers have mean the same thing here.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! normalisations {
    ($($variant:ident $name:literal $default:literal $formats:literal $aside:literal $safe:literal;)*) => {
        /// A named kind of difference that may be set aside; serialised as its name, and ordered by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Normalisation {
            $(#[doc = $aside] #[serde(rename = $name)] $variant,)*
        }

        impl Normalisation {
            /// All of them, by name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name in options, reports and signed statements.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Whether a comparison takes it if nothing else is asked for.
            pub fn is_default(self) -> bool {
                match self { $(Self::$variant => $default),* }
            }

            /// The formats that it is for.
            pub fn formats(self) -> &'static str {
                match self { $(Self::$variant => $formats),* }
            }

            /// What it sets aside.
            pub fn sets_aside(self) -> &'static str {
                match self { $(Self::$variant => $aside),* }
            }

            /// Why that cannot hide a change of what is installed or run.
            pub fn safe_because(self) -> &'static str {
                match self { $(Self::$variant => $safe),* }
            }
        }
    };
}

normalisations! {
    ArMetadata "ar-metadata" true "ar, deb" "time, owner and mode of ar members" "dpkg and linkers read only names and contents";
    Bzip2Compression "bzip2-compression" true "bzip2" "how the bytes are compressed" "both sides decompress to the same bytes";
    CargoVcsHash "cargo-vcs-hash" true "crate" "git commit in .cargo_vcs_info.json" "cargo never reads it when building";
    DebMd5sums "deb-md5sums" true "deb" "lines of DEBIAN/md5sums that follow from other differences" "checked file by file: a line counts only where the file it names was compared";
    ElfBuildId "elf-build-id" false "ELF" ".note.gnu.build-id" "a name for debuggers; code does not depend on it unless it reads its own notes";
    ElfDebugLink "elf-debug-link" false "ELF" ".gnu_debuglink: name and CRC of the separate debug file" "only debuggers read it";
    GemExcludeChecksums "gem-exclude-checksums" true "gem" "checksums.yaml.gz" "holds digests of the other members, which are compared themselves";
    GemExcludeSignatures "gem-exclude-signatures" true "gem" "*.sig members" "signatures depend on a key that only the publisher holds";
    GemInnerArchives "gem-inner-archives" true "gem" "times, owners and compression of data.tar.gz and metadata.gz" "RubyGems sets its own when unpacking";
    GemMetadataDate "gem-metadata-date" true "gem" "date in the gem's specification" "RubyGems only shows it";
    GemMetadataRubygemsVersion "gem-metadata-rubygems-version" true "gem" "rubygems_version in the gem's specification" "names the tool that packed it";
    GzipCompression "gzip-compression" true "gzip" "how the bytes are compressed, and the level that the header names" "both sides decompress to the same bytes";
    GzipMisc "gzip-misc" true "gzip" "operating system, comment, flags and extra fields of the header, and zeros after the last stream" "gunzip ignores them";
    GzipName "gzip-name" true "gzip" "file name in the header" "only gunzip -N uses it";
    GzipTime "gzip-time" true "gzip" "time in the header" "only gunzip -N uses it";
    JarAttributeValueOrder "jar-attribute-value-order" true "jar" "order of comma-separated attribute values in MANIFEST.MF" "OSGi reads them as sets";
    JarBuildMetadata "jar-build-metadata" true "jar" "build tool, JDK, user, host and time attributes of MANIFEST.MF" "the JVM does not read them";
    JarGitProperties "jar-git-properties" true "jar" "git.properties" "records where the source was built; class loaders do not read it";
    JarMavenPomProperties "jar-maven-pom-properties" true "jar" "comments of pom.properties" "comments";
    JarSignature "jar-signature" true "jar" "signature files in META-INF and the digests in MANIFEST.MF" "signatures depend on a key that only the publisher holds";
    Lz4Compression "lz4-compression" true "lz4" "how the bytes are compressed" "both sides decompress to the same bytes";
    LzipCompression "lzip-compression" true "lzip" "how the bytes are compressed" "both sides decompress to the same bytes";
    LzmaCompression "lzma-compression" true "lzma" "how the bytes are compressed" "both sides decompress to the same bytes";
    PycSourceTime "pyc-source-time" false "pyc" "time of the source in the header" "only decides whether Python recompiles the source";
    TarDeviceNumber "tar-device-number" true "tar" "device numbers of members that are not devices" "no unpacker uses them";
    TarFileMode "tar-file-mode" true "tar, outside packages that install modes" "permission bits of group and others" "the owner's execute bit and set-id bits are never set aside";
    TarFileOrder "tar-file-order" true "tar without repeated names or hard links" "order of members" "each path is written once, so the order does not matter";
    TarHeaders "tar-headers" true "tar" "which tar dialect holds the same values" "every reader understands ustar, GNU and pax headers alike; numbers that are neither octal nor small in base 256 are never set aside";
    TarOwners "tar-owners" true "tar, outside packages that install owners" "user and group, by number and name" "cargo, npm, pip and gem unpack as the calling user";
    TarTime "tar-time" true "tar" "times of members" "no package manager's behaviour depends on them";
    TarXattrs "tar-xattrs" true "tar" "comments, user attributes and owners in pax headers" "no unpacker takes names, sizes or contents from them; other records, capabilities and labels are never set aside";
    WheelMetadataOrder "wheel-metadata-order" true "wheel" "order of repeated header fields of METADATA, such as Requires-Dist" "their order has no meaning in the core metadata specification; the fields themselves are compared";
    WheelRecord "wheel-record" true "wheel" "lines of RECORD that follow from other differences" "checked file by file: a line counts only where the file it names was compared";
    XzCompression "xz-compression" true "xz" "how the bytes are compressed" "both sides decompress to the same bytes";
    ZipCompression "zip-compression" true "zip" "method and level" "both sides decompress to the same bytes";
    ZipDataDescriptor "zip-data-descriptor" true "zip" "whether sizes are stored before or after the data" "readers take them from the central directory";
    ZipFileEncoding "zip-file-encoding" true "zip" "the flag that says a pure ASCII name is UTF-8" "ASCII is the same in both";
    ZipFileMode "zip-file-mode" true "zip" "permission bits of group and others" "the owner's execute bit and set-id bits are never set aside";
    ZipFileOrder "zip-file-order" true "zip without repeated names" "order of entries" "readers find entries by name";
    ZipMisc "zip-misc" true "zip" "versions, creating system, internal attributes, known extra fields, directory entries' own data" "unzip, pip and the JVM ignore them";
    ZipModifiedTime "zip-modified-time" true "zip" "times of entries" "no package manager's behaviour depends on them";
    ZstdCompression "zstd-compression" true "zstd" "how the bytes are compressed" "both sides decompress to the same bytes";
}

impl Normalisation {
    /// Grows with every change of meaning. None has changed yet.
    pub fn version(self) -> u32 {
        1
    }
}

impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not in the set.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("unknown normalisation {0:?}")]
#[diagnostic(help(
    "\"rebuilder compare --list-normalisations\" shows their names; none, default and all are short forms"
))]
pub struct UnknownNormalisation(String);

impl FromStr for Normalisation {
    type Err = UnknownNormalisation;

    fn from_str(name: &str) -> Result<Self, UnknownNormalisation> {
        let known = Self::ALL.iter().find(|known| known.name() == name);
        known
            .copied()
            .ok_or_else(|| UnknownNormalisation(name.to_owned()))
    }
}

/// The normalisations that a comparison may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen(BTreeSet<Normalisation>);

impl Default for Chosen {
    fn default() -> Self {
        Self(
            Normalisation::ALL
                .iter()
                .copied()
                .filter(|known| known.is_default())
                .collect(),
        )
    }
}

impl Chosen {
    /// `none`, `default`, `all`, or comma-separated names; `default,NAME` adds one, `-NAME` excludes one.
    pub fn parse(text: &str) -> Result<Self, UnknownNormalisation> {
        let mut chosen = Self(BTreeSet::new());
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, add) = word.strip_prefix('-').map_or((word, true), |name| (name, false));
            let named = match name {
                "none" => BTreeSet::new(),
                "default" => Self::default().0,
                "all" => Normalisation::ALL.iter().copied().collect(),
                name => BTreeSet::from([name.parse()?]),
            };
            if add {
                chosen.0.extend(named);
            } else {
                chosen.0.retain(|known| !named.contains(known));
            }
        }
        Ok(chosen)
    }

    /// Whether `normalisation` is among them.
    pub fn has(&self, normalisation: Normalisation) -> bool {
        self.0.contains(&normalisation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_normalisation_is_documented() {
        let page = include_str!("../../docs/normalisations.md");
        let (before, _) = page.split_once("|---|").unwrap_or_default();
        assert!(before.ends_with("why that is safe |\n"), "the page has a table");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let wanted: Vec<_> = Normalisation::ALL
            .iter()
            .map(|known| {
                let default = if known.is_default() { "yes" } else { "no" };
                format!(
                    "| `{known}` | {} | {} | {default} | {} | {} |",
                    known.version(),
                    known.formats(),
                    known.sets_aside(),
                    known.safe_because()
                )
            })
            .collect();
        assert_eq!(
            rows, wanted,
            "docs/normalisations.md has one row for each, in order of name"
        );
    }

    #[test]
    fn they_are_in_order_of_name_and_serialised_as_it() {
        assert!(Normalisation::ALL.is_sorted_by_key(|known| known.name()));
        for known in Normalisation::ALL {
            assert_eq!(
                serde_json::to_value(known).ok(),
                Some(serde_json::Value::from(known.name()))
            );
            assert_eq!(known.name().parse().ok(), Some(*known));
        }
    }

    #[test]
    fn lists_are_read_as_they_are_written() {
        let has = |list: &str, known| Chosen::parse(list).is_ok_and(|chosen| chosen.has(known));
        let (time, id) = (Normalisation::TarTime, Normalisation::ElfBuildId);
        assert!(has("default", time) && !has("default", id));
        assert!(has("all", id) && !has("none", time));
        assert!(has("default, elf-build-id", id) && !has("default,-tar-time", time));
        assert!(Chosen::parse("tar-tyme").is_err());
    }
}
