//! The rules: what a credential looks like. They are data (`rules.toml`), kept by the people of gitleaks.
//!
//! A rule is tried only near one of its keywords, all of which are searched for at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

/// The rule that takes anything which is called a key for one; too much of that in sources is none.
const GENERIC: &str = "generic-api-key";
/// How far before and after a keyword a rule is tried.
const BEFORE: usize = 512;
const AFTER: usize = 4 << 10;
/// The same for private keys, which are long.
const LONG: usize = 16 << 10;

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
pub struct Rule {
    /// Its name.
    pub id: String,
    /// What it finds.
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    regex: Option<String>,
    /// Files that it is about.
    #[serde(default)]
    path: Option<String>,
    /// Least entropy of the secret, in bits a character.
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default, rename = "secretGroup")]
    group: usize,
    #[serde(default)]
    allowlists: Vec<Allow>,
    #[serde(skip)]
    compiled: OnceLock<Option<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    regex: Regex,
    path: Option<Regex>,
}

#[derive(Debug, Default, Deserialize)]
struct Allow {
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
    compiled: OnceLock<[Vec<Regex>; 2]>,
}

#[derive(Debug, Deserialize)]
struct Document {
    #[serde(default)]
    allowlist: Allow,
    rules: Vec<Rule>,
}

struct Rules {
    document: Document,
    search: AhoCorasick,
    /// Rules by the position of their keyword in the search.
    by_keyword: Vec<Vec<usize>>,
}

/// A credential in a text.
pub struct Hit {
    /// Rule that found it.
    pub rule: &'static Rule,
    /// Where the secret itself is.
    pub secret: Range<usize>,
}

fn rules() -> Option<&'static Rules> {
    static READ: OnceLock<Option<Rules>> = OnceLock::new();
    READ.get_or_init(|| {
        let document: Document = toml::from_str(include_str!("rules.toml")).ok()?;
        let mut by_keyword: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (position, rule) in document.rules.iter().enumerate() {
            for keyword in &rule.keywords {
                by_keyword
                    .entry(keyword.to_ascii_lowercase())
                    .or_default()
                    .push(position);
            }
        }
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(by_keyword.keys())
            .ok()?;
        Some(Rules {
            document,
            search,
            by_keyword: by_keyword.into_values().collect(),
        })
    })
    .as_ref()
}

fn compile(pattern: &str) -> Option<Regex> {
    // Patterns come from Go's regular expressions, whose \z and character classes are the same here.
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(64 << 20)
        .build()
        .ok()
}

impl Rule {
    fn compiled(&self) -> Option<&Compiled> {
        self.compiled
            .get_or_init(|| {
                let path = match &self.path {
                    Some(path) => Some(compile(path)?),
                    None => None,
                };
                let regex = compile(self.regex.as_deref()?)?;
                Some(Compiled { regex, path })
            })
            .as_ref()
    }
}

impl Allow {
    /// Whether it says that a match is no secret.
    fn allows(&self, path: &str, secret: &[u8], whole: &[u8], line: &[u8]) -> bool {
        let [paths, regexes] = self.compiled.get_or_init(|| {
            let all = |patterns: &[String]| patterns.iter().filter_map(|pattern| compile(pattern)).collect();
            [all(&self.paths), all(&self.regexes)]
        });
        let target = match self.target.as_str() {
            "match" => whole,
            "line" => line,
            _ => secret,
        };
        let lower = secret.to_ascii_lowercase();
        let holds = |word: &String| {
            lower
                .windows(word.len().max(1))
                .any(|part| part == word.to_ascii_lowercase().as_bytes())
        };
        let checks = [
            (
                !paths.is_empty(),
                !path.is_empty() && paths.iter().any(|regex| regex.is_match(path.as_bytes())),
            ),
            (
                !regexes.is_empty(),
                regexes.iter().any(|regex| regex.is_match(target)),
            ),
            (!self.stopwords.is_empty(), self.stopwords.iter().any(holds)),
        ];
        let mut asked = checks.iter().filter(|(there, _)| *there).map(|(_, holds)| *holds);
        if self.condition.eq_ignore_ascii_case("and") {
            let all: Vec<bool> = asked.collect();
            !all.is_empty() && all.iter().all(|holds| *holds)
        } else {
            asked.any(|holds| holds)
        }
    }
}

