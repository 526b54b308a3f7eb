//! The fields of a `.changes` (deb-changes(5)).

use super::control::Form;

pub(super) const CHANGES: Form = Form {
    name: ".changes files",
    required: &[
        &["Format"],
        &["Date"],
        &["Source"],
        &["Version"],
        &["Distribution"],
        &["Changes"],
        &["Checksums-Sha256"],
    ],
    others: &[
        "Architecture",
        "Binary",
        "Binary-Only",
        "Built-For-Profiles",
        "Changed-By",
        "Checksums-Sha1",
        "Checksums-Sha512",
        "Closes",
        "Description",
        "Files",
        "Launchpad-Bugs-Fixed",
        "Maintainer",
        "Original-Maintainer",
        "Urgency",
    ],
    formats: &["1.8"],
};
