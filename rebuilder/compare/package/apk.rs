//! Alpine packages: tar archives, one behind the other, of which the first is a signature.

use super::Package;

pub(super) static APK: Package = Package {
    recognises: |archive| archive.format == "tar" && archive.has(".PKGINFO") && !archive.has(".MTREE"),
    ..Package::new("apk")
};
