//! Alpine packages (apk-package(5) of apk-tools 2): three gzip streams, one behind the other. The first holds a
//! signature of the second, the second `.PKGINFO`, which has the digest of the third, and the third the files.

mod settle;
#[cfg(test)]
mod tests;

use super::Package;

pub(super) static APK: Package = Package {
    recognises: |archive| archive.format == "tar" && archive.has(".PKGINFO") && !archive.has(".MTREE"),
    settle: Some(settle::settle),
    ..Package::new("apk")
};
