//! Compares the names that evidence gives to files with their names here.
//!
//! Bytes and names are two things: a signer who calls these bytes "tool-1.0-vulnerable" has not released them as
//! "tool". If a specification makes the name part of what is signed, another name refuses the evidence; if names are
//! free, as in SLSA provenance, the reader is told.

use std::str::FromStr as _;

use packageurl::PackageUrl;

use super::Artifact;
use crate::evidence::statement::Descriptor;

/// The names of some subjects, each once.
pub(super) fn labels<'a>(subjects: impl Iterator<Item = &'a Descriptor>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for subject in subjects {
        let label = subject.label().to_owned();
        if !labels.contains(&label) && labels.len() < 20 {
            labels.push(label);
        }
    }
    labels
}

/// A sentence if no subject has the artifact's name; `None` if one has it, or if none has a name.
pub(super) fn differs(subjects: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let asked = |name: &String| !name.starts_with("sha256:");
    if artifact.purl.is_none() && !asked(&artifact.name) {
        return None;
    }
    let answers: Vec<(&Descriptor, bool)> = subjects
        .iter()
        .filter_map(|subject| Some((*subject, is_called(subject, artifact)?)))
        .collect();
    if answers.iter().any(|(_, same)| *same) {
        return None;
    }
    let (first, _) = answers.first()?;
    let own = Some(&artifact.name)
        .filter(|name| asked(name))
        .or(artifact.purl.as_ref())?;
    Some(format!("it calls these bytes {:?}, not {own:?}", first.label()))
}

/// A sentence if lines of a list put the artifact into a folder, and none names it alone: a folder's name may carry a
/// meaning too, as in "known-malware/tool".
pub(super) fn in_folder(files: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let named = |file: &&&Descriptor| file.label() == artifact.name;
    if artifact.name.starts_with("sha256:") || files.iter().any(|file| named(&file)) {
        return None;
    }
    let path = files
        .iter()
        .map(|file| file.label())
        .find(|name| name.contains('/'))?;
    Some(format!("it calls these bytes {path:?}, not {:?}", artifact.name))
}

/// Whether a subject has the artifact's name; `None` if it has no name.
fn is_called(subject: &Descriptor, artifact: &Artifact) -> Option<bool> {
    let names: Vec<&str> = [subject.given_name(), subject.uri.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    if names.is_empty() {
        return None;
    }
    Some(names.iter().any(|name| {
        if let Ok(purl) = PackageUrl::from_str(name) {
            return match asked_for(artifact) {
                Some(wanted) => {
                    same_package(&purl, &wanted) && of_version(&purl, &artifact.name) != Some(false)
                }
                None => of_version(&purl, &artifact.name) == Some(true),
            };
        }
        let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
        // An artifact that was asked for by its package URL alone has no file name to compare.
        file == artifact.name || (artifact.name.starts_with("sha256:") && artifact.purl.is_some())
    }))
}

pub(super) fn asked_for(artifact: &Artifact) -> Option<PackageUrl<'_>> {
    PackageUrl::from_str(artifact.purl.as_deref()?).ok()
}

/// Whether a package is the wanted one; without a version, any version is wanted.
pub(super) fn same_package(own: &PackageUrl<'_>, wanted: &PackageUrl<'_>) -> bool {
    same_name(own, wanted) && (wanted.version().is_none() || own.version() == wanted.version())
}

/// Whether two package URLs name the same package, in whatever version.
fn same_name(one: &PackageUrl<'_>, other: &PackageUrl<'_>) -> bool {
    one.ty() == other.ty() && one.namespace() == other.namespace() && one.name() == other.name()
}

/// Whether a file's name may be that of a file of the package.
pub(super) fn may_be_of(purl: &PackageUrl<'_>, file: &str) -> bool {
    of_version(purl, file).is_some()
}

