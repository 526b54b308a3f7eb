//! Debian's control files with digests: one paragraph with the fields of one form, and nothing else.

use std::collections::BTreeMap;

use super::buildinfo::BUILDINFO;
use super::changes::CHANGES;
use super::dsc::DSC;
use super::plain::{file_name, is_digits};
use super::release::RELEASE;
use super::value::{is_date, is_packages, is_source, is_token, is_version};
use super::words::{Words, common_words, is_plain_path};
use super::{HashList, HashListError, descriptor};
use crate::evidence::deb822;
use crate::evidence::statement::is_harmless;

/// The fields that contain the digests.
const DIGESTS: [&str; 2] = ["Checksums-Sha256", "SHA256"];

/// One of Debian's forms of control files.
pub(super) struct Form {
    /// Its name in messages.
    pub(super) name: &'static str,
    /// Required fields; of the fields in one entry, one is enough.
    pub(super) required: &'static [&'static [&'static str]],
    /// All other fields that are allowed.
    pub(super) others: &'static [&'static str],
    /// Allowed values of `Format`, if the form has that field.
    pub(super) formats: &'static [&'static str],
}

impl Form {
    fn has(&self, field: &str) -> bool {
        let required = self.required.iter().copied().flatten();
        required.chain(self.others).any(|known| *known == field)
    }
}

pub(super) fn is_field(name: &str) -> bool {
    [DSC, CHANGES, RELEASE]
        .iter()
        .any(|form| form.has(&known_case(name)))
}

/// A field's name in the spelling of the manuals; case does not matter in control files.
fn known_case(name: &str) -> String {
    let forms = [&DSC, &CHANGES, &RELEASE, &BUILDINFO];
    let known = forms
        .iter()
        .flat_map(|form| form.required.iter().copied().flatten().chain(form.others));
    let mut known = known.filter(|known| known.eq_ignore_ascii_case(name));
    known
        .next()
        .map_or_else(|| name.to_owned(), |name| (*name).to_owned())
}

/// The fields of a control file's single paragraph, each of which may occur once.
fn fields(text: &str) -> Result<Vec<(String, String)>, HashListError> {
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(HashListError::Control);
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.trim_end().lines() {
        if line.trim().is_empty() {
            return Err(HashListError::Unknown("(a second paragraph)".into()));
        }
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut().ok_or(HashListError::NoList)?;
            value.push('\n');
            value.push_str(line.trim());
            continue;
        }
        let unknown = || HashListError::Unknown(line.chars().take(60).collect());
        let (name, value) = line.split_once(':').ok_or_else(unknown)?;
        let name = known_case(name);
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(HashListError::Unknown(name));
        }
        fields.push((name, value.trim().to_owned()));
    }
    Ok(fields)
}

/// Whether a field's value looks like a usual one.
type Shape = fn(&str) -> bool;

/// Refuses a text without the fields of its form, or with fields that say more than they are for.
fn of_form(form: &Form, fields: &[(String, String)]) -> Result<(), HashListError> {
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    if let Some((name, _)) = fields.iter().find(|(name, _)| !form.has(name)) {
        return Err(HashListError::Unknown(name.chars().take(60).collect()));
    }
    let wrong = |field: &'static str| HashListError::Form {
        form: form.name,
        field,
    };
    for names in form.required {
        if !names.iter().any(|name| field(name).is_some()) {
            return Err(wrong(names.first().copied().unwrap_or_default()));
        }
    }
    if field("Format").is_some_and(|format| !form.formats.contains(&format)) {
        return Err(wrong("Format"));
    }
    let shapes: [(&'static str, Shape); 7] = [
        ("Source", is_source),
        ("Binary", is_packages),
        ("Version", is_version),
        ("Date", is_date),
        ("Suite", is_token),
        ("Codename", is_token),
        ("Distribution", is_token),
    ];
    for (name, shape) in shapes {
        if field(name).is_some_and(|value| !shape(value)) {
            return Err(wrong(name));
        }
    }
    let listed = fields
        .iter()
        .filter(|(name, _)| DIGESTS.contains(&name.as_str()))
        .flat_map(|(_, value)| value.lines())
        .filter_map(|line| line.split_whitespace().last());
    let listed: Vec<&str> = listed.collect();
    if listed.iter().any(|path| !is_plain_path(path)) {
        return Err(HashListError::Field("checksum field"));
    }
    let of_all = common_words(listed.iter().map(|path| file_name(path)));
    let mut said = Words::new(&of_all);
    for (_, value) in fields {
        // A sentence does not continue in the next field.
        said.pause();
        let mut words = value.split_whitespace().filter(|word| !is_digits(word));
        if let Some(word) = words.find_map(|word| said.warning(word)) {
            return Err(HashListError::Warning(word));
        }
    }
    Ok(())
}

/// Refuses a build record that says more than such a record may.
pub(crate) fn is_buildinfo(text: &[u8]) -> Result<(), HashListError> {
    let text = std::str::from_utf8(text).map_err(|_| HashListError::NoList)?;
    of_form(&BUILDINFO, &fields(text)?)
}

