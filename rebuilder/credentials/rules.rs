//! The rules: what a credential looks like. They are data (`rules.toml`), kept by the people of gitleaks.
//!
//! A rule is tried only near one of its keywords, all of which are searched for at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::deadline::{Deadline, Over};

/// The rule that takes anything which is called a key for one; too much of that in sources is none.
const GENERIC: &str = "generic-api-key";
/// How far before and after a keyword a rule is tried, where its matches have no greatest length.
const BEFORE: usize = 512;
const AFTER: usize = 4 << 10;
/// The same for private keys, which are long.
const LONG: usize = 16 << 10;
/// Longest stretch that is searched at once, so that no match makes the search begin again over much text.
const STRETCH: usize = 64 << 10;
/// How the rules for assignments begin: up to fifty characters of the name's beginning, which say nothing of the value.
/// Without them a rule begins with its keyword, which is found many times faster.
const NAME: &str = r"[\w.-]{0,50}?";
const LONGEST_NAME: usize = 50;
/// How much of a line is shown to exceptions about lines, before and after the secret.
const LINE: usize = 512;
/// Most matches of one rule in a text that exceptions are asked about, and most after which it found secrets: the rest
/// are taken for what they look like, so that a text full of them costs no more than another.
const MOST_ASKED: usize = 4096;
const MOST_FOUND: usize = 64;

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
    /// Whether [`NAME`] was taken off its beginning.
    named: bool,
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
    compiled: OnceLock<Exceptions>,
}

#[derive(Debug)]
struct Exceptions {
    paths: Vec<Regex>,
    regexes: Vec<Regex>,
    stopwords: Option<AhoCorasick>,
}

#[derive(Debug, Deserialize)]
struct RuleFile {
    #[serde(default)]
    allowlist: Allow,
    rules: Vec<SecretRule>,
}

struct RuleSet {
    document: RuleFile,
    search: AhoCorasick,
    /// Rules by the position of their keyword in the search, each with how far around it the rule is tried.
    by_keyword: Vec<Vec<Near>>,
}

struct Near {
    rule: usize,
    before: usize,
    after: usize,
}

/// A credential in a text.
pub struct SecretHit {
    /// The rule that found it.
    pub rule: &'static SecretRule,
    /// Where the secret itself is.
    pub secret: Range<usize>,
}

fn rules() -> Option<&'static RuleSet> {
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
    fn compiled(&self) -> Option<&Compiled> {
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

    /// The greatest length of a match, where it has one.
    fn longest(&self) -> Option<usize> {
        let (pattern, _) = self.pattern()?;
        let parsed = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(&pattern);
        parsed.ok()?.properties().maximum_len()
    }

    /// How far before and after a keyword it is tried. A keyword that no match need hold may stand anywhere near it.
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
struct Match<'a> {
    path: &'a str,
    secret: &'a [u8],
    whole: &'a [u8],
    line: &'a [u8],
}

