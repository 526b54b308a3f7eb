//! The fields of an archive's `Release` and `InRelease`.

use super::control::Form;

pub(super) const RELEASE: Form = Form {
    name: "Release files",
    required: &[&["Suite", "Codename"], &["Date"], &["SHA256"]],
    others: &[
        "Acquire-By-Hash",
        "Architectures",
        "ButAutomaticUpgrades",
        "Changelogs",
        "Components",
        "Description",
        "Label",
        "MD5Sum",
        "No-Support-for-Architecture-all",
        "NotAutomatic",
        "Origin",
        "SHA1",
        "SHA512",
        "Signed-By",
        "Snapshots",
        "Valid-Until",
        "Version",
    ],
    formats: &[],
};
