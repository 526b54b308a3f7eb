//! Checks the signature files and blocks of a signed jar (JAR File Specification, "Signed JAR File").

use std::collections::{BTreeMap, BTreeSet};

use super::form::Form;
use super::manifest::{Manifest, Section, Values};
use crate::compare::package::digest::{Algorithm, base64, of as digest};

/// A manifest, and its bytes.
pub(super) struct Signed<'a> {
    pub manifest: &'a Manifest,
    pub bytes: &'a [u8],
}

/// Whether the JVM takes a path for a signature file (`SF`) or a signature block: it must be directly in META-INF.
pub(super) fn kind(path: &str) -> Option<Kind> {
    let upper = path.to_ascii_uppercase();
    let name = upper
        .strip_prefix("META-INF/")
        .filter(|name| !name.contains('/'))?;
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty()).then_some(())?;
    match ending {
        "SF" => Some(Kind::File),
        "RSA" | "DSA" | "EC" => Some(Kind::Block),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Block,
}

/// Whether `bytes` are a signature file of this manifest: only digests, all of them correct.
pub(super) fn is_file(bytes: &[u8], of: &Signed) -> bool {
    Manifest::parse(bytes).is_ok_and(|file| signs(&file, of).is_some())
}

fn signs(file: &Manifest, of: &Signed) -> Option<()> {
    let first = file.main.attributes.first()?;
    let is_version = first.name.eq_ignore_ascii_case("Signature-Version") && Form::Version.has(&first.value);
    (is_version && file.unended.is_none()).then_some(())?;
    let (mut whole, mut main) = (None, None);
    for (name, values) in file.main.values() {
        let [value] = values.as_slice() else { return None };
        if let Some(algorithm) = name.strip_suffix("-digest-manifest") {
            let right = digest(Algorithm::named(algorithm)?, of.bytes) == base64(value)?;
            whole = Some(right && whole != Some(false));
        } else if let Some(algorithm) = name.strip_suffix("-digest-manifest-main-attributes") {
            let right = digest(Algorithm::named(algorithm)?, part(of, &of.manifest.main)) == base64(value)?;
            main = Some(right && main != Some(false));
        } else {
            let known = match name.as_str() {
                "signature-version" => true,
                "created-by" => Form::Tool.has(value),
                "x-android-apk-signed" => value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b", ".contains(&byte)),
                _ => false,
            };
            known.then_some(())?;
        }
    }
    // Sections that occur twice in the manifest are digested one after another.
    let mut signed: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for section in &of.manifest.sections {
        signed.entry(&section.name).or_default().extend(part(of, section));
    }
    let mut sections = BTreeSet::new();
    for section in &file.sections {
        let signed = signed.get(section.name.as_str())?;
        (sections.insert(&section.name) && are_right(&section.values(), signed)).then_some(())?;
    }
    // If another signer added sections to the manifest, it is verified section by section.
    let by_sections = main == Some(true) && !sections.is_empty();
    (whole == Some(true) || (whole == Some(false) && by_sections)).then_some(())
}

fn part<'a>(of: &Signed<'a>, section: &Section) -> &'a [u8] {
    of.bytes.get(section.bytes.clone()).unwrap_or_default()
}

/// Whether a section has only digests, and each is that of `signed`.
fn are_right(values: &Values, signed: &[u8]) -> bool {
    let is_right = |(name, values): (&String, &Vec<&str>)| {
        let algorithm = name.strip_suffix("-digest").and_then(Algorithm::named);
        let [value] = values.as_slice() else { return false };
        algorithm.is_some_and(|algorithm| base64(value) == Some(digest(algorithm, signed)))
    };
    !values.is_empty() && values.iter().all(is_right)
}