impl Allow {
    /// Whether it says that a match is no secret.
    fn allows(&self, found: &Match) -> bool {
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

/// Every credential in a text, by its place; `path` is the file's, where that is known. A byte is looked at once for
/// the keywords, and once for each rule with a keyword near it.
pub fn scan(text: &[u8], path: &str, depth: Depth, deadline: &Deadline) -> Result<Vec<SecretHit>, Over> {
    let Some(rules) = rules() else {
        return Ok(Vec::new());
    };
    let mut windows: Vec<Vec<Range<usize>>> = vec![Vec::new(); rules.document.rules.len()];
    for found in rules.search.find_overlapping_iter(text) {
        let near = rules.by_keyword.get(found.pattern().as_usize());
        for near in near.into_iter().flatten() {
            let end = found.end().saturating_add(near.after).min(text.len());
            let window = found.start().saturating_sub(near.before)..end;
            let Some(known) = windows.get_mut(near.rule) else {
                continue;
            };
            match known.last_mut() {
                Some(last)
                    if window.start <= last.end && window.end.saturating_sub(last.start) <= STRETCH =>
                {
                    last.end = last.end.max(window.end);
                }
                _ => known.push(window),
            }
        }
    }
    let mut hits: Vec<SecretHit> = Vec::new();
    for (rule, windows) in rules.document.rules.iter().zip(windows) {
        if windows.is_empty() || rule.id == GENERIC && depth == Depth::Precise {
            continue;
        }
        let Some(compiled) = rule.compiled() else { continue };
        if compiled
            .path
            .as_ref()
            .is_some_and(|wanted| !wanted.is_match(path.as_bytes()))
        {
            continue;
        }
        let mut trial = Trial {
            rule,
            compiled,
            general: &rules.document.allowlist,
            path,
            asked: 0,
            found: 0,
        };
        for window in windows {
            deadline.check()?;
            trial.search(text, &window, &mut hits);
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
    let mut kept: Vec<SecretHit> = Vec::new();
    for hit in hits {
        match kept.last_mut() {
            Some(last) if hit.secret.start < last.secret.end => {
                last.secret.end = last.secret.end.max(hit.secret.end);
            }
            _ => kept.push(hit),
        }
    }
    Ok(kept)
}

/// One rule and one text.
struct Trial<'a> {
    rule: &'static SecretRule,
    compiled: &'static Compiled,
    general: &'static Allow,
    path: &'a str,
    asked: usize,
    found: usize,
}

impl Trial<'_> {
    fn search(&mut self, text: &[u8], window: &Range<usize>, hits: &mut Vec<SecretHit>) {
        let stretch = text.get(window.clone()).unwrap_or_default();
        let mut at = 0;
        while at < stretch.len() {
            let before = at;
            // In a text full of secrets nobody asks any more which part of a match is one.
            let (whole, secret) = if self.found >= MOST_FOUND {
                let Some(whole) = self.compiled.regex.find_at(stretch, at) else {
                    return;
                };
                (whole.range(), whole.range())
            } else {
                let Some(found) = self.compiled.regex.captures_at(stretch, at) else {
                    return;
                };
                let Some(whole) = found.get(0) else { return };
                let group = if self.rule.group > 0 {
                    found.get(self.rule.group)
                } else {
                    (1..found.len()).find_map(|at| found.get(at))
                };
                let secret = group.filter(|group| !group.is_empty()).unwrap_or(whole);
                (whole.range(), secret.range())
            };
            at = whole.end.max(before.saturating_add(1));
            let in_text = |at: usize| window.start.saturating_add(at);
            let mut range = in_text(secret.start)..in_text(secret.end);
            if self.found < MOST_FOUND {
                let begin = if self.compiled.named {
                    name_before(stretch, before, whole.start)
                } else {
                    whole.start
                };
                let part = |range: Range<usize>| stretch.get(range).unwrap_or_default();
                if entropy(part(secret)) < self.rule.entropy
                    || self.is_none(text, &range, part(begin..whole.end))
                {
                    continue;
                }
            }
            if range.end == window.end {
                // The end of the window is not the end of the secret.
                let rest = text.iter().skip(range.end).take(LONG);
                let more = rest.take_while(|byte| byte.is_ascii_graphic()).count();
                range.end = range.end.saturating_add(more);
            }
            self.found = self.found.saturating_add(1);
            hits.push(SecretHit {
                rule: self.rule,
                secret: range,
            });
        }
    }

    /// Whether an exception says that a match is no secret.
    fn is_none(&mut self, text: &[u8], secret: &Range<usize>, whole: &[u8]) -> bool {
        if self.asked >= MOST_ASKED {
            return false;
        }
        self.asked = self.asked.saturating_add(1);
        let found = Match {
            path: self.path,
            secret: text.get(secret.clone()).unwrap_or_default(),
            whole,
            line: text.get(line_of(text, secret)).unwrap_or_default(),
        };
        let mut lists = self.rule.allowlists.iter().chain([self.general]);
        lists.any(|allow| allow.allows(&found))
    }
}

/// Where the name begins whose end was matched at `start`.
fn name_before(text: &[u8], least: usize, start: usize) -> usize {
    let least = least.max(start.saturating_sub(LONGEST_NAME));
    let name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let before = text.get(least..start).unwrap_or_default();
    start.saturating_sub(before.iter().rev().take_while(name).count())
}

fn line_of(text: &[u8], range: &Range<usize>) -> Range<usize> {
    let least = range.start.saturating_sub(LINE);
    let before = text.get(least..range.start).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(least, |at| least.saturating_add(at).saturating_add(1));
    let most = range.end.saturating_add(LINE).min(text.len());
    let after = text.get(range.end..most).unwrap_or_default();
    let end = memchr::memchr(b'\n', after).map_or(most, |at| range.end.saturating_add(at));
    start..end
}

/// Shannon's, in bits a character.
#[allow(clippy::cast_precision_loss)]
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = u32::saturating_add(*count, 1);
        }
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
            let hits = scan(text.as_bytes(), "", Depth::All, &Deadline::default()).unwrap();
            let found = hits.first().map(|hit| hit.rule.id.as_str());
            assert_eq!(found, expected, "{text}");
        }
    }
}