/// Whether a file's name, which begins like the package's (with or without its namespace), has the package's version,
/// or no version; `None` if the name is another one.
pub(super) fn of_version(purl: &PackageUrl<'_>, file: &str) -> Option<bool> {
    let plain = |text: &str| -> String {
        text.to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric())
            .collect()
    };
    let name = plain(purl.name());
    let scoped = format!("{}{name}", purl.namespace().map(plain).unwrap_or_default());
    let rest = behind(file, &scoped).or_else(|| behind(file, &name))?;
    // "tool" is not the beginning of "toolbox".
    let is_longer = rest.starts_with(char::is_alphabetic) && without_v(rest) == rest;
    if is_longer {
        return Some(false);
    }
    // Debian leaves the epoch out of file names.
    let version = purl
        .version()
        .map(|version| version.split_once(':').map_or(version, |(_, rest)| rest));
    Some(!has_version(rest) || version.is_none_or(|version| is_version(rest, version)))
}

/// What is left of a file's name behind letters and digits, whatever stands between these.
fn behind<'f>(file: &'f str, name: &str) -> Option<&'f str> {
    let mut wanted = name.chars();
    let mut rest = file;
    let mut next = wanted.next();
    while let Some(letter) = next {
        let c = rest.chars().next()?;
        rest = rest.get(c.len_utf8()..)?;
        if c.is_alphanumeric() {
            if !c.to_lowercase().eq(std::iter::once(letter)) {
                return None;
            }
            next = wanted.next();
        }
    }
    Some(rest)
}

/// Whether a part of a name begins with a digit, other than its ending (`tar.bz2`, `7z`).
fn has_version(rest: &str) -> bool {
    let (start, ending) = rest.rsplit_once('.').unwrap_or((rest, ""));
    let is_ending = ending.contains(|c: char| c.is_ascii_alphabetic());
    let mut parts = if is_ending { start } else { rest }.split(['-', '_', '.', '+', '~']);
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    parts.any(|part| digit(part) || digit(part.trim_start_matches('v')))
}

/// Whether a text begins with a version, and not with a longer one (`1.0` in `-1.0.1.tgz`, `3.1` in `-3.10.tar.gz`). What
/// stands between numbers and words may differ: `1.0-rc1` is `1.0rc1`.
fn is_version(rest: &str, version: &str) -> bool {
    let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut left = without_v(rest);
    for wanted in runs(without_v(version)) {
        let mut all = runs(left);
        let Some(found) = all.next().filter(|found| found.eq_ignore_ascii_case(wanted)) else {
            return false;
        };
        let Some((_, behind)) = left.split_once(found) else {
            return false;
        };
        left = behind;
    }
    // A further number makes it a longer version, unless it is zero; the last part may be an ending.
    let mut parts = left.strip_prefix('.').unwrap_or_default().split('.').peekable();
    while let Some(part) = parts.next() {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && part.bytes().all(|byte| byte == b'0') {
            continue;
        }
        let begins = part.starts_with(|c: char| c.is_ascii_digit());
        return !begins || !is_number && parts.peek().is_none();
    }
    true
}

/// A version as most write it: tags put a letter before it.
fn without_v(text: &str) -> &str {
    let plain = text.strip_prefix(['v', 'V']);
    plain
        .filter(|plain| plain.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(text)
}

/// The numbers and words in a text, in their order.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut left = text;
    std::iter::from_fn(move || {
        left = left.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = left.chars().next()?;
        let is_same = |c: char| c.is_alphanumeric() && c.is_ascii_digit() == first.is_ascii_digit();
        let end = left.find(|c: char| !is_same(c)).unwrap_or(left.len());
        let (run, rest) = left.split_at_checked(end)?;
        left = rest;
        Some(run)
    })
}

/// Whether a subject's name is that of another package than the one that was asked for, or of a released file of another: a
/// package URL, or a name of the same form that has a version in it. Names of no such form may be anything.
pub(super) fn is_of_another(label: &str, artifact: &Artifact) -> bool {
    let Some(wanted) = asked_for(artifact) else {
        return false;
    };
    if let Ok(purl) = PackageUrl::from_str(label) {
        // Debian leaves the epoch out of file names, and some out of package URLs.
        let version = |purl: &PackageUrl<'_>| {
            let version = purl.version()?;
            Some(
                version
                    .split_once(':')
                    .map_or(version, |(_, rest)| rest)
                    .to_owned(),
            )
        };
        let versions = version(&purl).zip(version(&wanted));
        return !same_name(&purl, &wanted) || versions.is_some_and(|(own, wanted)| own != wanted);
    }
    let file = label.rsplit(['/', '\\']).next().unwrap_or_default();
    let ending = artifact.name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let same_form = !ending.is_empty() && file.rsplit_once('.').is_some_and(|(_, own)| own == ending);
    let mut parts = file.split(['-', '_']).skip(1);
    let has_version = parts.any(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    // A registry may write the version in another way. A name that begins otherwise is that of another package, also if
    // the file lies here under it.
    match of_version(&wanted, file) {
        Some(true) => false,
        Some(false) => file != artifact.name && same_form && has_version,
        None => same_form && has_version,
    }
}

