//! What the header of a tarball's gzip stream tells of the npm that packed it, and of the system that npm ran on.
//!
//! Until version 6, npm leaves the header to zlib, which names the operating system. Version 7 says "unknown" instead,
//! and since 7.7 it compresses at the highest level, which the header names too. Yarn 1 and Lerna write the same header
//! as npm 6. But Yarn 1 also writes entries for folders, the first one for the folder of the package, which npm never
//! does, and later versions of Yarn give all files another time than npm does.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use nodejs_semver::{Range, Version as SemVer};

use crate::plan::{Assumption, Origin, assume};

/// Name of the assumption about the versions of npm.
pub(super) const AGE: &str = "versions of npm that can have packed it";
/// What the assumptions follow from.
const FROM: &str = "the header of the released tarball's gzip stream";

/// Length of a header without name and comment.
const LENGTH: usize = 10;

/// What the header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packer {
    /// npm 6 or older, or a tool that writes the same header.
    NamesSystem(System),
    /// Yarn 1.
    Yarn(System),
    /// Yarn 2 or later.
    LaterYarn(System),
    /// The first releases of npm 7.
    Early7,
    /// npm 7.7 or later.
    Since7_7,
}

/// The system for which the publisher's zlib was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Unix,
    MacOs,
    Windows,
    /// Windows, by a zlib before 1.2.11.
    EarlierWindows,
}

impl Packer {
    /// Reads the headers of a released tarball; `None` if neither npm nor Yarn writes such a one.
    pub fn of(tarball: &Path) -> Option<Self> {
        let mut header = [0; LENGTH];
        File::open(tarball).ok()?.read_exact(&mut header).ok()?;
        let packer = Self::read(&header)?;
        let mut first = [0; BLOCK];
        let unpacked = GzDecoder::new(File::open(tarball).ok()?).read_exact(&mut first);
        Some(match packer {
            Self::NamesSystem(system) if unpacked.is_ok() && is_folder(&first) => Self::Yarn(system),
            Self::NamesSystem(system) if unpacked.is_ok() && has_time_of_later_yarn(&first) => {
                Self::LaterYarn(system)
            }
            other => other,
        })
    }

    /// Magic number, method, flags, four bytes of the time, level, system.
    fn read(header: &[u8; LENGTH]) -> Option<Self> {
        match header {
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3] => Some(Self::NamesSystem(System::Unix)),
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 19] => Some(Self::NamesSystem(System::MacOs)),
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 10] => Some(Self::NamesSystem(System::Windows)),
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 11] => Some(Self::NamesSystem(System::EarlierWindows)),
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] => Some(Self::Early7),
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255] => Some(Self::Since7_7),
            _ => None,
        }
    }

    /// The versions of npm that write such a header.
    pub const fn range(self) -> &'static str {
        match self {
            Self::NamesSystem(_) => "<7.0.0",
            // It did not pack.
            Self::Yarn(_) | Self::LaterYarn(_) => "*",
            Self::Early7 => ">=7.0.0 <7.6.0",
            Self::Since7_7 => ">=7.7.0",
        }
    }

    /// Whether a version of npm, or a line of it such as `8`, writes such a header.
    pub fn allows(self, npm: &str) -> bool {
        allows(self.range(), npm)
    }

    /// Whether npm 6 or older installed what its scripts needed.
    pub const fn is_npm_6(self) -> bool {
        matches!(self, Self::NamesSystem(_))
    }

    /// The byte that names the publisher's system, in the recipe's form (octal); empty if it is what is written here.
    pub const fn system(self) -> &'static str {
        match self {
            Self::NamesSystem(system) | Self::Yarn(system) | Self::LaterYarn(system) => system.byte(),
            Self::Early7 | Self::Since7_7 => "",
        }
    }

    pub fn assumptions(self) -> Vec<Assumption> {
        let from = || Origin::Inferred(FROM.into());
        let mut found = Vec::new();
        if !matches!(self, Self::Yarn(_) | Self::LaterYarn(_)) {
            found.push(assume(AGE, self.range(), from()));
        }
        let (Self::NamesSystem(system) | Self::Yarn(system) | Self::LaterYarn(system)) = self else {
            return found;
        };
        let system = match system {
            System::MacOs => "macOS",
            System::Windows | System::EarlierWindows => "Windows",
            System::Unix => return found,
        };
        let value = format!("{system}, which zlib writes into that header and nowhere else");
        found.push(assume("operating system of the publisher", value, from()));
        found
    }
}

impl System {
    /// The byte that names it, in the recipe's form (octal); empty if it is what is written here.
    const fn byte(self) -> &'static str {
        match self {
            Self::Unix => "",
            Self::MacOs => "023",
            Self::Windows => "012",
            Self::EarlierWindows => "013",
        }
    }
}

/// Length of a header in a tar archive.
const BLOCK: usize = 512;

