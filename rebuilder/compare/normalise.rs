//! The differences that may be set aside, so that the files still count as equivalent: a named, versioned set.
//!
//! A normalisation never rewrites an archive. The comparison attributes each difference to one place, and a
//! normalisation names the places that it sets aside; every other difference stays visible. Names that OSS Rebuild's
//! stabilizers also use have the same meaning here.

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
            /// All normalisations, by name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name in options, reports and signed statements.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Whether a comparison applies it by default.
            pub fn is_default(self) -> bool {
                match self { $(Self::$variant => $default),* }
            }

            /// The formats that it applies to.
            pub fn formats(self) -> &'static str {
                match self { $(Self::$variant => $formats),* }
            }

            /// What it sets aside.
            pub fn sets_aside(self) -> &'static str {
                match self { $(Self::$variant => $aside),* }
            }

            /// Why this cannot hide a change in what is installed or run.
            pub fn safe_because(self) -> &'static str {
                match self { $(Self::$variant => $safe),* }
            }
        }
    };
}

normalisations! {
    ApkSigningBlock "apk-signing-block" true "Android package" "signatures of schemes 2 and 3, stamps and padding between the entries and the directory" "each signature has the digest of the file; it depends on a key that only the publisher has; other data of the block is compared";
    ArMetadata "ar-metadata" true "ar, deb" "time, owner and mode of ar members" "dpkg and linkers read only names and contents";
    Bzip2Compression "bzip2-compression" true "bzip2" "how the bytes are compressed" "both sides decompress to the same bytes";
    CargoVcsHash "cargo-vcs-hash" true "crate" "git commit in NAME-VERSION/.cargo_vcs_info.json" "cargo never reads it when building";
    CpioChecksums "cpio-checksums" true "cpio" "whether the new format stores checksums (crc) or not (newc)" "each checksum is added up and is right; unpackers read the rest alike";
    CpioFileOrder "cpio-file-order" true "cpio" "order of members, if the same tree is unpacked" "paths that are repeated or overlap, links and their targets, and folders and their contents keep their order";
    CpioInode "cpio-inode" true "cpio" "inode, device and number of links on the file system that the files came from" "unpackers only use them to find hard links, which are compared";
    DebMd5sums "deb-md5sums" true "deb" "lines of DEBIAN/md5sums and their order" "each digest is recomputed: on both sides it is that of the file in data.tar; dpkg looks each file up by its name";
    ElfBuildId "elf-build-id" false "ELF" ".note.gnu.build-id" "a name for debuggers; code does not depend on it unless it reads its own notes";
    ElfDebugLink "elf-debug-link" false "ELF" ".gnu_debuglink: name and CRC of the separate debug file" "only debuggers read it";
    GemExcludeChecksums "gem-exclude-checksums" true "gem" "lines of checksums.yaml.gz" "each digest is recomputed: on both sides it is that of the member";
    GemExcludeSignatures "gem-exclude-signatures" true "gem" "signatures of the three members" "signatures depend on a key that only the publisher has";
    GemInnerArchives "gem-inner-archives" true "gem" "times, owners and compression of data.tar.gz and metadata.gz" "RubyGems sets its own when unpacking";
    GemMetadataCertChain "gem-metadata-cert-chain" true "gem" "certificates of the signer in the gem's specification" "they depend on a key that only the publisher has";
    GemMetadataDate "gem-metadata-date" true "gem" "date in the gem's specification" "RubyGems only shows it";
    GemMetadataRubygemsVersion "gem-metadata-rubygems-version" true "gem" "rubygems_version in the gem's specification" "only names the tool that packed it";
    GemMetadataYamlNormalize "gem-metadata-yaml-normalize" true "gem" "quotes, blanks and order of keys in the gem's specification" "Ruby loads the same values from both";
    GzipCompression "gzip-compression" true "gzip" "how the bytes are compressed, and the level that the header names" "both sides decompress to the same bytes";
    GzipMisc "gzip-misc" true "gzip" "operating system, comment, flags and extra fields of the header, and zeros after the last stream" "gunzip ignores them";
    GzipName "gzip-name" true "gzip" "file name in the header" "only gunzip -N uses it";
    GzipTime "gzip-time" true "gzip" "time in the header" "only gunzip -N uses it";
    JarAttributeValueOrder "jar-attribute-value-order" true "jar" "order of comma-separated attribute values in MANIFEST.MF" "OSGi reads them as sets";
    JarBuildMetadata "jar-build-metadata" true "jar" "build tool, JDK, user, host and time attributes of MANIFEST.MF" "the JVM does not read them";
    JarGitProperties "jar-git-properties" true "jar" "git.properties" "records where the source was built; class loaders do not read it";
    JarManifestForm "jar-manifest-form" true "jar" "line ends, folding, blank lines and order of attributes in MANIFEST.MF" "the JVM reads the same attributes from both";
    JarMavenPomProperties "jar-maven-pom-properties" true "jar" "comments of pom.properties" "comments";
    JarSignature "jar-signature" true "jar" "signature files in META-INF and the digests in MANIFEST.MF" "signatures depend on a key that only the publisher has";
    Lz4Compression "lz4-compression" true "lz4" "how the bytes are compressed" "both sides decompress to the same bytes";
    LzipCompression "lzip-compression" true "lzip" "how the bytes are compressed" "both sides decompress to the same bytes";
    LzmaCompression "lzma-compression" true "lzma" "how the bytes are compressed" "both sides decompress to the same bytes";
    NupkgNames "nupkg-names" true "NuGet package" "random name of the properties and random identifiers in _rels/.rels" "NuGet unpacks neither, and nothing else refers to them";
    PngCompression "png-compression" false "PNG" "how the pixels are filtered and compressed" "both sides decode to the same pixels, and every other chunk is the same";
    PycReferences "pyc-references" true "pyc" "which objects are marked as shared, and the short and long forms of a value" "Python loads the same values, and shares the same ones";
    PycSharedConstants "pyc-shared-constants" false "pyc" "whether equal constants are one object" "the values are equal; only code that compares constants by identity can notice";
    PycSourceTime "pyc-source-time" false "pyc" "time of the source in the header" "only decides whether Python recompiles the source";
    TarDeviceNumber "tar-device-number" true "tar" "device numbers of members that are not devices" "no unpacker uses them";
    TarFileMode "tar-file-mode" true "crate, gem, npm package, sdist" "permission bits that the installer does not keep" "the owner's bits, set-id and sticky bits are never set aside, and neither is a permission to execute that the installer keeps";
    TarFileOrder "tar-file-order" true "tar" "order of members, if the same tree is unpacked" "paths that are repeated or overlap, and links and their targets, keep their order";
    TarHeaders "tar-headers" true "tar" "which tar dialect stores the same values" "every reader understands ustar, GNU and pax headers alike; numbers that are neither octal nor small in base 256 are never set aside";
    TarOwners "tar-owners" true "crate, gem, npm package, sdist" "user and group, by number and name" "cargo, npm, pip and gem set the owners of the files themselves";
    TarSparse "tar-sparse" false "tar" "which parts of a file are stored and which are holes" "both sides unpack to the same bytes with GNU tar, bsdtar and Python; unpackers without support for sparse files do not fill the holes";
    TarTime "tar-time" true "tar" "times of members" "no package manager's behaviour depends on them";
    TarXattrs "tar-xattrs" true "tar" "inode, device and link numbers of the packed file, and its download address, in pax headers" "unpackers use them only for messages; every other unknown record, attribute, access list, capability and label is content";
    WheelMetadataOrder "wheel-metadata-order" true "wheel" "order of repeated header fields of METADATA, such as Requires-Dist" "their order has no meaning in the core metadata specification; the fields themselves are compared";
    WheelRecord "wheel-record" true "wheel" "lines of RECORD and their order" "each digest and size is recomputed: on both sides they are those of the file in the wheel";
    WheelSignature "wheel-signature" true "wheel" "RECORD.jws and RECORD.p7s beside RECORD" "each signature has the digest of the RECORD beside it; it depends on a key that only the publisher has, and pip does not read it";
    XzCompression "xz-compression" true "xz" "how the bytes are compressed" "both sides decompress to the same bytes";
    ZipAlignment "zip-alignment" true "zip" "padding in extra fields that aligns data to a power of two" "it consists of zeros, and no more of them than the alignment needs, which is recomputed for each entry";
    ZipCompression "zip-compression" true "zip" "stored or deflated, and the level" "both sides decompress to the same bytes";
    ZipDataDescriptor "zip-data-descriptor" true "zip" "whether sizes are stored before or after the data" "readers of the directory and of deflated streams both support them; they are checked against the directory";
    ZipFileEncoding "zip-file-encoding" true "zip" "the flag that says a pure ASCII name is UTF-8" "ASCII is the same in both";
    ZipFileMode "zip-file-mode" true "jar, wheel, sdist" "permission bits that the installer does not keep" "the owner's bits, set-id and sticky bits are never set aside, and neither is whether any user may execute a file";
    ZipFileOrder "zip-file-order" true "zip" "order of entries, if the same tree is unpacked" "readers find entries by name, and all names are different";
    ZipMisc "zip-misc" true "zip" "versions, creating system, text bit, MS-DOS attributes without a meaning elsewhere, known extra fields, needless ZIP64 records" "unzip, pip and the JVM ignore them";
    ZipModeType "zip-mode-type" true "zip" "whether the mode of an entry that is not executable is stored, and names its type" "unpackers treat an entry without a type as an ordinary file, or as a folder if its name says so";
    ZipModifiedTime "zip-modified-time" true "zip" "times of entries" "no package manager's behaviour depends on them";
    ZstdCompression "zstd-compression" true "zstd" "how the bytes are compressed" "both sides decompress to the same bytes";
}