/// A sentence if the subjects name packages, and none of them is the one that was asked for.
pub(super) fn other_package(subjects: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let wanted = asked_for(artifact)?;
    let named: Vec<_> = subjects
        .iter()
        .filter_map(|subject| PackageUrl::from_str(subject.name.as_deref()?).ok())
        .collect();
    let other = named
        .first()
        .filter(|_| !named.iter().any(|purl| same_package(purl, &wanted)))?;
    Some(format!("it names these bytes {other}, not {wanted}"))
}

/// A sentence if no subject has the distribution file's name (PEP 740), with the projects' names normalised.
pub(super) fn other_distribution(subjects: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    if artifact.name.starts_with("sha256:") {
        return None;
    }
    let own = distribution(&artifact.name);
    let named = |subject: &&&Descriptor| {
        subject
            .name
            .as_deref()
            .is_some_and(|name| distribution(name) == own)
    };
    if subjects.iter().any(|subject| named(&subject)) {
        return None;
    }
    let other = subjects.first()?.label();
    Some(format!("it names these bytes {other:?}, not {:?}", artifact.name))
}

/// A sentence if a statement lists the artifact's name with other bytes, and the artifact's bytes only under other
/// names.
pub(super) fn swapped(all: &[Descriptor], same: &[&Descriptor], artifact: &Artifact) -> Option<String> {
    let is_own = |subject: &Descriptor| {
        let name = subject.given_name().unwrap_or_default();
        name.rsplit(['/', '\\']).next() == Some(artifact.name.as_str())
    };
    if same.iter().any(|subject| is_own(subject)) {
        return None;
    }
    let other = |subject: &&Descriptor| is_own(subject) && subject.names_other(&artifact.digests);
    all.iter().find(other)?;
    Some(format!(
        "it lists {:?} with other bytes, and these as {:?}",
        artifact.name,
        same.first()?.label()
    ))
}

