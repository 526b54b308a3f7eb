//! Reads the names that users give artifacts: package URLs, and the short form of each ecosystem.

use std::collections::BTreeMap;
use std::str::FromStr;

use packageurl::PackageUrl;

use super::{ALL, Forms, Named, Packaging};
use crate::artifact::{Ecosystem, Subject, SubjectError};
use crate::text::one_of;

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.starts_with("pkg:") {
            return from_purl(text);
        }
        for packaging in ALL {
            let Forms { short, separator, .. } = packaging.forms();
            let Some(rest) = text.strip_prefix(short).and_then(|rest| rest.strip_prefix(':')) else {
                continue;
            };
            // The last separator: the scope of an npm package begins with the same character.
            let (name, version) = match rest.rsplit_once(separator).filter(|(name, _)| !name.is_empty()) {
                Some((name, version)) => (name, Some(version.to_owned())),
                None => (rest, None),
            };
            return packaging.subject(&Named {
                text,
                namespace: None,
                name: name.to_owned(),
                version,
                qualifiers: BTreeMap::new(),
            });
        }
        Err(SubjectError::Unknown {
            text: text.to_owned(),
            forms: each(|packaging| {
                let forms = packaging.forms();
                format!("{}:NAME[{}VERSION]", forms.short, forms.separator)
            })
            .join(", "),
        })
    }
}

fn from_purl(text: &str) -> Result<Subject, SubjectError> {
    let not_purl = |reason: String| SubjectError::NotPurl {
        text: text.to_owned(),
        reason,
        forms: one_of(&each(|packaging| {
            let kind = purl_type(*packaging).join("/");
            format!("pkg:{kind}/NAME@VERSION{}", packaging.forms().qualifiers)
        })),
    };
    let purl = PackageUrl::from_str(text).map_err(|error| not_purl(error.to_string()))?;
    let unsupported = |kind: String| SubjectError::Unsupported {
        kind,
        text: text.to_owned(),
        types: each(|packaging| {
            purl_type(*packaging)
                .first()
                .copied()
                .unwrap_or_default()
                .to_owned()
        })
        .join(", "),
    };
    let packaging = ALL
        .iter()
        .find(|packaging| purl_type(**packaging).first() == Some(&purl.ty()));
    let packaging = packaging.ok_or_else(|| unsupported(purl.ty().to_owned()))?;
    let fixed = purl_type(*packaging).get(1).copied();
    let namespace = match (purl.namespace(), fixed) {
        (Some(other), Some(fixed)) if other != fixed => {
            return Err(unsupported(format!("{}/{other}", purl.ty())));
        }
        (_, Some(_)) => None,
        (namespace, None) => namespace.map(str::to_owned),
    };
    let qualifiers = purl.qualifiers().iter();
    packaging.subject(&Named {
        text,
        namespace,
        name: purl.name().to_owned(),
        version: purl.version().map(str::to_owned),
        qualifiers: qualifiers
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
    })
}

/// The type, with the namespace if it is fixed.
fn purl_type(packaging: &dyn Packaging) -> Vec<&'static str> {
    let ecosystem: Ecosystem = packaging.ecosystem();
    ecosystem.purl_type().unwrap_or_default().split('/').collect()
}

fn each(say: impl Fn(&&dyn Packaging) -> String) -> Vec<String> {
    ALL.iter().map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_writes_the_canonical_one() {
        let table = [
            ("deb:jq", "pkg:deb/debian/jq?arch=amd64&distro=bookworm"),
            (
                "deb:jq=1.6-2.1+deb12u2",
                "pkg:deb/debian/jq@1.6-2.1%2Bdeb12u2?arch=amd64&distro=bookworm",
            ),
            (
                "pkg:deb/debian/jq@1.6-2.1+deb12u2?arch=amd64&distro=bookworm",
                "pkg:deb/debian/jq@1.6-2.1%2Bdeb12u2?arch=amd64&distro=bookworm",
            ),
            (
                "pkg:deb/debian/dpkg@1:2.0?arch=arm64&distro=debian-13",
                "pkg:deb/debian/dpkg@1:2.0?arch=arm64&distro=trixie",
            ),
            ("npm:left-pad@1.3.0", "pkg:npm/left-pad@1.3.0"),
            ("npm:@scope/name@1.0.0", "pkg:npm/%40scope/name@1.0.0"),
            ("npm:@scope/name", "pkg:npm/%40scope/name"),
            ("pkg:npm/%40scope/name@1.0.0", "pkg:npm/%40scope/name@1.0.0"),
            ("crate:itoa@1.0.11", "pkg:cargo/itoa@1.0.11"),
            ("pkg:cargo/unicode-ident@1.0.12", "pkg:cargo/unicode-ident@1.0.12"),
            ("pypi:idna==3.10", "pkg:pypi/idna@3.10"),
            ("pypi:Typing_Extensions", "pkg:pypi/typing-extensions"),
            (
                "pkg:pypi/idna@3.10?file_name=idna-3.10-py3-none-any.whl",
                "pkg:pypi/idna@3.10?file_name=idna-3.10-py3-none-any.whl",
            ),
        ];
        for (text, canonical) in table {
            assert_eq!(
                text.parse::<Subject>().unwrap().purl().replace("%3A", ":"),
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn errors_list_every_form_of_the_table() {
        for (text, help) in [
            (
                "jq",
                "use a package URL (pkg:…), deb:NAME[=VERSION], pypi:NAME[==VERSION], npm:NAME[@VERSION], crate:NAME[@VERSION], ",
            ),
            (
                "pkg:",
                "write it as pkg:deb/debian/NAME@VERSION?arch=amd64&distro=bookworm, pkg:pypi/NAME@VERSION, pkg:npm/NAME@VERSION",
            ),
            ("pkg:gem/rails@1.0.0", "supported types: deb, pypi, npm, cargo"),
        ] {
            let error = text.parse::<Subject>().unwrap_err();
            let found = miette::Diagnostic::help(&error).unwrap().to_string();
            assert!(found.starts_with(help), "{found}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_rebuild() {
        for bad in [
            "jq",
            "deb:",
            "deb:../etc",
            "deb:jq=",
            "pypi:",
            "pypi:==1.0",
            "pypi:idna==",
            "pypi:idna==not a version",
            "crate:",
            "crate:../itoa@1.0.0",
            "crate:itoa@1.0",
            "npm:",
            "npm:../left-pad",
            "npm:left-pad@latest",
            "npm:scope/left-pad@1.0.0",
            "pkg:gem/rails@1.0.0",
            "pkg:deb/ubuntu/jq",
            "pkg:",
            "pkg:pypi/idna@3.10?file_name=../idna.whl",
        ] {
            assert!(bad.parse::<Subject>().is_err(), "{bad:?} was taken");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_subject_survives_its_purl(
            name in "[a-z0-9][a-z0-9+.-]{1,20}",
            version in "([1-9]:)?[0-9][0-9.]{0,6}(-[0-9]{1,2}(\\+deb12u[0-9])?(\\+b[0-9])?)?",
        ) {
            let subject: Subject = format!("deb:{name}={version}").parse().unwrap();
            proptest::prop_assert_eq!(subject.purl().parse::<Subject>().unwrap(), subject);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}", kind in "(pkg:|deb:|pypi:|pkg:deb/|)") {
            let _ = format!("{kind}{text}").parse::<Subject>();
        }
    }
}
