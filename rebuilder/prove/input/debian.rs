//! How a Debian source tree is built.

/// As `dpkg-buildpackage` is run by the official builders; the packages end up beside the source.
pub(super) const BUILD: &str = "dpkg-buildpackage -us -uc -b\n";
