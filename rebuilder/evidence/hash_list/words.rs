//! Messages in names, folders and fields: a signer can disown a file in any of them.

use std::collections::BTreeSet;

use crate::evidence::json::case_folded;

/// Maximum number of parts of a line's path.
const PARTS: usize = 8;

/// Whether the folders of a path are ordinary folders: a signer can write a sentence before the last slash.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let (_, folders) = parts.split_last().unwrap_or((&"", &[]));
    let plain = |part: &&str| {
        let conservative = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
        !part.is_empty()
            && **part != *"."
            && **part != *".."
            && part.len() <= 64
            && part.chars().all(conservative)
    };
    parts.len() <= PARTS && folders.iter().all(plain)
}

/// Words with which a signer disowns a file or warns of it. No such list is complete, so comments, folders and fields
/// must also have certain forms.
const WARNINGS: [&str; 73] = [
    "advisory",
    "avoid",
    "backdoor",
    "backdoored",
    "bad",
    "banned",
    "beware",
    "blacklist",
    "blacklisted",
    "blocked",
    "blocklist",
    "bogus",
    "broken",
    "compromise",
    "compromised",
    "corrupt",
    "corrupted",
    "counterfeit",
    "danger",
    "dangerous",
    "defective",
    "denied",
    "deny",
    "denylist",
    "deprecated",
    "donotinstall",
    "donotuse",
    "dontuse",
    "exploited",
    "fake",
    "forged",
    "hacked",
    "harmful",
    "infected",
    "insecure",
    "invalid",
    "leaked",
    "malicious",
    "malware",
    "malwares",
    "poisoned",
    "quarantine",
    "quarantined",
    "recalled",
    "rejected",
    "repudiated",
    "retracted",
    "revocation",
    "revocations",
    "revoke",
    "revoked",
    "rogue",
    "rootkit",
    "scam",
    "spyware",
    "stolen",
    "suspicious",
    "tainted",
    "tampered",
    "trojan",
    "trojaned",
    "unauthorised",
    "unauthorized",
    "unsafe",
    "untrusted",
    "untrustworthy",
    "virus",
    "vuln",
    "vulnerabilities",
    "vulnerability",
    "vulnerable",
    "withdrawn",
    "yanked",
];

/// Looks for warnings in the words of a text, one after another.
pub(super) struct Words<'a> {
    /// Words that all files have in their names, such as "deny" in `cargo-deny`: the user asked for such a file and
    /// knows.
    own: &'a BTreeSet<String>,
    last: [String; 2],
}

impl<'a> Words<'a> {
    pub(super) fn new(own: &'a BTreeSet<String>) -> Self {
        let last = [String::new(), String::new()];
        Self { own, last }
    }

    /// Marks that the next text does not continue the last one.
    pub(super) fn pause(&mut self) {
        self.last = Default::default();
    }

    /// The first warning in another piece of text.
    pub(super) fn warning(&mut self, text: &str) -> Option<String> {
        // The label before each name in BSD's form does not count as a word.
        for word in words(text).filter(|word| word != "sha") {
            let [first, second] = &self.last;
            let negated = (first == "do" && matches!(second.as_str(), "not" | "nt"))
                || matches!(second.as_str(), "dont" | "never")
                || (first == "don" && second == "t");
            let asks = [
                "use", "install", "trust", "run", "download", "release", "ship", "deploy",
            ];
            if negated && asks.contains(&word.as_str()) {
                return Some(format!("not {word}"));
            }
            if WARNINGS.binary_search(&word.as_str()).is_ok() && !self.own.contains(&word) {
                return Some(word);
            }
            self.last.swap(0, 1);
            self.last[1] = word;
        }
        None
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(case_folded)
}

/// The warning in a text, if it has one.
pub(crate) fn warning(text: &str) -> Option<String> {
    Words::new(&BTreeSet::new()).warning(text)
}

/// The words that all of these names have in common.
pub(super) fn common_words<'a>(mut names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut common: BTreeSet<String> = names.next().map(|name| words(name).collect()).unwrap_or_default();
    for name in names {
        if common.is_empty() {
            break;
        }
        let own: BTreeSet<String> = words(name).collect();
        common.retain(|word| own.contains(word));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::super::HashList;
    use super::*;

    #[test]
    fn words_are_sorted() {
        assert!(WARNINGS.is_sorted(), "they are searched by halves");
    }

    #[test]
    fn ordinary_paths_carry_no_message() {
        let digits = "ab".repeat(32);
        for path in [
            "tool",
            "./tool",
            "dist/tool",
            "release/linux-x86_64/v1.0+deb~1/tool",
            "a/b/c/d/e/f/g/tool",
        ] {
            let text = format!("{digits}  {path}\n");
            let list = HashList::of_signed(text.as_bytes()).unwrap();
            let shown = path.strip_prefix("./").unwrap_or(path);
            assert_eq!(list.entries[0].name.as_deref(), Some(shown));
            let text = format!("SHA256 ({path}) = {digits}\n");
            assert!(HashList::of_signed(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn no_path_of_a_list_carries_a_message() {
        let (digits, zeros) = ("ab".repeat(32), "0".repeat(64));
        for path in [
            "REVOKED DO NOT USE/tool",
            "known-malware/tool",
            "MALWARE/tool",
            "Compromised_2026/tool",
            "dist/bad/tool",
            "x.vulnerable.y/tool",
            "infected2/tool",
            "blocked/tool",
            "deny/tool",
            "do-not-use/tool",
            "do/not/use/tool",
            "donotuse/tool",
            "dont.install/tool",
            "revo\u{212a}ed/tool",
            "mal\u{200b}ware/tool",
            "this is not ours/tool",
            "a\"b/tool",
            "a//tool",
            "./././tool",
            "a/./tool",
            "a/b/c/d/e/f/g/h/tool",
        ] {
            for text in [
                format!("{digits}  {path}\n"),
                format!("{digits} *{path}\n"),
                format!("SHA256 ({path}) = {digits}\n"),
                format!("{digits}  tool\n{zeros}  {path}\n"),
            ] {
                assert!(HashList::of_signed(text.as_bytes()).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn no_line_of_a_list_carries_a_message() {
        let (digits, zeros) = ("ab".repeat(32), "0".repeat(64));
        for text in [
            // Words in other lines count too.
            format!("{digits}  tool\n{zeros}  tool-is-malware\n"),
            format!("{digits}  tool\n{zeros}  do-not-use\n"),
            format!(
                "{zeros}  do\n{}  not\n{}  use\n{digits}  tool\n",
                "1".repeat(64),
                "2".repeat(64)
            ),
            format!(
                "SHA256 (do) = {zeros}\nSHA256 (not) = {zeros}\nSHA256 (use) = {zeros}\nSHA256 (tool) = {digits}\n"
            ),
            // Names of files do not count as words of comments.
            format!("{zeros}  ours\n{digits}  tool\n# ours, tool\n"),
            format!("# tool\n{digits}  tool\n"),
            format!("# tool: fine\n{digits}  tool\n"),
            format!("# other: 12 bytes\n{digits}  tool\n"),
            format!("# tool: 12 bytes, not ours\n{digits}  tool\n"),
            format!("; do not use\n{digits}  tool\n"),
            format!("# release\rnot ours\n{digits}  tool\n"),
            format!("# \u{202e}sdaolnwod\n{digits}  tool\n"),
        ] {
            assert!(HashList::of_signed(text.as_bytes()).is_err(), "{text}");
        }
        // A label that only some readers take for SHA256.
        assert!(HashList::parse(&format!("\u{17f}ha256 (tool) = {digits}\n")).is_err());
    }
}
