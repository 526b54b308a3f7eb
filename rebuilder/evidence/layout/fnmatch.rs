//! Patterns of in-toto's rules, which are those of Python's `fnmatch`: `*` matches any text, including `/`, `?` any
//! one character, and `[abc]`, `[a-z]` and `[!a]` one character of a set.

/// One element of a pattern.
enum Place {
    Any,
    One,
    Of { not: bool, ranges: Vec<(char, char)> },
    Same(char),
}

impl Place {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Of { not, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
            Self::Same(own) => *own == c,
        }
    }
}

/// Whether a pattern matches a whole name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let places = places(pattern);
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut here) = (0_usize, 0_usize);
    // The position of the last `*`, and where its text ends: only this one is ever tried again.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (places.get(at), name.get(here)) {
            (Some(Place::Any), _) => {
                star = Some((at, here));
                at = at.saturating_add(1);
            }
            (None, None) => return true,
            (Some(place), Some(c)) if place.takes(*c) => {
                at = at.saturating_add(1);
                here = here.saturating_add(1);
            }
            _ => match star {
                Some((start, end)) if end < name.len() => {
                    let end = end.saturating_add(1);
                    star = Some((start, end));
                    (at, here) = (start.saturating_add(1), end);
                }
                _ => return false,
            },
        }
    }
}

fn places(pattern: &str) -> Vec<Place> {
    let mut rest = pattern;
    let mut places = Vec::new();
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        places.push(match c {
            '*' => Place::Any,
            '?' => Place::One,
            '[' => match set(rest) {
                Some((place, behind)) => {
                    rest = behind;
                    place
                }
                // A bracket without an end stands for itself.
                None => Place::Same('['),
            },
            other => Place::Same(other),
        });
    }
    places
}

/// The set between brackets, and the rest of the pattern. A `]` at the beginning is one of the characters.
fn set(text: &str) -> Option<(Place, &str)> {
    let (not, inside) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let first = inside.chars().next()?.len_utf8();
    let end = inside.get(first..)?.find(']')?.saturating_add(first);
    let (content, behind) = (inside.get(..end)?, inside.get(end.saturating_add(1)..)?);
    let mut ranges = Vec::new();
    let mut chars = content.chars().peekable();
    while let Some(from) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) => {
                ranges.push((from, to));
                chars = ahead;
            }
            _ => ranges.push((from, from)),
        }
    }
    Some((Place::Of { not, ranges }, behind))
}

#[cfg(test)]
mod tests {
    use super::fits;

    /// The expected answers are those of Python's `fnmatch.fnmatchcase`.
    #[test]
    fn patterns_fit_as_in_python() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("src/*.c", "src/a/b.c", true),
            ("src/*.c", "src/b.h", false),
            ("?.c", "a.c", true),
            ("?.c", ".c", false),
            ("??", "é√", true),
            ("[ab].c", "b.c", true),
            ("[ab].c", "c.c", false),
            ("[!ab].c", "c.c", true),
            ("[!ab].c", "a.c", false),
            ("[a-c]", "b", true),
            ("[a-c]", "d", false),
            ("[a-]", "-", true),
            ("[]a]", "]", true),
            ("[!]a]", "b", true),
            ("[!]a]", "]", false),
            ("[", "[", true),
            ("[a", "[a", true),
            ("[]", "[]", true),
            ("a[b]*c", "abxxc", true),
            ("*a*b*c", "aXbXbXc", true),
            ("*a*b*c", "aXbXbX", false),
            ("foo", "foo", true),
            ("foo", "Foo", false),
            ("[c-a]", "b", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