/// A distribution's file name with its project's name normalised (PEP 503), as the index compares them.
pub(super) fn distribution(file: &str) -> String {
    let split = if file.ends_with(".whl") {
        file.split_once('-')
    } else {
        file.rsplit_once('-')
    };
    let Some((project, rest)) = split else {
        return file.to_owned();
    };
    let mut name = String::new();
    for c in project.to_lowercase().chars() {
        match c {
            '-' | '_' | '.' if name.ends_with('-') => {}
            '-' | '_' | '.' => name.push('-'),
            c => name.push(c),
        }
    }
    format!("{name}-{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Digests;

    #[test]
    fn tells_another_name_from_the_same() {
        for (file, purl, subject, differs) in [
            ("tool", None, "tool", false),
            ("tool", None, "dist/tool", false),
            ("tool", None, "tool-1.0-vulnerable.tar.gz", true),
            ("tool", None, "Tool", true),
            ("tool", None, "pkg:npm/other@1.0", true),
            ("tool", None, "pkg:npm/tool@1.0", false),
            ("tool-1.0.tgz", None, "pkg:npm/tool@1.0", false),
            ("tool-1.0.tgz", None, "pkg:npm/tool@1.1", true),
            ("tool-1.0.tgz", None, "pkg:npm/%40scope/tool@1.0", false),
            ("scope-tool-1.0.tgz", None, "pkg:npm/%40scope/tool@1.0", false),
            (
                "jq_1.6-2.1_amd64.deb",
                None,
                "pkg:deb/debian/jq@1:1.6-2.1?arch=amd64",
                false,
            ),
            ("x", Some("pkg:npm/tool@1.0"), "pkg:npm/tool@1.0", false),
            ("x", Some("pkg:npm/tool"), "pkg:npm/tool@1.0", false),
            ("x", Some("pkg:npm/tool"), "pkg:npm/other@1.0", true),
            ("x", Some("pkg:npm/tool@1.0"), "pkg:npm/tool", true),
            ("tool-1.0.tgz", Some("pkg:npm/tool@1.0"), "pkg:npm/tool@1.1", true),
            ("sha256:00", None, "anything", false),
            ("sha256:00", Some("pkg:npm/tool@1.0"), "pkg:npm/other@1.0", true),
        ] {
            let artifact = Artifact {
                name: file.into(),
                purl: purl.map(str::to_owned),
                digests: Digests::of(b"x"),
                path: None,
            };
            let subject = Descriptor {
                name: Some(subject.into()),
                ..Descriptor::default()
            };
            assert_eq!(
                super::differs(&[&subject], &artifact).is_some(),
                differs,
                "{file} {purl:?} {subject:?}"
            );
        }
    }

    #[test]
    fn tells_another_package_from_a_free_name() {
        for (file, purl, label, another) in [
            (
                "left-pad-1.3.0.tgz",
                "pkg:npm/left-pad@1.3.0",
                "left-pad-1.3.0.tgz",
                false,
            ),
            (
                "left-pad-1.3.0.tgz",
                "pkg:npm/left-pad@1.3.0",
                "dist/left-pad-1.3.0.tgz",
                false,
            ),
            (
                "left-pad-1.3.0.tgz",
                "pkg:npm/left-pad@1.3.0",
                "pkg:npm/left-pad@1.3.0",
                false,
            ),
            (
                "left-pad-1.3.0.tgz",
                "pkg:npm/left-pad@1.3.0",
                "pkg:npm/evil@1.0.0",
                true,
            ),
            (
                "left-pad-1.3.0.tgz",
                "pkg:npm/left-pad@1.3.0",
                "evil-1.0.0.tgz",
                true,
            ),
            (
                "left-pad-1.3.0.tgz",
                "pkg:npm/left-pad@1.3.0",
                "left-pad-1.2.0.tgz",
                true,
            ),
            (
                "left-pad-1.3.0.tgz",
                "pkg:npm/left-pad@1.3.0",
                "package.tgz",
                false,
            ),
            ("left-pad-1.3.0.tgz", "pkg:npm/left-pad@1.3.0", "_", false),
            ("b-1.0.0.tgz", "pkg:npm/%40a/b@1.0.0", "a-b-1.0.0.tgz", false),
            (
                "Idna-3.10-py3-none-any.whl",
                "pkg:pypi/idna@3.10",
                "idna-3.10-py3-none-any.whl",
                false,
            ),
            (
                "idna-3.10-py3-none-any.whl",
                "pkg:pypi/idna@3.10",
                "idna2-3.10-py3-none-any.whl",
                true,
            ),
            (
                "jq_1.6-2_amd64.deb",
                "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
                "build/jq_1.6-2_amd64.deb",
                false,
            ),
            (
                "jq_1.6-2_amd64.deb",
                "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
                "jq_1.5-2_amd64.deb",
                true,
            ),
            (
                "jq_1.6-2_amd64.deb",
                "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
                "pkg:deb/debian/jq@1.6-2",
                false,
            ),
            (
                "jq_1.6-2_amd64.deb",
                "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
                "pkg:deb/debian/jq",
                false,
            ),
            (
                "x-1.0.0.crate",
                "pkg:cargo/x@1.0.0",
                "/target/package/x-1.0.0.crate",
                false,
            ),
            ("x-1.0.0.crate", "pkg:cargo/x@1.0.0", "y-1.0.0.crate", true),
            ("y-1.0.0.crate", "pkg:cargo/x@1.0.0", "y-1.0.0.crate", true),
            ("x-1.00.tgz", "pkg:npm/x@1.0.0", "x-1.00.tgz", false),
        ] {
            let artifact = Artifact {
                name: file.into(),
                purl: Some(purl.into()),
                digests: Digests::of(b"x"),
                path: None,
            };
            assert_eq!(is_of_another(label, &artifact), another, "{file} {label}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn a_version_is_no_beginning_of_a_longer_one() {
        for (purl, file, expected) in [
            ("pkg:pypi/idna@3.1", "idna-3.1-py3-none-any.whl", Some(true)),
            ("pkg:pypi/idna@3.1", "idna-3.10-py3-none-any.whl", Some(false)),
            ("pkg:pypi/idna@3.10", "idna-3.1.tar.gz", Some(false)),
            ("pkg:pypi/idna@3.10rc1", "idna-3.10rc1.tar.gz", Some(true)),
            ("pkg:pypi/idna@3.10-rc1", "idna-3.10rc1.tar.gz", Some(true)),
            ("pkg:pypi/a@1.0%2Blocal", "a-1.0+local-py3-none-any.whl", Some(true)),
            ("pkg:generic/app@1.0", "app-1.0.tar.gz", Some(true)),
            ("pkg:generic/app@1.0", "app-1.0.7z", Some(true)),
            ("pkg:pypi/app@1.0", "app-1.0.0.tar.gz", Some(true)),
            ("pkg:pypi/app@1.0", "app-1.0.0.1.tar.gz", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0.1.tar.gz", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0.1", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0.1rc1.zip", Some(false)),
            ("pkg:generic/app@1.0.0", "app-10.0.tar.gz", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0-linux-amd64.tar.gz", Some(true)),
            ("pkg:github/o/app@v1.0", "app-1.0.zip", Some(true)),
            ("pkg:generic/app@1.0", "app_v1.0.zip", Some(true)),
            ("pkg:generic/app@1.0", "app.tar.bz2", Some(true)),
            ("pkg:generic/app@1.0", "app", Some(true)),
            ("pkg:generic/app", "application-1.0.zip", Some(false)),
            ("pkg:generic/app@1.0", "appliance", Some(false)),
            ("pkg:npm/tool@1.0.0", "tool-evil-1.0.0.tgz", Some(false)),
            ("pkg:npm/%40scope/tool@1.0.0", "scope-tool-1.0.0.tgz", Some(true)),
            ("pkg:deb/debian/jq@1:1.6-2.1%2Bdeb12u2", "jq_1.6-2.1+deb12u2_amd64.deb", Some(true)),
            ("pkg:deb/debian/jq@1:1.6-2.1", "jq_1.6-2_amd64.deb", Some(false)),
            ("pkg:npm/tool@1.0.0", "other-1.0.0.tgz", None),
            ("pkg:npm/tool@1.0.0", "toolé-1.0.0.tgz", Some(false)),
            ("pkg:npm/tool@1.0.0", "too", None),
            ("pkg:npm/tool", "tool-\u{202e}1.0", Some(true)),
        ] {
            let purl = PackageUrl::from_str(purl).unwrap();
            assert_eq!(of_version(&purl, file), expected, "{purl} {file}");
        }
    }

    #[test]
    fn a_folder_in_a_list_is_told() {
        for (paths, told) in [
            (&["tool"][..], None),
            (&["dist/tool"], Some("dist/tool")),
            (&["x", "known-good/tool"], Some("known-good/tool")),
            (&["staging/tool", "tool"], None),
        ] {
            let artifact = Artifact {
                name: "tool".into(),
                purl: None,
                digests: Digests::of(b"x"),
                path: None,
            };
            let files: Vec<_> = paths
                .iter()
                .map(|path| Descriptor {
                    name: Some((*path).into()),
                    ..Descriptor::default()
                })
                .collect();
            let found = in_folder(&files.iter().collect::<Vec<_>>(), &artifact);
            assert_eq!(found.is_some(), told.is_some(), "{paths:?}");
            assert!(
                found.unwrap_or_default().contains(told.unwrap_or_default()),
                "{paths:?}"
            );
        }
    }

    #[test]
    fn compares_distributions_as_the_index_does() {
        for (a, b, same) in [
            ("Foo.Bar-1.0.tar.gz", "foo_bar-1.0.tar.gz", true),
            (
                "foo_bar-1.0-py3-none-any.whl",
                "Foo_Bar-1.0-py3-none-any.whl",
                true,
            ),
            ("foo-1.0.tar.gz", "foo-1.1.tar.gz", false),
            ("foo-1.0.tar.gz", "foo-1.0.zip", false),
            ("foo", "foo-1.0.tar.gz", false),
        ] {
            assert_eq!(distribution(a) == distribution(b), same, "{a} {b}");
        }
    }
}
