//! Requirements of Python packages (PEP 508), which tools write in different ways.

/// Whether two texts are the same requirement.
pub(super) fn same(released: &str, rebuilt: &str) -> bool {
    released != rebuilt
        && Requirement::read(released).is_some_and(|one| Some(one) == Requirement::read(rebuilt))
}

#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    name: String,
    extras: Vec<String>,
    /// Version specifiers in order, or an address.
    versions: Vec<String>,
    marker: Option<Marker>,
}

/// A condition.
#[derive(Debug, PartialEq, Eq)]
enum Marker {
    Test([String; 3]),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Requirement {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
        let mut rest = rest.trim_start();
        let mut extras = Vec::new();
        if let Some(behind) = rest.strip_prefix('[') {
            let (list, behind) = behind.split_once(']')?;
            extras = list.split(',').map(|extra| normal_name(extra.trim())).collect();
            extras.sort();
            rest = behind.trim_start();
        }
        if rest.starts_with('@') {
            // An address is compared as written: it cannot be distinguished from what follows it.
            return Some(Self {
                name: normal_name(name),
                extras,
                versions: vec![rest.to_owned()],
                marker: None,
            });
        }
        let (versions, marker) = match rest.split_once(';') {
            Some((versions, marker)) => (versions, Some(Marker::read(marker)?)),
            None => (rest, None),
        };
        let versions = versions.trim();
        let bare = versions
            .strip_prefix('(')
            .and_then(|inner| inner.strip_suffix(')'));
        let versions = bare.unwrap_or(versions);
        let specifier = |text: &str| {
            let text = text.trim();
            let end = text.find(|c| !matches!(c, '<' | '>' | '=' | '!' | '~'))?;
            let (operator, version) = text.split_at_checked(end)?;
            let known = ["<", "<=", "!=", "==", ">=", ">", "~=", "==="].contains(&operator);
            let version = version.trim();
            let fine = version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".*+!-_".contains(c));
            (known && fine && !version.is_empty()).then(|| format!("{operator}{version}"))
        };
        let mut versions = if versions.trim().is_empty() {
            Vec::new()
        } else {
            versions.split(',').map(specifier).collect::<Option<Vec<_>>>()?
        };
        versions.sort();
        Some(Self {
            name: normal_name(name),
            extras,
            versions,
            marker,
        })
    }
}

/// PEP 503: runs of `-`, `_` and `.` are equal, and case does not matter.
fn normal_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

impl Marker {
    fn read(text: &str) -> Option<Self> {
        let words = words(text)?;
        let mut at = 0;
        let marker = Self::any(&words, &mut at, 0)?;
        (at == words.len()).then_some(marker)
    }

    fn any(words: &[String], at: &mut usize, depth: u32) -> Option<Self> {
        Self::joined(words, at, "or", |at| Self::all(words, at, depth)).map(|mut parts| match parts.len() {
            1 => parts.remove(0),
            _ => Self::Any(flat(parts, |part| match part {
                Self::Any(parts) => Ok(parts),
                other => Err(other),
            })),
        })
    }

    fn all(words: &[String], at: &mut usize, depth: u32) -> Option<Self> {
        Self::joined(words, at, "and", |at| Self::one(words, at, depth)).map(|mut parts| match parts.len() {
            1 => parts.remove(0),
            _ => Self::All(flat(parts, |part| match part {
                Self::All(parts) => Ok(parts),
                other => Err(other),
            })),
        })
    }

    fn joined(
        words: &[String],
        at: &mut usize,
        by: &str,
        mut read: impl FnMut(&mut usize) -> Option<Self>,
    ) -> Option<Vec<Self>> {
        let mut parts = vec![read(at)?];
        while words.get(*at).is_some_and(|word| word == by) {
            *at = at.saturating_add(1);
            parts.push(read(at)?);
        }
        Some(parts)
    }

    fn one(words: &[String], at: &mut usize, depth: u32) -> Option<Self> {
        const DEEPEST: u32 = 32;
        if words.get(*at)? == "(" {
            *at = at.saturating_add(1);
            let inner = Self::any(words, at, depth.checked_add(1).filter(|depth| *depth < DEEPEST)?)?;
            let closed = words.get(*at)? == ")";
            *at = at.saturating_add(1);
            return closed.then_some(inner);
        }
        let end = at.checked_add(3)?;
        let [left, operator, right] = words.get(*at..end)? else {
            return None;
        };
        *at = end;
        let value = |word: &str| {
            let word = word.to_owned();
            // Extras are names.
            let quoted = word.strip_prefix('"').map(normal_name);
            match quoted {
                Some(name) if left == "extra" => format!("\"{name}"),
                _ => word,
            }
        };
        Some(Self::Test([left.clone(), operator.clone(), value(right)]))
    }
}

fn flat(parts: Vec<Marker>, open: impl Fn(Marker) -> Result<Vec<Marker>, Marker>) -> Vec<Marker> {
    parts
        .into_iter()
        .flat_map(|part| open(part).unwrap_or_else(|part| vec![part]))
        .collect()
}

/// Names, operators and values; a value begins with `"`, however it was quoted.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '(' | ')' => (first.to_string(), rest.get(1..)?),
            '"' | '\'' => {
                let (value, behind) = rest.get(1..)?.split_once(first)?;
                (format!("\"{value}"), behind)
            }
            _ => {
                let operator = |c: char| matches!(c, '<' | '>' | '=' | '!' | '~');
                let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                let end = if operator(first) {
                    rest.find(|c| !operator(c))
                } else {
                    rest.find(|c| !name(c))
                };
                let (word, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
                if word.is_empty() {
                    return None;
                }
                (word.to_owned(), behind)
            }
        };
        // `not in` is one operator.
        match words.last_mut() {
            Some(last) if *last == "not" && word == "in" => *last = "not in".into(),
            _ => words.push(word),
        }
        rest = behind.trim_start();
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_requirement_may_be_written_in_several_ways() {
        for (released, rebuilt) in [
            (
                "check-manifest ; extra == 'dev'",
                "check-manifest; extra == \"dev\"",
            ),
            ("Foo_Bar (>=1,<2)", "foo-bar<2,>=1"),
            ("a[y,x]>=1", "a[x, y] >= 1"),
            (
                "a ; (python_version < '3') and extra == 'x'",
                "a; python_version < \"3\" and extra == \"x\"",
            ),
            (
                "a; (os_name == 'nt' and extra == 'x') and extra == 'y'",
                "a ; os_name == 'nt' and extra == 'x' and extra == 'y'",
            ),
            ("a; extra == 'x_y'", "a; extra == 'x-y'"),
        ] {
            assert!(same(released, rebuilt), "{released} {rebuilt}");
        }
    }

    #[test]
    fn another_requirement_is_none_of_them() {
        for (released, rebuilt) in [
            (
                "check-manifest ; extra == 'dev'",
                "check-manifesto; extra == 'dev'",
            ),
            ("a>=1", "a>1"),
            ("a>=1", "a>=1.0.1"),
            ("a; extra == 'dev'", "a; extra == 'test'"),
            ("a; extra == 'dev'", "a"),
            (
                "a; os_name == 'nt' and (extra == 'x' or extra == 'y')",
                "a; os_name == 'nt' and extra == 'x' or extra == 'y'",
            ),
            ("a @ https://a.org/x.whl", "a @ https://b.org/x.whl"),
            ("a; os_name == 'nt", "a; os_name == nt"),
            ("a", "a\u{200b}"),
        ] {
            assert!(!same(released, rebuilt), "{released} {rebuilt}");
        }
    }
}
