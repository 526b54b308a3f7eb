//! The causes of differences between two builds of one source, and what a maintainer can do about each.

use serde::{Deserialize, Serialize};

/// How certain an attribution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The cause would explain the difference, but so would others.
    Possible,
    /// The difference has the form of this cause.
    Likely,
    /// The bytes prove it: the field has this meaning, or everything else was compared and is the same.
    Proven,
}

impl Confidence {
    /// Its name in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Proven => "proven",
        }
    }
}

macro_rules! causes {
    ($($variant:ident, $name:literal, $title:literal, $fix:literal;)*) => {
        /// The causes of differences, in the order in which a reader should worry about them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause {
            $(#[doc = $title] $variant,)*
        }

        impl Cause {
            /// All causes, the most worrying first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in machine-readable reports.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The name for readers.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// What a maintainer can do.
            pub fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix),* }
            }
        }
    };
}

causes! {
    Content, "content", "content change",
        "inspect the differing bytes: no known source of nondeterminism explains them";
    Unread, "unread", "not compared",
        "the file is damaged, or beyond the limits of the comparison: examine it with another tool";
    AmbiguousArchive, "ambiguous-archive", "archive that unpackers read differently",
        "write the archive with an ordinary tool: different unpackers extract different files from it";
    OtherSource, "other-source", "release not made from this source",
        "build the release from the published source, or publish the source of the release";
    NotFromSource, "not-from-source", "binary that is not in the source",
        "publish the source of the prebuilt binary, and build it";
    MissingFromSource, "missing-from-source", "file that the source lacks",
        "add the file to the source, or build from a revision that has it";
    SourceRevision, "source-revision", "revision of the source",
        "build from the commit that the release names";
    DependencyVersion, "dependency-version", "version of a dependency",
        "build with the same versions of all dependencies (lock file, .buildinfo, dated snapshot)";
    ToolVersion, "tool-version", "version of a compiler or tool",
        "build with the same toolchain, and record its version beside the release";
    GoBuildInformation, "go-build-information", "Go build information",
        "build with the same Go, modules and flags, and with -trimpath and -buildvcs=false";
    BuildPath, "build-path", "build path",
        "build in the same folder, or map it away (-ffile-prefix-map=$PWD=., --remap-path-prefix, -trimpath)";
    SourceDateEpoch, "source-date-epoch", "SOURCE_DATE_EPOCH is not honoured",
        "take the time from SOURCE_DATE_EPOCH if it is set, in the tool that writes this place";
    Timezone, "timezone", "time zone",
        "build with TZ=UTC, or write times as UTC";
    Timestamp, "timestamp", "time of the build",
        "set SOURCE_DATE_EPOCH and leave build times out (tar --mtime, gzip -n, ar D, zip -X after touch)";
    BuildHost, "build-host", "host name or user",
        "do not record the user or the host";
    HostSystem, "host-system", "kernel or processor of the build machine",
        "do not query uname or the processor while building; set -march and similar options explicitly";
    Locale, "locale", "locale",
        "build with LC_ALL=C.UTF-8, and sort and format independently of it";
    Parallelism, "parallelism", "number of parallel jobs",
        "do not record the number of jobs, and fix the number of compressor threads";
    Randomness, "randomness", "random value",
        "derive identifiers from the input, name temporary files deterministically, set PYTHONHASHSEED=0";
    Order, "order", "order of files or entries",
        "sort the results of directory listings, globs and hash tables (tar --sort=name, LC_ALL=C sort)";
    Ownership, "ownership", "owner or group",
        "archive with fixed owners (tar --owner=0 --group=0 --numeric-owner)";
    Permissions, "permissions", "permissions or umask",
        "set the umask before building, or normalise modes (tar --mode=go=rX,u+rw,a-s)";
    Signature, "signature", "signature block",
        "compare without signatures, because they depend on a key that only the signer has";
    ArchiveDialect, "archive-dialect", "dialect of the archive format",
        "write archives with the same tool and options (tar --format, zip -X)";
    Compression, "compression", "compressor, its level or version",
        "compress with the same tool, version, level and number of threads";
    DebugInformation, "debug-information", "debug information",
        "nothing to do: the code does not differ, only debug information that may have been stripped";
    MovedAddress, "moved-address", "address that moved",
        "follows from strings of other lengths in the same file; each address still points at the same thing";
    BuildId, "build-id", "build-id",
        "follows from other differences in the same file";
    Checksum, "checksum", "checksum of another file",
        "follows from the difference in that file";
}

/// One reason for a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub cause: Cause,
    pub key: String,
    pub confidence: Confidence,
}

impl Reason {
    pub fn new(cause: Cause, key: impl Into<String>, confidence: Confidence) -> Self {
        Self {
            cause,
            key: key.into(),
            confidence,
        }
    }
}

impl Cause {
    /// The confidence in two findings of one root cause: that of the less certain one. But a pair of build folders
    /// that is proven in one place is the reason in all other places too.
    pub(super) fn together(self, one: Confidence, other: Confidence) -> Confidence {
        if self == Self::BuildPath {
            one.max(other)
        } else {
            one.min(other)
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.title())
    }
}