/// Every credential in a text, by its place; `path` is the file's, where that is known.
pub fn scan(text: &[u8], path: &str, depth: Depth) -> Vec<Hit> {
    let Some(rules) = rules() else { return Vec::new() };
    let mut windows: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
    for found in rules.search.find_overlapping_iter(text) {
        for rule in &rules.by_keyword[found.pattern().as_usize()] {
            let id = rules.document.rules[*rule].id.as_str();
            if id == GENERIC && depth == Depth::Precise {
                continue;
            }
            let after = if id.contains("private-key") { LONG } else { AFTER };
            let window = found.start().saturating_sub(BEFORE)..(found.end() + after).min(text.len());
            let known = windows.entry(*rule).or_default();
            match known.last_mut() {
                Some(last) if window.start <= last.end => last.end = last.end.max(window.end),
                _ => known.push(window),
            }
        }
    }
    let mut hits: Vec<Hit> = Vec::new();
    for (position, windows) in windows {
        let rule = &rules.document.rules[position];
        let Some(compiled) = rule.compiled() else { continue };
        if compiled
            .path
            .as_ref()
            .is_some_and(|wanted| !wanted.is_match(path.as_bytes()))
        {
            continue;
        }
        for window in windows {
            for found in compiled.regex.captures_iter(&text[window.clone()]) {
                let Some(whole) = found.get(0) else { continue };
                let group = if rule.group > 0 {
                    found.get(rule.group)
                } else {
                    (1..found.len()).find_map(|at| found.get(at))
                };
                let secret = group.filter(|group| !group.is_empty()).unwrap_or(whole);
                let range = window.start + secret.start()..window.start + secret.end();
                let line = line_of(text, &range);
                let none = entropy(secret.as_bytes()) < rule.entropy
                    || rule
                        .allowlists
                        .iter()
                        .chain([&rules.document.allowlist])
                        .any(|allow| {
                            allow.allows(path, secret.as_bytes(), whole.as_bytes(), &text[line.clone()])
                        });
                if !none {
                    hits.push(Hit { rule, secret: range });
                }
            }
        }
    }
    // A rule of a known form says more than the one for everything, and the longer match more than a part of it.
    hits.sort_by_key(|hit| {
        (
            hit.secret.start,
            hit.rule.id == GENERIC,
            std::cmp::Reverse(hit.secret.end),
        )
    });
    let mut kept: Vec<Hit> = Vec::new();
    for hit in hits {
        match kept.last_mut() {
            Some(last) if hit.secret.start < last.secret.end => {
                last.secret.end = last.secret.end.max(hit.secret.end);
            }
            _ => kept.push(hit),
        }
    }
    kept
}

fn line_of(text: &[u8], range: &Range<usize>) -> Range<usize> {
    const LONGEST: usize = 4096;
    let least = range.start.saturating_sub(LONGEST);
    let start = text[least..range.start]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(least, |at| least + at + 1);
    let most = (range.end + LONGEST).min(text.len());
    let end = text[range.end..most]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(most, |at| range.end + at);
    start..end
}

/// Shannon's, in bits a character.
#[allow(clippy::cast_precision_loss)]
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let length = text.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| -share(count) * share(count).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_the_set_can_be_used() {
        let rules = rules().unwrap();
        assert!(rules.document.rules.len() > 200);
        let not: Vec<_> = rules
            .document
            .rules
            .iter()
            .filter(|rule| rule.regex.is_some() && rule.compiled().is_none())
            .map(|rule| &rule.id)
            .collect();
        assert!(not.is_empty(), "{not:?}");
        let without: Vec<_> = rules
            .document
            .rules
            .iter()
            .filter(|rule| rule.keywords.is_empty())
            .map(|rule| &rule.id)
            .collect();
        // A rule without keywords is about names of files alone.
        assert!(without.len() <= 2, "{without:?}");
    }

    #[test]
    fn finds_what_is_one_and_leaves_what_is_not() {
        let key = format!(
            "-----BEGIN RSA {} KEY-----\n{}\n-----END RSA {0} KEY-----",
            "PRIVATE",
            "MIIEowIBAAKCAQEA".repeat(40)
        );
        let table = [
            (
                format!("aws_access_key_id = AKIA{}", "Z7QWERTYU4IOPASD"),
                Some("aws-access-token"),
            ),
            (
                format!("token: ghp_{}", "x9Kq2LmZ7pRtVb4NwYs8DfGh1JcAe3Tu6Ioi"),
                Some("github-pat"),
            ),
            (
                format!(
                    "//registry.npmjs.org/:_authToken=npm_{}",
                    "x9kq2lmz7prtvb4nwys8dfgh1jcae3tu6ioi"
                ),
                Some("npm-access-token"),
            ),
            (key, Some("private-key")),
            ("token: ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".into(), None),
            ("aws_access_key_id = AKIAIOSFODNN7EXAMPLE".into(), None),
            ("the key to success is authentication".into(), None),
            ("password = ${{ secrets.PASSWORD }}".into(), None),
        ];
        for (text, expected) in table {
            let hits = scan(text.as_bytes(), "", Depth::All);
            let found = hits.first().map(|hit| hit.rule.id.as_str());
            assert_eq!(found, expected, "{text}");
        }
    }
}
