//! Looking for credentials in a text, rule by rule.

use std::ops::Range;

use super::rules::{Allow, Compiled, Depth, LONG, LONGEST_NAME, Match, SecretRule, rules};
use crate::deadline::{Deadline, Over};

/// A rule that flags anything named like a key; too noisy for sources.
const GENERIC: &str = "generic-api-key";
/// Longest stretch that is searched at once, so that no match makes the search begin again over much text.
const STRETCH: usize = 64 << 10;
/// How much of a line is shown to exceptions about lines, before and after the secret.
const LINE: usize = 512;
/// Maximum number of matches of one rule in a text for which exceptions are checked, and maximum after it found
/// secrets. Further matches count without this check, so that a text full of them costs no more than another.
const MOST_ASKED: usize = 4096;
const MOST_FOUND: usize = 64;

/// A credential in a text.
pub struct SecretHit {
    /// The rule that found it.
    pub rule: &'static SecretRule,
    /// Where the secret itself is.
    pub secret: Range<usize>,
}

/// Every credential in a text, by its place; `path` is the file's, if that is known. A byte is looked at once for
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
    Ok(without_overlaps(hits))
}

/// Of hits that overlap one: that of the best rule, as long as all of them.
fn without_overlaps(mut hits: Vec<SecretHit>) -> Vec<SecretHit> {
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
    kept
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
            // In a text full of secrets it no longer matters which part of a match is one.
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

    /// Whether an exception says that a match is not a secret.
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
