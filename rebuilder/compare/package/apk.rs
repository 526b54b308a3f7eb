//! Alpine packages: tar archives, one behind the other, of which the first is a signature.

use super::{Package, Placed, Signature, Within};

pub(super) static APK: Package = Package {
    recognises: |archive| archive.path.ends_with(".apk"),
    within: Within {
        installs: true,
        repacked: None,
    },
    placed,
    signature: |path| {
        path.name
            .starts_with(".SIGN.")
            .then_some(Signature { normalisation: None })
    },
    ..Package::new("apk")
};

/// apk-tools reads the signature first, then the control files, and takes what follows for the files to install.
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
