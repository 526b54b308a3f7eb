//! Java properties (`java.util.Properties.load`), and those that build tools leave in a jar.

use std::collections::{BTreeMap, BTreeSet};

use super::form::Form;
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

/// The known files, at the places where tools write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// META-INF/maven/GROUP/ARTIFACT/pom.properties.
    Pom,
    /// git.properties of git-commit-id-maven-plugin and gradle-git-properties.
    Git,
}

pub(super) fn kind(path: &str) -> Option<Kind> {
    const GIT: [&str; 4] = [
        "git.properties",
        "BOOT-INF/classes/git.properties",
        "META-INF/git.properties",
        "WEB-INF/classes/git.properties",
    ];
    if GIT.contains(&path) {
        return Some(Kind::Git);
    }
    let parts: Vec<&str> = path.strip_prefix("META-INF/maven/")?.split('/').collect();
    match parts.as_slice() {
        [_, _, "pom.properties"] => Some(Kind::Pom),
        _ => None,
    }
}

impl Kind {
    fn normalisation(self) -> Normalisation {
        match self {
            Self::Pom => Normalisation::JarMavenPomProperties,
            Self::Git => Normalisation::JarGitProperties,
        }
    }
}

/// Findings for all differences; `None` if a side cannot be read.
pub(super) fn compare(kind: Kind, released: &[u8], rebuilt: &[u8]) -> Option<Vec<Finding>> {
    let sides = Both::new(Properties::parse(released)?, Properties::parse(rebuilt)?);
    let mut findings = Vec::new();
    let maps = sides.as_ref().map(Properties::values);
    let keys: BTreeSet<&str> = maps.released.keys().chain(maps.rebuilt.keys()).copied().collect();
    for key in keys {
        let values = maps.as_ref().map(|map| map.get(key).cloned().unwrap_or_default());
        if !values.same() {
            findings.push(value(kind, key, &values.released, &values.rebuilt));
        }
    }
    if sides.released.comments != sides.rebuilt.comments {
        let all = [&sides.released.comments, &sides.rebuilt.comments];
        let known = all
            .iter()
            .all(|comments| comments.iter().all(|comment| is_generated(comment)));
        let shown = |side: &Properties| side.comments.join("; ");
        let finding = Finding::new("comments", shown(&sides.released), shown(&sides.rebuilt));
        findings.push(if known {
            finding
                .because(Cause::Timestamp, Confidence::Proven)
                .keyed("comments of generated properties")
                .set_aside_by(kind.normalisation())
        } else {
            finding
        });
    }
    let order = sides.as_ref().map(|side| {
        let own = side.pairs.iter().map(|(key, _)| key.as_str());
        let other = own.filter(|key| maps.as_ref().all(|map| map.contains_key(key)));
        other.map(str::to_owned).collect::<Vec<_>>()
    });
    if !order.same() {
        let finding = Finding::new(
            "order of keys",
            order.released.join(", "),
            order.rebuilt.join(", "),
        )
        .because(Cause::Order, Confidence::Proven)
        .keyed("keys of properties");
        findings.push(finding.set_aside_by(kind.normalisation()));
    }
    findings.extend(blanks(&sides));
    if findings.is_empty() {
        // Keys, values, order, comments and blanks are the same: only line ends and escapes remain.
        let finding = Finding::new("line ends and escapes", "", "")
            .because(Cause::ArchiveDialect, Confidence::Proven)
            .keyed("the same properties, written in another way");
        findings.push(finding.set_aside_by(kind.normalisation()));
    }
    Some(findings)
}

/// Blanks and escapes that differ although the properties are the same: no tool writes them in two ways.
fn blanks(sides: &Both<Properties>) -> Option<Finding> {
    let pairs = sides
        .as_ref()
        .map(|side| side.pairs.iter().collect::<BTreeSet<_>>());
    let written = sides.as_ref().map(|side| {
        let other = |pair: &(String, String)| pairs.as_ref().all(|pairs| pairs.contains(pair));
        let common = side
            .pairs
            .iter()
            .zip(&side.written)
            .filter(|(pair, _)| other(pair));
        let mut lines: Vec<&String> = common.map(|(_, line)| line).chain(&side.blanks).collect();
        lines.sort();
        lines
    });
    let (released, rebuilt) = (&written.released, &written.rebuilt);
    let only = |own: &[&String], other: &[&String]| {
        let line = own.iter().find(|line| other.binary_search(line).is_err());
        line.map_or_else(String::new, |line| format!("{line:?}"))
    };
    (!written.same()).then(|| {
        Finding::new(
            "blanks and escapes",
            only(released, rebuilt),
            only(rebuilt, released),
        )
    })
}

/// The finding for one key with different values.
fn value(kind: Kind, key: &str, released: &[&str], rebuilt: &[&str]) -> Finding {
    let finding = Finding::new(key, released.join("\n"), rebuilt.join("\n"));
    let known = match kind {
        Kind::Pom => None,
        Kind::Git => of_git(key),
    };
    let Some((cause, form)) = known else {
        return finding;
    };
    let fits = [released, rebuilt]
        .iter()
        .all(|values| values.iter().all(|value| form.has(value)));
    if !fits {
        return finding;
    }
    finding
        .because(cause, Confidence::Proven)
        .keyed(format!("{key} in git.properties"))
        .set_aside_by(kind.normalisation())
}

