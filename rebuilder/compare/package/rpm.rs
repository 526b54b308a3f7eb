//! RPM packages: fields of the two headers, with the names from the format's reader.

use super::text::{Field, Lines, Text};
use super::{Meaning, Package};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::{Claim, Claims, Files};
use crate::compare::conclude::SIZES;
use crate::compare::finding::Finding;

pub(super) static RPM: Package = Package {
    recognises: |archive| archive.format == "rpm",
    text: |located| {
        let text = Text {
            known,
            ..Text::of(Lines::Fields)
        };
        match located.top()? {
            "header" => Some(text),
            "signature" => Some(Text {
                every: on_one_side,
                known: known_of_signature,
                ..text
            }),
            _ => None,
        }
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
        "reserved space" if is_zeros(field.released) && is_zeros(field.rebuilt) => finding
            .because(Cause::Signature, Confidence::Proven)
            .keyed("room for signatures"),
        "build time" | "file mtime" => finding
            .because(Cause::Timestamp, Confidence::Proven)
            .keyed(format!("rpm: {}", field.name)),
        _ => return None,
    })
}

/// In the signature header, sizes are those of the compressed and the unpacked package, which the format's reader
/// recomputes.
fn known_of_signature(field: &Field) -> Option<Finding> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if field.name == "size" && is_number(field.released) && is_number(field.rebuilt) {
        let finding = field.finding().because(Cause::Checksum, Confidence::Likely);
        return Some(
            finding
                .keyed("checksum of another part of the package")
                .following(),
        );
    }
    known(field)
}

/// A signature that only one side has; the format's reader has checked its form.
fn on_one_side(finding: &mut Finding) {
    let (released, rebuilt) = (&finding.released, &finding.rebuilt);
    let line = match (released.is_empty(), rebuilt.is_empty()) {
        (true, false) => rebuilt,
        (false, true) => released,
        _ => return,
    };
    let signature = line.strip_prefix("signature: ");
    if signature.is_some_and(|hex| hex.starts_with(['8', 'c'])) {
        finding.cause = Cause::Signature;
        finding.key = "signature of the package".into();
    }
}

/// How the format's reader writes bytes that are all zero.
fn is_zeros(value: &str) -> bool {
    let count = value.strip_suffix(" zeros");
    count.is_some_and(|count| count.bytes().all(|byte| byte.is_ascii_digit()))
}
