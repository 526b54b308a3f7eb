//! The rules: what a credential looks like. They are data (`rules.toml`), kept by the people of gitleaks.
//!
//! A rule is tried only near one of its keywords, all of which are searched for at once.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

/// How far before and after a keyword a rule is tried, if its matches have no greatest length.
const BEFORE: usize = 512;
const AFTER: usize = 4 << 10;
/// The same for private keys, which are long.
pub(super) const LONG: usize = 16 << 10;
/// How the rules for assignments begin: up to fifty characters of the name's beginning, which say nothing of the value.
/// Without them a rule begins with its keyword, which is found many times faster.
const NAME: &str = r"[\w.-]{0,50}?";
pub(super) const LONGEST_NAME: usize = 50;
/// Which rules are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Those for credentials of a known form.
    Precise,
    /// Also the one for anything that is called a key, token or password.
    All,
}

/// One rule.
#[derive(Debug, Deserialize)]
pub struct SecretRule {
    /// Its name.
    pub id: String,
    /// What it finds.
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub(super) regex: Option<String>,
    /// Files that it is about.
    #[serde(default)]
    path: Option<String>,
    /// Least entropy of the secret, in bits a character.
    #[serde(default)]
    pub(super) entropy: f64,
    #[serde(default)]
    pub(super) keywords: Vec<String>,
    #[serde(default, rename = "secretGroup")]
    pub(super) group: usize,
    #[serde(default)]
    pub(super) allowlists: Vec<Allow>,
    #[serde(skip)]
    compiled: OnceLock<Option<Compiled>>,
}

#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) regex: Regex,
    /// Whether [`NAME`] was taken off its beginning.
    pub(super) named: bool,
    pub(super) path: Option<Regex>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Allow {
    #[serde(default)]
    condition: String,
    #[serde(default, rename = "regexTarget")]
    target: String,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    stopwords: Vec<String>,
    #[serde(skip)]
    compiled: OnceLock<Exceptions>,
}

#[derive(Debug)]
struct Exceptions {
    paths: Vec<Regex>,
    regexes: Vec<Regex>,
    stopwords: Option<AhoCorasick>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RuleFile {
    #[serde(default)]
    pub(super) allowlist: Allow,
    pub(super) rules: Vec<SecretRule>,
}

pub(super) struct RuleSet {
    pub(super) document: RuleFile,
    pub(super) search: AhoCorasick,
    /// Rules by the position of their keyword in the search, each with how far around it the rule is tried.
    pub(super) by_keyword: Vec<Vec<Near>>,
}

pub(super) struct Near {
    pub(super) rule: usize,
    pub(super) before: usize,
    pub(super) after: usize,
}

pub(super) fn rules() -> Option<&'static RuleSet> {
    static READ: OnceLock<Option<RuleSet>> = OnceLock::new();
    READ.get_or_init(|| {
        let document: RuleFile = toml::from_str(include_str!("rules.toml")).ok()?;
        let mut by_keyword: BTreeMap<String, Vec<Near>> = BTreeMap::new();
        for (position, rule) in document.rules.iter().enumerate() {
            let longest = rule.longest();
            for keyword in &rule.keywords {
                let keyword = keyword.to_ascii_lowercase();
                let (before, after) = rule.reach(&keyword, longest);
                by_keyword.entry(keyword).or_default().push(Near {
                    rule: position,
                    before,
                    after,
                });
            }
        }
        let search = keywords(by_keyword.keys())?;
        Some(RuleSet {
            document,
            search,
            by_keyword: by_keyword.into_values().collect(),
        })
    })
    .as_ref()
}

fn keywords(all: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(all)
        .ok()
}

fn compile(pattern: &str) -> Option<Regex> {
    // Patterns come from Go's regular expressions, whose \z and character classes are the same here.
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(64 << 20)
        .dfa_size_limit(8 << 20)
        .build()
        .ok()
}

impl SecretRule {
    pub(super) fn compiled(&self) -> Option<&Compiled> {
        self.compiled
            .get_or_init(|| {
                let path = match &self.path {
                    Some(path) => Some(compile(path)?),
                    None => None,
                };
                let (pattern, named) = self.pattern()?;
                let regex = compile(&pattern)?;
                Some(Compiled { regex, named, path })
            })
            .as_ref()
    }

    /// Its expression without the beginning of a name, and whether there was one.
    fn pattern(&self) -> Option<(String, bool)> {
        let whole = self.regex.as_deref()?;
        let inner = whole.strip_prefix(NAME).unwrap_or(whole);
        for flags in ["(?i)", "(?i:"] {
            if let Some(rest) = inner.strip_prefix(flags).and_then(|rest| rest.strip_prefix(NAME)) {
                return Some((format!("{flags}{rest}"), true));
            }
        }
        Some((whole.to_owned(), false))
    }

    /// The greatest length of a match, if it has one.
    fn longest(&self) -> Option<usize> {
        let (pattern, _) = self.pattern()?;
        let parsed = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(&pattern);
        parsed.ok()?.properties().maximum_len()
    }

    /// How far before and after a keyword it is tried. A keyword that no match need hold may be anywhere near it.
    fn reach(&self, keyword: &str, longest: Option<usize>) -> (usize, usize) {
        let holds = |pattern: &String| pattern.to_ascii_lowercase().replace('\\', "").contains(keyword);
        match longest {
            Some(longest) if longest < AFTER && self.regex.as_ref().is_some_and(holds) => (longest, longest),
            _ if self.id.contains("private-key") => (BEFORE, LONG),
            _ => (BEFORE, AFTER),
        }
    }
}

/// What exceptions look at.
pub(super) struct Match<'a> {
    pub(super) path: &'a str,
    pub(super) secret: &'a [u8],
    pub(super) whole: &'a [u8],
    pub(super) line: &'a [u8],
}

impl Allow {
    /// Whether it says that a match is not a secret.
    pub(super) fn allows(&self, found: &Match) -> bool {
        let Exceptions {
            paths,
            regexes,
            stopwords,
        } = self.compiled.get_or_init(|| {
            let all = |patterns: &[String]| patterns.iter().filter_map(|pattern| compile(pattern)).collect();
            Exceptions {
                paths: all(&self.paths),
                regexes: all(&self.regexes),
                stopwords: (!self.stopwords.is_empty())
                    .then(|| keywords(&self.stopwords))
                    .flatten(),
            }
        });
        let target = match self.target.as_str() {
            "match" => found.whole,
            "line" => found.line,
            _ => found.secret,
        };
        let by_path =
            || !found.path.is_empty() && paths.iter().any(|regex| regex.is_match(found.path.as_bytes()));
        let by_text = || regexes.iter().any(|regex| regex.is_match(target));
        let by_word = || {
            stopwords
                .as_ref()
                .is_some_and(|words| words.is_match(found.secret))
        };
        let asked = [!paths.is_empty(), !regexes.is_empty(), stopwords.is_some()];
        if self.condition.eq_ignore_ascii_case("and") {
            asked.contains(&true)
                && (!asked[0] || by_path())
                && (!asked[2] || by_word())
                && (!asked[1] || by_text())
        } else {
            by_path() || by_word() || by_text()
        }
    }
}
