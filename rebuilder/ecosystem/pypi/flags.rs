//! Words on the command line that a setup script looks for by itself.
//!
//! Some scripts build a pre-release of another name unless they find a word of their own on the command line. No
//! document of a release has that command line; the script alone tells which words it may have had.

use std::io;
use std::str::FromStr as _;

use packageurl::PackageUrl;
use pep508_rs::PackageName;

use super::sdist;
use super::source::{Place, Source};
use super::wheel::WheelFacts;
use super::{backend, document};
use crate::ecosystem::PlanError;
use crate::plan::{Origin, assume};
use crate::store::Blob;

/// Maximum number of words of a script that are tried.
pub(super) const MOST: usize = 3;

/// Number of characters behind a word in which a script says where it looks for it.
const NEAR: usize = 40;

/// A word, and whether the name of the project follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flag {
    word: String,
    named: bool,
}

impl Source {
    /// The same source, whose setup script finds the word of this number on its command line, if it looks for as many.
    pub(super) fn with_flag(
        mut self,
        purl: &str,
        sdist: Option<&Blob>,
        facts: &WheelFacts,
        (number, origin): &(usize, Origin),
    ) -> Result<Self, PlanError> {
        if !backend::by_setuptools(&facts.generator) {
            return Ok(self);
        }
        if let (Place::Sdist(file), Some(blob)) = (&self.place, sdist) {
            let name = &file.file.name;
            // Python does not run a script that is not UTF-8.
            self.setup = match sdist::top_file(name, &blob.path, "setup.py") {
                Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                    return Err(document(purl, name, &error));
                }
                read => read.ok().flatten(),
            };
        }
        let found = looked_for(self.setup.as_deref().unwrap_or_default());
        if let Some(flag) = found.into_iter().nth(*number) {
            self.arguments = vec![flag.word];
            if flag.named && is_of(purl, &facts.name) {
                self.arguments.push(facts.name.clone());
            }
            let value = self.arguments.join(" ");
            self.assumptions
                .push(assume("command line of setup.py", value, origin.clone()));
        }
        Ok(self)
    }
}

/// Whether a name, however it is spelt, is that of the project.
fn is_of(purl: &str, name: &str) -> bool {
    let normal = |name: &str| PackageName::from_str(name).ok();
    let project = PackageUrl::from_str(purl).ok();
    normal(name).is_some() && normal(name) == project.and_then(|purl| normal(purl.name()))
}

/// The words that a setup script looks for: `"--word" in sys.argv`, or a switch of a parser of its own that leaves the
/// rest to setuptools.
fn looked_for(setup: &str) -> Vec<Flag> {
    let tight = without_spaces(setup);
    let parses = tight.contains("parse_known_args(");
    let mut found: Vec<Flag> = Vec::new();
    for quote in ['\'', '"'] {
        for (at, _) in setup.match_indices(&format!("{quote}--")) {
            let Some((head, literal)) = setup.split_at_checked(at) else {
                continue;
            };
            let Some((word, after)) = literal.get(1..).and_then(|rest| rest.split_once(quote)) else {
                continue;
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if word.len() < 4 || !word.chars().all(plain) || found.iter().any(|flag| flag.word == word) {
                continue;
            }
            let call = after.split(')').next().unwrap_or_default();
            let switch = parses && head.trim_end().ends_with("add_argument(") && call.contains("store_true");
            // Whoever asks where a word is wants what follows it.
            let valued =
                tight.contains(&format!("argv.index({quote}{word}{quote})")) && tight.contains("+1]");
            let named = valued && word.contains("name");
            let next: String = after.chars().take(NEAR).collect();
            let asked = without_spaces(&next).starts_with("insys.argv");
            if switch || (asked && (named || !valued)) {
                found.push(Flag {
                    word: word.to_owned(),
                    named,
                });
            }
        }
    }
    found
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_project_follows_a_word() {
        for (name, expected) in [
            ("My_Package", true),
            ("my.package", true),
            ("other", false),
            ("my-package --evil", false),
            ("--evil", false),
        ] {
            assert_eq!(is_of("pkg:pypi/my-package@1.0", name), expected, "{name}");
        }
    }

    #[test]
    fn a_setup_tells_which_words_it_looks_for() {
        let release = "if '--release' in sys.argv:\n  release = True\n  sys.argv.remove('--release')\n";
        let name = "if \"--project_name\" in sys.argv:\n  at = sys.argv.index(\"--project_name\")\n  \
                    project_name = sys.argv[at + 1]\n";
        let other = "if '--abi' in sys.argv:\n  abi = sys.argv[sys.argv.index('--abi') + 1]\n";
        let parser = "parser.add_argument(\n  '--release',\n  help='(x',\n  action='store_true')\n\
                      parser.add_argument('--to', default='.')\nFLAGS, rest = parser.parse_known_args()\n";
        for (setup, expected) in [
            (release, &["--release"][..]),
            (name, &["--project_name NAME"]),
            (other, &[]),
            (parser, &["--release"]),
            ("x = ['--release', 'in sys.argv']", &[]),
            ("parser.add_argument('--release', action='store_true')", &[]),
            ("if '--a b' in sys.argv: pass", &[]),
            ("if '--", &[]),
            ("", &[]),
        ] {
            let found: Vec<_> = looked_for(setup)
                .into_iter()
                .map(|flag| format!("{}{}", flag.word, if flag.named { " NAME" } else { "" }))
                .collect();
            assert_eq!(found, expected, "{setup}");
        }
        assert_eq!(looked_for(&format!("{release}{release}{name}")).len(), 2);
    }
}