/// What the plugins write, by key without its prefix. Commit messages have no form, and are never set aside.
fn of_git(key: &str) -> Option<(Cause, Form)> {
    use Cause::{BuildHost, SourceRevision, Timestamp};
    Some(match key.strip_prefix("git.")? {
        "build.time" => (Timestamp, Form::Date),
        "build.host" => (BuildHost, Form::Host),
        "build.user.name" => (BuildHost, Form::User),
        "build.user.email" => (BuildHost, Form::Mail),
        "build.number" | "build.number.unique" => (BuildHost, Form::Ref),
        "commit.id" | "commit.id.full" | "commit.id.abbrev" => (SourceRevision, Form::Commit),
        "commit.time" | "commit.author.time" | "commit.committer.time" => (SourceRevision, Form::Date),
        "commit.user.name" => (SourceRevision, Form::User),
        "commit.user.email" => (SourceRevision, Form::Mail),
        "branch"
        | "commit.id.describe"
        | "commit.id.describe-short"
        | "closest.tag.name"
        | "tag"
        | "tags" => (SourceRevision, Form::Ref),
        "closest.tag.commit.count" | "total.commit.count" | "local.branch.ahead" | "local.branch.behind" => {
            (SourceRevision, Form::Number)
        }
        "dirty" => (SourceRevision, Form::Flag),
        "remote.origin.url" => (SourceRevision, Form::Url),
        _ => return None,
    })
}

/// Whether Maven, a plugin or `Properties.store` writes such a comment.
fn is_generated(comment: &str) -> bool {
    let tool = ["Generated by ", "Created by "]
        .iter()
        .find_map(|words| comment.strip_prefix(words));
    let plugins = [
        "Git-Commit-Id-Plugin",
        "Maven",
        "org.apache.felix.bundleplugin",
        "Maven Integration for Eclipse",
    ];
    tool.map_or_else(
        || Form::Date.has(comment),
        |tool| plugins.contains(&tool) || Form::Tool.has(tool),
    )
}

/// A whole file.
#[derive(Debug, Default)]
struct Properties {
    /// In stored order; Java uses the last of repeated keys.
    pairs: Vec<(String, String)>,
    /// Without the comment character.
    comments: Vec<String>,
    /// Each pair as written, except for optional escapes.
    written: Vec<String>,
    /// Lines that have only blanks.
    blanks: Vec<String>,
}

impl Properties {
    fn values(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, value) in &self.pairs {
            values.entry(key).or_default().push(value);
        }
        values
    }

    /// `None` if it is not text, or an escape is malformed.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.replace("\r\n", "\n");
        let mut properties = Self::default();
        let mut lines = text.split(['\n', '\r']);
        while let Some(line) = lines.next() {
            let whole = line;
            let line = line.trim_start_matches(BLANKS);
            if line.is_empty() {
                if !whole.is_empty() {
                    properties.blanks.push(whole.to_owned());
                }
                continue;
            }
            if let Some(comment) = line.strip_prefix(['#', '!']) {
                properties.comments.push(comment.trim().to_owned());
                continue;
            }
            let mut logical = line.to_owned();
            let mut written = whole.to_owned();
            while trailing_backslashes(&logical) % 2 == 1 {
                logical.pop();
                let more = lines.next().unwrap_or_default();
                logical.push_str(more.trim_start_matches(BLANKS));
                written.push('\n');
                written.push_str(more);
            }
            for escaped in [":", "=", "#", "!"] {
                written = written.replace(&format!("\\{escaped}"), escaped);
            }
            properties.written.push(written);
            properties.pairs.push(pair(&logical)?);
        }
        Some(properties)
    }
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

fn trailing_backslashes(line: &str) -> usize {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count()
}

/// The key ends at the first unescaped blank, `=` or `:`.
fn pair(line: &str) -> Option<(String, String)> {
    let mut escaped = false;
    let end = line.find(|character: char| {
        let ends = !escaped && (BLANKS.contains(&character) || matches!(character, '=' | ':'));
        escaped = !escaped && character == '\\';
        ends
    });
    let (key, rest) = line.split_at_checked(end.unwrap_or(line.len()))?;
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest
        .strip_prefix(['=', ':'])
        .unwrap_or(rest)
        .trim_start_matches(BLANKS);
    Some((unescaped(key)?, unescaped(value)?))
}

fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        plain.push(match characters.next() {
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\u{c}',
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
            }
            Some(other) => other,
            None => continue,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_as_java_reads_them() {
        let text = "# c\n a = 1\\\r  2\nb:x\\u0041\\\\\nc d=e\n\\=f\\ g h\nlast";
        let read = Properties::parse(text.as_bytes()).expect("properties");
        let pairs: Vec<_> = read
            .pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("a", "12"),
                ("b", "xA\\"),
                ("c", "d=e"),
                ("=f g", "h"),
                ("last", "")
            ]
        );
        assert_eq!(read.comments, ["c"]);
    }
}