impl Normalisation {
    /// The version, which increases with every change of meaning.
    pub fn version(self) -> u32 {
        match self {
            Self::DebMd5sums => 3,
            Self::ApkSigningBlock
            | Self::CargoVcsHash
            | Self::GemExcludeChecksums
            | Self::GemExcludeSignatures
            | Self::GemInnerArchives
            | Self::GemMetadataDate
            | Self::GemMetadataRubygemsVersion
            | Self::JarAttributeValueOrder
            | Self::JarBuildMetadata
            | Self::JarGitProperties
            | Self::JarMavenPomProperties
            | Self::JarSignature
            | Self::TarFileMode
            | Self::TarOwners
            | Self::WheelMetadataOrder
            | Self::WheelRecord
            | Self::WheelSignature
            | Self::ZipFileMode => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not that of a normalisation.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("unknown normalisation {0:?}")]
#[diagnostic(help(
    "use none, default, all, or names that \"rebuilder compare --list-normalisations\" prints"
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

/// The normalisations that a comparison may apply.
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
    /// Reads `none`, `default`, `all`, or comma-separated names; `default,NAME` adds one, `-NAME` excludes one.
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

    /// Whether `normalisation` is included.
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
    fn every_normalisation_is_argued_for() {
        let page = include_str!("../../docs/normalisations.md");
        let sections: Vec<(&str, &str)> = page
            .split("\n### ")
            .skip(1)
            .filter_map(|section| section.split_once('\n'))
            .collect();
        for (heading, text) in &sections {
            for part in ["**Why.**", "**Checked against.**", "**Refuses.**"] {
                assert!(text.contains(part), "{heading}: {part}");
            }
        }
        for known in Normalisation::ALL {
            let name = format!("`{known}`");
            let argued = sections.iter().filter(|(heading, _)| heading.contains(&name));
            assert_eq!(
                argued.count(),
                1,
                "docs/normalisations.md has one section for {known}"
            );
        }
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