/// Reads one of Debian's control files: one paragraph with the fields of one form, and nothing else.
pub(super) fn control_file(text: &str) -> Result<HashList, HashListError> {
    let fields = fields(text)?;
    let has = |name: &str| fields.iter().any(|(known, _)| known == name);
    let form = if has("SHA256") {
        RELEASE
    } else if has("Changes") || has("Distribution") {
        CHANGES
    } else {
        DSC
    };
    of_form(&form, &fields)?;
    let mut entries = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (_, files) in fields.iter().filter(|(name, _)| DIGESTS.contains(&name.as_str())) {
        for (name, sha256, _) in
            deb822::checksums("the signed text", files).map_err(|_| HashListError::Field("checksum field"))?
        {
            if !is_harmless(&name) || !is_plain_path(&name) {
                return Err(HashListError::Field("checksum field"));
            }
            let digest = sha256.to_hex();
            let known = seen.insert(name.clone(), digest.clone());
            if known.is_some_and(|known| known != digest) {
                return Err(HashListError::Field("checksum field"));
            }
            entries.push(descriptor(&name, "sha256", &digest));
        }
    }
    Ok(HashList {
        entries,
        own: None,
        remark: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's four kinds of control files, each with a file `tool` or a list of packages.
    fn examples(digits: &str) -> [String; 4] {
        let dsc = format!(
            "Format: 3.0 (quilt)\nSource: tool\nBinary: tool, tool-doc\nArchitecture: any all\nVersion: 1:1.0-1\n\
             Maintainer: A B <a@example.org>\nBuild-Depends: debhelper-compat (= 13)\n\
             Checksums-Sha256:\n {digits} 8 tool\nFiles:\n {} 8 tool\n",
            "0".repeat(32)
        );
        let changes = format!(
            "Format: 1.8\nDate: Tue, 24 Nov 2026 00:00:00 +0000\nSource: tool\nBinary: tool\nArchitecture: source amd64\n\
             Version: 1.0-1\nDistribution: unstable\nUrgency: medium\nDescription:\n tool - does things\n\
             Changes:\n tool (1.0-1) unstable; urgency=medium\n .\n   * New release.\nChecksums-Sha256:\n {digits} 8 tool\n"
        );
        let release = format!(
            "Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 11 Jul 2026 09:58:59 UTC\n\
             Description: Debian 12.5\nSHA256:\n {digits} 8 main/binary-amd64/Packages\n"
        );
        let info = format!(
            "Format: 1.0\nSource: tool (1.0-1)\nBinary: tool\nVersion: 1.0-1+b1\nChecksums-Sha256:\n {digits} 8 tool\n\
             Build-Origin: Debian\nInstalled-Build-Depends:\n gcc (= 12.2)\nEnvironment:\n LANG=\"C\"\n"
        );
        [dsc, changes, release, info]
    }

    /// Variants of the text that each have another form, or carry a message.
    fn spoilt(text: &str, required: &[&str]) -> Vec<String> {
        let mut bad = Vec::new();
        for field in required {
            bad.push(text.replacen(&format!("{field}:"), "X-Other:", 1));
            bad.push(text.replacen(&format!("{field}:"), &format!("{field}: do not use "), 1));
            bad.push(text.replacen(&format!("{field}:"), &format!("{field}: malware "), 1));
        }
        for more in [
            "Comment: not ours\n",
            "X-Status: fine\n",
            "Description: MALWARE\n",
            "Origin: known malware feed\n",
            "Build-Origin: REVOKED\n",
            "Changes:\n Do not\n use.\n",
            "Uploaders: This Is Compromised\n",
            "Source: tool\n",
            "\nDo: not use\n",
        ] {
            bad.push(format!("{text}{more}"));
            bad.push(format!("{more}{text}"));
        }
        bad.push(text.replace('\n', "\r\n"));
        bad.push(
            text.replacen("8 tool", "8 malware/tool", 1)
                .replacen("8 main/", "8 malware/", 1),
        );
        bad.push(
            text.replacen("8 tool", "8 a|b/tool", 1)
                .replacen("8 main/", "8 a|b/", 1),
        );
        bad
    }

    #[test]
    fn debians_files_have_the_fields_of_their_form() {
        let digits = "ab".repeat(32);
        let [dsc, changes, release, info] = examples(&digits);
        let counts = |text: &str| {
            if text.contains("Installed-") {
                is_buildinfo(text.as_bytes()).is_ok()
            } else {
                HashList::of_signed(text.as_bytes()).is_ok()
            }
        };
        let mut bad: Vec<String> = vec![
            format!("Source: tool\nDescription: MALWARE do not use\nChecksums-Sha256:\n {digits} 8 tool\n"),
            format!("Origin: known malware feed\nSuite: stable\nSHA256:\n {digits} 8 tool\n"),
            format!("Source: tool\nChecksums-Sha256:\n {digits} 8 tool\n"),
            format!("SHA256:\n {digits} 8 tool\n"),
        ];
        for (text, required) in [
            (&dsc, &["Format", "Source", "Binary", "Version"][..]),
            (
                &changes,
                &["Format", "Date", "Source", "Version", "Distribution", "Changes"],
            ),
            (&release, &["Date"]),
            (&info, &["Format", "Source", "Version"]),
        ] {
            assert!(counts(text), "{text}");
            bad.extend(spoilt(text, required));
        }
        bad.push(changes.replacen("New release.", "This release is compromised.", 1));
        bad.push(changes.replacen("does things", "do not use", 1));
        bad.push(release.replacen("Debian 12.5", "vulnerable files", 1));
        bad.push(dsc.replacen("3.0 (quilt)", "3.0 (revoked)", 1));
        for text in bad {
            assert!(!counts(&text), "{text}");
        }
    }
}
