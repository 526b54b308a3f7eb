//! Where plans put things below `/inputs`, for those who write plans and for those who judge them.
//!
//! Sources are below `source/` or at `source.tar`, and dependencies below `dependencies/`. Everything else is here.

/// Wheels: the folder of the pip that installs the requirements, if it is not the container's.
pub const INSTALLER: &str = "installer";
/// Wheels: the program that calls the backend.
pub const DRIVER: &str = "recipe/build_wheel.py";
/// Wheels: what that program is told.
pub const DRIVER_INPUT: &str = "recipe/build.json";

/// Wheels: the files of another commit that its source does not have by itself.
pub const FURTHER: &str = "further.tar";

/// Crates and wheels: the source of a compressor in the place of zlib.
pub const COMPRESSOR: &str = "compressor/zlib-ng.crate";
/// Wheels: the source of another one.
pub const CLOUDFLARE_ZLIB: &str = "compressor/cloudflare-zlib.crate";
/// Crates: the object of the commit.
pub const COMMIT: &str = "commit";
/// Crates: entries of files that the source lacks, in the form of `git update-index --index-info`.
pub const LACKING: &str = "lacking";
/// Crates: the folder of the files behind Git LFS's pointers, each under its digest.
pub const LARGE_FILES: &str = "lfs";
/// Crates: times, modes and owners of the publisher's files. Each line has the time, mode, owner and path of a file,
/// separated by spaces.
pub const FILE_METADATA: &str = "metadata";
/// Crates: the folder of packages that stand in for those from git.
pub const STAND_INS: &str = "stand-ins";
/// Crates: the lines of cargo's configuration that point to that folder.
pub const STAND_INS_CONFIG: &str = "stand-ins.toml";
/// Crates: the folder of crates that stand in for those that only other members of the workspace use.
pub const STAND_IN_CRATES: &str = "stand-in-crates";
/// Crates: the library of each package in these two folders.
pub const STAND_IN_TEXT: &str = "//! Stands in.\n";

/// npm: permissions of the publisher's files that git does not keep. Each line has the mode and the path of a file,
/// separated by a space.
pub const MODES: &str = "modes";
/// npm: files of the source that the publisher had with CR LF at the ends of their lines. Each line has a path.
pub const LINE_ENDS: &str = "line-ends";
/// npm: times of the publisher's files and folders, if Yarn packed them. Each line has the seconds since 1970 and a
/// path below the folder that is packed, separated by a space.
pub const TIMES: &str = "times";

/// Debian: the entry that a rebuild without changes adds to the changelog.
pub const BINNMU_CHANGELOG: &str = "binnmu-changelog";