/// Whether the header of a member is that of the folder `package` (POSIX ustar: the name first, the type at 156).
fn is_folder(header: &[u8; BLOCK]) -> bool {
    let name = header.split(|byte| *byte == 0).next().unwrap_or_default();
    name.strip_suffix(b"/").unwrap_or(name) == b"package" && header.get(156) == Some(&b'5')
}

/// Times that Yarn 2, and Yarn 3 and later, give to all files of a tarball, in seconds since 1970.
const TIMES_OF_LATER_YARN: [u64; 2] = [315_532_800, 456_789_000];

/// Whether the header of a member has a time that only Yarn 2 or later writes (POSIX ustar: octal digits at 136).
fn has_time_of_later_yarn(header: &[u8; BLOCK]) -> bool {
    let digits = header.get(136..148).unwrap_or_default();
    let digits = String::from_utf8_lossy(digits);
    let time = u64::from_str_radix(digits.trim_matches(['\0', ' ']), 8);
    time.is_ok_and(|time| TIMES_OF_LATER_YARN.contains(&time))
}

/// Whether a range allows a version, or a later one of a line such as `8` or `7.5`.
pub(super) fn allows(range: &str, npm: &str) -> bool {
    let Ok(range) = Range::parse(range) else {
        return true;
    };
    match (SemVer::parse(npm), Range::parse(npm)) {
        (Ok(version), _) => range.satisfies(&version),
        (_, Ok(line)) => range.allows_any(&line),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_line_of_npm_and_the_system() {
        for (level, system, expected) in [
            (0, 3, Some(("<7.0.0", ""))),
            (0, 19, Some(("<7.0.0", "023"))),
            (0, 10, Some(("<7.0.0", "012"))),
            (0, 255, Some((">=7.0.0 <7.6.0", ""))),
            (2, 255, Some((">=7.7.0", ""))),
            (2, 3, None),
            (0, 11, Some(("<7.0.0", "013"))),
            (2, 11, None),
        ] {
            let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, level, system];
            let found = Packer::read(&header).map(|packer| (packer.range(), packer.system()));
            assert_eq!(found, expected, "{level} {system}");
        }
        // A name, or a time, is not npm's.
        assert_eq!(Packer::read(&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), None);
        assert_eq!(Packer::read(&[0x1f, 0x8b, 8, 0, 1, 0, 0, 0, 0, 3]), None);
    }

    #[test]
    fn yarn_writes_an_entry_for_the_folder_or_another_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tgz");
        let (folder_entry, file) = (tar::EntryType::Directory, tar::EntryType::Regular);
        let unix = System::Unix;
        for (name, kind, time, expected) in [
            ("package", folder_entry, 0, Packer::Yarn(unix)),
            ("package/", folder_entry, 0, Packer::Yarn(unix)),
            ("package/a", folder_entry, 0, Packer::NamesSystem(unix)),
            ("package", file, 0, Packer::NamesSystem(unix)),
            ("package/a", file, 499_162_500, Packer::NamesSystem(unix)),
            ("package/a", file, 456_789_000, Packer::LaterYarn(unix)),
            ("package/a", file, 315_532_800, Packer::LaterYarn(unix)),
        ] {
            let tarball = File::create(&path).unwrap();
            let level = flate2::Compression::default();
            let mut gzip = flate2::GzBuilder::new().operating_system(3).write(tarball, level);
            let mut header = tar::Header::new_ustar();
            header.set_path(name).unwrap();
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mtime(time);
            header.set_cksum();
            std::io::Write::write_all(&mut gzip, header.as_bytes()).unwrap();
            gzip.finish().unwrap();
            assert_eq!(Packer::of(&path), Some(expected), "{name} {kind:?} {time}");
        }
    }

    #[test]
    fn a_header_allows_versions_and_lines() {
        for (packer, allowed, excluded) in [
            (
                Packer::NamesSystem(System::Unix),
                ["6.14.8", "6", "5.6.0"],
                ["7.0.0", "8", "10.1.0"],
            ),
            (Packer::Early7, ["7.0.0", "7.5", "7"], ["6", "8", "7.7.0"]),
            (Packer::Since7_7, ["7.24.0", "8", "11"], ["6.14.8", "6", "7.5"]),
        ] {
            for npm in allowed {
                assert!(packer.allows(npm), "{packer:?} {npm}");
            }
            for npm in excluded {
                assert!(!packer.allows(npm), "{packer:?} {npm}");
            }
        }
    }

    #[test]
    fn only_another_system_is_assumed() {
        for (packer, expected) in [
            (Packer::NamesSystem(System::Unix), 1),
            (Packer::NamesSystem(System::MacOs), 2),
            (Packer::Yarn(System::MacOs), 1),
            (Packer::Yarn(System::Unix), 0),
            (Packer::LaterYarn(System::MacOs), 1),
            (Packer::Since7_7, 1),
        ] {
            assert_eq!(packer.assumptions().len(), expected, "{packer:?}");
        }
    }
}
