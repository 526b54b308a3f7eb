//! RPM packages: fields of the two headers, as the reader of the format names them.

use super::text::{Field, Lines, Text};
use super::{Meaning, Package};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::{Claim, Claims, Files};
use crate::compare::conclude::SIZES;
use crate::compare::finding::Finding;

pub(super) static RPM: Package = Package {
    recognises: |archive| archive.format == "rpm",
    text: |located| {
        matches!(located.top()?, "header" | "signature").then(|| Text {
            known,
            ..Text::of(Lines::Fields)
        })
    },
    meaning: |located, field| match (located.top()?, field) {
        ("header", "rpm version") => Some(Meaning::Tool),
        ("header", "provides" | "requires") => Some(Meaning::Dependency),
        _ => None,
    },
    ..Package::new("rpm")
};

fn known(field: &Field) -> Option<Finding> {
    let finding = field.finding();
    let is_digest = field.released.len() >= 32 && !field.released.contains(' ');
    let of_other_part = |finding: Finding| {
        finding
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("checksum of another part of the package")
            .following()
    };
    Some(match field.name {
        "size" => finding
            .because(Cause::Checksum, Confidence::Likely)
            .keyed(SIZES)
            .following(),
        "payload digest" => {
            let claim = |digest| Claim::hex("payload", digest);
            let claims = Claims::new(
                Some(claim(field.released)?),
                Some(claim(field.rebuilt)?),
                Files::Archive,
            );
            finding.claiming(claims)
        }
        "alternative payload digest" | "file digest" if is_digest => of_other_part(finding),
        name if name.starts_with("digest of ") => of_other_part(finding),
        "signature" => finding
            .because(Cause::Signature, Confidence::Proven)
            .keyed("signature of the package"),
        "build time" | "file mtime" => finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed(format!("rpm: {}", field.name)),
        _ => return None,
    })
}
