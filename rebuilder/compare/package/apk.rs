//! Alpine packages: tar archives, one behind the other, of which the first is a signature.

use super::Package;
use super::text::is_rsa_signature;

pub(super) static APK: Package = Package {
    recognises: |archive| archive.format == "tar" && archive.has(".PKGINFO") && !archive.has(".MTREE"),
    // apk-tools(8) takes the first of these that it has a key for.
    raw_signature: |located, bytes| {
        let signed = [".SIGN.RSA.", ".SIGN.RSA256.", ".SIGN.RSA512."];
        let top = located.top().filter(|path| !path.contains('/'));
        top.is_some_and(|path| signed.iter().any(|start| path.starts_with(start))) && is_rsa_signature(bytes)
    },
    ..Package::new("apk")
};
