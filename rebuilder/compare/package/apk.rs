//! Alpine packages: tar archives, one behind the other, of which the first is a signature.

use super::{Package, Signature, Within};

pub(super) static APK: Package = Package {
    recognises: |archive| archive.path.ends_with(".apk"),
    within: Within {
        installs: true,
        repacked: None,
    },
    signature: |path| {
        path.name
            .starts_with(".SIGN.")
            .then_some(Signature { normalisation: None })
    },
    ..Package::new("apk")
};
