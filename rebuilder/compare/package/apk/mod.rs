//! Alpine packages (apk-package(5) of apk-tools 2): three gzip streams, one after another. The first contains a
//! signature of the second, the second contains `.PKGINFO` with the digest of the third, and the third contains the
//! files.

mod settle;
#[cfg(test)]
mod tests;

use super::{Package, Placed};

pub(super) static APK: Package = Package {
    recognises: |archive| archive.format == "tar" && archive.has(".PKGINFO") && !archive.has(".MTREE"),
    placed,
    settle: Some(settle::settle),
    ..Package::new("apk")
};

/// apk-tools reads the signature first, then the control files, and installs what follows.
fn placed(format: &str, path: &str) -> Option<Placed> {
    const CONTROL: [&str; 8] = [
        ".PKGINFO",
        ".pre-install",
        ".post-install",
        ".pre-upgrade",
        ".post-upgrade",
        ".pre-deinstall",
        ".post-deinstall",
        ".trigger",
    ];
    let rank = u8::from(!path.starts_with(".SIGN."));
    (format == "tar" && (rank == 0 || CONTROL.contains(&path))).then(|| Placed::at(rank))
}
