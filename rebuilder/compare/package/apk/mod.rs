//! Alpine packages (apk-package(5) of apk-tools 2): three gzip streams, one after another. The first contains a
//! signature of the second, the second contains `.PKGINFO` with the digest of the third, and the third contains the
//! files.

mod repacked;
mod settle;
#[cfg(test)]
mod tests;

use super::{Package, Placed};

pub(super) static APK: Package = Package {
    recognises: |archive| archive.format == "tar" && archive.has(".PKGINFO") && !archive.has(".MTREE"),
    placed,
    streams: Some(streams),
    repacked_streams: Some(repacked::streams),
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

/// The parts that apk-tools finds: one or more signatures, which depend on the key, then the control files, then the data.
fn streams(starts: &[Vec<u8>]) -> Vec<&'static str> {
    let part = |start: &Vec<u8>| {
        let name = start.get(..100).unwrap_or(start);
        let is_member = start.get(257..262) == Some(b"ustar");
        match name {
            [b'.', b'S', b'I', b'G', b'N', b'.', ..] => None,
            _ if !is_member => Some("not the beginning of a member"),
            [b'.', rest @ ..] if !rest.contains(&b'/') => Some("control files"),
            _ => Some("data"),
        }
    };
    starts.iter().filter_map(part).collect()
}
