//! The fields of a `.buildinfo` (deb-buildinfo(5)).

use super::control::Form;

pub(super) const BUILDINFO: Form = Form {
    name: ".buildinfo files",
    required: &[
        &["Format"],
        &["Source"],
        &["Version"],
        &["Checksums-Sha256"],
        &["Installed-Build-Depends"],
    ],
    others: &[
        "Architecture",
        "Binary",
        "Binary-Only-Changes",
        "Build-Architecture",
        "Build-Date",
        "Build-Kernel-Version",
        "Build-Origin",
        "Build-Path",
        "Build-Tainted-By",
        "Checksums-Md5",
        "Checksums-Sha1",
        "Checksums-Sha512",
        "Environment",
    ],
    formats: &["1.0"],
};
