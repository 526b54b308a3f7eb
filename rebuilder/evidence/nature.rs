//! The nature of a statement, whoever signed it: the one table that says which role it can fill.
//!
//! A quorum needs rebuilds, and a statement of another nature does not count as one, however well it is signed and
//! whatever role the policy gives its signer. "No known vulnerabilities" in a file says nothing about how the file was
//! made.

use super::statement::predicate;

/// The nature of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nature {
    /// A builder says what it built, and from what.
    Provenance,
    /// A rebuilder says that it built the file again, and with which result.
    Rebuild,
    /// Digests of files; the list does not say how its author got them.
    HashList,
    /// A verifier says what it concluded from other statements.
    Summary,
    /// The result of some test.
    TestResult,
    /// What a scanner found or did not find.
    Scan,
    /// A registry or a forge says that it published the file.
    Release,
    /// How a revision of the source was made.
    Source,
    /// The components of the file.
    Inventory,
}

/// Predicate types by their nature; a type that ends with `*` stands for all of its versions.
///
/// Rebuilds also use types of other natures: SLSA provenance with a rebuilder's build type, test results with a plan,
/// and CycloneDX with declarations. The readers of these types tell them apart.
pub const TYPES: [(&str, Nature); 25] = [
    (predicate::SLSA_V01, Nature::Provenance),
    (predicate::SLSA_V02, Nature::Provenance),
    (predicate::SLSA_V1, Nature::Provenance),
    (predicate::LINK, Nature::Provenance),
    (predicate::REBUILD, Nature::Rebuild),
    (predicate::VSA, Nature::Summary),
    ("https://slsa.dev/verification_summary/v0.*", Nature::Summary),
    ("https://in-toto.io/attestation/svr/*", Nature::Summary),
    (predicate::TEST_RESULT, Nature::TestResult),
    ("https://in-toto.io/attestation/test-result/*", Nature::TestResult),
    ("https://in-toto.io/attestation/vuln/*", Nature::Scan),
    ("https://in-toto.io/attestation/vulns/*", Nature::Scan),
    ("https://cosign.sigstore.dev/attestation/vuln/*", Nature::Scan),
    ("https://openvex.dev/ns*", Nature::Scan),
    ("https://in-toto.io/attestation/scai/*", Nature::Scan),
    ("https://in-toto.io/attestation/runtime-trace/*", Nature::Scan),
    (predicate::NPM_PUBLISH, Nature::Release),
    (predicate::PYPI_PUBLISH, Nature::Release),
    (predicate::RELEASE_V01, Nature::Release),
    (predicate::RELEASE_V02, Nature::Release),
    ("https://in-toto.io/attestation/release/*", Nature::Release),
    (predicate::SOURCE_PROVENANCE, Nature::Source),
    ("https://slsa.dev/source_provenance/*", Nature::Source),
    ("https://spdx.dev/Document*", Nature::Inventory),
    ("https://cyclonedx.org/*", Nature::Inventory),
];

impl Nature {
    /// The nature of all statements with this predicate type, unless the content of one says more.
    pub fn of_type(predicate_type: &str) -> Option<Self> {
        let fits = |(known, _): &&(&str, Self)| match known.strip_suffix('*') {
            Some(start) => predicate_type.starts_with(start),
            None => predicate_type == *known,
        };
        TYPES.iter().find(fits).map(|(_, nature)| *nature)
    }

    /// The role in a quorum that such a statement alone fills. `None` if it fills none, or if it says too little and
    /// the policy has to name its author's role.
    pub fn role(self) -> Option<&'static str> {
        match self {
            Self::Provenance => Some("builder"),
            Self::Rebuild => Some("rebuilder"),
            Self::Summary => Some("verifier"),
            _ => None,
        }
    }

    /// Whether a party with this role in a policy can be counted for such a statement. Roles that the policy itself
    /// defines, such as `release-manager`, stand for anyone who got these bytes from a build.
    pub fn fills(self, role: &str) -> bool {
        let built = matches!(self, Self::Provenance | Self::Rebuild | Self::HashList);
        match role {
            "builder" => matches!(self, Self::Provenance | Self::HashList),
            "rebuilder" => matches!(self, Self::Rebuild | Self::HashList),
            "verifier" => self == Self::Summary,
            _ => built,
        }
    }

    /// A short description.
    pub fn words(self) -> &'static str {
        match self {
            Self::Provenance => "a builder's provenance",
            Self::Rebuild => "a rebuild",
            Self::HashList => "a list of digests",
            Self::Summary => "a verifier's summary",
            Self::TestResult => "the result of some test",
            Self::Scan => "the result of a scan",
            Self::Release => "a statement of who released it",
            Self::Source => "a statement about a revision of the source",
            Self::Inventory => "a bill of materials",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nature_fills_its_role_and_no_other() {
        use Nature::{HashList, Inventory, Provenance, Rebuild, Release, Scan, Source, Summary, TestResult};
        for (nature, role, filled) in [
            (Provenance, Some("builder"), &["builder", "release-manager"][..]),
            (Rebuild, Some("rebuilder"), &["rebuilder", "release-manager"]),
            (HashList, None, &["builder", "rebuilder", "release-manager"]),
            (Summary, Some("verifier"), &["verifier"]),
            (TestResult, None, &[]),
            (Scan, None, &[]),
            (Release, None, &[]),
            (Source, None, &[]),
            (Inventory, None, &[]),
        ] {
            assert_eq!(nature.role(), role, "{nature:?}");
            for asked in ["builder", "rebuilder", "verifier", "release-manager"] {
                assert_eq!(
                    nature.fills(asked),
                    filled.contains(&asked),
                    "{nature:?} as {asked}"
                );
            }
        }
    }

    #[test]
    fn versions_of_one_type_have_one_nature() {
        for (kind, nature) in [
            ("https://slsa.dev/verification_summary/v1", Some(Nature::Summary)),
            (
                "https://slsa.dev/verification_summary/v0.2",
                Some(Nature::Summary),
            ),
            (
                "https://in-toto.io/attestation/release/v0.2",
                Some(Nature::Release),
            ),
            (
                "https://cosign.sigstore.dev/attestation/vuln/v1",
                Some(Nature::Scan),
            ),
            ("https://cyclonedx.org/bom/v1.6", Some(Nature::Inventory)),
            ("https://slsa.dev/provenance/v0.1", Some(Nature::Provenance)),
            ("https://example.org/dance/v1", None),
        ] {
            assert_eq!(Nature::of_type(kind), nature, "{kind}");
        }
    }
}
